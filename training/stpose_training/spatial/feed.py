"""Training samples of the spatial network: pictures that are turned, scaled, mirrored, cut off, recoloured and recomposed.

Pictures are rendered, or labelled photographs. The folder of rendered pictures may grow while it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.detect.builtin import trunk_angle
from stpose_core.detect.finder import turned
from stpose_core.detect.types import Box
from stpose_core.detect.views import EMPTY, MARGIN, cut, seen_at, turn_by, view_of
from stpose_core.errors import TrainingError
from stpose_core.skeletons import H36M17
from stpose_training.spatial.backdrops import Backdrops
from stpose_training.spatial.recipe import Recipe
from stpose_training.spatial.recompose import Scene, recompose
from stpose_training.synth.cache import KIT, Shard, decode, shards
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, UNKNOWN, VISIBLE
from stpose_training.vision.labelled import PEOPLE
from stpose_training.vision.pixels import shown
from stpose_training.vision.pool import Pool, drawn
from stpose_training.vision.workers import in_processes

_UPRIGHT = 0.75  # share of people who are seen along their own trunk, however they lie
_CLOSEST = 0.12  # least part of an empty place that is shown, as of a small thing that a detector takes for a person
_UPPER = H36M17.index("neck", "head", "head_top", "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist")
_LOWER = H36M17.index("pelvis", "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle")
_TRUNK = H36M17.index("neck", "pelvis")
_MIRROR = np.array(H36M17.mirror)


@dataclass(frozen=True)
class Batch:
    """pictures: (B, 3, H, W), 0..1 minus 0.5. joints: (B, 17, 2) pixels of the picture. state: (B, 17) OUTSIDE, HIDDEN, VISIBLE or
    UNKNOWN."""

    pictures: Tensor
    joints: Tensor
    state: Tensor


@dataclass(frozen=True)
class View:
    """One sample before it is a tensor: picture (H, W, 3) bytes; joints (17, 2); state (17,)."""

    picture: NDArray[np.uint8]
    joints: NDArray[np.float64]
    state: NDArray[np.uint8]


@dataclass(frozen=True)
class Stock:
    """What samples are drawn from.

    shards: rendered pictures. backdrops: places to put people in front of. recomposed: share of samples that are recomposed.
    others: whether there may be people beside the subject. hardness: greatest difficulty of samples, from 0 (hardly turned, not cut
    off, covered or recomposed) to 1; each sample draws its own up to that, because most people who are filmed are easy to see.
    deserted: share of samples without a person, where there are backdrops. photos: labelled photographs, and labelled: their share.
    """

    shards: tuple[Shard, ...]
    backdrops: Backdrops | None = None
    recomposed: float = 0.0
    others: bool = True
    hardness: float = 1.0
    deserted: float = 0.0
    photos: tuple[Shard, ...] = ()
    labelled: float = 0.0


@dataclass(frozen=True)
class Source:
    """Where samples come from. cache: folder of rendered pictures, and of the kit that backdrops come from, if it is there. size:
    (width, height) of the samples. photos: folder of labelled photographs (`vision.labelled`), which get the recipe's share."""

    cache: Path
    size: tuple[int, int]
    photos: Path | None = None


def feed(
    source: Source, *, batch: int, seed: int, device: torch.device, recipe: Recipe, hardness: Callable[[], float] = lambda: 1.0
) -> Generator[Batch, None, None]:
    """Endless batches, drawn as the recipe says, in separate processes if it names some.

    hardness: of the next samples, 0..1 (`Stock`). Raises TrainingError if there are no pictures for training.
    """
    if not shards(source.cache, "train"):
        raise TrainingError(f"{source.cache} holds no rendered pictures yet: make some with stpose render")
    hard = torch.tensor(hardness()).share_memory_()  # read by the processes
    for batch_, own in in_processes(partial(_packed_batches, source, batch, recipe, hard), recipe.workers, seed):
        yield Batch(shown(batch_.pictures, device, own), batch_.joints.to(device), batch_.state.to(device))
        hard.fill_(hardness())


