"""From camera axes to the room: y up, a person who faces the camera faces +z, the floor at y = 0."""

from __future__ import annotations

import numpy as np

from stpose_core.animate.frames import minimal_rotation
from stpose_core.data import Array

_FLIP = np.diag([1.0, -1.0, -1.0])  # camera x right, y down, z forward -> x right, y up, z towards the camera


def room_from_camera(up: Array) -> Array:
    """(3, 3) rotation from camera axes to the room's. up: (3,) against gravity in camera axes; a level camera if it is unknown."""
    length = float(np.linalg.norm(up))
    if not np.isfinite(length) or length < 1e-6:
        return _FLIP
    return np.asarray(minimal_rotation(_FLIP @ (up / length), np.array([0.0, 1.0, 0.0])) @ _FLIP)


def floor_height(joints: Array, ankle: float) -> float:
    """Height in metres of the floor below a motion. joints: (T, 17, 3), y up. ankle: height of the ankle in standing.

    The lowest the body comes to, but for the lowest twentieth of the frames, so that a few that dip do not lift the rest.
    Ankles stand on their height; a body on hands, knees or its back rests on those.
    """
    above = np.array([0.10, 0.10, 0.05, ankle, 0.10, 0.05, ankle, 0.10, 0.10, 0.08, 0.0, 0.05, 0.04, 0.03, 0.05, 0.04, 0.03])
    lowest = (joints[..., 1] - above).min(axis=1)
    return float(np.percentile(lowest, 5))
