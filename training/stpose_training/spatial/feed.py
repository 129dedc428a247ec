"""Samples for training from a folder of rendered pictures: each is turned, scaled, mirrored, cut off, recoloured and put elsewhere.

The folder may grow while it is read. Decoding and warping run in threads (OpenCV lets them run side by side).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.detect.builtin import trunk_angle
from stpose_core.detect.finder import turned
from stpose_core.detect.types import Box
from stpose_core.detect.views import EMPTY, ROOM, cut, seen_at, turn_by, view_of
from stpose_core.errors import TrainingError
from stpose_core.skeletons import H36M17
from stpose_training.spatial.backdrops import Backdrops
from stpose_training.spatial.recipe import Recipe
from stpose_training.spatial.recompose import Scene, recompose
from stpose_training.spatial.workers import in_processes
from stpose_training.synth.cache import KIT, Shard, decode, read_shard, shards
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, VISIBLE

_POOL = 24  # shards that samples are drawn from at a time
_UPRIGHT = 0.75  # share of people that are seen along their own trunk, however they lie
_CLOSEST = 0.12  # of a place without anybody, as of a small thing that a detector takes for a person
_UPPER = H36M17.index("neck", "head", "head_top", "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist")
_LOWER = H36M17.index("pelvis", "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle")
_MIRROR = np.array(H36M17.mirror)
_NO_PICTURES = "{} holds no rendered pictures yet: make some with --render"


@dataclass(frozen=True)
class Batch:
    """pictures: (B, 3, H, W), 0..1 minus 0.5. joints: (B, 17, 2) pixels of the picture. state: (B, 17) OUTSIDE, HIDDEN, VISIBLE."""

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
    """What samples are drawn from: rendered pictures, places to put people before, the share of samples that are recomposed, and
    whether there may be people beside the subject. hardness: how hard samples are made at most, from 0 (hardly turned, neither cut
    off nor covered nor recomposed) to 1; each is drawn up to it, as most people who are filmed are easily seen. deserted: share of
    samples that show a place where nobody is, where there are places.
    """

    shards: tuple[Shard, ...]
    backdrops: Backdrops | None = None
    recomposed: float = 0.0
    others: bool = True
    hardness: float = 1.0
    deserted: float = 0.0


def feed(
    folder: Path,
    size: tuple[int, int],
    batch: int,
    seed: int,
    device: torch.device,
    recipe: Recipe,
    hardness: Callable[[], float] = lambda: 1.0,
) -> Iterator[Batch]:
    """Batches without end, drawn as the recipe says, in processes of their own where it names some. Places come from the kit in the
    folder, if it is there.

    hardness: of samples that are drawn from now on, 0..1 (`Stock`). Raises TrainingError where the folder has no pictures for
    training.
    """
    if not shards(folder, "train"):
        raise TrainingError(_NO_PICTURES.format(folder))
    hard = torch.tensor(hardness()).share_memory_()  # the processes read it
    for batch_, own in in_processes(partial(_packed_batches, folder, size, batch, recipe, hard), recipe.workers, seed):
        yield Batch(shown(batch_.pictures, device, own), batch_.joints.to(device), batch_.state.to(device))
        hard.fill_(hardness())


def _packed_batches(
    folder: Path, size: tuple[int, int], batch: int, recipe: Recipe, hardness: Tensor, seed: int
) -> Iterator[tuple[Batch, int]]:
    """As `feed`, with pictures as (B, H, W, 3) bytes and the seed of their colours."""
    kit, needed = folder / KIT, recipe.recomposed or recipe.deserted
    backdrops = Backdrops(kit, np.random.default_rng((seed, 1))) if needed and kit.is_file() else None

    def draw(pool: tuple[Shard, ...], own: np.random.Generator) -> View:
        hard = float(hardness)
        return drawn_view(Stock(pool, backdrops, recipe.recomposed, recipe.others, hard, recipe.deserted), own, size)

    renew = backdrops.renew if backdrops else None
    threads = 1 if recipe.workers else recipe.threads
    return pooled(folder, "train", batch, seed, threads, draw, lambda views, own: (packed(views), own), renew)


def pooled(
    folder: Path,
    part: str,
    batch: int,
    seed: int,
    threads: int,
    draw: Callable[[tuple[Shard, ...], np.random.Generator], Any],
    pack: Callable[[list[Any], int], Any],
    renew: Callable[[], None] | None = None,
) -> Iterator[Any]:
    """Batches without end of what `draw` makes of a pool of shards of a part of a folder, put together by `pack`, which is given a
    seed as well. renew: called whenever a shard of the pool is exchanged."""
    random = np.random.default_rng(seed)
    pool: list[Shard] = []
    waiting: list[Path] = []
    drawn = 0
    with ThreadPoolExecutor(threads) as workers:
        ahead: list[Future[list[Any]]] = []

        def load() -> None:
            """Replaces the oldest shard of the pool, or adds one while there is room."""
            nonlocal waiting
            if not waiting:
                waiting = shards(folder, part)
                if not waiting:
                    raise TrainingError(_NO_PICTURES.format(folder))
                random.shuffle(waiting)  # type: ignore[arg-type]
            pool.append(read_shard(waiting.pop()))
            if len(pool) > _POOL:
                pool.pop(0)
            if renew is not None:
                renew()

        def views(seeds: list[int]) -> list[Any]:
            shown = tuple(pool)
            return [draw(shown, np.random.default_rng(seed)) for seed in seeds]

        while len(pool) < min(_POOL, max(1, len(shards(folder, part)))):
            load()
        while True:
            while len(ahead) < 2 * threads:
                drawn += batch
                if drawn >= sum(len(shard.jpeg) for shard in pool) / max(1, len(pool)):
                    # A shard's worth was drawn since the last was exchanged.
                    drawn = 0
                    load()
                ahead.append(workers.submit(views, random.integers(1 << 62, size=batch).tolist()))
            yield pack(ahead.pop(0).result(), int(random.integers(1 << 62)))


def drawn_view(stock: Stock, random: np.random.Generator, size: tuple[int, int]) -> View:
    """A random picture, seen in a random way; sometimes one of nobody, whose joints are all OUTSIDE."""
    hard = stock.hardness * random.random()
    if stock.backdrops is not None and random.random() < stock.deserted:
        # The maps learn nothing from it, the visibility learns that nothing of a person is there.
        place = stock.backdrops.draw(size, random, _CLOSEST)
        return damaged(place, random.uniform(0, size, (17, 2)), np.full(17, OUTSIDE, np.uint8), random, hard)
    shard = stock.shards[int(random.integers(len(stock.shards)))]
    row = int(random.integers(len(shard.jpeg)))
    if not stock.others:
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
    matrix = view_of(box, size, ROOM * float(np.exp(random.uniform(-0.3, 0.3))), angle, mirrored)
    seen = cut(picture, matrix, size)
    joints = seen_at(matrix, joints)
    if mirrored:
        joints, state = joints[_MIRROR], state[_MIRROR]
    state[((joints < 0) | (joints >= size)).any(-1)] = OUTSIDE
    if random.random() < stock.recomposed * stock.hardness:
        scene = Scene(seen, joints, state, shard, row, matrix)
        seen, state = recompose(scene, stock.backdrops, stock.shards if stock.others else (), random)
    return damaged(seen, joints, state, random, hard)


def plain_view(shard: Shard, row: int, size: tuple[int, int]) -> View:
    """A picture of a shard as it would be seen around a perfect box."""
    matrix = view_of(shard.box[row, 0].astype(np.float64), size)
    joints, state = seen_at(matrix, shard.joints[row, 0].astype(np.float64)), shard.state[row, 0].copy()
    state[((joints < 0) | (joints >= size)).any(-1)] = OUTSIDE
    return View(cut(decode(shard.jpeg[row]), matrix, size), joints, state)


def collate(views: list[View], device: torch.device, seed: int | None = None) -> Batch:
    """Views as a batch on a device; with a seed their light and colours are changed."""
    batch = packed(views)
    return Batch(shown(batch.pictures, device, seed), batch.joints.to(device), batch.state.to(device))


def packed(views: list[View]) -> Batch:
    """Views as a batch whose pictures are (B, H, W, 3) bytes still."""
    return Batch(
        pictures=torch.from_numpy(np.stack([view.picture for view in views])),
        joints=torch.from_numpy(np.stack([view.joints for view in views]).astype(np.float32)),
        state=torch.from_numpy(np.stack([view.state for view in views]).astype(np.int64)),
    )


def shown(pictures: Tensor, device: torch.device, seed: int | None = None) -> Tensor:
    """Bytes (B, H, W, 3) as the network sees them on a device: (B, 3, H, W), 0..1 minus 0.5; with a seed in other colours."""
    floats = pictures.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255 - 0.5
    if seed is not None:
        floats = recoloured(floats, seed)
    return floats.contiguous(memory_format=torch.channels_last)


def recoloured(pictures: Tensor, seed: int) -> Tensor:
    """Pictures (B, 3, H, W) with other brightness, contrast, colour balance; some grey, some with exchanged channels."""
    generator = torch.Generator().manual_seed(seed)
    count = len(pictures)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    # One matrix of colours a picture, so that the pixels are gone through once.
    keep = torch.exp(0.3 * normal(1, 1))
    keep = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.06, torch.zeros_like(keep), keep)
    mixing = keep * torch.eye(3) + (1 - keep) / 3
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(count)])
    swapped = torch.eye(3)[order]
    mixing = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.1, swapped @ mixing, mixing)
    mixing = mixing * torch.exp(0.15 * normal(1, 1) + 0.06 * normal(3, 1))
    shift = 0.08 * normal(1, 1) + 0.03 * normal(3, 1)
    mixed = torch.baddbmm(shift.to(pictures), mixing.to(pictures), pictures.flatten(2))
    return mixed.clamp(-0.5, 0.5).view_as(pictures)


def _own_angle(joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator) -> float:
    """Mostly that by which the person's trunk is turned: whoever is followed is seen upright, whom a search found not always."""
    there = joints[state != OUTSIDE]
    if len(there) < 4 or random.random() >= _UPRIGHT:
        return 0.0
    return trunk_angle(joints, float(np.ptp(there, axis=0).max()))


