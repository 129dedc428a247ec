"""Quaternions of retargeting against scipy's rotations."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.retarget import rotation as turns

# Blender has no scipy.
transform = pytest.importorskip("scipy.spatial.transform")
Rotation, Slerp = transform.Rotation, transform.Slerp

RANDOM = np.random.default_rng(0)
ONE, OTHER = (Rotation.random(50, random_state=seed) for seed in (1, 2))


def wxyz(rotation: transform.Rotation) -> np.ndarray:
    return np.asarray(rotation.as_quat()[:, [3, 0, 1, 2]])


def same(found: np.ndarray, rotation: transform.Rotation) -> bool:
    """Whether quaternions are those rotations, whatever their sign."""
    return np.allclose(np.abs((found * wxyz(rotation)).sum(-1)), 1.0) and np.allclose(np.linalg.norm(found, axis=-1), 1.0)


def units(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_products_inverses_and_turned_vectors() -> None:
    a, b, vectors = wxyz(ONE), wxyz(OTHER), RANDOM.normal(size=(50, 3))
    assert same(turns.multiply(a, b), ONE * OTHER)
    assert same(turns.multiply(a[0], b), ONE[0] * OTHER), "shapes broadcast"
    assert same(turns.inverse(a), ONE.inv())
    assert turns.rotate(a, vectors) == pytest.approx(ONE.apply(vectors))
    assert turns.rotate(a[0], vectors) == pytest.approx(ONE[0].apply(vectors))
    assert turns.to_matrix(a) == pytest.approx(ONE.as_matrix())


def test_matrices_become_turns_whichever_part_is_largest() -> None:
    vectors = np.concatenate([ONE.as_rotvec(), np.pi * np.eye(3), -np.pi * units(20, 3), [[0.0, 0.0, 0.0]], 1e-9 * np.eye(3)])
    rotation = Rotation.from_rotvec(vectors)
    found = turns.from_matrix(rotation.as_matrix())
    assert same(found, rotation)
    assert found[:, 0].min() >= 0


def test_a_frame_has_its_first_vector_as_y_and_the_other_near_x() -> None:
    first, second = units(30, 4), units(30, 5)
    axes = turns.to_matrix(turns.from_frame(3 * first, 2 * second))
    assert axes[..., 1] == pytest.approx(first)
    assert ((axes[..., 0] * second).sum(-1) > 0).all()
    assert (axes[..., 2] * second).sum(-1) == pytest.approx(np.zeros(30), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(np.ones(30))


def test_the_smallest_turn_is_about_an_axis_across_both() -> None:
    start, end = units(30, 6), units(30, 7)
    start[:3], end[:3] = np.eye(3), -np.eye(3)
    start[3:5], end[3:5] = units(2, 8), -units(2, 8)
    end[5] = start[5]
    found = turns.smallest(start, end)
    assert turns.rotate(found, start) == pytest.approx(end, abs=1e-7)
    angle = np.arccos(np.clip((start * end).sum(-1), -1, 1))
    assert turns.angle_between(turns.IDENTITY, found) == pytest.approx(angle, abs=1e-6)


def test_a_turn_about_an_axis_and_the_angle_between_two() -> None:
    axes, angles = units(30, 9), RANDOM.uniform(-4, 4, 30)
    assert same(turns.about(axes, angles), Rotation.from_rotvec(angles[:, None] * axes))
    assert same(turns.about(axes[0], angles), Rotation.from_rotvec(angles[:, None] * axes[0]))
    assert turns.angle_between(wxyz(ONE), -wxyz(OTHER)) == pytest.approx((ONE.inv() * OTHER).magnitude())


@pytest.mark.parametrize("part", [0.0, 0.25, 0.8, 1.0])
def test_a_blend_is_on_the_shortest_way(part: float) -> None:
    found = turns.blend(wxyz(ONE), -wxyz(OTHER), part)
    for number in range(50):
        way = Slerp([0.0, 1.0], Rotation.concatenate([ONE[number], OTHER[number]]))(part)
        assert abs(found[number] @ wxyz(Rotation.concatenate([way]))[0]) == pytest.approx(1.0)
    near = turns.multiply(turns.about([0.0, 1.0, 0.0], 1e-8), wxyz(ONE))
    assert turns.blend(wxyz(ONE), near, part) == pytest.approx(wxyz(ONE), abs=1e-7), "without dividing by nought"


def test_signs_follow_one_another() -> None:
    angle = np.linspace(0, 6 * np.pi, 200)
    series = np.stack([turns.about([0.0, 0.0, 1.0], angle), turns.about([1.0, 0.0, 0.0], -angle)], axis=1)
    flipped = series * np.random.default_rng(3).choice([-1.0, 1.0], (200, 2, 1))
    found = turns.continuous(flipped)
    assert (np.abs(np.diff(found, axis=0)).max(axis=(0, 2)) < 0.1).all()
    assert found[0] == pytest.approx(flipped[0])
    assert turns.continuous(flipped[:1]) == pytest.approx(flipped[:1])


def test_parts_across_an_axis_and_vectors_of_no_length() -> None:
    vectors, axes = RANDOM.normal(size=(20, 3)), units(20, 10)
    across = turns.across(vectors, axes)
    assert (across * axes).sum(-1) == pytest.approx(np.zeros(20), abs=1e-12)
    assert np.cross(across, axes) == pytest.approx(np.cross(vectors, axes))
    assert turns.unit(np.array([[0.0, 0.0, 0.0], [0.0, -3.0, 4.0]])) == pytest.approx(np.array([[0.0, 0, 0], [0, -0.6, 0.8]]))
