"""Training samples of the finder: rendered frames, mosaics of rendered people, and labelled photographs.

Frames and photographs are scaled, moved, mirrored and sometimes turned by quarters. A mosaic puts crops of the spatial network side
by side (as in YOLOv4, Bochkovskiy et al., 2020): many people at once, near each other and cut off by edges. Everything outside of
boxes teaches what is no person.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.detect.views import cut, seen_at
from stpose_core.skeletons import H36M17
from stpose_training.finder.recipe import Recipe
from stpose_training.synth.cache import FRAMES, Shard, decode, shards
from stpose_training.synth.pictures import HIDDEN, MOST, VISIBLE
from stpose_training.vision.labelled import PICTURES
from stpose_training.vision.pixels import shown
from stpose_training.vision.pool import Pool, drawn

NO_PERSON, FOUND, UNCLEAR = 0, 1, 2
"""Of a place for a person: empty; a person to find; a person who is too small, too little visible, or not labelled."""
WIDE, TALL, SQUARE = (320, 192), (192, 320), (256, 256)
"""(width, height) of the samples: wide and tall frames, and mosaics."""
_SEEN = 4  # visible joints of a person to find
_INSIDE = 0.2  # least share of the box that lies in the picture
_LEAST = 11.0  # least pixels of the longer side
_MOSAIC = 9 * MOST
_NECK, _PELVIS = H36M17.index("neck", "pelvis")
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FrameView:
    """One sample. picture: (H, W, 3) bytes. boxes: (P, 4) left, top, right, bottom in its pixels. up: (P, 2) from the pelvis to the
    neck, of length 1, or 0 if that is not clear. who: (P,) NO_PERSON, FOUND or UNCLEAR."""

    picture: NDArray[np.uint8]
    boxes: _Floats
    up: _Floats
    who: NDArray[np.int64]


@dataclass(frozen=True)
class FrameBatch:
    """B samples as tensors: pictures (B, 3, H, W), 0..1 minus 0.5; the others as in `FrameView`."""

    pictures: Tensor
    boxes: Tensor
    up: Tensor
    who: Tensor


@dataclass(frozen=True)
class _Stream:
    """A kind of batches: the shards they are drawn from, how a sample is drawn, its size, and their share of the batches."""

    folder: Path
    part: str
    draw: Callable[[Shard, np.random.Generator, tuple[int, int]], FrameView]
    size: tuple[int, int]
    share: float


def feed_frames(
    cache: Path, *, batch: int, seed: int, recipe: Recipe, device: torch.device, photos: Path | None = None
) -> Generator[FrameBatch, None, None]:
    """Endless batches; those of different kinds alternate by their shares. photos: folder of labelled photographs
    (`vision.labelled`). Raises TrainingError if the cache has no frames for training."""
    labelled, mosaics = recipe.labelled if photos else 0.0, recipe.mosaics if shards(cache, "train") else 0.0
    frames = f"{FRAMES}train"
    streams = [_Stream(cache, frames, drawn_frame, size, (1 - labelled - mosaics) / 2) for size in (WIDE, TALL)]
    if mosaics:
        streams.append(_Stream(cache, "train", drawn_mosaic, SQUARE, mosaics))
    if photos and labelled:
        streams += [_Stream(photos, f"{PICTURES}-train", drawn_frame, size, labelled / 2) for size in (WIDE, TALL)]
    feeds = [
        _batches(stream, batch, np.random.default_rng((seed, number)), recipe.threads) for number, stream in enumerate(streams)
    ]
    shares = np.array([stream.share for stream in streams])
    owed = np.zeros(len(streams))
    try:
        while True:
            owed += shares
            due = int(owed.argmax())
            owed[due] -= 1
            views, own = next(feeds[due])
            yield collate_frames(views, device, own)
    finally:
        for samples in feeds:
            samples.close()


def _batches(
    stream: _Stream, batch: int, random: np.random.Generator, threads: int
) -> Generator[tuple[list[FrameView], int], None, None]:
    pool = Pool(stream.folder, stream.part, random)

    def draws(count: int) -> Callable[[np.random.Generator], FrameView]:
        own, _ = pool.drawn(count)
        return lambda random: stream.draw(own[int(random.integers(len(own)))], random, stream.size)

    return drawn(draws, batch=batch, random=random, threads=threads)


def drawn_frame(shard: Shard, random: np.random.Generator, size: tuple[int, int]) -> FrameView:
    """A random view of a random frame of a shard."""
    row = int(random.integers(len(shard.jpeg)))
    picture = decode(shard.jpeg[row])
    height, width = picture.shape[:2]
    # From a view that holds the whole frame, closer or farther; its middle is mostly at a person.
    scale = min(size[0] / width, size[1] / height) * float(np.exp(random.uniform(-0.35, 0.9)))
    middle = random.uniform(0, 1, 2) * (width, height)
    there = np.flatnonzero(shard.box[row, :, 2] > 0)
    if len(there) and random.random() < 0.8:
        box = shard.box[row, random.choice(there)].astype(np.float64)
        middle = (box[:2] + box[2:]) / 2 + random.uniform(-0.5, 0.5, 2) * np.array(size) * 0.9 / scale
    # As little as possible beyond the edges of the frame.
    half, extent = np.array(size) / 2 / scale, np.array([width, height], np.float64)
    middle = np.where(extent > 2 * half, middle.clip(half, np.maximum(extent - half, half)), middle.clip(extent - half, half))
    # By quarters only, because a box does not stay tight under other turns.
    quarters = int(random.integers(1, 4)) if random.random() < 0.08 else 0
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    turn = scale * np.array([[cosine, sine], [-sine, cosine]], np.float64)
    if random.random() < 0.5:
        turn[0] = -turn[0]
    return seen_frame(shard, row, picture, np.column_stack([turn, np.array(size) / 2 - turn @ middle]), size)


def drawn_mosaic(shard: Shard, random: np.random.Generator, size: tuple[int, int]) -> FrameView:
    """One to nine random pictures of a shard side by side, each filling its part of the view, cut to it."""
    across = int(random.integers(1, 4))
    edges = [np.concatenate([[0], np.sort(_shares(random, across) * side).round(), [side]]).astype(int) for side in size]
    picture = np.empty((size[1], size[0], 3), np.uint8)
    boxes, ups, who = [], [], []
    for left, right in zip(edges[0], edges[0][1:]):
        for top, bottom in zip(edges[1], edges[1][1:]):
            row, part = int(random.integers(len(shard.jpeg))), (int(right - left), int(bottom - top))
            one = decode(shard.jpeg[row])
            height, width = one.shape[:2]
            scale = max(part[0] / width, part[1] / height) * float(np.exp(random.uniform(0, 0.4)))
            shift = (np.array(part) - scale * np.array([width, height])) * random.uniform(0, 1, 2)
            turn = scale * np.eye(2)
            if random.random() < 0.5:
                turn[0], shift[0] = -turn[0], part[0] - shift[0]
            view = seen_frame(shard, row, one, np.column_stack([turn, shift]), part)
            picture[top:bottom, left:right] = view.picture
            boxes.append(view.boxes + (left, top, left, top))
            ups.append(view.up)
            who.append(view.who)
    # Every mosaic has the same number of places, so that they make a batch.
    short = _MOSAIC - len(np.concatenate(who))
    return FrameView(
        picture,
        np.concatenate([*boxes, np.zeros((short, 4))]),
        np.concatenate([*ups, np.zeros((short, 2))]),
        np.concatenate([*who, np.full(short, NO_PERSON)]),
    )


def _shares(random: np.random.Generator, parts: int) -> _Floats:
    """Positions in 0..1 of cuts into so many nearly equal parts."""
    return np.asarray((np.arange(1, parts) + random.uniform(-0.25, 0.25, parts - 1)) / parts)


def seen_frame(shard: Shard, row: int, picture: NDArray[np.uint8], matrix: _Floats, size: tuple[int, int]) -> FrameView:
    """A frame in a view along the axes of the picture, or turned by quarters."""
    corners = seen_at(matrix, shard.box[row].astype(np.float64).reshape(-1, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    frame = seen_at(matrix, np.array([[0, 0], [picture.shape[1], picture.shape[0]]], np.float64))
    low, high = np.maximum(frame.min(0), 0), np.minimum(frame.max(0), size)
    inside = np.concatenate([boxes[:, :2].clip(low, high), boxes[:, 2:].clip(low, high)], 1)
    joints, state = seen_at(matrix, shard.joints[row].astype(np.float64)), shard.state[row]
    visible = ((joints >= 0) & (joints < size)).all(-1) & (state == VISIBLE)

    def area(box: _Floats) -> _Floats:
        return np.asarray((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))

    there = (shard.box[row, :, 2] > 0) & (area(inside) > 0)
    longer = np.maximum(inside[:, 2] - inside[:, 0], inside[:, 3] - inside[:, 1])
    clear = (visible.sum(1) >= _SEEN) & (area(inside) >= _INSIDE * area(boxes)) & (longer >= _LEAST)
    up = joints[:, _NECK] - joints[:, _PELVIS]
    length = np.linalg.norm(up, axis=1, keepdims=True)
    trunk = state[:, [_NECK, _PELVIS]]
    clearly = (length[:, 0] > 0.15 * longer) & ((trunk == HIDDEN) | (trunk == VISIBLE)).all(1)
    up = np.where(clearly[:, None], up / np.maximum(length, 1e-6), 0.0)
    who = np.where(there, np.where(clear, FOUND, UNCLEAR), NO_PERSON)
    return FrameView(cut(picture, matrix, size), inside, up, who)


def collate_frames(views: list[FrameView], device: torch.device, seed: int) -> FrameBatch:
    """Views as a batch on a device, in changed light and colours."""
    return FrameBatch(
        shown(torch.from_numpy(np.stack([view.picture for view in views])), device, seed),
        torch.from_numpy(np.stack([view.boxes for view in views]).astype(np.float32)).to(device),
        torch.from_numpy(np.stack([view.up for view in views]).astype(np.float32)).to(device),
        torch.from_numpy(np.stack([view.who for view in views])).to(device),
    )
