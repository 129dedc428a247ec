"""Euler angles as animation files store them: intrinsic turns about x, y and z in some order, in degrees."""

from __future__ import annotations

import numpy as np

from stpose_core.animate.kinematics import matrices
from stpose_core.data import Array

_AXES = {"x": 0, "y": 1, "z": 2}
# Below this cosine of the middle angle, the first and the last turn share an axis and only their sum is defined.
_LOCK = 1e-9


def quaternions_from_euler(order: str, degrees: Array) -> Array:
    """Unit quaternions (..., 4) wxyz of the turns `order` ("zxy": R = Rz Rx Ry) by `degrees` (..., len(order)).

    Any order and number of axes is allowed, also none: the identity.
    """
    result = np.zeros((*degrees.shape[:-1], 4))
    result[..., 0] = 1.0
    for place, axis in enumerate(order):
        half = np.radians(degrees[..., place]) / 2
        turned = np.zeros_like(result)
        turned[..., 0], turned[..., 1 + _AXES[axis]] = np.cos(half), np.sin(half)
        result = _product(result, turned)
    return result


def _product(a: Array, b: Array) -> Array:
    scalar = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    vector = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    return np.concatenate([scalar, vector], axis=-1)


def smooth_zxy(quaternions: Array) -> Array:
    """Degrees (T, J, 3) of the turns z, x, y with R = Rz Rx Ry, for quaternions (T, J, 4) wxyz.

    Every rotation has two triples, and each again every 360 degrees: each frame takes the one nearest to the frame before,
    so that curves do not jump; the first frame takes the one nearest to zero.
    """
    turned = matrices(quaternions)
    angles = np.empty((*quaternions.shape[:-1], 3))
    before = np.zeros(quaternions.shape[1:-1] + (3,))
    for frame, matrix in enumerate(turned):
        before = angles[frame] = _nearest_zxy(matrix, before)
    return np.degrees(angles)


def _nearest_zxy(matrix: Array, before: Array) -> Array:
    """The triple of each (J, 3, 3) matrix nearest to `before` (J, 3), in radians."""
    sin_x = np.clip(matrix[:, 2, 1], -1.0, 1.0)
    # The hypotenuse, not asin(sin_x), which loses half of the digits near 90 degrees.
    cos_x = np.hypot(matrix[:, 0, 1], matrix[:, 1, 1])
    x = np.arctan2(sin_x, cos_x)
    z = np.arctan2(-matrix[:, 0, 1], matrix[:, 1, 1])
    y = np.arctan2(-matrix[:, 2, 0], matrix[:, 2, 2])
    # Locked: R = Rz(z + y) for x = 90 and Rz(z - y) for x = -90 degrees. Keep z where it was.
    locked, side = cos_x < _LOCK, np.sign(sin_x)
    together = np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])
    z = np.where(locked, before[:, 0], z)
    y = np.where(locked, side * (together - z), y)
    choices = np.stack([np.stack([z, x, y], -1), np.stack([z + np.pi, np.pi - x, y + np.pi], -1)])
    choices += 2 * np.pi * np.round((before - choices) / (2 * np.pi))
    distance = np.abs(choices - before).sum(-1)
    return np.where((distance[0] <= distance[1])[:, None], choices[0], choices[1])
