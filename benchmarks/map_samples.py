"""Scenes (`map_scenes.py`) as samples to train a lifter on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import count as counted

import numpy as np
import torch
from map_scenes import Scene
from numpy.typing import NDArray
from stpose_training.data.bodies import Random
from stpose_training.data.footage import Window
from stpose_training.data.mocap import MotionBank
from stpose_training.data.samples import Batch, Faults, draw_batch
from torch import Tensor

from stpose_core.background import results
from stpose_core.data import Camera
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.lift.normalise import BOX_REACH, VISIBLE_SCORE, PersonView, network_inputs, person_view
from stpose_core.networks.heads import MAP_CELLS
from stpose_core.skeletons import H36M17

OUTPUTS = 128
"""Frames of a sample with a truth."""

_FAR_OFF = 0.25  # person sizes: a detection this far from the joint is wrong, as in stpose_training.data.heatmaps
_MIRROR = list(H36M17.mirror)


@dataclass
class Mixed(Batch):
    """Drawn samples, followed by those from scenes. maps: (B', T+, 17, cells, cells) of the latter."""

    maps: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """As that of a Batch."""
        if self.blobs is None or self.maps is None:
            return self.joints
        return torch.cat((self.blobs.draw(), self.maps))


@dataclass(frozen=True)
class Part:
    """What a lifter reads of some frames of scenes, and the truth, over T+ frames: as in a Batch, but nothing is cut off."""

    joints: Tensor
    context: Tensor
    pose: Tensor
    root: Tensor
    up: Tensor
    wrong: Tensor
    maps: Tensor | None


def part_of(scene: Scene, frames: NDArray[np.int64], known: NDArray[np.bool_], maps: bool) -> Part:
    """These frames of a scene as one sample (B = 1), with axes and units of `stpose_training.data.samples.observe`. known: where it
    is False, the clip has not begun or has ended."""
    camera = Camera.assumed(scene.keypoints.image_size)
    middle, zoom = np.asarray(camera.centre), scene.focal / camera.focal
    rays = (np.nan_to_num(scene.keypoints.xy[frames]) - middle) / camera.focal
    score = scene.keypoints.score[frames] * known[:, None]
    points = torch.from_numpy(scene.joints[frames]).float()[None]
    flat, likely = torch.from_numpy(rays).float()[None], torch.from_numpy(score).float()[None]
    view = person_view(flat, likely)
    joints, context = network_inputs(flat, likely, view)
    true = points[..., :2] / points[..., 2:] * zoom
    off = ((flat - true) / view.size[..., None, None]).norm(dim=-1) > _FAR_OFF
    pelvis = points[:, :, 0] * torch.tensor([1, 1, 1 / zoom])
    seen = None
    if maps:
        own, there = scene.maps, torch.from_numpy(known)
        shown = HeatMaps(own.values[frames[known]], own.corner[frames[known]], own.cell[frames[known]])
        some = PersonView(view.rotation[:, there], view.size[:, there], view.known[:, there])
        seen = torch.zeros(1, len(frames), len(H36M17.joints), MAP_CELLS, MAP_CELLS)
        seen[:, there] = shown.seen_in(some, camera)
    up = view.rotation @ torch.from_numpy(scene.up).float()
    pose = (points - points[:, :, :1]) @ view.rotation.transpose(-1, -2)
    return Part(joints, context, pose, view.camera_to_root(pelvis), up, (likely < VISIBLE_SCORE) | off, seen)


def mirrored(part: Part) -> Part:
    """The same person in the mirror."""
    side = torch.tensor([-1.0, 1.0, 1.0])
    return Part(
        part.joints[:, :, _MIRROR] * torch.tensor([-1.0, 1.0, 1.0, 1.0]),
        part.context * torch.tensor([-1.0, 1.0, 1.0, 1.0]),
        part.pose[:, :, _MIRROR] * side,
        part.root * side,
        part.up * side,
        part.wrong[:, :, _MIRROR],
        None if part.maps is None else part.maps[:, :, _MIRROR].flip(-1),
    )


def drawn(scenes: list[Scene], size: int, reach: int, maps: bool, seed: int) -> Part:
    """Samples of OUTPUTS frames and `reach` on each side, the same for the same seed. Scenes are played to and fro; half of the
    samples have nothing before and after the outputs, as at the ends of a clip; half are mirrored."""
    random = np.random.default_rng(seed)
    margin, parts = reach + BOX_REACH, []
    for _ in range(size):
        scene = scenes[int(random.integers(len(scenes)))]
        length = len(scene.joints)
        at = np.arange(-margin, OUTPUTS + margin)
        known = (at >= 0) & (at < OUTPUTS) | (random.random() < 0.5)
        turn = 2 * length - 2
        there = np.abs((at + int(random.integers(turn)) + length - 1) % turn - (length - 1))
        part = part_of(scene, there, known, maps)
        parts.append(mirrored(part) if random.random() < 0.5 else part)
    inner = slice(BOX_REACH, BOX_REACH + OUTPUTS + 2 * reach)
    columns = {
        entry.name: [getattr(part, entry.name)[:, inner] for part in parts]
        for entry in fields(Part)
        if maps or entry.name != "maps"
    }
    stacked = {name: torch.cat(column) for name, column in columns.items()}
    return Part(**{"maps": None, **stacked})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Feed:
    """The batches of a run: three quarters of each from scenes, the rest as `stpose train lifter` has it. reach: the network's."""

    scenes: list[Scene]
    bank: MotionBank
    reach: int
    maps: bool
    size: int
    seed: int = 0

    def batch(self, step: int) -> Mixed:
        """The batch of a step; apart from the maps, the same for every network of this reach."""
        own, number = self.size * 3 // 4, self.seed * 1_000_003 + step
        plain = draw_batch(
            self.bank,
            batch=self.size - own,
            window=Window(frames=OUTPUTS, reach=self.reach),
            random=Random(number),
            faults=Faults(masked=0.5, confused=0.15),
            maps=self.maps,
        )
        filmed = drawn(self.scenes, own, self.reach, self.maps, number)
        core = slice(self.reach, self.reach + OUTPUTS)
        both = {name: torch.cat((getattr(plain, name), getattr(filmed, name))) for name in ("joints", "context")}
        both |= {
            name: torch.cat((getattr(plain, name), getattr(filmed, name)[:, core])) for name in ("pose", "root", "up", "wrong")
        }
        contacts = torch.cat((plain.contacts, torch.full((own, OUTPUTS, 4), torch.nan)))
        return Mixed(**both, contacts=contacts, blobs=plain.blobs, maps=filmed.maps)  # type: ignore[arg-type]

    def batches(self, first: int) -> Iterator[Mixed]:
        """Of step `first` and all later ones, drawn in a thread."""
        yield from results((partial(self.batch, step) for step in counted(first)), size=2)
