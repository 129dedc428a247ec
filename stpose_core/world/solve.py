"""The smallest shift of a path that satisfies its contacts: a sparse least-squares problem over a whole clip.

The unknown is a shift (T, 3) of a path. Terms, each a squared number of standard deviations a second: the shift itself, by how well
the place is known in each direction; speeds; heights above the floor; the acceleration of the shift. The matrix is banded, so
time and memory are proportional to the length of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from stpose_core.data import Array

_STEP = 0.06  # m: what is higher above the floor than this is a step rather than an error (Geman and McClure's weight)
_PASSES = 3
_ALONG = 0.6  # share of a movement along the ray that does not count as slip
_UP = 1


@dataclass(frozen=True)
class Stiffness:
    """Standard deviations. speed: m/s of a point in contact. height: m of it above the floor. acceleration: m/s^2 of the shift.
    slip: m/s; a contact that moves faster loses its weight (Geman and McClure)."""

    speed: float
    height: float
    acceleration: float
    slip: float


def settle(
    points: Array,
    standing: Array,
    heights: Array,
    known: Array,
    stiffness: Stiffness,
    fps: float,
    pace: Array | float = 0.0,
    ray: Array | None = None,
) -> Array:
    """(T, 3) metres to add to all points, so that those in contact stay in place on the floor.

    points: (T, P, 3) metres, y up from the floor. standing: (T, P) in 0..1, probability of contact. heights: (P,) metres of each
    point above the floor where it stands. known: (T, 3, 3) information about the path, 1 / m^2. pace: (T,) m/s, added to the
    standard deviation of the speed. ray: (T, 3) unit vectors along which movements count less as slip, because the distance
    from the camera is known badly.
    """
    if len(points) < 3:
        return np.zeros((len(points), 3))
    speed = stiffness.speed + np.broadcast_to(pace, len(points))[1:, None]
    pairs = standing[1:] * standing[:-1] * (fps / speed) ** 2
    above, steps = points[..., _UP] - heights, np.diff(points, axis=0)
    seen = steps if ray is None else steps - _ALONG * (steps * ray[1:, None]).sum(-1, keepdims=True) * ray[1:, None]
    grip = pairs / (1 + (np.linalg.norm(seen, axis=-1) * fps / stiffness.slip) ** 2) ** 2
    pull = (grip[..., None] * steps).sum(axis=1)
    shift = np.zeros((len(points), 3))
    for _ in range(_PASSES):
        flat = standing / stiffness.height**2 / (1 + ((above + shift[:, None, _UP]) / _STEP) ** 2) ** 2
        right = np.zeros_like(shift)
        right[1:] -= pull
        right[:-1] += pull
        right[:, _UP] -= (flat * above).sum(axis=1)
        shift = _solve(known, flat.sum(axis=1), grip.sum(axis=1), right, stiffness.acceleration, fps)
    return shift


def _solve(known: Array, flat: Array, slow: Array, right: Array, acceleration: float, fps: float) -> Array:
    """The shift (T, 3) for weights of place (T, 3, 3), height (T,), speed (T - 1,), and a right side; unknown 3 t + axis."""
    frames = len(right)
    band = np.zeros((7, frames, 3))  # band[k, t, axis]: the entry of row 3 t + axis + k in column 3 t + axis
    for row in range(3):
        for column in range(row + 1):
            band[row - column, :, column] += known[:, row, column]
    band[0, 1:] += slow[:, None]
    band[0, :-1] += slow[:, None]
    band[3, :-1] -= slow[:, None]
    band[0, :, _UP] += flat
    rough = (fps**2 / acceleration) ** 2
    for first, one in enumerate((1.0, -2.0, 1.0)):
        for second in range(first, 3):
            band[3 * (second - first), first : first + frames - 2] += rough * one * (1.0, -2.0, 1.0)[second]
    return np.asarray(solveh_banded(band.reshape(7, -1), right.ravel(), lower=True)).reshape(frames, 3)
