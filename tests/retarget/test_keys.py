"""Channels: Euler angles in each order, axis and angle, fewer keys, other frame rates."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.retarget.keys import (
    EULER_ORDERS,
    axis_angles,
    euler_angles,
    fewer_angles,
    fewer_rotations,
    fewer_values,
    resampled,
    turns_from_axis_angles,
    turns_from_euler,
)
from stpose_core.retarget.rotation import about, angle_between, continuous, from_matrix, rotate, smallest, to_matrix, unit


def swinging(frames: int = 200) -> np.ndarray:
    t = np.linspace(0, 4 * np.pi, frames)
    axis = unit(np.stack([np.sin(t), np.cos(1.3 * t), 0.4 + 0 * t], axis=1))
    return continuous(about(axis, 2.5 * np.sin(0.7 * t)))


@pytest.mark.parametrize("order", EULER_ORDERS)
def test_euler_angles_turn_the_same_way_without_jumps(order: str) -> None:
    turns = swinging()
    angles = euler_angles(turns, order)
    assert angle_between(turns_from_euler(angles, order), turns).max() < 1e-6
    # Near a gimbal lock angles are quick, but never by a whole turn.
    assert np.abs(np.diff(angles, axis=0)).max() < np.pi


def test_xyz_turns_about_x_first() -> None:
    angles = np.radians([[90.0, 0.0, 90.0]])
    assert np.allclose(rotate(turns_from_euler(angles, "XYZ"), [0.0, 1.0, 0.0]), [[0.0, 0.0, 1.0]])


def test_euler_angles_at_a_gimbal_lock() -> None:
    turns = about([0.0, 1.0, 0.0], np.radians([89.0, 90.0, 91.0, 92.0]))
    angles = euler_angles(turns, "XYZ")
    assert angle_between(turns_from_euler(angles, "XYZ"), turns).max() < 1e-6


def test_axis_and_angle() -> None:
    turns = swinging()
    values = axis_angles(turns)
    assert angle_between(about(values[:, 1:], values[:, 0]), turns).max() < 1e-6


@pytest.mark.parametrize("angles", [[-0.3, 0.0, 0.3], [6.0, 2 * np.pi, 6.5], [0.0, 0.0, 0.2], [0.0, 0.0, 0.0]])
def test_the_axis_stays_where_there_is_no_turn(angles: list[float]) -> None:
    turns = about(np.tile([1.0, 0.0, 0.0], (len(angles), 1)), np.array(angles))
    values = axis_angles(turns)
    assert np.allclose(np.abs(np.diff(values[:, 1:], axis=0)), 0)
    assert np.allclose(np.diff(values[:, 0] * values[0, 1]), np.diff(angles) if any(angles) else 0)
    assert angle_between(turns_from_axis_angles(values), turns).max() < 1e-6


def test_matrices_and_quaternions_agree() -> None:
    turns = swinging()
    assert angle_between(from_matrix(to_matrix(turns)), turns).max() < 1e-7
    first, second = unit(np.random.default_rng(0).normal(size=(2, 50, 3)))
    assert np.allclose(rotate(smallest(first, second), first), second)
    assert np.allclose(rotate(smallest([1.0, 0, 0], [-1.0, 0, 0]), [1.0, 0, 0]), [-1.0, 0, 0])


@pytest.mark.parametrize("tolerance", [0.5, 2.0])
def test_fewer_keys_stay_within_the_tolerance(tolerance: float) -> None:
    turns, frames = swinging(), np.arange(200.0)
    keep = fewer_rotations(frames, turns, np.radians(tolerance))
    lines = np.stack([np.interp(frames, frames[keep], turns[keep, c]) for c in range(4)], axis=1)
    assert len(keep) < 150
    assert np.degrees(angle_between(unit(lines), turns)).max() <= tolerance + 1e-6
    values = np.stack([np.sin(frames / 9), np.cos(frames / 7)], axis=1)
    keep = fewer_values(frames, values, 0.03)
    lines = np.stack([np.interp(frames, frames[keep], values[keep, c]) for c in range(2)], axis=1)
    assert np.linalg.norm(lines - values, axis=1).max() <= 0.03
    assert len(keep) < 100


@pytest.mark.parametrize(("middle", "kept"), [(1.0, [0, 2]), (1.02, [0, 2]), (1.2, [0, 1, 2])])
def test_the_middle_of_three_keys_goes_if_it_is_on_the_line(middle: float, kept: list[int]) -> None:
    values = np.array([[0.0], [middle], [2.0]])
    assert fewer_values(np.arange(3.0), values, 0.03).tolist() == kept
    assert fewer_values(np.arange(2.0), values[:2], 0.03).tolist() == [0, 1]


def test_no_tolerance_keeps_every_key() -> None:
    assert len(fewer_rotations(np.arange(200.0), swinging(), 0.0)) == 200


def test_resampling_keeps_the_samples_that_both_rates_have() -> None:
    turns = swinging()[:, None]
    times = np.arange(200) / 30
    again, values = resampled(turns, times[:, None], times, np.arange(400) / 60)
    assert angle_between(again[::2], turns).max() < 1e-7
    assert np.allclose(values[:399, 0], np.arange(399) / 60)


def test_axes_have_length_one_and_never_turn_over() -> None:
    turns = swinging()[20:]  # from a turn of about 30 degrees on, through none at all
    values = axis_angles(turns)
    assert np.abs(values[0, 0]) > 0.3
    assert np.linalg.norm(values[:, 1:], axis=1) == pytest.approx(np.ones(len(turns)))
    assert (values[1:, 1:] * values[:-1, 1:]).sum(-1).min() > 0.5
    assert np.abs(np.diff(values[:, 0])).max() < 0.2
    assert angle_between(turns_from_axis_angles(values * [1.0, 3.0, 3.0, 3.0]), turns).max() < 1e-6, "axes of any length"
    around = axis_angles(about([0.0, 0.0, 1.0], np.linspace(0.1, 12.0, 100)))
    assert around[:, 0] == pytest.approx(np.linspace(0.1, 12.0, 100)), "more than a whole turn"


@pytest.mark.parametrize("tolerance", [0.5, 3.0])
def test_straight_lines_between_the_kept_angles_stay_within_the_tolerance(tolerance: float) -> None:
    turns, frames = swinging(), np.arange(200.0)
    angles = euler_angles(turns, "ZYX")
    kept = fewer_angles(frames, angles, turns, lambda values: turns_from_euler(values, "ZYX"), np.radians(tolerance))
    assert kept[0] == 0
    assert kept[-1] == 199
    assert 3 < len(kept) < 150
    lines = np.stack([np.interp(frames, frames[kept], angles[kept, column]) for column in range(3)], axis=1)
    assert np.degrees(angle_between(turns_from_euler(lines, "ZYX"), turns)).max() <= tolerance
    fewer = np.delete(kept, len(kept) // 2)
    lines = np.stack([np.interp(frames, frames[fewer], angles[fewer, column]) for column in range(3)], axis=1)
    assert np.degrees(angle_between(turns_from_euler(lines, "ZYX"), turns)).max() > tolerance, "control: each key is needed"
