"""Foot lock: feet that stand are held where they stand, and the legs follow by inverse kinematics.

While the heel stands, the ankle is held; on the toes the ball of the foot is held and the ankle turns about it.
Between two stances the correction changes over smoothly, so that all sliding happens in the air. Where a leg is too short for its
hold the hips come down, smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .contacts import AUTO, Mask, foot_points, runs, standing
from .ik import Leg
from .rotation import Array, continuous
from .slots import SIDES
from .solver import Posed

_CHANGE = 0.25  # s for a correction to come and go
_DIP = 0.2  # s over which the hips come down and up again
_PACE = 0.8  # m/s, of a leg of 0.9 m, at which a correction may change at most
_LEG = 0.9
_FREE, _HEEL, _TOE = 0, 1, 2


@dataclass(frozen=True)
class FootLock:
    """How feet are locked. mode: `contacts.AUTO`, ALWAYS or NEVER.

    radius: metres that a foot may drift from its hold before it is let go. floor_height: metres above the ground up to which a
    foot counts as low enough to stand.
    """

    mode: str = AUTO
    radius: float = 0.15
    floor_height: float = 0.08


def lock_feet(posed: Posed, fps: float, options: FootLock, contacts: Array | None = None) -> Posed:
    """The same motion with standing feet held in place. contacts: (T, 4) as `Track.contacts`, or None to find them."""
    on_ground = standing(posed, fps, options.mode, options.floor_height, contacts)
    if not on_ground.any():
        return posed
    ankles = {}
    for number, side in enumerate(SIDES):
        shift = _correction(posed, side, on_ground[:, 2 * number : 2 * number + 2], fps, options.radius)
        ankles[side] = posed.heads["foot" + side] + shift
    drops = [Leg(posed, side).drop(ankle, posed.up) for side, ankle in ankles.items()]
    dip = _covering(np.max(drops, axis=0), max(1, round(_DIP * fps)))[:, None] * posed.up
    rotations = dict(posed.rotations)
    for side, ankle in ankles.items():
        leg = Leg(posed, side)
        moved = (np.linalg.norm(ankle - posed.heads["foot" + side], axis=1) > 1e-7) | (np.abs(dip).max(axis=1) > 1e-7)
        for slot, turned in zip(leg.slots, leg.reach(ankle, posed.heads["thigh" + side] - dip)):
            rotations[slot] = continuous(np.where(moved[:, None], turned, posed.rotations[slot]))
    return replace(posed, rotations=rotations, hips=posed.hips - dip).placed()


def _correction(posed: Posed, side: str, on_ground: Mask, fps: float, radius: float) -> Array:
    """(T, 3) by which the ankle is moved. on_ground: (T, 2) heel and toe."""
    rest = foot_points(posed, side)
    ankle = posed.heads["foot" + side]
    ball = posed.point("foot" + side, rest["toe"])
    held = np.where(on_ground[:, 0], _HEEL, np.where(on_ground[:, 1], _TOE, _FREE))
    shift = np.full_like(ankle, np.nan)
    points = {_HEEL: (ankle, float(rest["heel"] @ posed.anatomy.up)), _TOE: (ball, float(rest["toe"] @ posed.anatomy.up))}
    for first, end in _holds(held, points, radius, max(2, round(0.1 * fps))):
        last: Array | None = None
        for start, stop in _pieces(held[first:end]):
            point, height = points[int(held[first + start])]
            part = point[first + start : first + stop]
            if last is None:
                hold = np.median(part, axis=0)
                hold = hold + (height - posed.anatomy.floor() + posed.floor - hold @ posed.up) * posed.up
            else:
                # The next point takes over where the last one has brought it.
                hold = part[0] + last
            shift[first + start : first + stop] = hold - part
            last = shift[first + stop - 1]
    pace = _PACE * posed.anatomy.leg_length() / _LEG / fps
    return _bridged(_with_room(shift, pace), max(1, round(_CHANGE * fps)))


def _holds(held: Mask, points: dict[int, tuple[Array, float]], radius: float, gap: int) -> list[tuple[int, int]]:
    """(first, end) of the frames in which the foot keeps one place: cut where it drifts further than `radius` from it."""
    found = []
    for first, end in runs(held != _FREE):
        start = first
        for frame in range(first, end):
            point = points[int(held[frame])][0]
            since = max(start, _begin_of_piece(held, frame))
            if np.linalg.norm(point[frame] - point[since:frame].mean(axis=0) if frame > since else 0.0) > radius:
                found.append((start, max(start, frame - gap)))
                start = frame
        found.append((start, end))
    return [(start, end) for start, end in found if end - start > 1]


def _begin_of_piece(held: Mask, frame: int) -> int:
    while frame > 0 and held[frame - 1] == held[frame]:
        frame -= 1
    return frame


def _pieces(held: Mask) -> list[tuple[int, int]]:
    """(first, end) of runs of the same hold."""
    cuts = np.flatnonzero(np.diff(held)) + 1
    edges = [0, *(int(cut) for cut in cuts), len(held)]
    return list(zip(edges[:-1], edges[1:]))


def _with_room(shift: Array, pace: float) -> Array:
    """Let holds begin later and end earlier (NaN) where the correction would have to change faster than `pace` (m a frame)."""
    out, holds = shift.copy(), runs(np.isfinite(shift[:, 0]))
    for (start, end), (after, stop) in zip(holds, holds[1:]):
        # An eased change is half as fast again in its middle.
        needed = int(np.ceil(1.5 * np.linalg.norm(shift[after] - shift[end - 1]) / pace))
        lacking = max(0, needed - (after - end))
        early = min((lacking + 1) // 2, (end - start) // 3)
        late = min(lacking - early, (stop - after) // 3)
        out[end - early : end] = np.nan
        out[after : after + late] = np.nan
    return out


def _bridged(shift: Array, change: int) -> Array:
    """Fill the frames between the holds (NaN): smoothly from one correction to the next, to none where they are far apart."""
    out = shift.copy()
    known = np.isfinite(shift[:, 0])
    for first, end in runs(~known):
        before = shift[first - 1] if first > 0 else np.zeros(3)
        after = shift[end] if end < len(shift) else np.zeros(3)
        steps = np.arange(1, end - first + 1)
        length = min(change, end - first + 1)
        fade_out = _ease(1 - steps / length) if first > 0 else np.zeros(len(steps))
        fade_in = _ease(1 - (end - first + 1 - steps) / length) if end < len(shift) else np.zeros(len(steps))
        out[first:end] = fade_out[:, None] * before + fade_in[:, None] * after
    return out


def _ease(part: Array) -> Array:
    part = np.clip(part, 0.0, 1.0)
    return np.asarray(part * part * (3 - 2 * part))


def _covering(values: Array, reach: int) -> Array:
    """A smooth curve that is nowhere below `values` (T,): the mean of the largest values around."""
    if not values.any():
        return values
    padded = np.pad(values, 2 * reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    window = np.hanning(2 * reach + 3)[1:-1]
    return np.asarray(np.convolve(highest, window / window.sum(), mode="valid"))
