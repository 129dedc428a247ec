"""Parts of the body other than the feet that rest on the floor."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.data import Array
from stpose_core.world.rest import HEIGHTS, PARTS, resting
from stpose_core.world.solve import Stiffness, settle

FPS = 30.0
SEAT = list(PARTS).index("Hips")


def sitting(frames: int = 60, height: float = 0.0, speed: float = 0.0) -> tuple[Array, Array]:
    """Parts (T, P, 3) of a person who sits upright with legs stretched out, and soles (T, 2, 3)."""
    parts = np.zeros((frames, len(PARTS), 3))
    parts[..., 1] = HEIGHTS
    parts[:, 1:3, 1] += 0.5
    parts[:, 5:, 1] += 0.3
    parts[..., 1] += height
    parts[..., 0] = speed * np.arange(frames)[:, None] / FPS
    soles = np.zeros((frames, 2, 3))
    soles[..., 2], soles[..., 0] = 0.9, parts[:, :1, 0]
    return parts, soles


def test_the_seat_of_a_sitting_person_rests_and_the_head_does_not() -> None:
    likely = resting(*sitting(), FPS)
    assert likely[:, SEAT].min() > 0.9
    assert likely[:, list(PARTS).index("Head")].max() < 0.01
    assert likely[:, list(PARTS).index("LeftHand")].max() < 0.01


def test_neither_a_person_above_the_ground_nor_one_who_moves_rests() -> None:
    assert resting(*sitting(height=0.5), FPS)[:, SEAT].max() < 0.01
    assert resting(*sitting(speed=1.5), FPS)[:, SEAT].max() < 0.01


def test_a_seat_that_creeps_stays_in_place() -> None:
    parts, soles = sitting(speed=0.1)  # 20 cm in two seconds
    known = np.tile(np.eye(3) / 0.05**2, (len(parts), 1, 1))
    stiffness = Stiffness(speed=0.01, height=0.03, acceleration=4.0, slip=0.4)
    on = resting(parts, soles, FPS)
    moved = parts + settle(parts, on, HEIGHTS, known, stiffness, FPS)[:, None]
    assert np.ptp(moved[:, SEAT, 0]) < 0.03
    free = parts + settle(parts, 0 * on, HEIGHTS, known, stiffness, FPS)[:, None]
    assert np.ptp(free[:, SEAT, 0]) > 0.15, "control: nothing rests, and the seat creeps"


@pytest.mark.parametrize("part", list(PARTS))
def test_each_part_rests_near_the_lowest_one_and_not_higher(part: str) -> None:
    column = list(PARTS).index(part)
    parts, soles = sitting()
    for height, rests in ((0.0, True), (0.35, False)):
        parts[:, column, 1] = HEIGHTS[column] + height
        assert (resting(parts, soles, FPS)[:, column].min() > 0.5) == rests
        assert rests or resting(parts, soles, FPS)[:, column].max() < 0.02


def test_slow_parts_rest_fast_ones_do_not_and_a_touch_is_short() -> None:
    parts = np.zeros((90, len(PARTS), 3))
    parts[..., 1] = HEIGHTS
    soles = np.zeros((90, 2, 3))
    along = np.arange(90)[:, None] / FPS

    def rests(speed: float) -> float:
        moving = parts.copy()
        moving[..., 0] = speed * along
        return float(resting(moving, soles, FPS)[30:60].mean())

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


def test_joints_lie_half_the_thickness_of_their_part_above_the_floor() -> None:
    assert all(0.02 <= height <= 0.1 for height in HEIGHTS)
    height = dict(zip(PARTS, HEIGHTS))
    assert height["Hips"] == height["UpperChest"] > height["Head"] > height["LeftLeg"] > height["LeftForeArm"] > height["LeftHand"]
    assert all(height[name] == height[name.replace("Left", "Right")] for name in PARTS)


def test_limbs_have_to_be_nearer_to_the_ground_than_the_trunk() -> None:
    parts, soles = np.zeros((60, len(PARTS), 3)), np.zeros((60, 2, 3))
    parts[..., 1] = HEIGHTS + 0.08
    likely = resting(parts, soles, FPS)[30]
    assert likely[:3].min() > 0.7, "of a body that lies, the trunk is lifted with a tilt"
    assert likely[3:5] == pytest.approx(np.exp([-1.0, -1.0]), abs=0.01)
    assert likely[5:].max() < 0.1
    soles[..., 1] = 0.08
    assert resting(parts, soles, FPS).min() > 0.99, "on ground that is as high"
    parts[:, :, 1] -= 0.3
    assert resting(parts, soles, FPS).min() > 0.99, "the soles are above them then"


def test_the_ground_is_looked_for_half_a_second_around_at_each_rate() -> None:
    for fps in (30.0, 60.0):
        frames = round(3 * fps)
        parts, soles = np.zeros((frames, len(PARTS), 3)), np.zeros((frames, 2, 3))
        parts[..., 1] = HEIGHTS
        soles[..., 1] = 0.5
        parts[round(fps) :, :, 1] += 0.5
        likely = resting(parts, soles, fps)[:, 0]
        assert likely[round(1.15 * fps) : round(1.35 * fps)].max() < 0.07
        assert likely[round(1.75 * fps) :].min() > 0.95
    slow = np.zeros((5, len(PARTS), 3))
    slow[..., 1] = HEIGHTS
    slow[2:, :, 1] += 0.5
    soles = np.full((5, 2, 3), 0.5)
    assert resting(slow, soles, 0.5)[2, 0] < 0.5, "at a frame each other second, one frame around"
    assert resting(slow, soles, 0.5)[4, 0] > 0.9
