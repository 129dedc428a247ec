"""Feet, floor and legs in detail: each figure against a movement whose truth is known without the code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import LENGTHS, REST, body, h36m, still, walk
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import INDEX, ankle_height
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.frames import unit
from stpose_core.animate.rotations import pose_body, world_positions
from stpose_core.data import Array
from stpose_core.world import contacts as contact_network
from stpose_core.world import legs as legs_module
from stpose_core.world.contacts import NETWORK_FPS, Legs, decided, features, foot_probabilities, network_blocks, resampled, shown
from stpose_core.world.ground import clearance, floor_drift, floor_height, room_from_camera, stand
from stpose_core.world.legs import plant, reach
from stpose_core.world.rest import HEIGHTS, PARTS, resting
from stpose_core.world.solve import Stiffness, settle
from stpose_core.world.travel import legs_of, travel

FPS = 30.0
MIDDLE = slice(30, 60)


def strider() -> Legs:
    """Somebody who faces +z and the camera. The left ankle moves by (0.3, 0.1, -0.5) m/s, the right one stands still; the left knee
    moves by 0.8 m/s upwards, the pelvis by (0.2, 0, 0.1) m/s. In the middle, at 1.5 s, all is at the places below."""
    at = (np.arange(91) - 45)[:, None] / FPS

    def moving(place: tuple[float, float, float], velocity: tuple[float, float, float]) -> Array:
        return np.array(place) + at * np.array(velocity)

    pelvis = moving((0.0, 0.9, 0.0), (0.2, 0.0, 0.1))
    hips = np.stack([pelvis + [0.1, 0.0, 0.0], pelvis - [0.1, 0.0, 0.0]], axis=1)
    knees = np.stack([moving((0.1, 0.5, 0.2), (0.0, 0.8, 0.0)), moving((-0.1, 0.45, 0.05), (0.0, 0.0, 0.0))], axis=1)
    ankles = np.stack([moving((0.12, 0.15, 0.3), (0.3, 0.1, -0.5)), moving((-0.1, 0.02, -0.1), (0.0, 0.0, 0.0))], axis=1)
    return Legs(pelvis, hips, knees, ankles, np.tile([0.0, 0.0, -1.0], (91, 1)), 0.85)


def test_the_features_of_a_known_stride() -> None:
    left, right = features(strider(), FPS)[45]
    slow = 0.05
    across, body = np.hypot(0.3, 0.1), np.log([0.2 + slow, 0.1 + slow])
    place, other = np.array([0.12, -0.75, 0.3]), np.array([-0.1, -0.88, -0.1])
    expected = [
        *np.log([across + slow, 0.5 + slow, slow, slow]),
        *(0.1, 0.0),  # rising
        *(0.15, 0.02),  # heights
        *(0.13, 0.0),  # above the lowest place nearby
        np.log(0.8 + 0.1),
        *(place[2], other[2]),
        place[0],  # outward
        place[1],
        *(-0.5 - 0.1, -0.1),  # passing the pelvis, forward
        np.linalg.norm([0.02, 0.75, 0.3]),
        *(0.2 - 0.3, 0.0 - 0.2),  # of shin and thigh, forward
        *body,
    ]
    assert left == pytest.approx(expected, abs=2e-3)
    swapped = [2, 3, 0, 1, 5, 4, 7, 6, 9, 8]
    assert right[:10] == pytest.approx(left[swapped], abs=1e-9)
    assert right[[10, 11, 12, 13]] == pytest.approx([np.log(0.1), other[2], place[2], 0.1], abs=2e-3)
    assert right[[15, 16, 17, 18, 19]] == pytest.approx([-0.1, -0.6, np.hypot(0.88, 0.1), 0.15, -0.05], abs=2e-3)


def test_features_depend_neither_on_the_size_nor_the_side_nor_the_heading() -> None:
    legs = strider()
    same = features(legs, FPS)
    large = Legs(*(2 * part for part in (legs.pelvis, legs.hips, legs.knees, legs.ankles)), legs.ray, 2 * legs.length)
    assert np.allclose(features(large, FPS), same)
    assert not np.allclose(features(replace(large, length=legs.length), FPS), same), "control: twice the size of the same length"
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = Legs(legs.pelvis * flip, *((part * flip)[:, ::-1] for part in (legs.hips, legs.knees, legs.ankles)), legs.ray, 0.85)
    assert np.allclose(features(mirrored, FPS)[:, ::-1], same)
    turn = Rotation.from_rotvec([0.0, 1.1, 0.0]).as_matrix().T
    turned = Legs(*(part @ turn for part in (legs.pelvis, legs.hips, legs.knees, legs.ankles, legs.ray)), 0.85)
    assert np.allclose(features(turned, FPS), same)
    assert np.allclose(features(legs.at(np.tile([3.0, 0.0, -7.0], (91, 1))), FPS), same)


def test_the_ground_under_a_foot_is_looked_for_within_half_a_second() -> None:
    legs = strider()
    heights = np.where(np.arange(91) < 45, 0.0, 0.2)
    ankles = legs.ankles.copy()
    ankles[..., 1] = heights[:, None]
    above = features(replace(legs, ankles=ankles), FPS)[:, 0, 8]
    assert (above[:45] == 0).all()
    assert above[45:59] == pytest.approx(0.2)
    assert (above[61:] == 0).all()
    ankles[..., 1] = 5 * heights[:, None]
    assert features(replace(legs, ankles=ankles), FPS)[50, 0, 8] == pytest.approx(0.3), "and no further up than 0.3 m"


@pytest.mark.parametrize("fps", [24.0, 30.0, 50.0, 120.0])
def test_contacts_do_not_depend_on_the_blocks(fps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    joints = h36m(walk(8.0, fps))
    hips, knees, ankles = joints[:, [4, 1]], joints[:, [5, 2]], joints[:, [6, 3]]
    legs = Legs(joints[:, 0], hips, knees, ankles - [0.0, 0.07, 0.0], np.tile([0.0, 0.0, -1.0], (len(joints), 1)), 0.83)
    whole = foot_probabilities(legs, fps)
    assert np.ptp(whole, axis=0).min() > 0.5, "control: contacts come and go"
    monkeypatch.setattr(contact_network, "BLOCK", 37)
    np.testing.assert_array_equal(foot_probabilities(legs, fps), whole)
    monkeypatch.setattr(contact_network, "network_blocks", lambda frames, fps, reach: network_blocks(frames, fps, 0))
    assert np.abs(foot_probabilities(legs, fps) - whole).max() > 1e-3, "control: without the frames around a block"


@pytest.mark.parametrize(("frames", "fps"), [(1, 30.0), (2, 30.0), (500, 30.0), (333, 24.0), (700, 59.94)])
def test_blocks_cover_the_clip_once(frames: int, fps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_network, "BLOCK", 50)
    values = np.arange(frames, dtype=float)
    parts = [resampled(values[chosen], at)[kept] for chosen, at, kept in network_blocks(frames, fps, 7)]
    joined = np.concatenate(parts)
    times = np.arange(len(joined)) * fps / NETWORK_FPS
    assert joined == pytest.approx(np.minimum(times, frames - 1))
    assert len(joined) == max(2, round((frames - 1) * NETWORK_FPS / fps) + 1)
    assert all(len(part) <= 50 for part in parts)


def test_values_between_frames_lie_on_straight_lines() -> None:
    values = np.array([[0.0, 10.0], [2.0, 20.0], [8.0, 0.0]])
    np.testing.assert_allclose(resampled(values, np.array([-1.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0])),
        [[0, 10], [0, 10], [0.5, 12.5], [2, 20], [5, 10], [8, 0], [8, 0]])  # fmt: skip
    np.testing.assert_allclose(resampled(values[:1], np.array([0.0, 3.0])), [[0, 10], [0, 10]])


def test_a_contact_begins_and_ends_at_different_probabilities() -> None:
    wave = np.array([0.1, 0.4, 0.6, 0.4, 0.35, 0.25, 0.4, 0.5, 0.51, 0.3, 0.29])[:, None]
    assert decided(wave)[:, 0].tolist() == [False, False, True, True, True, False, False, False, True, True, False]
    assert decided(wave, 0.3, 0.15)[:, 0].tolist() == [False] + [True] * 10
    assert decided(np.array([[0.45], [0.45], [0.2]]))[:, 0].tolist() == [False, False, False]
    assert shown(wave)[:, 0] == pytest.approx([0.1, 0.4, 0.6, 0.51, 0.51, 0.25, 0.4, 0.49, 0.51, 0.51, 0.29])


def test_who_holds_a_foot_up_high_does_not_stand_on_it() -> None:
    heights = np.concatenate([np.zeros(60), np.linspace(0, 0.29, 15), np.full(120, 0.29)])
    ankles = np.zeros((len(heights), 2, 3)) + np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    ankles[:, 0, 1] = heights
    pelvis = np.tile([0.0, 0.82, 0.0], (len(heights), 1))
    hips = pelvis[:, None] + np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    legs = Legs(pelvis, hips, (hips + ankles) / 2 + [0, 0, 0.03], ankles, np.tile([0.0, 0.0, -1.0], (len(heights), 1)), 0.85)
    chance = foot_probabilities(legs, FPS)
    assert (chance[90:, :2] == 0).all()
    assert chance[:50].min() > 0.5
    assert chance[:, 2:].min() > 0.5


@pytest.mark.parametrize("lean", [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.0, -0.3), (0.5, 0.0, 0.2)])
def test_up_is_up_in_the_room_and_ahead_of_the_camera_stays_ahead(lean: tuple[float, float, float]) -> None:
    up = Rotation.from_rotvec(lean).apply([0.0, -1.0, 0.0])
    room = room_from_camera(3.0 * up)
    assert room @ up == pytest.approx([0.0, 1.0, 0.0])
    assert room @ room.T == pytest.approx(np.eye(3))
    assert np.linalg.det(room) == pytest.approx(1.0)
    assert (room @ [0.0, 0.0, 1.0])[2] < -0.8
    assert (room @ [1.0, 0.0, 0.0])[0] > 0.9


def test_where_gravity_is_unknown_the_camera_counts_as_level() -> None:
    for up in (np.zeros(3), np.full(3, np.nan)):
        assert room_from_camera(up) == pytest.approx(np.diag([1.0, -1.0, -1.0]))


def test_a_standing_body_rests_on_its_ankles_and_a_lying_one_on_its_trunk() -> None:
    ankle = ankle_height(LENGTHS)
    joints = h36m(still(3))
    joints[..., 1] += ankle - joints[..., [3, 6], 1].min()
    height, part = clearance(joints, ankle)
    assert height == pytest.approx(np.zeros(3), abs=1e-9)
    assert set(part) <= {3, 6}
    assert clearance(joints + [0.0, 0.2, 0.0], ankle)[0] == pytest.approx(np.full(3, 0.2))
    # On the back the shoulders, hips and pelvis lie half a trunk's depth above the floor: about 10 cm.
    back = joints @ Rotation.from_rotvec([-np.pi / 2, 0.0, 0.0]).as_matrix().T
    back[..., 1] += 0.10 - back[:, :1, 1]
    height, part = clearance(back, ankle)
    assert np.abs(height).max() < 0.05
    joints[:, 13] = [0.5, -0.4, 0.0]  # a hand below everything
    assert clearance(joints, ankle)[1].tolist() == [13, 13, 13]


def test_the_floor_is_where_the_body_comes_lowest_but_for_a_few_frames() -> None:
    lowest = np.concatenate([np.full(4, -0.5), np.linspace(0.0, 1.0, 96)])
    assert 0.0 <= floor_height(lowest) < 0.02
    assert floor_height(np.concatenate([np.full(7, -0.5), np.linspace(0.0, 1.0, 93)])) == pytest.approx(-0.5)


def test_what_floats_for_long_is_an_error_unless_it_is_a_step_high() -> None:
    frames = np.ones(150)
    assert 0.085 < floor_drift(0.1 * frames, FPS).min() <= floor_drift(0.1 * frames, FPS).max() <= 0.1
    assert floor_drift(-0.1 * frames, FPS) == pytest.approx(-floor_drift(0.1 * frames, FPS))
    assert floor_drift(0.05 * frames, FPS) == pytest.approx(0.05 * frames, rel=0.04)
    assert 0.09 < floor_drift(0.2 * frames, FPS).mean() < 0.13
    assert floor_drift(0.4 * frames, FPS).max() < 1e-9
    assert floor_drift(0.9 * frames, FPS).max() < 1e-9
    jump = np.where(np.abs(np.arange(150) - 75) < 0.25 * FPS, 0.3, 0.0)
    assert np.abs(floor_drift(jump, FPS)).max() < 1e-9, "a jump of half a second"
    long = np.where(np.abs(np.arange(150) - 75) < FPS, 0.1, 0.0)
    assert 0.05 < floor_drift(long, FPS)[75] < 0.1
    assert np.abs(floor_drift(long, FPS)[[20, 130]]).max() < 1e-3
    fast = floor_drift(np.repeat(long, 2), 2 * FPS)
    assert fast[::2] == pytest.approx(floor_drift(long, FPS), abs=0.01)


def test_only_frames_in_which_the_lowest_part_was_seen_tell_where_the_floor_is() -> None:
    lowest, seen = np.full(120, 0.3), np.ones(120, bool)
    lowest[:40], seen[:40] = -0.6, False
    down = stand(lowest, seen, FPS)
    assert down[40:] == pytest.approx(np.full(80, 0.3))
    assert down[:40] == pytest.approx(np.full(40, -0.6)), "nothing sinks below the floor"
    lowest[:40] = 0.9
    assert stand(lowest, seen, FPS)[:40] == pytest.approx(np.full(40, 0.3)), "nor is the floor where a guess ends"
    seen[:] = False
    seen[50:58] = True  # 0.27 s are too few
    lowest[50:58] = 5.0
    assert stand(lowest, seen, FPS).max() < 1.0
    seen[50:60] = True
    lowest[50:60] = 0.1
    assert stand(lowest, seen, FPS)[50:60] == pytest.approx(np.full(10, 0.1)), "0.33 s are enough"
    floats = np.concatenate([np.zeros(100), np.full(100, 0.1)])
    assert np.ptp(stand(floats, np.ones(200, bool), FPS, steady=False)) == 0
    assert np.ptp(stand(floats, np.ones(200, bool), FPS)) > 0.08


def test_slow_parts_rest_fast_ones_do_not_and_a_touch_is_short() -> None:
    parts = np.zeros((90, len(PARTS), 3))
    parts[..., 1] = HEIGHTS
    soles = np.zeros((90, 2, 3))
    along = np.arange(90)[:, None] / FPS

    def rests(speed: float) -> float:
        moving = parts.copy()
        moving[..., 0] = speed * along
        return float(resting(moving, soles, FPS)[MIDDLE].mean())

    assert rests(0.0) == pytest.approx(1.0)
    assert rests(0.1) > 0.9
    assert 0.2 < rests(0.4) < 0.6
    assert rests(1.0) < 0.01
    assert resting(parts[:1], soles[:1], FPS) == pytest.approx(np.ones((1, len(PARTS))))
    lifted = parts.copy()
    lifted[:, 0, 1] += 1.0
    lifted[45, 0, 1] -= 1.0
    assert resting(lifted, soles, FPS)[:, 0].max() < 0.3
    up = parts.copy()
    up[45:, :, 1] += 0.5
    block = soles.copy()
    block[45:, :, 1] += 0.5
    later = resting(up, block, FPS)
    assert later[51:55].max() < 0.05, "above what was the ground just before"
    assert later[70:].min() > 0.9, "on the block"


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
    points = np.ones((2, 1, 3))
    assert (
        settle(points, np.ones((2, 1)), np.zeros(1), np.tile(np.eye(3), (2, 1, 1)), Stiffness(0.1, 0.1, 1.0, 1.0), FPS) == 0
    ).all()


HIP = np.zeros((1, 3))
FRONT = np.array([[0.0, 0.0, 1.0]])


def leg(degrees: float) -> tuple[Array, Array]:
    """Knee and ankle of a leg of 0.4 + 0.4 m that hangs down and is bent by so many degrees, the knee to the front."""
    half = np.radians(degrees) / 2
    return np.array([[0.0, -0.4 * np.cos(half), 0.4 * np.sin(half)]]), np.array([[0.0, -0.8 * np.cos(half), 0.0]])


def bent(hip: Array, knee: Array, ankle: Array) -> float:
    """Degrees."""
    upper, lower = (knee - hip)[0], (ankle - knee)[0]
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower)), upper @ lower)))


@pytest.mark.parametrize("degrees", [20.0, 60.0, 110.0])
def test_a_knee_bends_as_far_as_the_goal_asks_and_by_no_more_than_14_degrees(degrees: float) -> None:
    knee, ankle = leg(degrees)
    for more in (-4.0, 4.0):
        goal = leg(degrees + more)[1]
        moved, end = reach(HIP, knee, ankle, goal, FRONT, np.radians([degrees]))
        assert bent(HIP, moved, end) == pytest.approx(degrees + more, abs=0.15)
    for goal, way in ((0.5 * ankle, 1.0), (1.5 * ankle, -1.0)):
        moved, end = reach(HIP, knee, ankle, goal, FRONT, np.radians([degrees]))
        assert 12.0 < way * (bent(HIP, moved, end) - degrees) <= 14.0 + 1e-6
        assert end[0] / np.linalg.norm(end) == pytest.approx(goal[0] / np.linalg.norm(goal)), "in the goal's direction"


def test_a_leg_that_may_not_straighten_turns_to_a_far_goal_and_bends_to_a_near_one() -> None:
    knee, ankle = leg(40.0)
    far, near = leg(34.0)[1] + [0.05, 0.0, 0.0], leg(46.0)[1]
    moved, end = reach(HIP, knee, ankle, far, FRONT, np.radians([40.0]), straighter=np.zeros(1))
    assert bent(HIP, moved, end) == pytest.approx(40.0, abs=1e-3)
    assert unit(end) == pytest.approx(unit(far))
    moved, end = reach(HIP, knee, ankle, near, FRONT, np.radians([40.0]), straighter=np.zeros(1))
    assert bent(HIP, moved, end) == pytest.approx(46.0, abs=0.4)
    assert bent(HIP, *reach(HIP, knee, ankle, far, FRONT, np.radians([40.0]))) < 36.0, "control: as if it stood"


def test_a_leg_turns_to_a_goal_aside_with_its_knee() -> None:
    knee, ankle = leg(40.0)
    turn = Rotation.from_rotvec([0.0, 0.0, 0.3]).as_matrix().T
    moved, end = reach(HIP, knee, ankle, ankle @ turn, FRONT, np.radians([40.0]))
    assert moved == pytest.approx(knee @ turn)
    assert end == pytest.approx(ankle @ turn)


def test_a_straight_leg_that_bends_backwards_by_a_hair_bends_to_the_front() -> None:
    knee, ankle = leg(4.0)
    moved, _ = reach(HIP, knee * [1.0, 1.0, -1.0], ankle, 0.99 * ankle, FRONT, np.radians([4.0]))
    assert moved[0, 2] > 0
    knee, ankle = leg(30.0)
    moved, _ = reach(HIP, knee * [1.0, 1.0, -1.0], ankle, 0.99 * ankle, FRONT, np.radians([30.0]))
    assert moved[0, 2] < 0, "a bent knee is where it is"


def planted(lift: float, slide: float, frames: int = 60) -> tuple[Array, Array]:
    """The ankles (T, 2, 3) of a standing body before and after its feet, in contact all the time, are held."""
    ankle = ankle_height(LENGTHS)
    bones = bone_vectors(h36m(still(frames)))
    body = pose_body(bones, LENGTHS, REST, FPS)
    root = np.zeros((frames, 3))
    root[:, 1] = ankle - world_positions(body, root)[0, INDEX["LeftFoot"], 1] + lift
    root[:, 0] = slide * np.sin(np.arange(frames) / 4.0)
    feet = [INDEX["LeftFoot"], INDEX["RightFoot"]]
    before = world_positions(body, root)[:, feet]
    root = plant(body, root, np.ones((frames, 4)), ankle, FPS)
    if lift < 0.1:
        flat = body["LeftFoot"][:, :, 1]
        assert flat == pytest.approx(np.tile([0.0, 1.0, 0.0], (frames, 1)), abs=0.12), "a foot that stands is flat"
        assert body["LeftFoot"][:, 2, 2].min() > 0.95, "and points ahead"
    assert body["LeftToeBase"] == pytest.approx(body["LeftFoot"])
    return before, world_positions(body, root)[:, feet]


def test_feet_that_hover_or_slide_a_little_are_held_on_the_floor() -> None:
    ankle = ankle_height(LENGTHS)
    before, after = planted(0.02, 0.02)
    assert np.abs(before[..., 1] - ankle).max() > 0.019
    assert np.abs(after[10:-10, :, 1] - ankle).max() < 0.008
    slid = [np.abs(np.diff(feet[..., 0], axis=0))[10:-10].mean() for feet in (before, after)]
    assert slid[1] < 0.15 * slid[0]


def test_a_leg_that_swings_between_two_low_stances_keeps_its_bend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The left foot hovers where it stands, so that the goal of its swing lies lower than the foot, too."""
    ankle, frames = ankle_height(LENGTHS), 60
    at, swing = np.arange(frames), (np.arange(frames) >= 20) & (np.arange(frames) < 38)
    lifted = np.where(swing, np.sin(np.pi * (at - 19) / 19), 0.0)
    folds = {"LeftUpLeg": -0.35 - 0.1 * lifted, "LeftLeg": 0.7 + 0.2 * lifted, "RightUpLeg": -0.2, "RightLeg": 0.4}
    turns = {name: np.stack([np.broadcast_to(angle, frames), 0 * at, 0 * at], axis=1) for name, angle in folds.items()}
    bones = bone_vectors(h36m(body(turns, np.zeros((frames, 3)), FPS)))
    contacts = np.ones((frames, 4))
    contacts[swing, :2] = 0.0

    def straightened() -> float:
        """Degrees by which the swinging knee loses of its bend, mean over the swing."""
        posed = pose_body(bones, LENGTHS, REST, FPS)
        bends = []
        root = np.zeros((frames, 3))
        root[:, 1] = ankle - world_positions(posed, root)[:, INDEX["RightFoot"], 1].mean()
        for _ in range(2):
            places = world_positions(posed, root)
            upper, lower = (
                places[:, INDEX[b]] - places[:, INDEX[a]] for a, b in (("LeftUpLeg", "LeftLeg"), ("LeftLeg", "LeftFoot"))
            )
            bends.append(np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=1), (upper * lower).sum(1))))
            root = plant(posed, root, contacts, ankle, FPS) if len(bends) == 1 else root
        return float((bends[0] - bends[1])[swing].mean())

    assert straightened() < 1.0
    monkeypatch.setattr(legs_module, "_GRIP_HERTZ", 1e-2)
    assert straightened() > 1.5, "control: a leg that gives way in the air as on the floor"


