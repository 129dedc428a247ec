"""Frames without a pose: short gaps are bridged smoothly, long ones eased over, the ends of the clip held.

A pose is bridged as a turn of the pelvis and, within the pelvis, as turns of the bones: a straight line between two
positions would shorten every bone half way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.animate.frames import minimal_rotation, pelvis_frame
from stpose_core.data import Array, Mask

_SHORT = 0.5  # s; what is longer is not guessed as movement, but eased over
_SLOPE = 0.1  # s over which the speed at the edge of a gap is taken
_MAX_OVERSHOOT = 0.35  # rad that the speed at an edge may add


class Gaps:
    """The missing frames of a clip, each with the frames around it.

    missing: (M,) frame indices; before, after: (M,) nearest frame with a pose on each side (the same one at the clip's ends);
    part: (M,) in 0..1, how far between them; frames: (M,) from `before` to `after`; moving: (M,) the gap is short.
    """

    def __init__(self, posed: Mask, fps: float) -> None:
        known = np.flatnonzero(posed)
        self.posed, self.fps = posed, fps
        self.missing = np.flatnonzero(~posed)
        right = np.searchsorted(known, self.missing)
        self.before = known[np.maximum(right - 1, 0)]
        self.after = known[np.minimum(right, len(known) - 1)]
        self.before = np.where(right == 0, self.after, self.before)
        self.frames = np.maximum(np.abs(self.after - self.before), 1)
        self.part = np.clip((self.missing - self.before) / self.frames, 0.0, 1.0)
        self.moving = (self.after != self.before) & ((self.frames - 1) / fps <= _SHORT + 1e-9)

    def slope_frames(self, edge: NDArray[np.int64], step: int) -> tuple[NDArray[np.int64], Array]:
        """A second frame with a pose from which the speed at `edge` is taken, and 1 / its distance (0: take no speed)."""
        reach = max(1, round(_SLOPE * self.fps))
        other, run = edge.copy(), np.ones(len(edge), dtype=bool)
        for distance in range(1, reach + 1):
            at = edge + step * distance
            inside = (at >= 0) & (at < len(self.posed))
            run &= inside & self.posed[np.clip(at, 0, len(self.posed) - 1)]
            other = np.where(run, at, other)
        distance_to = np.abs(other - edge)
        return other, np.where(self.moving & (distance_to > 0), 1.0 / np.maximum(distance_to, 1), 0.0)


def _blend(part: Array) -> tuple[Array, Array, Array]:
    """Cumulative Bernstein weights of a cubic curve (Kim, Kim & Shin, SIGGRAPH 1995)."""
    return 1 - (1 - part) ** 3, 3 * part**2 - 2 * part**3, part**3


def _limited(turn: Array) -> Array:
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    return turn * np.minimum(1.0, _MAX_OVERSHOOT / np.maximum(angle, 1e-9))


def _fill_rotation(frames: Array, gaps: Gaps) -> Array:
    """(M, 3, 3) rotations in the gaps of `frames` (T, 3, 3)."""
    turn = Rotation.from_matrix(frames[gaps.posed])
    place = np.cumsum(gaps.posed) - 1
    at = lambda index: turn[place[index]]  # noqa: E731
    start, end = at(gaps.before), at(gaps.after)
    ahead, per_ahead = gaps.slope_frames(gaps.after, 1)
    behind, per_behind = gaps.slope_frames(gaps.before, -1)
    third = (gaps.frames / 3.0)[:, None]
    first = _limited((start * at(behind).inv()).as_rotvec() * per_behind[:, None] * third)
    last = _limited((at(ahead) * end.inv()).as_rotvec() * per_ahead[:, None] * third)
    middle = (Rotation.from_rotvec(-last) * end * start.inv() * Rotation.from_rotvec(-first)).as_rotvec()
    one, two, three = (weight[:, None] for weight in _blend(gaps.part))
    curve = Rotation.from_rotvec(last * three) * Rotation.from_rotvec(middle * two) * Rotation.from_rotvec(first * one)
    return np.asarray((curve * start).as_matrix())


def _fill_direction(units: Array, gaps: Gaps) -> Array:
    """(M, 3) unit vectors in the gaps of `units` (T, 3)."""
    turn = lambda a, b: Rotation.from_matrix(minimal_rotation(a, b))  # noqa: E731
    start, end = units[gaps.before], units[gaps.after]
    ahead, per_ahead = gaps.slope_frames(gaps.after, 1)
    behind, per_behind = gaps.slope_frames(gaps.before, -1)
    third = (gaps.frames / 3.0)[:, None]
    first = _limited(turn(units[behind], start).as_rotvec() * per_behind[:, None] * third)
    last = _limited(turn(end, units[ahead]).as_rotvec() * per_ahead[:, None] * third)
    leaves, arrives = Rotation.from_rotvec(first).apply(start), Rotation.from_rotvec(-last).apply(end)
    middle = turn(leaves, arrives).as_rotvec()
    one, two, three = (weight[:, None] for weight in _blend(gaps.part))
    curve = Rotation.from_rotvec(last * three) * Rotation.from_rotvec(middle * two) * Rotation.from_rotvec(first * one)
    return np.asarray(curve.apply(start))


def fill_bones(bones: Array, gaps: Gaps) -> Array:
    """Bone vectors (T, 17, 3) in metres, entry 0 unused, with the missing frames filled in."""
    if not len(gaps.missing):
        return bones.copy()
    filled = np.where(gaps.posed[:, None, None], bones, 0.0)
    frames = np.tile(np.eye(3), (len(bones), 1, 1))
    frames[gaps.posed] = pelvis_frame(filled[gaps.posed])
    between = _fill_rotation(frames, gaps)
    local = np.einsum("tji,tbj->tbi", frames, filled)
    lengths = np.linalg.norm(local, axis=-1)
    for bone in range(1, bones.shape[1]):
        units = local[:, bone] / np.maximum(lengths[:, bone, None], 1e-9)
        units[lengths[:, bone] < 1e-9] = (0.0, 1.0, 0.0)
        start, end = lengths[gaps.before, bone], lengths[gaps.after, bone]
        long = start + (end - start) * gaps.part
        filled[gaps.missing, bone] = np.einsum("tij,tj->ti", between, _fill_direction(units, gaps)) * long[:, None]
    return filled


def fill_track(track: Array, gaps: Gaps) -> Array:
    """A track (T, C) with the missing frames on cubic curves that leave and arrive with the speed around the gap."""
    filled = np.where(gaps.posed[:, None], track, 0.0)
    if not len(gaps.missing):
        return filled
    start, end = filled[gaps.before], filled[gaps.after]
    ahead, per_ahead = gaps.slope_frames(gaps.after, 1)
    behind, per_behind = gaps.slope_frames(gaps.before, -1)
    long = gaps.frames[:, None]
    first = (start - filled[behind]) * per_behind[:, None] * long
    last = (filled[ahead] - end) * per_ahead[:, None] * long
    # A noisy speed may not carry the curve further off than the way itself is long.
    bound = np.linalg.norm(end - start, axis=-1, keepdims=True) * 3.0 + 1e-9
    first *= np.minimum(1.0, bound / np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-9))
    last *= np.minimum(1.0, bound / np.maximum(np.linalg.norm(last, axis=-1, keepdims=True), 1e-9))
    s = gaps.part[:, None]
    filled[gaps.missing] = (
        (2 * s**3 - 3 * s**2 + 1) * start + (s**3 - 2 * s**2 + s) * first
        + (3 * s**2 - 2 * s**3) * end + (s**3 - s**2) * last
    )  # fmt: skip
    return filled
