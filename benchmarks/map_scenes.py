"""Rendered clips of one person each, whose 3D is known, as the built-in detector sees them: keypoints, and heat maps.

A clip is drawn by its split and number: a body, clothes, a take of marker mocap of that split, a camera that stands still, and what
hides the person: nothing but the person itself, another person in front, things like tables, boards and posts, or the edge of the
picture. It is rendered, given to the detector in the true boxes, and stored as the lifter reads it; the pictures are not kept.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from stpose_training.data.bodies import Random
from stpose_training.synth.film import Acting, Actor, Layer, Shot, act, compose
from stpose_training.synth.kit import Kit
from stpose_training.synth.pictures import INSIDE
from stpose_training.synth.poses import Clip, list_clips, load_clip
from stpose_training.synth.scene import Background, Light, View, develop
from stpose_training.synth.surfaces import sample
from stpose_training.synth.surroundings import Cameras, draw_surroundings
from torch import Tensor

from stpose_core.data import Keypoints
from stpose_core.detect.boxes import snapped
from stpose_core.detect.builtin import BuiltinDetector, next_box
from stpose_core.detect.maps import person_maps
from stpose_core.detect.types import Box, Image, JointMaps, Pose2D
from stpose_core.files import written_whole
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.lift.visibility import without_flicker
from stpose_core.skeletons import H36M17
from stpose_core.track.cleaning import clean_tracks
from stpose_core.track.resample import track_to_keypoints
from stpose_core.track.track import Track

KINDS = ("itself", "person", "things", "edge")
FRAMES, LEAST, FPS = 96, 64, 30.0
OUTSIDE, COVERED, TURNED_AWAY, SEEN = 0, 1, 2, 3
"""State of a joint: outside of the picture, behind another person or a thing, behind the person's own body, in view."""
TOPS = ("female_casualsuit01_top", "male_casualsuit04_top", "male_casualsuit06_top", "tight_tee", "tight_sleeves")
BOTTOMS = ("male_casualsuit04_bottom", "male_casualsuit06_bottom", "tight_leggings", "tight_knee")
SHOES, HAIR = ("shoes02", "shoes05"), ("short01", "short03", "bob02", "ponytail01")
_WIDEST = 560  # pixels
_FINER = 2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """What is known of a clip of T frames, and what the detector says of it.

    keypoints: as the program reads them. maps: for the lifter, of the same frames. joints: (T, 17, 3) metres in camera axes. state:
    (T, 17) of the joints. focal: of the true camera, pixels; its centre is the middle of the picture. up: (3,) against gravity, in
    camera axes.
    """

    kind: str
    keypoints: Keypoints
    maps: HeatMaps
    joints: Floats
    state: NDArray[np.uint8]
    focal: float
    up: Floats


class Takes:
    """The takes of marker mocap of one split whose rotations are known. folder: see `stpose_training.data.mocap`."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        files = {name: path for path in sorted((folder / "rotations").glob("*.npz")) for name in list_clips(path)}
        with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["part"] == "free" and row["split"] == split]
        chosen = [row for row in rows if row["clip"] in files and int(row["frames"]) >= LEAST]
        self.files = {row["clip"]: files[row["clip"]] for row in chosen}
        self.lengths = {row["clip"]: int(row["frames"]) for row in chosen}
        self.subjects: dict[str, list[str]] = {}
        for row in chosen:
            self.subjects.setdefault(row["subject"], []).append(row["clip"])

    def draw(self, random: np.random.Generator) -> Clip:
        """A stretch of LEAST to FRAMES frames: any subject, then by length any of its takes."""
        names = self.subjects[str(random.choice(sorted(self.subjects)))]
        weight = np.array([self.lengths[name] for name in names], float)
        name = str(random.choice(names, p=weight / weight.sum()))
        clip = load_clip(self.files[name], name)
        first = int(random.integers(0, max(len(clip) - FRAMES, 0) + 1))
        return clip[first : first + FRAMES]


def scene_path(folder: Path, split: str, number: int) -> Path:
    """The file of a scene."""
    return folder / f"{split}_{number:04}.npz"


def load_scene(path: Path) -> Scene:
    """A scene that `make` wrote."""
    with np.load(path, allow_pickle=False) as data:
        width, height = (int(side) for side in data["size"])
        keypoints = Keypoints(data["xy"], data["score"], FPS, (width, height), H36M17.name)
        maps = HeatMaps(data["values"], data["corner"], data["cell"])
        return Scene(str(data["kind"]), keypoints, maps, data["joints"], data["state"], float(data["focal"]), data["up"])


def make(kit: Kit, takes: Takes, detector: OnceDetector, split: str, number: int, folder: Path) -> None:
    """Render, detect and store a scene, unless it is there."""
    path = scene_path(folder, split, number)
    if path.exists():
        return
    random = np.random.default_rng([11, sum(split.encode()), number])
    kind = KINDS[number % len(KINDS)]
    shot, layers, fixed, joints = _staged(kit, takes, kind, random)
    pictures, state = [], []
    grain, quality = float(random.uniform(0, 5)), int(random.integers(40, 95))
    for frame in range(len(joints)):
        shown = [acting.layer(frame, shot, shadow=False) for acting in layers] + fixed
        picture = develop(compose(shot.background, shown)[None], _FINER)[0].numpy()
        pictures.append(_stored(picture, grain, quality, random))
        state.append(states(joints[frame], shown, shot.view))
    view = View(
        shot.view.eye, shot.view.target, shot.view.focal / _FINER, (shot.view.size[0] // _FINER, shot.view.size[1] // _FINER)
    )
    keypoints, maps = detected(detector, pictures, view.project(joints).double().numpy())
    with written_whole(path, overwrite=True) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            kind=kind, size=view.size, focal=view.focal, xy=keypoints.xy, score=keypoints.score, values=maps.values,
            corner=maps.corner, cell=maps.cell, joints=view.to_camera(joints).double().numpy(), state=np.array(state),
            up=view.rotation[:, 2].double().numpy(),
        )  # fmt: skip


class OnceDetector(BuiltinDetector):
    """The built-in detector that looks into the same box of the same picture once: keypoints and maps are read from one look."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[int, Box], JointMaps] = {}

    def look(self, image: Image, box: Box) -> JointMaps:
        key = (id(image), box)
        if key not in self._seen:
            self._seen[key] = super().look(image, box)
        return self._seen[key]

    def forget(self) -> None:
        """All pictures; it has to be called before they are given up."""
        self._seen.clear()


