"""The axes of the room, and where its floor is under a body."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import LENGTHS, h36m, still
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import ankle_height
from stpose_core.skeletons import H36M17
from stpose_core.world.ground import clearance, floor_drift, floor_height, room_from_camera, stand

FPS = 30.0


@pytest.mark.parametrize("lean", [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.0, -0.3), (0.5, 0.0, 0.2)])
def test_up_is_up_in_the_room_and_ahead_of_the_camera_stays_ahead(lean: tuple[float, float, float]) -> None:
    up = Rotation.from_rotvec(lean).apply([0.0, -1.0, 0.0])
    room = room_from_camera(3.0 * up)
    assert room @ up == pytest.approx([0.0, 1.0, 0.0])
    assert room @ room.T == pytest.approx(np.eye(3))
    assert np.linalg.det(room) == pytest.approx(1.0)
    assert (room @ [0.0, 0.0, 1.0])[2] < -0.8
    assert (room @ [1.0, 0.0, 0.0])[0] > 0.9


@pytest.mark.parametrize("length", [1e-4, 0.3, 20.0])
def test_only_the_direction_of_gravity_counts(length: float) -> None:
    up = np.array([0.1, -0.9, 0.3])
    assert room_from_camera(length * up) == pytest.approx(room_from_camera(up))
    assert np.abs(room_from_camera(up) - room_from_camera(np.zeros(3))).max() > 0.05, "control: the camera leans"


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


@pytest.mark.parametrize("joint", range(17))
def test_each_joint_lies_half_the_thickness_of_its_part_above_the_floor(joint: int) -> None:
    joints = np.zeros((1, 17, 3))
    joints[..., 1] = 1.0
    joints[:, joint, 1] = -1.0
    height, part = clearance(joints, 0.07)
    assert part.tolist() == [joint]
    thickness = -1.0 - height[0]
    assert thickness == pytest.approx(0.07) if joint in (3, 6) else -1e-9 <= thickness <= 0.1 + 1e-9
    mirrored = np.array(H36M17.mirror)
    assert clearance(joints[:, mirrored], 0.07)[0] == pytest.approx(height), "left as right"
    wide = {0, 7, 8}  # the trunk
    thin = {13, 16, 10}  # hands and the top of the head
    assert thickness >= 0.09 if joint in wide else thickness <= 0.04 if joint in thin else True


def test_at_a_few_frames_a_second_the_floor_still_follows_a_body_from_frame_to_frame() -> None:
    lowest = np.full(21, 0.1)
    lowest[10] = 0.0
    drift = floor_drift(lowest, 2.0)
    assert np.abs(drift[9:12]).max() < 0.03
    assert drift[[8, 12]].min() > 0.06, "one frame on each side, half a second, is as far as it reaches"
    assert drift[[5, 15]] == pytest.approx(floor_drift(np.full(21, 0.1), 2.0)[[5, 15]])
    assert floor_drift(np.array([0.1, 0.0, 0.1]), 0.5)[1] < 0.05, "and at the lowest rate likewise"


def test_a_floor_is_level_though_few_frames_show_it_at_low_rates() -> None:
    lowest, seen = np.array([0.5, 0.1, 0.9, 0.9]), np.array([False, True, True, False])
    assert stand(lowest, seen, 4.0, steady=False) == pytest.approx([0.14, 0.14, 0.14, 0.14]), "two frames are enough"
    lowest[3] = 0.0
    assert stand(lowest, seen, 4.0, steady=False)[3] == 0.0
    seen[2] = False
    assert stand(lowest, seen, 4.0, steady=False) == pytest.approx(np.full(4, np.percentile(lowest, 5))), "one is not: all count"
