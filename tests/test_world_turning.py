"""Turns of a camera, fitted to points: each step, what counts, and which of several turns is taken."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_core.world.turning import Lens, Turns, consensus, errors, fit, moved, small_rotations

SIZE = np.array([480.0, 270.0])
FOCAL = np.array([300.0])  # pixels: 77 degrees across
NEAR = 1.5


def corners(count: int = 60, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 2)) * SIZE


def turn(vector: list[float] | Array, zoom: float = 0.0) -> Turns:
    return Turns(Rotation.from_rotvec(np.asarray(vector, float)[None]).as_matrix(), np.array([zoom]))


def seen(points: Array, turned: Turns) -> Array:
    """Where the points (N, 2) are after the turn."""
    return moved(points[None], turned, FOCAL)[0]


def degrees(found: Turns, true: Turns) -> float:
    """Between two rotations."""
    return float(np.degrees(Rotation.from_matrix(found.rotation[0].T @ true.rotation[0]).magnitude()))


def sampled(points: Array, targets: Array, start: Turns | None = None, seed: int = 0) -> tuple[Turns, NDArray[np.bool_]]:
    return consensus(points, targets, float(FOCAL[0]), start or Turns.none(), NEAR, np.random.default_rng(seed))


@pytest.mark.parametrize("axis", range(4))
def test_a_step_is_right_to_second_order_in_each_unknown(axis: int) -> None:
    """The turn begins away from the axis, so that no derivative is nought by symmetry."""
    start = turn([0.2, -0.25, 0.15], 0.1)
    points = corners()
    for size in (0.02, 0.04):
        change = size * np.eye(4)[axis]
        end = Turns(small_rotations(change[None, :3]) @ start.rotation, start.zoom + change[3])
        found = fit(points[None], seen(points, end)[None], np.ones((1, 60)), FOCAL, start, np.inf, rounds=1)
        assert np.radians(degrees(found, end)) < 4 * size**2
        assert abs(found.zoom[0] - end.zoom[0]) < 4 * size**2


def test_without_a_zoom_the_turn_is_the_least_squares_solution_with_three_unknowns() -> None:
    points = corners() * [0.3, 0.3] + [150.0, 60.0]  # in one corner, where a zoom looks like a turn
    targets = seen(points, turn([0.02, 0.03, -0.01], 0.08))
    start = turn([0.0, 0.0, 0.0], 0.02)
    found = fit(points[None], targets[None], np.ones((1, 60)), FOCAL, start, 1e6, zoom=False)

    def miss(vector: Array) -> Array:
        return np.asarray((seen(points, turn(vector, 0.02)) - targets).ravel())

    best = least_squares(miss, np.zeros(3), xtol=1e-12, ftol=1e-12).x
    assert degrees(found, turn(best, 0.02)) < 1e-3
    assert found.zoom[0] == 0.02
    both = fit(points[None], targets[None], np.ones((1, 60)), FOCAL, start, 1e6)
    assert both.zoom[0] == pytest.approx(0.08, abs=1e-4)
    assert degrees(found, both) > 0.5, "control: with the zoom it is another turn"


def test_a_robust_turn_is_that_of_cauchys_weights() -> None:
    random = np.random.default_rng(3)
    points = corners()
    targets = seen(points, turn([0.01, -0.02, 0.03], 0.02)) + random.standard_t(2, (60, 2))
    weights = random.uniform(0.2, 1.0, 60)
    found = fit(points[None], targets[None], weights[None], FOCAL, Turns.none(), 0.8, rounds=40)

    def miss(unknowns: Array) -> Array:
        off = np.linalg.norm(seen(points, turn(unknowns[:3], unknowns[3])) - targets, axis=1)
        return np.asarray(np.sqrt(weights * np.log1p((off / 0.8) ** 2)))

    vector = np.append(Rotation.from_matrix(found.rotation[0]).as_rotvec(), found.zoom[0])
    best = least_squares(miss, vector + 1e-3, xtol=1e-12, ftol=1e-12, gtol=1e-12).x
    assert vector == pytest.approx(best, abs=2e-4)
    plain = fit(points[None], targets[None], np.ones((1, 60)), FOCAL, Turns.none(), 0.8, rounds=40)
    assert degrees(plain, found) > 0.02, "control: other weights"


def test_a_start_some_pixels_off_does_not_settle_on_the_few_points_that_agree_with_it() -> None:
    points = corners(100)
    true = turn([0.012, -0.012, 0.0])
    targets = seen(points, true)
    targets[:25] = points[:25]  # those that agree with no turn at all
    found = fit(points[None], targets[None], np.ones((1, 100)), FOCAL, Turns.none(), 0.5)
    assert degrees(found, true) < 0.02
    # With the narrow scale from the beginning, the start holds.
    narrow = fit(points[None], targets[None], np.ones((1, 100)), FOCAL, Turns.none(), 0.125)
    assert degrees(narrow, true) > 0.02


def test_points_behind_the_camera_do_not_count() -> None:
    points, true = np.concatenate([corners(40) * 0.3, [[-4000.0, 0.0], [-5000.0, 300.0]]]), turn([0.02, -0.36, 0.0])
    assert np.isnan(seen(points, true)).all(1).tolist() == [False] * 40 + [True] * 2
    targets = np.nan_to_num(seen(points, true), nan=0.0)
    found = fit(points[None], targets[None], np.ones((1, 42)), FOCAL, turn([0.0, -0.35, 0.0]), 1.0)
    assert degrees(found, true) < 0.01
    # 87 degrees from the axis a point is still in front, 87.5 degrees not: there a small turn moves it by any distance.
    side = np.array([[0.0, 0.0]])
    assert np.isfinite(seen(side, turn([0.0, np.radians(87.0), 0.0]))).all()
    assert np.isnan(seen(side, turn([0.0, np.radians(87.5), 0.0]))).all()


def test_a_turn_of_more_than_half_a_radian_is_not_made_at_once() -> None:
    points = corners()
    far = seen(points, turn([0.0, 0.0, 1.2]))
    found = fit(points[None], far[None], np.ones((1, 60)), FOCAL, Turns.none(), np.inf, rounds=1)
    assert degrees(found, Turns.none()) < np.degrees(0.5 * np.sqrt(3)) + 1.0
    assert 20.0 < degrees(found, Turns.none())
    done = fit(points[None], far[None], np.ones((1, 60)), FOCAL, Turns.none(), np.inf, rounds=12)
    assert degrees(done, turn([0.0, 0.0, 1.2])) < 0.01


def test_rotations_stay_rotations_after_many_products() -> None:
    bent = Turns(np.eye(3)[None] + 1e-3 * np.random.default_rng(0).normal(size=(1, 3, 3)), np.zeros(1))
    points = corners()
    found = fit(points[None], points[None], np.ones((1, 60)), FOCAL, bent, 1.0)
    assert np.abs(bent.rotation[0] @ bent.rotation[0].T - np.eye(3)).max() > 1e-3, "control"
    assert found.rotation[0] @ found.rotation[0].T == pytest.approx(np.eye(3), abs=1e-5)


def test_the_expected_turn_is_taken_if_most_points_agree_with_what_it_leads_to() -> None:
    points, true = corners(100), turn([0.0, 0.1, 0.02])
    targets = seen(points, true)
    targets[:38] = np.random.default_rng(5).uniform(-0.5, 0.5, (38, 2)) * SIZE

    class Unused:
        """Draws nothing."""

    turned, agree = consensus(points, targets, float(FOCAL[0]), true, NEAR, Unused())  # type: ignore[arg-type]
    assert degrees(turned, true) < 0.05
    assert agree[38:].all()
    targets[:42] = np.random.default_rng(5).uniform(-0.5, 0.5, (42, 2)) * SIZE
    with pytest.raises(AttributeError):  # the control: 58 % are not enough
        consensus(points, targets, float(FOCAL[0]), true, NEAR, Unused())  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", [[0.0, 0.6, 0.0], [-0.3, 0.0, 0.4], [0.1, -0.4, -0.5]])
def test_a_turn_far_from_the_expected_one_is_found_from_pairs_of_points(vector: list[float]) -> None:
    points, true = corners(100), turn(vector)
    targets = seen(points, true)
    targets[:35] = np.random.default_rng(1).uniform(-0.5, 0.5, (35, 2)) * SIZE
    turned, agree = sampled(points, targets)
    assert degrees(turned, true) < 0.05
    assert agree[35:].all()
    assert agree[:35].mean() < 0.1
    assert turned.zoom[0] == 0.0, "no zoom where none is needed"


def test_of_guesses_with_the_same_points_the_one_that_fits_them_better_is_taken() -> None:
    points, true = corners(100), turn([0.05, 0.5, 0.1])
    targets = seen(points, true) + np.random.default_rng(2).normal(0, 0.4, (100, 2))
    targets[:41] = np.random.default_rng(1).uniform(-0.5, 0.5, (41, 2)) * SIZE
    for seed in range(5):
        turned, agree = sampled(points, targets, seed=seed)
        assert degrees(turned, true) < 0.1
        assert agree[41:].mean() > 0.9


def test_a_zoom_is_taken_only_where_a_quarter_more_points_agree_with_it() -> None:
    points = corners(100)
    still, zoomed = points, seen(points, turn([0.0, 0.05, 0.0], 0.2))
    turned = seen(points, turn([0.0, 0.05, 0.0]))
    for share, zooms in ((30, True), (52, False)):
        targets = np.concatenate([turned[:share], zoomed[share:]])
        found, agree = sampled(points, targets)
        assert (abs(found.zoom[0]) > 0.1) == zooms
        assert (agree[share:] if zooms else agree[:share]).all()
    assert np.abs(still - turned).max() > 10, "control"


def test_half_as_many_points_that_stay_make_the_camera_still() -> None:
    points = corners(90)
    for resting, still in ((33, True), (27, False)):
        targets = seen(points, turn([0.0, 0.04, 0.0]))
        targets[:resting] = points[:resting] + [0.6, 0.0]  # within half of what agrees
        found, agree = sampled(points, targets)
        assert (degrees(found, Turns.none()) < 0.2) == still
        assert (agree[:resting] if still else agree[resting:]).all()
    targets[:33] = points[:33] + [1.0, 0.0]
    assert degrees(sampled(points, targets)[0], Turns.none()) > 2.0, "who moves by a pixel does not rest"


def test_many_turns_at_once_are_fitted_each_to_its_own_points() -> None:
    points = np.stack([corners(30, seed) for seed in range(3)])
    vectors = np.array([[0.02, 0.05, 0.0], [-0.1, 0.0, 0.1], [0.0, 0.0, -0.2]])
    true = Turns(Rotation.from_rotvec(vectors).as_matrix(), np.array([0.0, 0.1, -0.1]))
    focal = np.array([250.0, 300.0, 420.0])
    found = fit(points, moved(points, true, focal), np.ones((3, 30)), focal, Turns.none(3), 0.5)
    assert found.rotation == pytest.approx(true.rotation, abs=1e-6)
    assert found.zoom == pytest.approx(true.zoom, abs=1e-6)
    assert errors(points, moved(points, true, focal), found, focal).max() < 1e-3
    assert found[1:2].rotation == pytest.approx(true.rotation[1:2], abs=1e-6)


def test_the_movement_of_a_picture_is_measured_about_its_own_middle() -> None:
    aside = Lens(300.0, np.array([0.0, 135.0]), (480, 270))
    zoom = turn([0.0, 0.0, 0.0], np.log(1.1))
    x, y = np.array([48.0, 240.0, 432.0]), np.array([-108.0, 0.0, 108.0])
    wanted = 0.1 * np.sqrt((x**2).mean() + (y**2).mean())
    assert aside.apart(Turns.none(), zoom)[0] == pytest.approx(wanted)
    assert aside.apart(zoom, Turns.none())[0] == pytest.approx(wanted / 1.1), "back again"
    behind = aside.apart(Turns.none(), turn([0.0, 3.0, 0.0]))[0]
    assert behind == pytest.approx(480 * np.sqrt(2), rel=0.05), "as far as the picture is wide where nothing is in view"
