"""Rendered clips in which people cross, with everything known about them: drawn by a seed, rendered once into a folder.

A scene has two or three dressed people who walk as held-out marker mocap does. They pass each other, one overtakes the other, or
one stops behind another. In every second scene of a kind they wear the same clothes. Each person is rendered alone as well, from
the same layers, so that both show the same pixels where no person is in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stpose_training.synth.film import Acting, Actor, Layer, Shot, act, compose
from stpose_training.synth.kit import Kit, load_kit
from stpose_training.synth.poses import Clip, load_clip
from stpose_training.synth.scene import Light, Room, View, develop, empty_room

from stpose_core.files import written_whole
from stpose_core.video_writer import PreviewWriter

SIZE, FPS, SECONDS, FINER = (640, 360), 30.0, 2.5, 2
KINDS = ("pass", "pass askew", "overtake", "stop behind", "three")
VIEW = View((0.0, -6.0, 1.5), (0.0, 0.0, 0.95), 620.0, SIZE)
CLIPS = ("cmu_008", ("08_02", "08_03", "08_04", "08_05", "08_07", "08_11"))  # no network was trained on this subject
MEET = SECONDS / 2
TOPS = ("female_casualsuit01_top", "male_casualsuit04_top", "male_casualsuit06_top", "tight_tee", "tight_sleeves")
BOTTOMS = ("male_casualsuit04_bottom", "male_casualsuit06_bottom", "tight_leggings", "tight_knee")
SHOES, HAIR = ("shoes02", "shoes05"), ("short01", "short03", "bob02", "ponytail01")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Role:
    """One person of a scene. actor: body and clothes. clip: name. at: (T,) frames of the clip. direction: radians of the way, 0 to
    the right, counter-clockwise seen from above. place: (x, y) metres where the person is at the time MEET."""

    actor: Actor
    clip: str
    at: Floats
    direction: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """kind: one of KINDS. alike: whether all wear the same clothes."""

    name: str
    kind: str
    alike: bool
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class Truth:
    """What is known of a rendered scene with P people and T frames.

    joints: (P, T, 17, 3) metres in the world (x right, y away from the camera, z up). xy: (P, T, 17, 2) pixels. open: (P, T) share
    of the pixels of a person, seen alone, that no person in front covers; NaN where the person is not in the picture.
    """

    name: str
    kind: str
    alike: bool
    folder: Path
    joints: Floats
    xy: Floats
    open: Floats

    def film(self, person: int | None = None) -> Path:
        """The video of the scene, or of one person alone."""
        return self.folder / (f"{self.name}.mp4" if person is None else f"{self.name}_alone{person + 1}.mp4")


def draw_scenes(seed: int, count: int) -> list[Scene]:
    """Scenes of all kinds in turn; the same for the same seed."""
    return [_scene(f"scene{seed}_{number:02}", number, np.random.default_rng([seed, number])) for number in range(count)]


def _scene(name: str, number: int, random: np.random.Generator) -> Scene:
    kind, alike = KINDS[number % len(KINDS)], bool(number // len(KINDS) % 2)
    people = 3 if kind == "three" else 2
    clothes = _clothes(random)
    actors = [_actor(clothes if alike else _clothes(random), random) for _ in range(people)]
    clips = random.choice(CLIPS[1], people, replace=False)
    side = 1 if random.random() < 0.5 else -1
    depths = random.permutation(np.arange(people) * random.uniform(0.7, 1.1) - 0.5)
    frames = np.arange(round(SECONDS * FPS))
    roles = []
    for person in range(people):
        way = side * (1 if person % 2 == 0 else -1)
        rate, askew, x = float(random.uniform(0.75, 0.9)), 0.0, float(random.normal(0, 0.15))
        at = rate * frames
        if kind == "pass askew":
            askew = float(random.uniform(-0.45, 0.45))
        elif kind == "overtake":
            way, at = side, (0.45, 0.95)[person] * frames
        elif kind == "stop behind" and depths[person] == max(depths):
            # Walks until nearly behind the other one, stands there for most of a second, and goes on.
            at, x = rate * _with_a_stop(frames, stop=MEET - 0.35, stands=float(random.uniform(0.6, 0.9))), 0.0
        elif kind == "stop behind":
            at = 0.5 * frames
        elif kind == "three":
            x += (person - 1) * 0.35
        direction = (0.0 if way > 0 else np.pi) + askew
        roles.append(Role(actors[person], str(clips[person]), at, direction, (x, float(depths[person]))))
    return Scene(name, kind, alike, tuple(roles))


def _with_a_stop(frames: NDArray[np.int64], stop: float, stands: float) -> Floats:
    """Frames of a clip of a person who slows down to a stop at a time, stands, and walks on. stop, stands: seconds."""
    time, ease = frames / FPS, 0.25
    speed = np.interp(time, [stop - ease, stop, stop + stands, stop + stands + ease], [1.0, 0.0, 0.0, 1.0])
    return np.asarray(np.cumsum(speed) - speed[0])


def _clothes(random: np.random.Generator) -> tuple[tuple[str, ...], int]:
    return (str(random.choice(TOPS)), str(random.choice(BOTTOMS)), str(random.choice(SHOES))), int(random.integers(1 << 30))


def _actor(clothes: tuple[tuple[str, ...], int], random: np.random.Generator) -> Actor:
    body = (random.uniform(0, 1), random.uniform(0.6, 0.9), *random.uniform(0.3, 0.7, 2), random.uniform(0.25, 0.75), 0.5)
    garments, colours = clothes
    # Hair comes last: what is drawn for the clothes before it stays the same.
    return Actor(tuple(float(value) for value in body), (*garments, str(random.choice(HAIR))), colours)


def render(scene: Scene, kit: Kit, mocap: Path, folder: Path) -> None:
    """Write the videos of a scene and what is known about it, unless they are there."""
    path = folder / f"{scene.name}.npz"
    if path.exists():
        return
    actings = [_acting(role, kit, mocap) for role in scene.roles]
    view, light = VIEW.enlarged(FINER), Light()
    shot = Shot(view, empty_room(view, Room(wall=3.0), light), light)
    films: list[list[NDArray[np.uint8]]] = [[] for _ in range(len(actings) + 1)]
    open_ = np.full((len(actings), len(actings[0].crowds)), np.nan)
    for frame, layers in enumerate(_layers(actings, shot)):
        for film, chosen in zip(films, (layers, *([layer] for layer in layers))):
            film.append(develop(compose(shot.background, chosen)[None], FINER)[0].numpy())
        nearest = torch.stack([layer.depth for layer in layers]).amin(0)
        for person, layer in enumerate(layers):
            own = torch.isfinite(layer.depth)
            if own.any():
                open_[person, frame] = float((own & (layer.depth <= nearest)).sum() / own.sum())
    joints = torch.stack([acting.joints for acting in actings])
    truth = Truth(
        scene.name, scene.kind, scene.alike, folder, joints.double().numpy(), VIEW.project(joints).double().numpy(), open_
    )
    for pictures, person in zip(films, (None, *range(len(actings)))):
        with PreviewWriter(truth.film(person), FPS, SIZE) as writer:
            for picture in pictures:
                writer.write(picture)
    with written_whole(path, overwrite=True) as part, part.open("wb") as file:
        np.savez(file, kind=truth.kind, alike=truth.alike, joints=truth.joints, xy=truth.xy, open=truth.open)


def _layers(actings: list[Acting], shot: Shot) -> Iterator[list[Layer]]:
    for frame in range(len(actings[0].crowds)):
        yield [acting.layer(frame, shot) for acting in actings]


def _acting(role: Role, kit: Kit, mocap: Path) -> Acting:
    clip = retimed(load_clip(mocap / "rotations" / f"{CLIPS[0]}.npz", role.clip), role.at)
    way = (clip.root[-1] - clip.root[0]).double()
    acting = act(kit, clip, role.actor, role.direction - float(torch.atan2(way[1], way[0])))
    met = acting.joints[round(MEET * FPS), 0]
    shift = acting.shift + torch.tensor([*role.place, 0.0]) - met * torch.tensor([1.0, 1.0, 0.0])
    return replace(acting, shift=shift)


def retimed(clip: Clip, at: Floats) -> Clip:
    """The clip at other times, in frames, interpolated; its last frame holds on."""
    at = np.clip(at, 0, len(clip) - 1)
    low = np.minimum(at.astype(int), len(clip) - 2)
    share = torch.from_numpy(at - low).float()
    a, b = clip.quats[low], clip.quats[low + 1]
    b = torch.where((a * b).sum(-1, keepdim=True) < 0, -b, b)
    quats = torch.lerp(a, b, share[:, None, None])
    root = torch.lerp(clip.root[low], clip.root[low + 1], share[:, None])
    return Clip(clip.names, clip.parents, clip.offsets, quats / quats.norm(dim=-1, keepdim=True), root, clip.fps)


def load_truth(folder: Path, name: str) -> Truth:
    """What is known about a rendered scene."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as data:
        fields: dict[str, Any] = {key: data[key] for key in ("joints", "xy", "open")}
        return Truth(name, str(data["kind"]), bool(data["alike"]), folder, **fields)


def rendered(seed: int, count: int, folder: Path, kit: Path | None, mocap: Path | None) -> list[Truth]:
    """All scenes of a seed, those that are missing rendered. kit: as `stpose render` makes it. Raises ValueError where something
    has to be rendered and kit or mocap is None."""
    scenes = draw_scenes(seed, count)
    missing = [scene for scene in scenes if not (folder / f"{scene.name}.npz").exists()]
    if missing and (kit is None or mocap is None):
        raise ValueError(f"{len(missing)} scenes are not in {folder}; give --kit and --mocap to render them")
    if missing and kit is not None and mocap is not None:
        folder.mkdir(parents=True, exist_ok=True)
        loaded = load_kit(kit)
        for scene in missing:
            render(scene, loaded, mocap, folder)
    return [load_truth(folder, scene.name) for scene in scenes]
