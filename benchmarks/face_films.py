"""Rendered heads whose expressions are known: the 52 facial actions of the package anny, named as ARKit's blend shapes.

    python benchmarks/face_films.py -o FOLDER [--people 2 3 4]

Writes NAME.mp4 and NAME.npz for each person: expressions one after the other with the head still, then turns of the head with a
resting face, then turns with an open mouth. The .npz holds the strength of each action and the turn of the head in each frame.
The actions are MakeHuman's face units by Mika Suominen (CC0), bound to the body of `stpose_training.synth.body`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stpose_training.synth.body import Body, Rest, load_body
from stpose_training.synth.looks import Look, dress, sample_look
from stpose_training.synth.poses import axis_turn
from stpose_training.synth.scene import Light, Room, View, develop, empty_room, render
from torch import Tensor

from stpose_core.video_writer import PreviewWriter

FPS = 15.0
RAMP = (0.0, 1 / 3, 2 / 3, 1.0, 2 / 3, 1 / 3)  # of an expression
EXPRESSIONS = (
    ("jawOpen",), ("eyeBlinkLeft", "eyeBlinkRight"), ("eyeBlinkLeft",), ("eyeBlinkRight",), ("mouthSmileLeft", "mouthSmileRight"),
    ("mouthSmileLeft",), ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("browDownLeft", "browDownRight"),
    ("mouthPucker",), ("mouthFunnel",), ("mouthFrownLeft", "mouthFrownRight"), ("mouthLeft",), ("mouthRight",), ("jawLeft",),
    ("mouthRollLower",),
    ("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight"), ("eyeWideLeft", "eyeWideRight"),
    ("mouthUpperUpLeft", "mouthUpperUpRight"), ("mouthLowerDownLeft", "mouthLowerDownRight"), ("jawOpen", "mouthSmileRight"),
)  # fmt: skip
TURN = 30.0  # degrees to either side
NOD = 15.0
FINER = 2  # pixels of the rendering, each way, for one of the picture
# Gender, age, muscle, weight, height, proportions: `stpose_training.synth.body.PHENOTYPES`.
PEOPLE = (
    (0.08, 0.72, 0.60, 0.45, 0.50, 0.7), (0.95, 0.66, 0.45, 0.40, 0.45, 0.6), (0.70, 0.85, 0.50, 0.65, 0.40, 0.5),
    (0.20, 0.90, 0.55, 0.60, 0.60, 0.5), (0.90, 0.60, 0.50, 0.55, 0.50, 0.4), (0.40, 0.66, 0.40, 0.35, 0.50, 0.6),
)  # fmt: skip


def load_actions(cache: Path) -> dict[str, Tensor]:
    """How each facial action moves the vertices (V, 3) of the template, metres; from anny once (a minute), then from a file."""
    if not cache.is_file():
        import anny

        model = anny.Anny(skinning_method="lbs", facial_actions="all")
        rest = model(facial_actions={})["rest_vertices"][0]
        moved = {name: model(facial_actions={name: 1.0})["rest_vertices"][0] - rest for name in model.facial_action_labels}
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache, **{name: values.detach().numpy().astype(np.float32) for name, values in moved.items()})
    with np.load(cache, allow_pickle=False) as data:
        return {name: torch.from_numpy(data[name]) for name in data.files}


class Sitter:
    """A dressed person, number `number` of PEOPLE, who looks at a camera.

    closeup: the head alone fills the picture; otherwise head and shoulders are in it.
    """

    def __init__(self, number: int, actions: Mapping[str, Tensor], size: int = 320, closeup: bool = False) -> None:
        body = load_body()
        above = (body.template[body.faces][..., 2] > 0.25).all(dim=1)  # the rest is not in the picture
        self.body: Body = replace(body, faces=body.faces[above])
        self.actions = actions
        self.look = Look() if number == 0 else sample_look(torch.Generator().manual_seed(number))
        plain = body.rest(torch.tensor([PEOPLE[number]]))
        self.rest = dress(body, plain, self.look)
        self.eyes = float(self.rest.heads[0, body.bone("eye.L"), 2])
        height, zoom = (self.eyes - 0.03, 3.6) if closeup else (self.eyes - 0.1, 1.7)
        self.view = View((0.0, -1.3, height), (0.0, 0.0, height), zoom * size, (size, size)).enlarged(FINER)
        self.size = (size, size)
        self.light = Light()
        self.background = empty_room(self.view, Room(), self.light)

    def picture(
        self, expression: Mapping[str, float], yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
    ) -> NDArray[np.uint8]:
        """(H, W, 3) RGB. expression: the strength of each action. yaw, pitch, roll: degrees by which the head is turned to its
        left, down, and to its left shoulder."""
        vertices = self.rest.vertices.clone()
        for name, strength in expression.items():
            vertices += strength * self.actions[name]
        degrees = np.radians((yaw, pitch, roll))
        axes = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
        turn = axis_turn(torch.tensor(axes[0]), degrees[0])
        turn = turn @ axis_turn(torch.tensor(axes[1]), degrees[1]) @ axis_turn(torch.tensor(axes[2]), degrees[2])
        turns = torch.eye(3).repeat(len(self.body.bones), 1, 1)
        head = self.body.bone("head")
        for bone, parent in enumerate(self.body.parents):
            if bone == head or (parent >= 0 and bool((turns[parent] != torch.eye(3)).any())):
                turns[bone] = turn
        root = self.rest.heads[:, 0]
        posed = self.body.pose(Rest(vertices, self.rest.heads), turns[None], root)
        return develop(render(self.body, posed, self.look, self.view, self.background, self.light), FINER)[0].numpy()


def script() -> list[tuple[dict[str, float], float, float]]:
    """The expression, the yaw and the pitch of each frame."""
    frames: list[tuple[dict[str, float], float, float]] = []
    for names in EXPRESSIONS:
        frames += [(dict.fromkeys(names, strength), 0.0, 0.0) for strength in RAMP]
    around = np.sin(np.linspace(0, 2 * np.pi, 25))
    frames += [({}, TURN * float(part), 0.0) for part in around]
    frames += [({}, 0.0, NOD * float(part)) for part in around[::2]]
    frames += [({"jawOpen": 0.7}, TURN * float(part), 0.0) for part in around[::2]]
    return frames


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=(2, 3, 4))
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    actions, frames = load_actions(options.out / "actions.npz"), script()
    names = sorted(actions)
    strengths = np.array([[expression.get(name, 0.0) for name in names] for expression, _, _ in frames])
    for number in options.people:
        sitter, path = Sitter(number, actions), options.out / f"person{number}.mp4"
        with PreviewWriter(path, FPS, sitter.size) as writer:
            for expression, yaw, pitch in frames:
                writer.write(sitter.picture(expression, yaw, pitch))
        turns = np.array([(yaw, pitch) for _, yaw, pitch in frames])
        np.savez_compressed(path.with_suffix(".npz"), names=np.array(names), strengths=strengths, turns=turns)
        print(path, flush=True)


if __name__ == "__main__":
    main()
