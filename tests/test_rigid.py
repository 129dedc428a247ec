"""The turn of a rigid shape in a picture: the least of its costs, how well it is known, and which of several answers goes on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_core.lift.rigid import Expected, Fitted, Shape, cheapest, fit

FPS = 30.0
BOX = 0.1 * np.array([[1, 0.5, 0.3], [-1, 0.6, 0.2], [0.2, -1, 0.5], [0.7, 0.1, -1], [-0.5, -0.4, -0.6], [0.1, 0.9, 0.9]])
PLACE = np.array([0.4, -0.3, 2.5])
NONE = np.eye(3)[None]


def turned(vectors: Array | list[list[float]]) -> Array:
    """(T, 3, 3) from rotation vectors in degrees."""
    return np.asarray(Rotation.from_rotvec(np.radians(vectors)).as_matrix())


def rays(turns: Array, place: Array = PLACE, points: Array = BOX) -> Array:
    there = points @ turns.transpose(0, 2, 1) + place
    return np.asarray(there[..., :2] / there[..., 2:])


def expected(turns: Array, spread: float | list[float] = 40.0, near: tuple[float, float] = (0.01, 0.02)) -> Expected:
    """spread: degrees."""
    return Expected(turns, np.radians(np.broadcast_to(spread, 3)), np.tile(PLACE, (len(turns), 1)), near)


def off(found: Fitted, true: Array) -> Array:
    """(T,) degrees."""
    return np.asarray(np.degrees((Rotation.from_matrix(true).inv() * Rotation.from_matrix(found.turns)).magnitude()))


def accuracy(frames: int, metres: float = 1e-4) -> Array:
    return np.full((frames, len(BOX)), metres)


@pytest.mark.parametrize("away", [10.0, 60.0, 110.0])
def test_points_that_are_seen_well_show_the_turn_and_the_place(away: float) -> None:
    true = turned(away * np.array([[0.6, 0.8, 0.0], [0.0, -0.6, 0.8], [1.0, 0.0, 0.0], [-0.5, 0.5, -0.7]]))
    moved = PLACE + [0.02, -0.01, 0.05]
    guess = expected(np.tile(np.eye(3), (4, 1, 1)), 90.0, (0.05, 0.2))
    found = fit(Shape(BOX), rays(true, moved), accuracy(4), guess, NONE, FPS)
    assert off(found, true).max() < 0.1
    assert found.place == pytest.approx(np.tile(moved, (4, 1)), abs=2e-3)
    assert found.turns @ found.turns.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (4, 1, 1)), abs=1e-9)


def test_the_answer_costs_least() -> None:
    random = np.random.default_rng(0)
    true, guess = turned([[12.0, -8.0, 5.0]]), turned([[8.0, -5.0, 9.0]])
    seen = rays(true, PLACE + [0.01, 0.0, -0.02]) + random.normal(0, 0.002, (1, 6, 2))
    seen[0, 0] += 0.05  # an outlier
    metres = random.uniform(0.003, 0.01, (1, 6))
    spread, near = np.radians([10.0, 20.0, 5.0]), (0.015, 0.04)
    found = fit(Shape(BOX), seen, metres, Expected(guess, spread, PLACE[None], near), NONE, FPS)
    along = PLACE / np.linalg.norm(PLACE)

    def cost(unknowns: Array) -> float:
        turn, place = Rotation.from_matrix(guess[0]) * Rotation.from_rotvec(unknowns[:3]), PLACE + unknowns[3:]
        there = turn.apply(BOX) + place
        size = np.linalg.norm(there[:, :2] / there[:, 2:] - seen[0], axis=1) * PLACE[2] / metres[0]
        huber = np.where(size > 2, 4 * size - 4, size**2).sum()  # quadratic up to two standard deviations, then linear
        shift = unknowns[3:] @ along
        across = np.linalg.norm(unknowns[3:] - shift * along)
        return float(huber + ((unknowns[:3] / spread) ** 2).sum() + (shift / near[1]) ** 2 + (across / near[0]) ** 2)

    at = np.append(
        (Rotation.from_matrix(guess[0]).inv() * Rotation.from_matrix(found.turns[0])).as_rotvec(), found.place[0] - PLACE
    )
    best = minimize(cost, at, method="BFGS", options={"gtol": 1e-8}).x
    assert np.degrees(at[:3]) == pytest.approx(np.degrees(best[:3]), abs=0.1)
    assert at[3:] == pytest.approx(best[3:], abs=2e-4)
    assert np.abs(at[:3]).max() > np.radians(1.0), "control: it is not the guess"


def test_the_standard_deviation_is_that_of_the_error() -> None:
    random, frames = np.random.default_rng(1), 300
    for metres in (0.002, 0.006):
        true = np.tile(turned([[20.0, 30.0, -10.0]]), (frames, 1, 1))
        seen = rays(true) + random.normal(0, metres / PLACE[2], (frames, 6, 2))
        found = fit(Shape(BOX), seen, accuracy(frames, metres), expected(true, 1000.0, (1e-4, 1e-4)), NONE, FPS)
        error = (Rotation.from_matrix(true).inv() * Rotation.from_matrix(found.turns)).as_rotvec()
        assert np.sqrt((error**2).mean()) == pytest.approx(found.sigma.mean(), rel=0.1)


def test_what_is_not_seen_stays_as_the_body_has_it() -> None:
    guess, true = turned([[5.0, 0.0, 0.0]] * 2), turned([[30.0, 20.0, 0.0]] * 2)
    seen, metres = rays(true), accuracy(2)
    metres[1], seen[1] = np.inf, np.nan
    found = fit(Shape(BOX), seen, metres, expected(guess, [30.0, 20.0, 10.0]), NONE, FPS)
    assert off(found, true)[0] < 0.5
    assert found.turns[1] == pytest.approx(guess[1])
    assert found.place[1] == pytest.approx(PLACE)
    assert found.sigma[1] == pytest.approx(np.radians(np.sqrt((30.0**2 + 20.0**2 + 10.0**2) / 3)))
    few = accuracy(1)
    few[0, 2:] = np.inf
    assert fit(Shape(BOX), rays(true[:1]), few, expected(guess[:1]), NONE, FPS).sigma[0] > 3 * found.sigma[0], "two points say less"


def test_each_axis_gives_way_as_far_as_its_spread_allows() -> None:
    true = turned([[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 20.0]])
    guess = expected(np.tile(np.eye(3), (3, 1, 1)), [60.0, 60.0, 0.5])
    found = fit(Shape(BOX), rays(true), accuracy(3, 0.003), guess, NONE, FPS)
    assert off(found, true)[:2].max() < 1.0
    assert off(found, true)[2] > 10.0


def test_the_place_gives_way_across_the_ray_and_along_it_as_far_as_it_is_known_badly() -> None:
    true = np.tile(np.eye(3), (2, 1, 1))
    along = PLACE / np.linalg.norm(PLACE)
    across = np.cross(along, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    moved = PLACE + 0.05 * np.stack([across, along])
    seen = np.concatenate([rays(true[:1], moved[0]), rays(true[:1], moved[1])])
    for near, follows in (((0.5, 0.5), (True, True)), ((0.5, 1e-4), (True, False)), ((1e-4, 0.5), (False, True))):
        found = fit(Shape(BOX), seen, accuracy(2), expected(true, 0.1, near), NONE, FPS)
        shares = [(found.place[row] - PLACE) @ way / 0.05 for row, way in enumerate((across, along))]
        assert [share > 0.9 for share in shares] == list(follows)
        assert [share < 0.1 for share in shares] == [not follow for follow in follows]


def test_a_point_that_is_far_off_counts_little() -> None:
    true = turned([[15.0, 10.0, 0.0]])
    wrong = rays(true)
    wrong[0, 1] += [0.05, -0.04]  # 16 cm at the person, 50 standard deviations
    found = fit(Shape(BOX), wrong, accuracy(1, 0.003), expected(true, 60.0), NONE, FPS)
    assert off(found, true)[0] < 4.0
    slightly = rays(true)
    slightly[0, 1] += [0.001, 0.0]
    assert off(fit(Shape(BOX), slightly, accuracy(1, 0.003), expected(true, 60.0), NONE, FPS), true)[0] > 0.1, "control: it counts"


@pytest.mark.parametrize("column", range(6))
def test_a_point_on_the_far_side_of_a_solid_is_a_guess(column: int) -> None:
    true = turned([[10.0, 15.0, 0.0]])
    wrong = rays(true)
    wrong[0, column] += [0.0012, 0.0008]

    def error(shape: Shape) -> float:
        return float(off(fit(shape, wrong, accuracy(1, 0.01), expected(true, 60.0), NONE, FPS), true)[0])

    out = np.tile([0.0, 0.0, -1.0], (6, 1))  # towards the camera
    assert error(Shape(BOX, out)) == pytest.approx(error(Shape(BOX)), rel=0.01)
    out[column] = [0.0, 0.0, 1.0]
    assert 0.005 < error(Shape(BOX, out)) < 0.25 * error(Shape(BOX))


def test_a_point_at_the_edge_of_a_solid_counts_half() -> None:
    def sigma(degrees: float) -> float:
        """Of a shape whose points look out at this angle to the ray, all of them alike."""
        ray, across = PLACE / np.linalg.norm(PLACE), np.cross(PLACE, [0.0, 1.0, 0.0])
        out = -np.cos(np.radians(degrees)) * ray + np.sin(np.radians(degrees)) * across / np.linalg.norm(across)
        still = np.eye(3)[None]
        guess = expected(still, 1000.0, (1e-4, 1e-4))
        return float(fit(Shape(BOX, np.tile(out, (6, 1))), rays(still), accuracy(1, 0.01), guess, NONE, FPS).sigma[0])

    front, side, back = sigma(70.0), sigma(90.0), sigma(110.0)
    assert sigma(0.0) == pytest.approx(front, rel=0.01)
    assert side == pytest.approx(front * np.sqrt(1 / 0.525), rel=0.02)
    assert back == pytest.approx(front * np.sqrt(1 / 0.05), rel=0.05)


def test_of_several_starts_the_one_with_the_least_cost_is_taken() -> None:
    flat = BOX * [1.0, 1.0, 0.0]
    true = turned([[0.0, 50.0, 0.0]])
    near = np.array([0.0, 0.0, 0.7])
    starts = turned([[0.0, -50.0, 0.0], [0.0, 40.0, 0.0], [0.0, 150.0, 0.0]])
    guess = Expected(np.eye(3)[None], np.radians([20.0, 90.0, 20.0]), near[None], (0.005, 0.005))
    for order in itertools.permutations(range(3)):
        found = fit(Shape(flat), rays(true, near, flat), accuracy(1, 0.002), guess, starts[list(order)], FPS)
        assert off(found, true)[0] < 1.0
    assert off(fit(Shape(flat), rays(true, near, flat), accuracy(1, 0.002), guess, starts[:1], FPS), true)[0] > 60.0, (
        "the other one"
    )


@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_the_cheapest_sequence_is_that_of_all_sequences(fps: float) -> None:
    """Turning costs the square of its share of 6 rad/s, 8 at most."""
    random, frames = np.random.default_rng(int(fps)), range(1, 5)
    for _ in range(5):
        costs = random.uniform(0, 12, (5, 3))
        turns = Rotation.from_rotvec(random.normal(0, 4 / fps, (15, 3))).as_matrix().reshape(5, 3, 3, 3)
        angle = np.arccos(np.clip((np.einsum("tkij,tlij->tkl", turns[:-1], turns[1:]) - 1) / 2, -1, 1))
        between = np.minimum((angle * fps / 6.0) ** 2, 8.0)

        def whole(path: tuple[int, ...]) -> float:
            return float(costs[range(5), path].sum() + sum(between[t - 1, path[t - 1], path[t]] for t in frames))  # noqa: B023

        best = min(itertools.product(range(3), repeat=5), key=whole)
        assert cheapest(costs, turns, fps).tolist() == list(best)


def test_an_answer_that_is_much_better_is_worth_a_jump() -> None:
    turns = np.stack([np.tile(np.eye(3), (20, 1, 1)), np.tile(turned([[0.0, 80.0, 0.0]]), (20, 1, 1))], axis=1)
    costs = np.zeros((20, 2))
    costs[:10, 1] = 1.0
    for gain, jumps in ((0.7, False), (0.9, True)):  # over ten frames 7 and 9
        costs[10:, 0] = gain
        assert (cheapest(costs, turns, FPS)[-1] == 1) == jumps
    assert cheapest(costs[:1], turns[:1], FPS).tolist() == [0]
