"""The shift of a path that satisfies its contacts, against a dense solver."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.data import Array
from stpose_core.world import solve
from stpose_core.world.solve import Stiffness, settle

FPS = 30.0


def dense(points: Array, pull: Array, flat: Array, known: Array, acceleration: float) -> Array:
    """The shift (T, 3) that minimises the sum of squares of the terms, by a dense solver.

    pull: (T - 1, P) weights of the speeds in m per frame; flat: (T, P) of the heights; known: (T, 3, 3)."""
    frames = len(points)
    rows: list[Array] = []
    right: list[float] = []

    def term(entries: dict[tuple[int, int], float], value: float, weight: float) -> None:
        row = np.zeros((frames, 3))
        for (frame, axis), factor in entries.items():
            row[frame, axis] = factor
        rows.append(np.sqrt(weight) * row.ravel())
        right.append(np.sqrt(weight) * value)

    for frame in range(frames):
        values, axes = np.linalg.eigh(known[frame])
        for weight, axis in zip(values, axes.T):
            term({(frame, k): axis[k] for k in range(3)}, 0.0, weight)
        for point in range(points.shape[1]):
            term({(frame, 1): 1.0}, -points[frame, point, 1], flat[frame, point])
            if frame:
                for k in range(3):
                    step = points[frame, point, k] - points[frame - 1, point, k]
                    term({(frame, k): 1.0, (frame - 1, k): -1.0}, -step, pull[frame - 1, point])
    for frame in range(1, frames - 1):
        for k in range(3):
            term({(frame - 1, k): 1.0, (frame, k): -2.0, (frame + 1, k): 1.0}, 0.0, (FPS**2 / acceleration) ** 2)
    return np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0].reshape(frames, 3)


def test_the_shift_is_the_least_squares_solution() -> None:
    random = np.random.default_rng(0)
    points = 1e-4 * random.normal(size=(12, 2, 3))  # so small that no height and no speed loses weight
    heights = np.array([0.2, 0.5])
    standing = random.uniform(0.2, 1.0, (12, 2))
    roots = random.normal(size=(12, 3, 3))
    known = roots @ roots.swapaxes(1, 2) + np.eye(3)
    stiff = Stiffness(speed=0.02, height=0.03, acceleration=5.0, slip=1e6)
    pace = random.uniform(0.0, 0.5, 12)
    found = settle(points + [0, 1, 0] * heights[:, None], standing, heights, known, stiff, FPS, pace)
    pull = standing[1:] * standing[:-1] * (FPS / (0.02 + pace[1:, None])) ** 2
    wanted = dense(points, pull, standing / 0.03**2, known, 5.0)
    assert np.abs(wanted).max() > 2e-5
    assert found == pytest.approx(wanted, abs=2e-9)


def test_a_contact_that_slips_loses_its_weight() -> None:
    random = np.random.default_rng(1)
    points = np.cumsum(random.uniform(0.005, 0.03, (10, 2, 3)), axis=0) * [1.0, 0.0, 1.0]
    standing, known = np.ones((10, 2)), np.tile(np.eye(3), (10, 1, 1))
    stiff = Stiffness(speed=0.05, height=1e6, acceleration=8.0, slip=0.5)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * FPS
    weight = (FPS / 0.05) ** 2 / (1 + (speed / 0.5) ** 2) ** 2  # Geman and McClure
    found = settle(points, standing, np.zeros(2), known, stiff, FPS)
    assert found == pytest.approx(dense(points, weight, np.zeros((10, 2)), known, 8.0), abs=1e-7)
    # Along the ray, 0.6 of the movement does not count as slip.
    ray = np.tile([0.0, 0.0, -1.0], (10, 1))
    steps = np.diff(points, axis=0) * [1.0, 1.0, 0.4]
    weight = (FPS / 0.05) ** 2 / (1 + (np.linalg.norm(steps, axis=-1) * FPS / 0.5) ** 2) ** 2
    found = settle(points, standing, np.zeros(2), known, stiff, FPS, ray=ray)
    assert found == pytest.approx(dense(points, weight, np.zeros((10, 2)), known, 8.0), abs=1e-7)


def test_two_frames_are_not_settled() -> None:
    known, stiff = np.tile(np.eye(3), (2, 1, 1)), Stiffness(0.1, 0.1, 1.0, 1.0)
    shift = settle(np.ones((2, 1, 3)), np.ones((2, 1)), np.zeros(1), known, stiff, FPS)
    assert shift.tolist() == [[0.0, 0.0, 0.0]] * 2


def test_the_rounds_end_near_the_solution_for_what_is_lower_than_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    points, known = np.zeros((40, 2, 3)), np.tile(np.eye(3) / 0.05**2, (40, 1, 1))
    stiff, on = Stiffness(speed=0.01, height=0.03, acceleration=4.0, slip=0.4), np.ones((40, 2))
    points[..., 1] = 0.06 * (1 + 0.3 * np.sin(np.arange(40) / 6))[:, None]
    found = settle(points, on, np.zeros(2), known, stiff, FPS)[:, 1].mean()
    monkeypatch.setattr(solve, "_PASSES", 40)
    assert found == pytest.approx(settle(points, on, np.zeros(2), known, stiff, FPS)[:, 1].mean(), rel=0.02)
    monkeypatch.setattr(solve, "_PASSES", 1)
    assert settle(points, on, np.zeros(2), known, stiff, FPS)[:, 1].mean() != pytest.approx(found, rel=0.1), "control: one"


def test_what_is_higher_than_six_centimetres_is_left_on_its_step() -> None:
    known, stiff = np.tile(np.eye(3) / 0.05**2, (60, 1, 1)), Stiffness(speed=0.01, height=0.03, acceleration=4.0, slip=0.4)

    def left(height: float) -> float:
        """Share of its height that a foot in contact keeps."""
        points = np.zeros((60, 1, 3))
        points[..., 1] = height
        return float(1 + settle(points, np.ones((60, 1)), np.zeros(1), known, stiff, FPS)[30, 1] / height)

    assert left(0.03) < 0.4
    assert left(-0.03) == pytest.approx(left(0.03)), "below the floor as above it"
    assert 0.3 < left(0.10) < 0.8
    assert left(0.25) > 0.95


def test_a_place_that_is_known_badly_in_one_direction_moves_there() -> None:
    points = np.zeros((60, 1, 3))
    points[..., 0] = points[..., 2] = 0.03 * np.sin(np.arange(60) / 10)[:, None]
    direction = np.array([0.6, 0.0, 0.8])
    known = np.eye(3) / 0.005**2 + (1 / 1.0**2 - 1 / 0.005**2) * direction[:, None] * direction
    shift = settle(points, np.ones((60, 1)), np.zeros(1), np.tile(known, (60, 1, 1)), Stiffness(0.02, 0.03, 4.0, 1.0), FPS)
    along, beside = shift @ direction, shift @ np.array([0.8, 0.0, -0.6])
    assert np.ptp(along) > 0.05
    assert np.ptp(beside) < 0.2 * np.ptp(along)
