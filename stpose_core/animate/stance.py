"""A body on new legs is carried over its standing feet: its path, not its pose, keeps them in place on the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array
from stpose_core.retarget.contacts import GROUNDING, standing
from stpose_core.retarget.footlock import FootLock, lock_feet
from stpose_core.retarget.ground import smoothed
from stpose_core.retarget.rotation import across
from stpose_core.retarget.slots import SIDES
from stpose_core.retarget.soles import size_of
from stpose_core.retarget.solver import Posed

_SMOOTH = 0.05  # s, standard deviation of the filter over the path's corrections
_FASTEST = 0.6  # m/s, for legs of 0.9 m: a foot that is faster does not stand, whatever its contact says


def carried(posed: Posed, fps: float, contacts: Array | None) -> Posed:
    """The same pose on another path, on which feet that stand do not slide and are on the floor.

    contacts: (T, 4) as `Motion.contacts`; found by height and speed where there are none. All directions stay as they are. Each
    frame the path moves against the mean of what standing feet slide, so that its length becomes that of the body's own strides.
    """
    lock = FootLock(mode=GROUNDING)
    posed = lock_feet(posed, fps, lock, contacts)
    if len(posed) < 2:
        return posed
    points = [posed.point("foot" + side, rest) for side in SIDES for rest in (posed.soles[side].heel, posed.soles[side].ball)]
    stand = standing(posed, fps, lock.mode, lock.floor_height, contacts)
    steps = across(np.diff(np.stack(points, axis=1), axis=0), posed.up)
    slow = np.linalg.norm(steps, axis=-1) * fps < _FASTEST * size_of(posed.anatomy)
    shift = -np.cumsum(_slide(steps, stand[1:] & stand[:-1] & slow), axis=0)
    shift = np.concatenate([np.zeros((1, 3)), shift])
    shift = np.stack([smoothed(shift[:, axis], _SMOOTH * fps) for axis in range(3)], axis=1)
    return replace(posed, hips=posed.hips + shift).placed()


def _slide(steps: Array, stand: NDArray[np.bool_]) -> Array:
    """(T - 1, 3) the mean step of the points that stand, (T - 1, P, 3); nought where none does."""
    return np.asarray((steps * stand[..., None]).sum(axis=1) / np.maximum(stand.sum(axis=1), 1)[:, None])
