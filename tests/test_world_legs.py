"""Legs that reach for their contacts, and feet that stay in them."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import LENGTHS, REST, h36m, still
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import INDEX, ankle_height
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.rotations import pose_body, world_positions
from stpose_core.data import Array
from stpose_core.world.legs import plant, reach

FPS = 30.0
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


def test_a_contact_far_off_the_floor_is_not_believed() -> None:
    before, after = planted(0.6, 0.0)
    assert np.abs(after - before).max() < 0.06


def test_a_clip_too_short_to_show_who_stands_keeps_its_legs() -> None:
    before, after = planted(0.02, 0.0, frames=8)  # 0.27 s
    assert after == pytest.approx(before)
    before, after = planted(0.02, 0.0, frames=12)
    assert np.abs(after - before).max() > 0.01
