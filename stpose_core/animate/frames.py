"""Frames of the body as rotation matrices whose columns are its axes: x to the person's left, y up, z forward."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.data import Array

_TINY = 1e-9


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) at length 1; those of no length stay as they are."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY)


def across(vectors: Array, axis: Array) -> Array:
    """The part of `vectors` (..., 3) at right angles to the unit vectors `axis` (..., 3)."""
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis


def turn(frames: Array, vectors: Array) -> Array:
    """`vectors` (T, 3) or (3,), given in `frames` (T, 3, 3), in the axes that the frames are given in."""
    return np.asarray(np.einsum("...ij,...j->...i", frames, vectors))


def turn_back(frames: Array, vectors: Array) -> Array:
    """`vectors` (T, 3) as seen in `frames` (T, 3, 3)."""
    return np.asarray(np.einsum("...ji,...j->...i", frames, vectors))


def ramp(values: Array, zero: float, one: float) -> Array:
    """0 at `zero`, 1 at `one`, smooth between and level beyond."""
    part = np.clip((values - zero) / (one - zero), 0.0, 1.0)
    return np.asarray(part * part * (3 - 2 * part))


def minimal_rotation(start: Array, end: Array) -> Array:
    """(..., 3, 3) the smallest rotations that take the unit vectors `start` to `end` (..., 3).

    Between opposite vectors, where it is not unique, half a turn about some axis across them.
    """
    start, end = np.broadcast_arrays(start, end)
    axis, cosine = np.cross(start, end), (start * end).sum(-1)
    skew = np.zeros((*axis.shape, 3))
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    skew[..., 1, 0], skew[..., 2, 0], skew[..., 2, 1] = axis[..., 2], -axis[..., 1], axis[..., 0]
    opposite = cosine < -1 + 1e-8
    matrix = np.eye(3) + skew + skew @ skew / np.where(opposite, 1.0, 1 + cosine)[..., None, None]
    if opposite.any():
        smallest = np.eye(3)[np.abs(start[opposite]).argmin(-1)]
        half = unit(across(smallest, start[opposite]))
        matrix[opposite] = 2 * half[..., :, None] * half[..., None, :] - np.eye(3)
    return np.asarray(matrix)


def about(axis: Array, angle: Array) -> Array:
    """(T, 3, 3) rotations by `angle` (T,) rad about the unit vectors `axis` (T, 3) or (3,)."""
    return np.asarray(Rotation.from_rotvec(np.broadcast_to(axis, (len(angle), 3)) * angle[:, None]).as_matrix())


def frame(left: Array, up: Array, keep: str) -> Array:
    """(T, 3, 3) frames from directions (T, 3) that need not be at right angles; the one in `keep`, "x" or "y", stays as it is."""
    if keep == "x":
        x = unit(left)
        y = unit(across(up, x))
    else:
        y = unit(up)
        x = unit(across(left, y))
    z = np.cross(x, y)
    matrix = np.stack([x, y, z], axis=-1)
    # Joints in one place or on one line give no frame: take that of the nearest frame that has one.
    broken = np.abs(np.linalg.det(matrix) - 1) > 1e-3
    if broken.any():
        good = np.flatnonzero(~broken)
        if len(good):
            bad = np.flatnonzero(broken)
            right = good[np.minimum(np.searchsorted(good, bad), len(good) - 1)]
            left_of = good[np.maximum(np.searchsorted(good, bad) - 1, 0)]
            nearest = np.where(np.abs(bad - left_of) <= np.abs(right - bad), left_of, right)
            matrix[bad] = matrix[nearest]
        else:
            matrix[:] = np.eye(3)
    return np.asarray(matrix)


def supported(line: Array, usual: float, other: Array) -> Array:
    """Directions (T, 3) of `line` (T, 3), helped by the unit vectors `other` where the line is far shorter than usual.

    Then error, most often in depth, has eaten it, and its own direction would whirl from frame to frame.
    """
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    return unit(line + np.maximum(0.7 * usual - length, 0.0) * other)


def _middle_length(line: Array) -> float:
    return max(float(np.median(np.linalg.norm(line, axis=-1))), _TINY)


def pelvis_frame(bones: Array) -> Array:
    """(T, 3, 3) of the pelvis from bone vectors (T, 17, 3): x along the hips, y towards the spine."""
    hips, shoulders = bones[:, 4] - bones[:, 1], bones[:, 11] - bones[:, 14]
    return frame(supported(hips, _middle_length(hips), unit(shoulders)), bones[:, 7], keep="x")


def chest_frame(bones: Array) -> Array:
    """(T, 3, 3) of the upper chest: y from spine to neck, x along the shoulders, as a raised arm lifts them."""
    hips, shoulders = bones[:, 4] - bones[:, 1], bones[:, 11] - bones[:, 14]
    return frame(supported(shoulders, _middle_length(shoulders), unit(hips)), bones[:, 8], keep="y")


def continuous_quaternions(matrices: Array) -> Array:
    """(T, 3, 3) rotations as quaternions (T, 4) w, x, y, z, w >= 0 at first, each in the half space of the one before it."""
    quaternions = Rotation.from_matrix(matrices).as_quat()[:, [3, 0, 1, 2]]
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    first = -1.0 if quaternions[0, 0] < 0 else 1.0
    return np.asarray(quaternions * np.concatenate([[first], first * np.cumprod(flips)])[:, None])
