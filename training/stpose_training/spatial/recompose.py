"""Rendered people in front of other backgrounds and among other people, so that few pictures make many samples.

Source: cut and paste, Dwibedi et al., ICCV 2017. Seams must not reveal where people are: edges are soft, the parts differ in light,
and blur, noise and JPEG blocks go over the whole.
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
_PHOTO_COVERED = 0.5  # share of photographs that get a person in front
_TRIES = 4


@dataclass(frozen=True)
class Scene:
    """A view while it is composed: picture (H, W, 3) bytes, joints (17, 2) of it, their state (17,), and how the view was cut: from
    which row of which shard, by which matrix (2, 3)."""

    picture: Picture
    joints: Floats
    state: NDArray[np.uint8]
    shard: Shard
    row: int
    matrix: Floats


@dataclass(frozen=True)
class Person:
    """A person to put into a view: colour (H, W, 3) and cover (H, W, 1), 0..1."""

    colour: Layer
    cover: Layer


def recompose(
    scene: Scene, backdrops: Backdrops | None, others: Sequence[Shard], random: np.random.Generator
) -> tuple[Picture, NDArray[np.uint8]]:
    """The view with another background, or with a person of `others` in front of the subject or behind, or both -> picture, state.

    A scene whose subject is hardly visible stays as it is. A subject without a mask (a photograph) can only get a person in front.
    """
    size = (scene.picture.shape[1], scene.picture.shape[0])
    mask = scene.shard.mask[scene.row]
    picture, state = scene.picture.astype(np.float32), scene.state
    if not mask.size:
        if others and random.random() < _PHOTO_COVERED:
            picture, state = _covered_by(picture, state, scene, _person_of(scene, others, size, random, in_front=True))
        return _exposed(picture, random), state
    if (mask == 1).mean() < _LEAST:
        return scene.picture, scene.state
    inside = np.ones((size[1], size[0], 1), np.float32)
    if not _whole(scene.shard, scene.row):
        # The subject ends at the edge of its picture, so nothing may be seen past that edge.
        inside = _layer(np.ones_like(mask, bool), scene.matrix, size)
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
    in_front = bool(random.random() < 0.55)
    person = _person_of(scene, others, size, random, in_front) if joined else None
    if person is not None:
        person = Person(person.colour, person.cover * inside)
        covered, hidden = _covered_by(picture, state, scene, person) if in_front else (picture, state)
        if covered is not picture:
            picture, state = covered, hidden
        else:
            # What stood in front of the subject was cut out with it; what it hid stays hidden.
            behind = behind + (person.colour - behind) * person.cover
            picture = behind + (picture - behind) * people
    return _exposed(picture, random), state


def _covered_by(picture: Layer, state: NDArray[np.uint8], scene: Scene, person: Person | None) -> tuple[Layer, NDArray[np.uint8]]:
    """A picture with a person in front, and the state of the subject's joints; both unchanged if too many joints would be
    hidden."""
    if person is None:
        return picture, state
    x, y = np.clip(scene.joints.astype(int), 0, np.array(picture.shape[1::-1]) - 1).T
    covered = (person.cover[y, x, 0] > 0.5) & (state == VISIBLE)
    if covered.sum() > _MOST_COVERED * max(1, int((state == VISIBLE).sum())):
        return picture, state
    return picture + (person.colour - picture) * person.cover, np.where(covered, HIDDEN, state).astype(np.uint8)


def _whole(shard: Shard, row: int) -> bool:
    """Whether the subject lies within its picture on all sides."""
    left, top, right, bottom = shard.box[row, 0]
    return bool(left > 1 and top > 1 and right < CROP[0] - 1 and bottom < CROP[1] - 1)


def _layer(chosen: NDArray[np.bool_], matrix: Floats, size: tuple[int, int]) -> Layer:
    """(H, W, 1) share of each pixel of a view that belongs to the chosen part of a mask, with soft edges."""
    step = CROP[0] / chosen.shape[1]
    scaled = np.column_stack([matrix[:, :2] * step, matrix[:, 2]])
    scaled[:, 2] += scaled[:, :2] @ (0.5, 0.5) - 0.5
    # Smoothed, because an enlarged mask would show its steps.
    smooth = cv2.GaussianBlur(chosen.astype(np.float32), (5, 5), 0.9)
    soft = cv2.warpAffine(smooth, scaled, size, flags=cv2.INTER_LINEAR)
    # Slightly too small, to leave no fringe of the old background.
    return np.asarray(np.clip((soft - 0.58) * 2.2 + 0.5, 0, 1)[..., None], np.float32)


def _person_of(
    scene: Scene, shards: Sequence[Shard], size: tuple[int, int], random: np.random.Generator, in_front: bool
) -> Person | None:
    """Another person to put into a view; None if those that were drawn are cut off by their pictures."""
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
    span = (high - low + (box[2:] - box[:2]) * scale) / 2
    aside = random.uniform(0.3 if in_front else 0.15, 1.0) * (1 if random.random() < 0.5 else -1)
    middle = (low + high) / 2 + span * (aside, np.clip(random.normal() * 0.15, -0.5, 0.5))
    # Upright in the same direction as the subject's picture.
    down = scene.matrix[:, 1] / np.linalg.norm(scene.matrix[:, 1])
    turn = scale * np.array([[down[1], down[0]], [-down[0], down[1]]])
    if random.random() < 0.5:
        turn[:, 0] = -turn[:, 0]
    matrix = np.column_stack([turn, middle - turn @ ((box[:2] + box[2:]) / 2)])
    return Person(_tinted(cut(decode(shard.jpeg[row]), matrix, size), random), _layer(shard.mask[row] == 1, matrix, size))


def _tinted(picture: Picture, random: np.random.Generator) -> Layer:
    """A picture under slightly different light, not clipped."""
    gain = np.exp(random.normal() * 0.2 + random.normal(size=3) * 0.06)
    return np.asarray(picture * gain.astype(np.float32) + np.float32(random.normal() * 8))


def _exposed(picture: Layer, random: np.random.Generator) -> Picture:
    """The composed picture with random blur, noise and JPEG blocks, as of one camera."""
    if random.random() < 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 0.9)))
    if random.random() < 0.25:
        picture = picture + random.standard_normal(picture.shape, np.float32) * np.float32(random.uniform(2, 12))
    out = np.clip(picture, 0, 255).astype(np.uint8)
    if random.random() < 0.25:
        page = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 90))])[1]
        out = np.asarray(cv2.imdecode(page, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(out)
