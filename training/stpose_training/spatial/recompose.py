"""Rendered people put before other places and among other people, so that few pictures serve for long.

Cut and paste is a known remedy for few labelled pictures (Dwibedi et al., ICCV 2017). Its seams must not tell where people are, so
edges are soft, what is put together differs in light, and the whole then goes through the faults of one camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.views import cut, seen_at
from stpose_training.spatial.backdrops import Backdrops
from stpose_training.synth.cache import CROP, Shard, decode
from stpose_training.synth.pictures import HIDDEN, VISIBLE

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Layer = NDArray[np.float32]

_LEAST = 0.01  # share of a picture that a person must fill to be cut out
_MOST_COVERED = 0.6  # share of the visible joints
_TRIES = 4


@dataclass(frozen=True)
class Scene:
    """A view while it is put together: picture (H, W, 3) bytes, joints (17, 2) of it, their state (17,), and how the view was cut:
    of which row of which shard, by which matrix (2, 3)."""

    picture: Picture
    joints: Floats
    state: NDArray[np.uint8]
    shard: Shard
    row: int
    matrix: Floats


def recompose(
    scene: Scene, backdrops: Backdrops | None, others: Sequence[Shard], random: np.random.Generator
) -> tuple[Picture, NDArray[np.uint8]]:
    """The view with another place behind its people, or with somebody of `others` before or beside them, or both -> picture, state.

    A scene whose subject can hardly be seen stays as it is.
    """
    size = (scene.picture.shape[1], scene.picture.shape[0])
    mask = scene.shard.mask[scene.row]
    if (mask == 1).mean() < _LEAST:
        return scene.picture, scene.state
    inside = np.ones((size[1], size[0], 1), np.float32)
    if not _whole(scene.shard, scene.row):
        # The subject ends where its picture ends: nothing may be seen past that.
        inside = _layer(np.ones_like(mask, bool), scene.matrix, size)
    picture, state = scene.picture.astype(np.float32), scene.state
    joined = bool(others) and (backdrops is None or random.random() < 0.6)
    replaced = backdrops is not None and (not joined or random.random() < 0.6)
    alone = random.random() < 0.5
    people = _layer(mask == 1 if alone else mask > 0, scene.matrix, size)
    behind = picture
    if replaced and backdrops is not None:
        place = _tinted(backdrops.draw(size, random), random)
        if random.random() < 0.3:
            place = cv2.GaussianBlur(place, (0, 0), random.uniform(0.5, 2.5))
        behind = picture + (place - picture) * inside
        picture = behind + (picture - behind) * people
    somebody = _somebody(scene, others, size, random) if joined else None
    if somebody is not None:
        colour, cover, before = somebody
        cover = cover * inside
        if before:
            covered = _covered(cover, scene.joints, size) & (state == VISIBLE)
            before = covered.sum() <= _MOST_COVERED * max(1, int((state == VISIBLE).sum()))
        if before:
            picture = picture + (colour - picture) * cover
            state = np.where(covered, HIDDEN, state).astype(np.uint8)
        else:
            # Whatever stood before the subject is cut out with it; what that hid stays hidden.
            behind = behind + (colour - behind) * cover
            picture = behind + (picture - behind) * people
    return _exposed(picture, random), state


def _whole(shard: Shard, row: int) -> bool:
    """Whether the subject lies within its picture on all sides."""
    left, top, right, bottom = shard.box[row, 0]
    return bool(left > 1 and top > 1 and right < CROP[0] - 1 and bottom < CROP[1] - 1)


def _layer(chosen: NDArray[np.bool_], matrix: Floats, size: tuple[int, int]) -> Layer:
    """(H, W, 1) how much of each pixel of a view belongs to the chosen part of a mask, with soft edges."""
    step = CROP[0] / chosen.shape[1]
    scaled = np.column_stack([matrix[:, :2] * step, matrix[:, 2]])
    scaled[:, 2] += scaled[:, :2] @ (0.5, 0.5) - 0.5
    # Smoothed, or the steps of the mask would show where it is enlarged.
    smooth = cv2.GaussianBlur(chosen.astype(np.float32), (5, 5), 0.9)
    soft = cv2.warpAffine(smooth, scaled, size, flags=cv2.INTER_LINEAR)
    # Rather too little than a fringe of what was behind.
    return np.asarray(np.clip((soft - 0.58) * 2.2 + 0.5, 0, 1)[..., None], np.float32)


def _somebody(
    scene: Scene, shards: Sequence[Shard], size: tuple[int, int], random: np.random.Generator
) -> tuple[Layer, Layer, bool] | None:
    """Another person to be put into a view: colours (H, W, 3), cover (H, W, 1), and whether before the subject; None where the
    ones that were drawn are cut off."""
    for _ in range(_TRIES):
        shard = shards[int(random.integers(len(shards)))]
        row = int(random.integers(len(shard.jpeg)))
        if (shard.mask[row] == 1).mean() >= _LEAST and _whole(shard, row):
            break
    else:
        return None
    box = shard.box[row, 0].astype(np.float64)
    own = scene.shard.box[scene.row, 0].astype(np.float64)
    corners = seen_at(scene.matrix, np.array([own[[0, 1]], own[[2, 1]], own[[2, 3]], own[[0, 3]]]))
    low, high = corners.min(0), corners.max(0)
    scale = float((high - low).max() / max(1.0, (box[2:] - box[:2]).max()) * np.exp(random.uniform(-0.45, 0.5)))
    before = bool(random.random() < 0.55)
    span = (high - low + (box[2:] - box[:2]) * scale) / 2
    aside = random.uniform(0.3 if before else 0.15, 1.0) * (1 if random.random() < 0.5 else -1)
    middle = (low + high) / 2 + span * (aside, np.clip(random.normal() * 0.15, -0.5, 0.5))
    # Upright where the subject's picture is.
    down = scene.matrix[:, 1] / np.linalg.norm(scene.matrix[:, 1])
    turn = scale * np.array([[down[1], down[0]], [-down[0], down[1]]])
    if random.random() < 0.5:
        turn[:, 0] = -turn[:, 0]
    matrix = np.column_stack([turn, middle - turn @ ((box[:2] + box[2:]) / 2)])
    return _tinted(cut(decode(shard.jpeg[row]), matrix, size), random), _layer(shard.mask[row] == 1, matrix, size), before


def _covered(cover: Layer, joints: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which joints lie where a layer covers."""
    x, y = np.clip(joints.astype(int), 0, np.array(size) - 1).T
    return np.asarray(cover[y, x, 0] > 0.5)


def _tinted(picture: Picture, random: np.random.Generator) -> Layer:
    """A picture under somewhat other light, not clipped."""
    gain = np.exp(random.normal() * 0.2 + random.normal(size=3) * 0.06)
    return np.asarray(picture * gain.astype(np.float32) + np.float32(random.normal() * 8))


def _exposed(picture: Layer, random: np.random.Generator) -> Picture:
    """The faults of one camera over all that was put together, now and then: blur, noise, JPEG blocks."""
    if random.random() < 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 0.9)))
    if random.random() < 0.25:
        picture = picture + random.standard_normal(picture.shape, np.float32) * np.float32(random.uniform(2, 12))
    out = np.clip(picture, 0, 255).astype(np.uint8)
    if random.random() < 0.25:
        page = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 90))])[1]
        out = np.asarray(cv2.imdecode(page, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(out)
