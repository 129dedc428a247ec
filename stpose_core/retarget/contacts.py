"""When heels and toes stand on the ground: computed from the motion where the track has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rotation import Array
from .slots import SIDES
from .soles import size_of
from .solver import Posed

Mask = NDArray[np.bool_]

AUTO, ALWAYS, NEVER, GROUNDING = "AUTO", "ALWAYS", "NEVER", "GROUNDING"
# Of a leg of 0.9 m: speeds in m/s below which a contact begins, and above which it ends.
_BEGIN, _END = 0.35, 0.6
_TRUSTED = 3.0  # times the floor height, up to which a contact that the track carries counts
_SHORTEST = 0.07  # s; a contact or a gap in one that is shorter is noise


def standing(posed: Posed, fps: float, mode: str, floor_height: float, given: Array | None = None) -> Mask:
    """(T, 4) left heel, left toe, right heel, right toe on the ground.

    mode: AUTO and GROUNDING take `given` (T, 4, in 0..1) where there is one and find contacts by speed where not; ALWAYS counts
    everything that is low enough; NEVER nothing. floor_height: metres up to which a point may be above the floor, for legs of
    0.9 m.
    """
    found = np.zeros((len(posed), 4), dtype=bool)
    if mode == NEVER or not len(posed):
        return found
    size = size_of(posed.anatomy)
    for column, point in enumerate(_points(posed)):
        height = point @ posed.up - posed.floor
        low = height <= floor_height * size
        if mode == ALWAYS:
            still = np.ones(len(posed), dtype=bool)
        elif given is not None and given.any():
            still, low = given[:, column] >= 0.5, height <= _TRUSTED * floor_height * size
        else:
            speed = np.linalg.norm(np.gradient(point, axis=0), axis=1) * fps if len(point) > 1 else np.zeros(1)
            still = _hysteresis(speed, _BEGIN * size, _END * size)
        found[:, column] = _without_blinks(low & still, max(2, round(_SHORTEST * fps)))
    return found


def _points(posed: Posed) -> list[Array]:
    """(T, 3) heel and ball of the left, then of the right sole."""
    return [posed.point("foot" + side, rest) for side in SIDES for rest in (posed.soles[side].heel, posed.soles[side].ball)]


def _hysteresis(values: Array, begin: float, end: float) -> Mask:
    decided = np.where(values < begin, 1, np.where(values > end, 0, -1))
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(values)), -1))
    return np.asarray(np.where(last >= 0, decided[np.maximum(last, 0)], 0) == 1)


def runs(mask: Mask) -> list[tuple[int, int]]:
    """(first, end) of each run of True; `end` is the frame after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2])]


def _without_blinks(mask: Mask, shortest: int) -> Mask:
    out = mask.copy()
    for first, end in runs(~out):
        if end - first < shortest and first > 0 and end < len(out):
            out[first:end] = True
    for first, end in runs(out):
        if end - first < shortest:
            out[first:end] = False
    return out