def _packed_batches(source: Source, batch: int, recipe: Recipe, hardness: Tensor, seed: int) -> Iterator[tuple[Batch, int]]:
    """As `feed`, with pictures as (B, H, W, 3) bytes and the seed of their colours."""
    random = np.random.default_rng(seed)
    kit, needed = source.cache / KIT, recipe.recomposed or recipe.deserted
    backdrops = Backdrops(kit, np.random.default_rng((seed, 1))) if needed and kit.is_file() else None
    rendered = Pool(source.cache, "train", random)
    photos = Pool(source.photos, f"{PEOPLE}-train", random) if source.photos and recipe.labelled else None

    def draws(count: int) -> Callable[[np.random.Generator], View]:
        own, exchanged = rendered.drawn(count)
        if exchanged and backdrops:
            backdrops.renew()
        stock = Stock(
            shards=own,
            backdrops=backdrops,
            recomposed=recipe.recomposed,
            others=recipe.others,
            hardness=float(hardness),
            deserted=recipe.deserted,
            photos=photos.drawn(round(count * recipe.labelled))[0] if photos else (),
            labelled=recipe.labelled if photos else 0.0,
        )
        return lambda random: drawn_view(stock, random, source.size)

    threads = 1 if recipe.workers else recipe.threads
    for views, own in drawn(draws, batch=batch, random=random, threads=threads):
        yield packed(views), own


def drawn_view(stock: Stock, random: np.random.Generator, size: tuple[int, int]) -> View:
    """A random view of a random picture; sometimes of an empty place, with all joints OUTSIDE."""
    hard = stock.hardness * random.random()
    photo = bool(stock.photos) and random.random() < stock.labelled
    if not photo and stock.backdrops is not None and random.random() < stock.deserted:
        place = stock.backdrops.draw(size, random, _CLOSEST)
        return damaged(place, random.uniform(0, size, (17, 2)), np.full(17, OUTSIDE, np.uint8), random, hard)
    choice = stock.photos if photo else stock.shards
    shard = choice[int(random.integers(len(choice)))]
    row = int(random.integers(len(shard.jpeg)))
    if not stock.others and not photo:
        alone = np.flatnonzero((shard.state[:, 1:] == OUTSIDE).all((1, 2)))
        row = int(alone[row % len(alone)]) if len(alone) else row
    picture, joints, state = decode(shard.jpeg[row]), shard.joints[row, 0].astype(np.float64), shard.state[row, 0].copy()
    left, top, right, bottom = (float(value) for value in shard.box[row, 0])
    own = turned(Box(left, top, right, bottom, 1.0, _own_angle(joints, state, random)))
    box, angle = _drawn_box(own, joints, state, random, hard), own.angle
    if random.random() < 0.6:
        angle += float(np.clip(random.normal() * (0.1 + 0.2 * hard), -0.9, 0.9))
    elif random.random() < 0.08 * hard:
        angle = float(random.uniform(-np.pi, np.pi))
    mirrored = random.random() < 0.5
    matrix = view_of(box, size, MARGIN * float(np.exp(random.uniform(-0.3, 0.3))), angle, mirrored)
    seen = cut(picture, matrix, size)
    joints = seen_at(matrix, joints)
    if mirrored:
        joints, state = joints[_MIRROR], state[_MIRROR]
    unknown = state == UNKNOWN
    state[((joints < 0) | (joints >= size)).any(-1)] = OUTSIDE
    if random.random() < stock.recomposed * stock.hardness:
        scene = Scene(seen, joints, state, shard, row, matrix)
        seen, state = recompose(scene, stock.backdrops, stock.shards if stock.others else (), random)
    view = damaged(seen, joints, state, random, hard)
    view.state[unknown] = UNKNOWN
    return view


def plain_view(shard: Shard, row: int, size: tuple[int, int]) -> View:
    """The subject of a picture of a shard, in a view around a perfect box."""
    matrix = view_of(shard.box[row, 0].astype(np.float64), size)
    joints, state = seen_at(matrix, shard.joints[row, 0].astype(np.float64)), shard.state[row, 0].copy()
    state[((joints < 0) | (joints >= size)).any(-1) & (state != UNKNOWN)] = OUTSIDE
    return View(cut(decode(shard.jpeg[row]), matrix, size), joints, state)


def collate(views: list[View], device: torch.device, seed: int | None = None) -> Batch:
    """Views as a batch on a device; with a seed, in changed light and colours."""
    batch = packed(views)
    return Batch(shown(batch.pictures, device, seed), batch.joints.to(device), batch.state.to(device))


