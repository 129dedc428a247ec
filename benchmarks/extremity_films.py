"""Films of rendered people whose heads, hands, fingers and feet are known in every frame.

    python benchmarks/extremity_films.py --kit CACHE/kit.npz --mocap MOCAP -o FILMS [--set calibration]

Writes NAME.mp4 and NAME.npz for each film: dressed people in the motions of mocap, who turn their heads and wrists and move their
fingers beside that (`stpose_training.synth.gestures`). "evaluation" and "calibration" share no person and no clip.
In a .npz, all axes are those of the camera: x right, y down, z forward.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stpose_training.synth.body import Body, load_body
from stpose_training.synth.film import Acting, Actor, Shot, act, compose
from stpose_training.synth.gestures import gesture
from stpose_training.synth.kit import Kit, load_kit
from stpose_training.synth.poses import load_clip, retarget
from stpose_training.synth.scene import Light, Room, View, develop, empty_room

from stpose_core.video_writer import PreviewWriter

FINER = 1  # pixels of the rendering, each way, for one of the film
SIZE = (720, 960)
MARKS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
FEET = ("heel", "big_toe", "small_toe")
_CLOTHES = (
    ("male_casualsuit06_top", "male_casualsuit04_bottom", "shoes05", "short01"),
    ("female_casualsuit01_top", "female_casualsuit01_bottom", "shoes01", "ponytail01"),
    ("male_casualsuit02_top", "male_casualsuit02_bottom", "shoes02", "short02"),
    ("tight_tee", "tight_knee", "shoes03", "short04"),
    ("female_sportsuit01_top", "female_sportsuit01_bottom", "shoes04", "short03"),
    ("male_casualsuit03_top", "male_casualsuit03_bottom", "shoes06", "bob02"),
)
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Film:
    """What is filmed. first, frames: of the mocap clip. heading: degrees from facing the camera. near: from the waist up."""

    clip: str
    first: int
    frames: int
    heading: float
    near: bool
    seed: int


SETS = {
    "evaluation": (
        Film("06_14", 20, 60, 0, False, 1), Film("55_02", 60, 60, 30, False, 2), Film("03_03", 200, 60, -40, False, 3),
        Film("55_02", 300, 60, -20, True, 5), Film("06_13", 300, 60, 15, True, 6), Film("03_04", 500, 60, 40, True, 7),
    ),
    "calibration": (
        Film("13_26_s1", 60, 50, 0, False, 101), Film("14_19", 60, 50, 35, False, 103),
        Film("14_27", 60, 50, -15, True, 105), Film("26_01", 60, 50, 25, True, 106),
    ),
}  # fmt: skip


def play(kit: Kit, mocap: Path, film: Film) -> tuple[Acting, Shot, float]:
    """The performance, where it is filmed, and its rate."""
    clip = load_clip(clip_file(mocap, film.clip), film.clip)[film.first : film.first + film.frames]
    actor = Actor(_shape(film), _CLOTHES[film.seed % len(_CLOTHES)], film.seed)
    turns, _ = retarget(clip, kit.body, kit.body.rest(torch.tensor([actor.phenotypes])))
    facing = (turns[:, kit.body.bone("spine01")] @ torch.tensor([0.0, -1.0, 0.0])).mean(0)
    heading = float(-np.pi / 2 - np.arctan2(facing[1], facing[0]) + np.radians(film.heading))
    take = act(kit, clip, actor, heading, gestures=gesture(film.seed, clip.fps))
    size = (SIZE[0] * FINER, SIZE[1] * FINER)
    reach = float((take.heads[:, 0, :2] - take.heads[:, 0, :2].mean(0)).norm(dim=1).amax())
    if film.near:
        view = View((0.0, -2.2 - reach, 1.45), (0.0, 0.0, 1.25), 1.25 * size[1], size)
    else:
        view = View((0.0, -3.6 - reach, 1.35), (0.0, 0.0, 0.92), 1.45 * size[1], size)
    light = Light()
    return take, Shot(view, empty_room(view, Room(wall=4.0), light), light), clip.fps


def clip_file(mocap: Path, clip: str) -> Path:
    """The file of a folder of marker mocap that holds the rotations of a clip."""
    return next(path for path in sorted((mocap / "rotations").glob("*.npz")) if _has(path, clip))


def _has(path: Path, clip: str) -> bool:
    with np.load(path, allow_pickle=False) as data:
        return f"{clip}__quats" in data.files


def _shape(film: Film) -> tuple[float, ...]:
    """Six phenotypes of an adult."""
    random = np.random.default_rng(film.seed)
    return (float(random.uniform(0, 1)), float(random.uniform(0.55, 0.8)), *(float(v) for v in random.uniform(0.3, 0.7, 4)))


def truth(full: Body, kit: Kit, take: Acting, view: View, film: Film) -> dict[str, Floats]:
    """In camera axes. head (T, 3, 3): columns x left, y up, z forward of the head; spine (T, 3, 3): the same of the chest.

    face (T, 5, 3): MARKS. hands (T, 2, 21, 3): HAND21, left and right; backs (T, 2, 3): unit vectors out of their backs. feet
    (T, 2, 3, 3): FEET.
    """
    heads = take.heads + take.shift
    rest, rotation = full.rest(torch.tensor([_shape(film)])), view.rotation
    axes = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]).T  # columns: left, up, forward of the body

    def attached(name: str, points: torch.Tensor) -> torch.Tensor:
        """Points (N, 3) of the rest pose carried by a bone."""
        bone = full.bone(name)
        return heads[:, bone, None] + (points - rest.heads[0, bone]) @ take.turns[:, bone].transpose(1, 2)

    marks = full.landmarks @ rest.vertices[0]
    place = {name: marks[full.marks.index(name)] for name in full.marks}
    hands, backs, feet = [], [], []
    for side, suffix, sign in (("left", ".L", 1.0), ("right", ".R", -1.0)):
        joints = {f"finger{f}-{p}": heads[:, full.bone(f"finger{f}-{p}{suffix}")] for f in range(1, 6) for p in range(1, 4)}
        points = [heads[:, full.bone("wrist" + suffix)]]
        for finger in range(1, 6):
            last = f"finger{finger}-3{suffix}"
            skin = full.skin[:, full.bone(last)]
            own = rest.vertices[0][skin > 0.9]
            tip = own[(own - rest.heads[0, full.bone(last)]).norm(dim=1).argmax()]
            points += [joints[f"finger{finger}-{part}"] for part in (1, 2, 3)] + [attached(last, tip[None])[:, 0]]
        hand = torch.stack(points, 1)
        hands.append(view.to_camera(hand))
        wrist, index, pinky = (rest.heads[0, full.bone(name + suffix)] for name in ("wrist", "finger2-1", "finger5-1"))
        out = torch.linalg.cross(index - wrist, pinky - wrist) * sign
        backs.append(take.turns[:, full.bone("wrist" + suffix)] @ (out / out.norm()) @ rotation.T)
        feet.append(view.to_camera(attached("foot" + suffix, torch.stack([place[f"{side}_{part}"] for part in FEET]))))
    return {
        "head": (rotation @ take.turns[:, full.bone("head")] @ axes).numpy(),
        "spine": (rotation @ take.turns[:, full.bone("spine01")] @ axes).numpy(),
        "face": view.to_camera(attached("head", torch.stack([place[name] for name in MARKS]))).numpy(),
        "hands": torch.stack(hands, 1).numpy(),
        "backs": torch.stack(backs, 1).numpy(),
        "feet": torch.stack(feet, 1).numpy(),
    }


def make(kit: Kit, full: Body, mocap: Path, film: Film, folder: Path) -> None:
    """Renders one film, unless it is there already."""
    name = folder / f"{film.clip}_{film.seed}"
    if name.with_suffix(".npz").is_file():
        return
    take, shot, fps = play(kit, mocap, film)
    known = truth(full, kit, take, shot.view, film)
    seen = []
    with PreviewWriter(name.with_suffix(".mp4"), fps, SIZE) as writer:
        for frame in range(len(take.crowds)):
            layer = take.layer(frame, shot)
            writer.write(develop(compose(shot.background, [layer])[None], FINER)[0].numpy())
            seen.append(_seen(known["hands"][frame], layer.depth.numpy(), shot.view))
    focal, centre = shot.view.focal / FINER, np.array(shot.view.centre) / FINER
    np.savez_compressed(name.with_suffix(".npz"), seen=np.array(seen), focal=focal, centre=centre, fps=fps, **known)


def _seen(hands: Floats, depth: Floats, view: View) -> NDArray[np.bool_]:
    """(2, 21) whether each joint, inside a finger, is less than 2 cm behind the surface that is seen there."""
    pixels = hands[..., :2] / hands[..., 2:] * view.focal + view.centre
    column, row = (pixels[..., axis].astype(int) for axis in (0, 1))
    inside = (column >= 0) & (column < view.size[0]) & (row >= 0) & (row < view.size[1])
    at = depth[np.clip(row, 0, view.size[1] - 1), np.clip(column, 0, view.size[0] - 1)]
    return inside & (np.abs(hands[..., 2] - at) < 0.02)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, required=True)
    parser.add_argument("--mocap", type=Path, required=True)
    parser.add_argument("--set", choices=sorted(SETS), default="evaluation")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    kit, full = load_kit(options.kit), load_body()
    for film in SETS[options.set]:
        make(kit, full, options.mocap, film, options.out)
        print(film.clip, film.seed, flush=True)


if __name__ == "__main__":
    main()
