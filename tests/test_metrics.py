"""Measures against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from stpose_core import metrics

RNG = np.random.default_rng(0)
POSE = RNG.normal(size=(5, 17, 3))


def test_mpjpe_of_a_shift_is_its_length() -> None:
    assert metrics.mpjpe(POSE + [0.03, 0.04, 0], POSE) == pytest.approx(0.05)


def test_procrustes_undoes_a_similarity_but_not_a_reflection() -> None:
    turn = Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix()
    assert metrics.pa_mpjpe(1.7 * POSE @ turn.T + [1, 2, 3], POSE) < 1e-9
    assert metrics.pa_mpjpe(POSE * [-1, 1, 1], POSE) > 0.3


def test_procrustes_is_the_best_similarity() -> None:
    """No small change of the aligned pose by a similarity comes nearer in the least-squares sense."""
    noisy = POSE + RNG.normal(0, 0.2, POSE.shape)
    aligned = metrics.procrustes(noisy, POSE)
    best = ((aligned - POSE) ** 2).sum()
    for _ in range(20):
        turn = Rotation.from_rotvec(RNG.normal(0, 0.02, 3)).as_matrix()
        centre = aligned.mean(-2, keepdims=True)
        other = (aligned - centre) @ turn.T * (1 + RNG.normal(0, 0.02)) + centre + RNG.normal(0, 0.01, 3)
        assert ((other - POSE) ** 2).sum() > best


def test_jitter_and_acceleration_of_a_parabola() -> None:
    time = np.arange(10.0)
    path = np.zeros((10, 2, 3))
    path[:, :, 1] = (0.5 * 0.02 * time**2)[:, None]
    assert metrics.jitter(path) == pytest.approx(0.02)
    assert metrics.acceleration_error(path, np.zeros_like(path)) == pytest.approx(0.02)
    assert metrics.acceleration_error(path + 3.0 * time[:, None, None], path) == pytest.approx(0, abs=1e-12)


def test_pck_counts_joints_within_the_threshold() -> None:
    moved = POSE.copy()
    moved[:, :5, 0] += 0.5
    assert metrics.pck(moved, POSE, 0.2, scale=np.full((5, 17), 2.0)) == pytest.approx(12 / 17)
    assert metrics.pck(moved, POSE, 0.2, scale=3.0) == 1


def test_bone_lengths() -> None:
    points = np.array([[[0, 0, 0], [0, 3, 4], [0, 3, 5]]], dtype=float)
    assert metrics.bone_lengths(points, (-1, 0, 1)).tolist() == [[5, 1]]


def test_area_under_the_pck_curve() -> None:
    assert metrics.pck_auc(POSE, POSE) == pytest.approx(30 / 31)  # nothing is nearer than 0 mm
    # 77 mm: right at the 15 thresholds from 80 to 150 mm.
    assert metrics.pck_auc(POSE + [0.077, 0, 0], POSE) == pytest.approx(15 / 31)
    assert metrics.pck_auc(POSE + [0.2, 0, 0], POSE) == 0


def test_velocity_error_leaves_places_alone() -> None:
    drift = np.arange(5.0)[:, None, None] * [0.003, 0, 0.004]
    assert metrics.mpjve(POSE + 1, POSE) == pytest.approx(0, abs=1e-12)
    assert metrics.mpjve(POSE + drift, POSE) == pytest.approx(0.005)
