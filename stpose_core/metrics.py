"""Measures of 3D pose and motion, as the field defines them. Positions in metres, (T, J, 3) unless stated otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mpjpe(predicted: Array, true: Array) -> float:
    """Mean per-joint position error of (..., J, 3): protocol 1 of Human3.6M (Ionescu et al. 2014) once both are root-relative."""
    return float(np.linalg.norm(predicted - true, axis=-1).mean())


def procrustes(predicted: Array, true: Array) -> Array:
    """`predicted` (..., J, 3) after the similarity (rotation, scale, translation) of each pose that fits `true` best.

    Source: Umeyama 1991, least-squares estimation of transformation parameters between two point patterns.
    """
    centre_p, centre_t = predicted.mean(-2, keepdims=True), true.mean(-2, keepdims=True)
    p, t = predicted - centre_p, true - centre_t
    u, s, vt = np.linalg.svd(np.swapaxes(t, -1, -2) @ p)
    sign = np.sign(np.linalg.det(u @ vt))
    s = s.copy()
    s[..., -1] *= sign
    u = u.copy()
    u[..., :, -1] *= sign[..., None]
    rotation = u @ vt
    scale = s.sum(-1) / np.maximum((p**2).sum((-1, -2)), 1e-12)
    return scale[..., None, None] * p @ np.swapaxes(rotation, -1, -2) + centre_t


def pa_mpjpe(predicted: Array, true: Array) -> float:
    """MPJPE after a similarity alignment of each pose: protocol 2 of Human3.6M."""
    return mpjpe(procrustes(predicted, true), true)


def velocity_error(predicted: Array, true: Array) -> float:
    """Mean error of the first differences, metres per frame: MPJVE (Pavllo et al. 2019)."""
    return float(np.linalg.norm(np.diff(predicted, axis=-3) - np.diff(true, axis=-3), axis=-1).mean())


def acceleration_error(predicted: Array, true: Array) -> float:
    """Mean error of the second differences, metres per frame squared (Kanazawa et al. 2019)."""
    return float(np.linalg.norm(np.diff(predicted, 2, axis=-3) - np.diff(true, 2, axis=-3), axis=-1).mean())


def jitter(positions: Array) -> float:
    """Mean size of the second difference, metres per frame squared: jitter plus the true acceleration of the motion."""
    return float(np.linalg.norm(np.diff(positions, 2, axis=-3), axis=-1).mean())


def bone_lengths(positions: Array, parents: tuple[int, ...] | NDArray[np.int64]) -> Array:
    """(..., J - 1) lengths of the bones, one for every joint except the root."""
    child = [joint for joint, parent in enumerate(parents) if parent >= 0]
    return np.linalg.norm(positions[..., child, :] - positions[..., [parents[joint] for joint in child], :], axis=-1)


def pck(predicted: Array, true: Array, threshold: float, scale: Array | float = 1.0) -> float:
    """Share of joints within `threshold` * `scale` of the truth. scale broadcasts to (..., J), for example torso lengths."""
    return float((np.linalg.norm(predicted - true, axis=-1) <= threshold * np.asarray(scale)).mean())


def pck_auc(predicted: Array, true: Array, highest: float = 0.15, steps: int = 30) -> float:
    """Area under the curve of PCK over thresholds: the mean share of joints nearer to the truth than 0, 5, 10, ... 150 mm.

    Source: Mehta et al. 2017, Monocular 3D Human Pose Estimation In The Wild, and `mpii_compute_3d_pck.m` of its test set: 31
    thresholds, compared with "less than", so that a perfect prediction scores 30 / 31.
    """
    error = np.linalg.norm(predicted - true, axis=-1)
    return float(np.mean([(error < highest * step / steps).mean() for step in range(steps + 1)]))


def mpjve(predicted: Array, true: Array) -> float:
    """Mean per-joint velocity error of (T, J, 3): MPJPE of the first differences, metres per frame (Pavllo et al. 2019)."""
    return mpjpe(np.diff(predicted, axis=-3), np.diff(true, axis=-3))