def test_a_contact_far_off_the_floor_is_not_believed() -> None:
    before, after = planted(0.6, 0.0)
    assert np.abs(after - before).max() < 0.06


def test_a_clip_too_short_to_show_who_stands_keeps_its_legs() -> None:
    before, after = planted(0.02, 0.0, frames=8)  # 0.27 s
    assert after == pytest.approx(before)
    before, after = planted(0.02, 0.0, frames=12)
    assert np.abs(after - before).max() > 0.01


def stander(root: Array, ankles: Array | None = None) -> tuple[Legs, Array]:
    """Legs and other parts, relative to the pelvis, of somebody upright whose pelvis is at `root` (T, 3), 0.9 m above the floor.

    ankles: (T, 2, 3) in the room; by default they keep their place below the pelvis.
    """
    frames = len(root)
    side = np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    feet = np.tile(side - [0.0, 0.9, 0.0], (frames, 1, 1)) if ankles is None else ankles - root[:, None]
    hips = np.tile(side - [0.0, 0.05, 0.0], (frames, 1, 1))
    knees = (hips + feet) / 2 + [0.0, 0.0, 0.05]
    upper = [[0, 0, 0], [0, 0.4, 0], [0, 0.65, 0]], [[0.2, 0.2, 0], [-0.2, 0.2, 0], [0.25, -0.05, 0.1], [-0.25, -0.05, 0.1]]
    parts = np.concatenate([np.tile(upper[0], (frames, 1, 1)), knees, np.tile(upper[1], (frames, 1, 1))], axis=1)
    return Legs(np.zeros_like(root), hips, knees, feet, np.tile([0.0, 0.0, -1.0], (frames, 1)), 0.85), parts