def packed(views: list[View]) -> Batch:
    """Views as a batch whose pictures are still (B, H, W, 3) bytes."""
    return Batch(
        pictures=torch.from_numpy(np.stack([view.picture for view in views])),
        joints=torch.from_numpy(np.stack([view.joints for view in views]).astype(np.float32)),
        state=torch.from_numpy(np.stack([view.state for view in views]).astype(np.int64)),
    )


def known(state: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which joints lie at a known place in the picture."""
    return np.asarray((state == HIDDEN) | (state == VISIBLE))


def _own_angle(joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator) -> float:
    """Mostly the angle of the person's trunk: a tracked person is seen upright, a newly detected one not always."""
    there = joints[known(state)]
    if len(there) < 4 or (state[_TRUNK] == UNKNOWN).any() or random.random() >= _UPRIGHT:
        return 0.0
    return trunk_angle(joints, float(np.ptp(there, axis=0).max()))


def _drawn_box(
    box: Box, joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator, hard: float
) -> NDArray[np.float64]:
    """(left, top, right, bottom) of the person's box, or of the upper or lower half, with random errors. Its sides are along
    the axes of the given box, about its own centre."""
    turn = turn_by(box.angle)
    middle, half = turn @ box.centre, np.array([box.x1 - box.x0, box.y1 - box.y0]) / 2
    low, high = middle - half, middle + half
    joints = joints @ turn.T
    kind = random.random()
    if kind < 0.25 * hard:
        part = np.array(_UPPER if kind < 0.15 * hard else _LOWER)
        there = joints[part[known(state[part])]]
        if len(there) >= 4 and (np.ptp(there, axis=0) > 12).any():
            margin = 0.15 * float(np.ptp(there, axis=0).max())
            low, high = there.min(0) - margin, there.max(0) + margin
    elif kind < 0.6:
        # As a box made from joints, without hair, hands and feet.
        there = joints[known(state)]
        if len(there) >= 4:
            low, high = there.min(0), there.max(0)
    half = (high - low) / 2
    shift = np.clip(random.normal(size=2) * 0.06, -0.2, 0.2) * max(2 * half.max(), 8.0)
    middle = turn.T @ ((low + high) / 2 + shift)
    return np.concatenate([middle - half, middle + half])


def damaged(
    picture: NDArray[np.uint8], joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator, hard: float = 1
) -> View:
    """The picture with random holes (joints in them become hidden), at a lower resolution, or with an edge of the picture in it.
    hard: 0..1, scales the chances of holes and edges."""
    height, width = picture.shape[:2]
    if random.random() < 0.3 * hard:
        for _ in range(int(random.integers(1, 4))):
            w, h = (random.uniform(0.08, 0.35, 2) * (width, height)).astype(int)
            # Around joints, because hands and feet are hidden most often.
            x, y = (joints[random.integers(len(joints))] + random.normal(size=2) * 15 - (w / 2, h / 2)).astype(int)
            x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + w), min(height, y + h)
            if x1 > x0 and y1 > y0:
                noise = random.integers(0, 256, (y1 - y0, x1 - x0, 3)) if random.random() < 0.3 else random.integers(0, 256, 3)
                picture[y0:y1, x0:x1] = noise
                within = ((joints >= (x0, y0)) & (joints < (x1, y1))).all(-1)
                state[within & (state == VISIBLE)] = HIDDEN
    if random.random() < 0.08 * hard:
        side, depth = int(random.integers(4)), random.uniform(0.05, 0.3)
        area = [slice(None), slice(None)]
        along = 0 if side < 2 else 1
        length = (height, width)[along]
        reach = int(depth * length)
        area[along] = slice(0, reach) if side % 2 == 0 else slice(length - reach, length)
        picture[area[0], area[1]] = EMPTY
        at = joints[:, 1 - along]
        state[at < reach if side % 2 == 0 else at >= length - reach] = OUTSIDE
    if random.random() < 0.06:
        small = float(random.uniform(0.2, 0.7))
        near = (max(8, int(width * small)), max(8, int(height * small)))
        picture = np.asarray(cv2.resize(cv2.resize(picture, near, interpolation=cv2.INTER_AREA), (width, height)), np.uint8)
    return View(picture, joints, state)
