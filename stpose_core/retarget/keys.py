"""Channels: rotations in a bone's own rotation mode without jumps, and fewer keys within a tolerance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .rotation import Array, about, angle_between, blend, continuous, multiply, to_matrix, unit

EULER_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")


def euler_angles(turns: Array, order: str) -> Array:
    """(T, 3) angles about x, y, z in rad of (T, 4) turns, without jumps.

    order: the axes in the order in which they turn, Blender's rotation mode: "XYZ" turns about x first.
    """
    if not len(turns):
        return np.zeros((0, 3))
    i, j, k = ("XYZ".index(letter) for letter in order)
    even = 1.0 if (i + 1) % 3 == j else -1.0
    m = to_matrix(turns)
    middle = np.arctan2(-even * m[:, k, i], np.hypot(m[:, i, i], m[:, j, i]))
    first = np.arctan2(even * m[:, k, j], m[:, k, k])
    last = np.arctan2(even * m[:, j, i], m[:, i, i])
    # Where the middle axis stands at a right angle only the sum of the other two is known: the last one carries on.
    locked = np.hypot(m[:, i, i], m[:, j, i]) < 1e-7
    first = np.where(locked, np.arctan2(-even * m[:, j, k], m[:, j, j]), first)
    last = np.where(locked, 0.0, last)
    one = np.empty((len(turns), 3))
    one[:, i], one[:, j], one[:, k] = first, middle, last
    other = one + np.pi
    other[:, j] = np.pi - middle
    out = np.empty_like(one)
    previous = np.zeros(3)
    for frame, pair in enumerate(np.stack([one, other], axis=1)):
        near = pair + 2 * np.pi * np.round((previous - pair) / (2 * np.pi))
        previous = near[np.abs(near - previous).sum(axis=1).argmin()]
        out[frame] = previous
    return out


def turns_from_euler(angles: Array, order: str) -> Array:
    """(T, 4) the turns of (T, 3) angles about x, y, z in rad."""
    turns = np.array([1.0, 0.0, 0.0, 0.0])
    for letter in order:
        axis = "XYZ".index(letter)
        turns = multiply(about(np.eye(3)[axis], angles[:, axis]), turns)
    return turns


def axis_angles(turns: Array) -> Array:
    """(T, 4) angle in rad and unit axis, without jumps: Blender's `rotation_axis_angle`."""
    turns = continuous(turns)
    sine = np.linalg.norm(turns[:, 1:], axis=1)
    angle = 2 * np.arctan2(sine, turns[:, 0])
    known = np.flatnonzero(sine > 1e-9)
    axis = np.tile([0.0, 1.0, 0.0], (len(turns), 1))
    if len(known):
        # No turn has no axis, and neither has a whole one: it is that of the nearest frame that has one.
        at = np.arange(len(turns))
        after = np.searchsorted(known, at).clip(max=len(known) - 1)
        before = (after - 1).clip(0)
        nearest = known[np.where(np.abs(known[before] - at) <= np.abs(known[after] - at), before, after)]
        axis = turns[nearest, 1:] / sine[nearest, None]
    # The axis never turns over: the angle passes through 0, or a whole turn, instead.
    flips = np.where((axis[1:] * axis[:-1]).sum(-1) < 0, -1.0, 1.0)
    signs = np.concatenate([[1.0], np.cumprod(flips)])
    return np.concatenate([np.unwrap(signs * angle)[:, None], signs[:, None] * axis], axis=1)


def turns_from_axis_angles(values: Array) -> Array:
    """(T, 4) the turns of (T, 4) angles in rad and axes of any length, as Blender reads them."""
    return about(unit(values[:, 1:]), values[:, 0])


def fewer_angles(frames: Array, values: Array, turns: Array, back: Callable[[Array], Array], tolerance: float) -> NDArray[np.int64]:
    """Indices of the keys to keep so that straight lines between values (T, C) stay within `tolerance` rad of all turns (T, 4).

    back: the turns of values.
    """

    def error(low: int, high: int) -> Array:
        part = (frames[low + 1 : high] - frames[low]) / (frames[high] - frames[low])
        line = values[low] + part[:, None] * (values[high] - values[low])
        return angle_between(back(line), turns[low + 1 : high])

    return _fewer(len(frames), error, tolerance)


def fewer_rotations(frames: Array, turns: Array, tolerance: float) -> NDArray[np.int64]:
    """Indices of the keys to keep so that straight lines between them stay within `tolerance` rad of all turns (T, 4)."""

    def error(low: int, high: int) -> Array:
        part = (frames[low + 1 : high] - frames[low]) / (frames[high] - frames[low])
        # Blender blends the four numbers in straight lines and then makes the length 1.
        line = turns[low] + part[:, None] * (turns[high] - turns[low])
        return angle_between(line / np.linalg.norm(line, axis=1, keepdims=True), turns[low + 1 : high])

    return _fewer(len(frames), error, tolerance)


def fewer_values(frames: Array, values: Array, tolerance: float) -> NDArray[np.int64]:
    """The same for (T, C) values: straight lines stay within `tolerance` of all."""

    def error(low: int, high: int) -> Array:
        part = (frames[low + 1 : high] - frames[low]) / (frames[high] - frames[low])
        line = values[low] + part[:, None] * (values[high] - values[low])
        return np.asarray(np.linalg.norm(line - values[low + 1 : high], axis=1))

    return _fewer(len(frames), error, tolerance)


def _fewer(count: int, error: Callable[[int, int], Array], tolerance: float) -> NDArray[np.int64]:
    """Douglas & Peucker 1973: keep the worst sample of each stretch until none is worse than the tolerance."""
    if tolerance <= 0 or count < 3:
        return np.arange(count)
    keep = np.zeros(count, dtype=bool)
    keep[[0, -1]] = True
    stretches = [(0, count - 1)]
    while stretches:
        low, high = stretches.pop()
        if high - low < 2:
            continue
        off = error(low, high)
        worst = int(off.argmax())
        if off[worst] > tolerance:
            middle = low + 1 + worst
            keep[middle] = True
            stretches += [(low, middle), (middle, high)]
    return np.flatnonzero(keep)


def resampled(turns: Array, values: Array, times: Array, at: Array) -> tuple[Array, Array]:
    """Turns (T, J, 4) and values (T, C), known at `times` (T,), at other times (N,): held beyond both ends."""
    place = np.interp(at, times, np.arange(len(times)))
    below = np.minimum(place.astype(int), max(len(times) - 2, 0))
    above = np.minimum(below + 1, len(times) - 1)
    part = place - below
    mixed = blend(turns[below], turns[above], part[:, None])
    return mixed, np.asarray((1 - part)[:, None] * values[below] + part[:, None] * values[above])
