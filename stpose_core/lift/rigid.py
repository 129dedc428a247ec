"""The turn of a rigid shape whose points were seen in a picture, for every frame of a clip.

Each frame is a fit with six unknowns, a turn and a place: the points should lie where they were seen, the place where the body has
it, and the turn near the one that the body suggests. A flat shape seen from afar has two turns that look alike (Necker's cube). So
the fit begins from several turns, and of what it finds the cheapest sequence over the clip is taken (Viterbi).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.animate.frames import ramp
from stpose_core.data import Array

_STEPS = 8
_LONGEST_STEP = 0.6  # rad
_TURNING = 6.0  # rad/s by which a part may well turn from frame to frame
_OUTLIER = 2.0  # standard deviations from which on a point counts less (Huber)
_GUESSED = 0.05  # weight of a point on the far side of a solid, which a detector has guessed
_UNRELATED = 8.0  # cost of a change between frames that nothing explains


@dataclass(frozen=True)
class Expected:
    """What the body says. turns: (T, 3, 3) of the shape in camera axes. spread: (3,) rad, standard deviations about its own axes.
    place: (T, 3) metres of its origin from the camera; near: metres, how well it is known across the ray and along it."""

    turns: Array
    spread: Array
    place: Array
    near: tuple[float, float]


@dataclass(frozen=True)
class Fitted:
    """turns: (T, 3, 3). place: (T, 3) metres. sigma: (T,) rad, standard deviation of the turn."""

    turns: Array
    place: Array
    sigma: Array


@dataclass(frozen=True)
class Shape:
    """points: (J, 3) metres. out: (J, 3) unit vectors out of a solid at its points; None where all can be seen from all sides."""

    points: Array
    out: Array | None = None


def fit(shape: Shape, rays: Array, accuracy: Array, expected: Expected, starts: Array, fps: float) -> Fitted:
    """The turns of a shape seen at rays (T, J, 2), x / z and y / z.

    accuracy: (T, J) metres at the person, infinite where a point was not seen. starts: (K, 3, 3) turns of the shape, in its own
    axes and relative to the expected turn, from which the fit begins.
    """
    found = [_descend(shape, rays, accuracy, expected, expected.turns @ start) for start in starts]
    costs = np.stack([cost for _, _, _, cost in found], axis=1)
    turns = np.stack([turn for turn, _, _, _ in found], axis=1)
    best = cheapest(costs, turns, fps)
    at = np.arange(len(rays)), best
    places, information = np.stack([f[1] for f in found], axis=1)[at], np.stack([f[2] for f in found], axis=1)[at]
    covariance = np.linalg.inv(information)[:, :3, :3]
    return Fitted(turns[at], places, np.sqrt(np.trace(covariance, axis1=1, axis2=2) / 3))


def _descend(shape: Shape, rays: Array, accuracy: Array, expected: Expected, turns: Array) -> tuple[Array, Array, Array, Array]:
    """Gauss-Newton from some turns: turns, places, information (T, 6, 6) and costs (T,)."""
    solid, corners = shape.out, shape.points
    frames, place = len(rays), expected.place.copy()
    depth = np.maximum(expected.place[:, 2], 0.1)
    seen = np.isfinite(accuracy)
    ray = np.where(seen[..., None], rays, 0.0)
    wanted = expected.place / np.linalg.norm(expected.place, axis=1, keepdims=True)
    across, along = 1 / expected.near[0] ** 2, 1 / expected.near[1] ** 2
    stiff = across * np.eye(3) + (along - across) * wanted[:, :, None] * wanted[:, None, :]
    information, cost = np.empty((frames, 6, 6)), np.empty(frames)
    for step in range(_STEPS + 1):
        points = corners @ turns.transpose(0, 2, 1) + place[:, None]
        ahead = np.maximum(points[..., 2], 0.1)
        off = (points[..., :2] / ahead[..., None] - ray) * depth[:, None, None]
        weight = np.where(seen, 1 / accuracy**2, 0.0)
        if solid is not None:
            facing = -((solid @ turns.transpose(0, 2, 1)) * wanted[:, None]).sum(-1)
            weight = weight * (_GUESSED + (1 - _GUESSED) * ramp(facing, -0.2, 0.2))
        size = np.sqrt((off**2).sum(-1) * weight)
        huber = np.where(size > _OUTLIER, _OUTLIER * (2 * size - _OUTLIER), size**2).sum(1)
        weight = weight * np.where(size > _OUTLIER, _OUTLIER / np.maximum(size, 1e-9), 1.0)
        # Slopes of the projection by the point, then by the turn (about the shape's axes) and the place.
        by_point = np.zeros((frames, len(corners), 2, 3))
        by_point[..., 0, 0] = by_point[..., 1, 1] = 1 / ahead
        by_point[..., 2] = -points[..., :2] / ahead[..., None] ** 2
        by_point *= depth[:, None, None, None]
        x, y, z = corners.T
        nought = np.zeros(len(corners))
        by_turn = -np.array([[nought, -z, y], [z, nought, -x], [-y, x, nought]]).transpose(2, 0, 1)
        slope = np.concatenate([by_point @ turns[:, None] @ by_turn, by_point], axis=-1)
        offset = Rotation.from_matrix(expected.turns.transpose(0, 2, 1) @ turns).as_rotvec()
        moved = place - expected.place
        flat, heavy = slope.reshape(frames, -1, 6), np.repeat(weight, 2, axis=1)[..., None]
        information = flat.transpose(0, 2, 1) @ (heavy * flat)
        gradient = (flat.transpose(0, 2, 1) @ (heavy * off.reshape(frames, -1, 1)))[..., 0]
        information[:, :3, :3] += np.diag(1 / expected.spread**2)
        gradient[:, :3] += offset / expected.spread**2
        information[:, 3:, 3:] += stiff
        gradient[:, 3:] += (stiff @ moved[..., None])[..., 0]
        cost = huber + (offset**2 / expected.spread**2).sum(1) + np.einsum("ta,tab,tb->t", moved, stiff, moved)
        if step == _STEPS:
            break
        change = -np.linalg.solve(information, gradient[..., None])[..., 0]
        change *= np.minimum(1.0, _LONGEST_STEP / np.maximum(np.linalg.norm(change[:, :3], axis=1, keepdims=True), 1e-9))
        turns = turns @ Rotation.from_rotvec(change[:, :3]).as_matrix()
        place = place + change[:, 3:]
    return turns, place, information, cost


def cheapest(costs: Array, turns: Array, fps: float) -> NDArray[np.int64]:
    """(T,) which of the answers (T, K) in each frame, so that the sum of costs and of turning is smallest."""
    frames, answers = costs.shape
    total, came = costs[0], np.zeros((frames, answers), np.int64)
    for frame in range(1, frames):
        between = np.einsum("kij,lij->kl", turns[frame - 1], turns[frame])
        angle = np.arccos(np.clip((between - 1) / 2, -1, 1))
        whole = total[:, None] + np.minimum((angle * fps / _TURNING) ** 2, _UNRELATED)
        came[frame] = whole.argmin(axis=0)
        total = whole.min(axis=0) + costs[frame]
    path = np.empty(frames, np.int64)
    path[-1] = int(total.argmin())
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path