def test_who_sways_on_standing_feet_is_left_to_sway() -> None:
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    root[:, 0] += 0.05 * np.sin(np.pi * np.arange(120) / FPS)
    legs, parts = stander(root, np.tile([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]], (120, 1, 1)))
    moved, contacts = travel(legs, parts, root, np.full(120, 4.0), np.ones((120, 2), bool), np.zeros(120), FPS)
    assert contacts.min() > 0.5
    assert moved == pytest.approx(root, abs=0.005)


def test_who_stands_stays_though_the_picture_drifts_unless_the_feet_are_not_seen() -> None:
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    root[:, 0] += np.linspace(0.0, 0.2, 120)
    legs, parts = stander(root)
    distance, carry = np.full(120, 4.0), np.zeros(120)

    def drift(seen: bool, given: Array | None = None) -> tuple[float, Array]:
        moved, contacts = travel(legs, parts, root, distance, np.full((120, 2), seen), carry, FPS, given)
        return float(np.ptp(moved[:, 0])), contacts

    held, contacts = drift(True)
    assert held < 0.02
    assert contacts.min() > 0.5
    free, unseen = drift(False)
    assert free > 0.18
    assert 0 < unseen.max() <= 0.2
    _, mixed = drift(True, np.tile([0.0, 0.0, np.nan, np.nan], (120, 1)))
    assert mixed[:, :2] == pytest.approx(contacts[:, :2] / 2, abs=0.02)
    assert mixed[:, 2:] == pytest.approx(contacts[:, 2:], abs=0.02)