def _drawn_box(
    box: Box, joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator, hard: float
) -> NDArray[np.float64]:
    """(left, top, right, bottom) of the person's box, or that of its upper or lower half; not quite where it should be. Its sides
    are along the axes of the given box, about its own centre."""
    turn = turn_by(box.angle)
    middle, half = turn @ box.centre, np.array([box.x1 - box.x0, box.y1 - box.y0]) / 2
    low, high = middle - half, middle + half
    joints = joints @ turn.T
    kind = random.random()
    if kind < 0.25 * hard:
        part = np.array(_UPPER if kind < 0.15 * hard else _LOWER)
        there = joints[part[state[part] != OUTSIDE]]
        if len(there) >= 4 and (np.ptp(there, axis=0) > 12).any():
            margin = 0.15 * float(np.ptp(there, axis=0).max())
            low, high = there.min(0) - margin, there.max(0) + margin
    elif kind < 0.6:
        # As a box made from joints, which leaves out hair, hands and feet.
        there = joints[state != OUTSIDE]
        if len(there) >= 4:
            low, high = there.min(0), there.max(0)
    half = (high - low) / 2
    shift = np.clip(random.normal(size=2) * 0.06, -0.2, 0.2) * max(2 * half.max(), 8.0)
    middle = turn.T @ ((low + high) / 2 + shift)
    return np.concatenate([middle - half, middle + half])


def damaged(
    picture: NDArray[np.uint8], joints: NDArray[np.float64], state: NDArray[np.uint8], random: np.random.Generator, hard: float = 1
) -> View:
    """Some pictures get holes (joints in them count as hidden), a lower resolution, or the end of the picture. hard: 0..1, how many
    of the possible holes and ends."""
    height, width = picture.shape[:2]
    if random.random() < 0.3 * hard:
        for _ in range(int(random.integers(1, 4))):
            w, h = (random.uniform(0.08, 0.35, 2) * (width, height)).astype(int)
            # Around joints rather than anywhere: hands and feet are what is hidden most.
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