def detected(detector: OnceDetector, pictures: list[NDArray[np.uint8]], true: Floats) -> tuple[Keypoints, HeatMaps]:
    """What the program makes of pictures of one person with joints at (T, 17, 2) pixels: keypoints as tracked and corrected, but
    with the search in the true boxes, and the heat maps."""
    track, angle = Track(1, H36M17.name), 0.0
    for frame, (picture, xy) in enumerate(zip(pictures, true)):
        box = snapped(next_box(xy, np.ones(len(xy)), angle))
        angle = box.angle
        seen = detector.pose(picture, box)
        # The maps are looked at in the same box: a box that follows wrong joints would measure the tracker.
        track.add(frame / FPS, frame, Pose2D(seen.xy, seen.score, seen.presence, box))
    track = clean_tracks([track])[0]
    times = np.arange(len(pictures)) / FPS
    height, width = pictures[0].shape[:2]
    keypoints = without_flicker(track_to_keypoints(track, times, FPS, (width, height)))
    maps = HeatMaps(*person_maps(detector.look, track, keypoints, times, pictures))
    detector.forget()
    return keypoints, maps


def _staged(kit: Kit, takes: Takes, kind: str, random: np.random.Generator) -> tuple[Shot, list[Acting], list[Layer], Tensor]:
    """The shot (rendered finer than the picture), the people, the subject first, what stands still, and the subject's joints in
    the world."""
    subject = act(kit, takes.draw(random), _actor(random), float(random.uniform(-np.pi, np.pi)))
    joints = subject.joints
    frames, near = len(joints), float(joints[..., 1].amin())
    people = [subject]
    if kind == "person":
        clip = takes.draw(random)
        there = np.abs((np.arange(frames) + len(clip) - 1) % max(2 * len(clip) - 2, 1) - (len(clip) - 1))  # to and fro
        other = act(kit, clip[torch.from_numpy(there)], _actor(random), float(random.uniform(-np.pi, np.pi)))
        behind = near - float(random.uniform(0.4, 0.9)) - float(other.joints[..., 1].amax())
        aside = float(joints[..., 0].mean() - other.joints[..., 0].mean() + random.normal(0, 0.25))
        people.append(replace(other, shift=other.shift + torch.tensor([aside, behind, 0.0])))
        near = float(people[1].joints[..., 1].amin())
    target = (float(joints[:, 0, 0].mean()), 0.0, 0.9)
    eye = (target[0], near - float(random.uniform(1.8, 4.5)), float(random.uniform(0.5, 2.2)))
    person = float(np.exp(random.uniform(np.log(90), np.log(230))))  # pixels of 1.7 m at the subject's place
    focal = person / 1.7 * (float(joints[:, 0, 1].mean()) - eye[1])
    if kind == "edge":
        target = (target[0] + float(random.normal(0, 0.3)), 0.0, float(random.choice([0.35, 1.35, 1.5])))
    reach = View(eye, target, focal, (0, 0)).project(joints).abs().flatten(0, 1).amax(0).numpy() + 0.13 * person
    if kind == "edge":
        reach = np.minimum(reach, [random.uniform(0.25, 0.8) * person, random.uniform(0.3, 0.45) * person])
    width, height = (int(max(side, 48)) // 8 * 16 for side in np.minimum(reach, _WIDEST / 2))
    view = View(eye, target, focal, (width, height)).enlarged(_FINER)
    number = Random(int(random.integers(1 << 30)))
    around = Cameras(view.rotation[None], torch.tensor([eye]), torch.tensor([view.focal]), torch.tensor([view.centre]), view.size)
    place = draw_surroundings(kit, around, "validation", number)[0]
    shot = Shot(view, Background(place, torch.full_like(place[..., :2], torch.nan)), Light())
    fixed = [_things(kit, shot, joints, near, random)] if kind == "things" else []
    return shot, people, fixed, joints


def _actor(random: np.random.Generator) -> Actor:
    body = (random.uniform(0, 1), random.uniform(0.55, 0.9), *random.uniform(0.3, 0.7, 2), random.uniform(0.25, 0.75), 0.5)
    clothes = (*(str(random.choice(part)) for part in (TOPS, BOTTOMS, SHOES, HAIR)),)
    return Actor(tuple(float(value) for value in body), clothes, int(random.integers(1 << 30)))


def _things(kit: Kit, shot: Shot, joints: Tensor, near: float, random: np.random.Generator) -> Layer:
    """Boxes between the camera and the person that cover between a tenth and half of the joints (or what was found last)."""
    for _ in range(20):
        layer = _boxes(kit, shot, joints, near, random)
        flat = shot.view.project(joints).round().long()
        x, y = flat[..., 0].clamp(0, shot.view.size[0] - 1), flat[..., 1].clamp(0, shot.view.size[1] - 1)
        if 0.1 < float(torch.isfinite(layer.depth[y, x]).float().mean()) < 0.5:
            break
    return layer


def _boxes(kit: Kit, shot: Shot, joints: Tensor, near: float, random: np.random.Generator) -> Layer:
    """One to three boxes as one layer: cabinets, boards, and posts."""
    places = []
    for _ in range(int(random.integers(1, 4))):
        x = float(joints[int(random.integers(len(joints))), 0, 0]) + float(random.normal(0, 0.35))
        y = near - float(random.uniform(0.25, 0.8))
        form = int(random.integers(3))
        wide, low, high = (
            (random.uniform(0.3, 0.9), 0.0, random.uniform(0.4, 1.1)),
            (random.uniform(0.4, 1.4), (edge := random.uniform(0.4, 1.2)), edge + random.uniform(0.08, 0.4)),
            (random.uniform(0.08, 0.22), 0.0, 2.4),
        )[form]
        deep = random.uniform(0.05, 0.5) if form == 0 else 0.06
        places.append((x - wide / 2, y - deep / 2, low, x + wide / 2, y + deep / 2, high))
    eye, rays = torch.tensor(shot.view.eye), shot.view.rays()
    colour, depth = torch.zeros_like(rays), torch.full(rays.shape[:2], torch.inf)
    tiles = kit.textures.chosen("validation")
    for box in places:
        ends = torch.tensor(box).view(2, 3)
        first, last = ((ends[side] - eye) / torch.where(rays.abs() < 1e-6, 1e-6, rays) for side in (0, 1))
        enter, face = torch.minimum(first, last).max(-1)
        hit = (enter < torch.maximum(first, last).amin(-1)) & (enter > 0.05) & (enter < depth)
        point = eye + rays[hit] * enter[hit][:, None]
        uv = torch.where((face[hit] == 2)[:, None], point[:, :2], torch.stack([point[:, 0] + point[:, 1], -point[:, 2]], 1))
        tile = torch.full((len(uv),), tiles[int(random.integers(len(tiles)))])
        shade = torch.tensor([0.7, 0.9, 1.1])[face[hit]][:, None]
        colour[hit] = (sample(kit.textures, tile, uv * 2, smooth=True)[:, :3] ** 2 * shade).clamp(0, 1)
        depth = torch.where(hit, enter, depth)
    return Layer(colour, depth, torch.zeros_like(depth))


def states(joints: Tensor, layers: list[Layer], view: View) -> NDArray[np.uint8]:
    """(17,) of joints (17, 3) in the world; the first layer is the person's own. As `stpose_training.synth.pictures` has it: joints
    lie inside of the body, each so deep."""
    flat, depth = view.project(joints), view.to_camera(joints)[:, 2]
    width, height = view.size
    x, y = flat.unbind(1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = x.clamp(0, width - 1).long(), y.clamp(0, height - 1).long()
    own, others = layers[0].depth[row, column], torch.full_like(depth, torch.inf)
    for layer in layers[1:]:
        others = torch.minimum(others, layer.depth[row, column])
    away = depth - own > INSIDE
    state = torch.where(others < torch.minimum(depth, own), COVERED, torch.where(away, TURNED_AWAY, SEEN))
    return torch.where(inside, state, OUTSIDE).to(torch.uint8).numpy()


def _stored(picture: NDArray[np.uint8], grain: float, quality: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """The picture with a sensor's noise (standard deviation, of 255) and after JPEG."""
    noisy = np.clip(picture + grain * random.standard_normal(picture.shape), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