def test_only_the_feet_show_the_path_where_the_camera_is_carried_along() -> None:
    true = walk(4.0)
    joints = h36m(true)
    pelvis = joints[:, 0]
    relative = joints - pelvis[:, None]
    legs = Legs(
        np.zeros_like(pelvis), relative[:, [4, 1]], relative[:, [5, 2]], relative[:, [6, 3]] - [0.0, ankle_height(LENGTHS), 0.0],
        np.tile([0.0, 0.0, -1.0], (len(pelvis), 1)), 0.83,
    )  # fmt: skip
    parts = relative[:, [0, 8, 9, 5, 2, 12, 15, 13, 16]]
    seen, far = np.ones((len(pelvis), 2), bool), np.full(len(pelvis), 4.0)
    # The path that was estimated is 0.2 m/s too slow.
    slow = pelvis - np.arange(len(pelvis))[:, None] / FPS * [0.0, 0.0, 0.2]
    path = travel(legs, parts, slow, far, seen, np.ones(len(pelvis)), FPS)[0]
    assert (path[-10] - path[10])[2] == pytest.approx((pelvis[-10] - pelvis[10])[2], rel=0.05)
    fixed = travel(legs, parts, slow, far, seen, np.zeros(len(pelvis)), FPS)[0]
    assert (fixed[-10] - fixed[10])[2] < 0.95 * (pelvis[-10] - pelvis[10])[2], "control: a camera that stays"


def test_the_legs_of_a_body_are_those_of_its_joints() -> None:
    joints = h36m(still(4))
    body, ankle = pose_body(bone_vectors(joints), LENGTHS, REST, FPS), ankle_height(LENGTHS)
    rays = np.array([0.3, 1.0, -4.0]) * np.arange(1, 5)[:, None]
    legs, parts = legs_of(body, rays, ankle)
    places = world_positions(body, np.zeros((4, 3)))
    for column, side in enumerate(("Left", "Right")):
        assert legs.hips[:, column] == pytest.approx(places[:, INDEX[side + "UpLeg"]])
        assert legs.knees[:, column] == pytest.approx(places[:, INDEX[side + "Leg"]])
        assert legs.ankles[:, column] + [0.0, ankle, 0.0] == pytest.approx(places[:, INDEX[side + "Foot"]])
    assert (legs.pelvis == 0).all()
    assert legs.length == pytest.approx(LENGTHS[[2, 3]].sum())
    assert legs.ray == pytest.approx(np.tile(rays[0] / np.linalg.norm(rays[0]), (4, 1)))
    assert parts.shape == (4, len(PARTS), 3)
    for column, name in enumerate(PARTS):
        assert parts[:, column] == pytest.approx(places[:, INDEX[name]])
