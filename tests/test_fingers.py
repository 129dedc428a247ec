"""Fingers: bends come back, bones keep their lengths, limits hold, unknown hands are relaxed, and files carry all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moving_body import CAMERA, h36m, seen, still
from scipy.spatial.transform import Rotation

import stpose_core as sp
from stpose_core.animate import animate, forward_kinematics
from stpose_core.animate.fingers import RELAXED, RELAXED_THUMB, finger_joints, hand_shape
from stpose_core.data import Array, Keypoints, Motion, Pose3D
from stpose_core.lift.hand import lift_hand
from stpose_core.lift.parts import with_parts
from stpose_core.lift.rigid import Expected
from stpose_core.lift.shapes import MIRROR
from stpose_core.skeletons import FINGERS, HAND21

FRAMES, FPS = 30, 30.0
REST = np.radians(np.concatenate([RELAXED_THUMB, *RELAXED]))


def hands_of(values: Array, lifted: bool = True, there: Array | None = None) -> tuple[Pose3D, Keypoints]:
    """A T-pose whose two hands are bent by values (T, 21) and turned anyhow, as a detector of hands lifts them."""
    pose = seen(h36m(still(FRAMES)), FPS)
    parts = {}
    for side, turn in (("l", [0.4, 0.2, 0.1]), ("r", [0.3, -0.3, 0.2])):
        joints = finger_joints(values, hand_shape([], 1.0))
        joints = joints if side == "l" else joints * MIRROR
        camera = Rotation.from_rotvec(turn).apply((joints).reshape(-1, 3)).reshape(joints.shape) * np.array([1.0, -1.0, -1.0])
        score = np.full((FRAMES, 21), 0.9)
        if there is not None:
            score[~there] = 0.0
        xy = np.full((FRAMES, 21, 2), 100.0)
        parts[f"{side}_hand"] = Keypoints(xy, score, FPS, (1280, 720), "hand21", lifted=camera if lifted else None)
    return pose, Keypoints(np.full((FRAMES, 17, 2), 50.0), np.ones((FRAMES, 17)), FPS, (1280, 720), "h36m17", parts)


def bent_by(motion: Motion, name: str) -> Array:
    """(T,) degrees by which a joint is turned."""
    return np.degrees(2 * np.arccos(np.clip(np.abs(motion.rotations[:, motion.names.index(name), 0]), 0, 1)))


def test_bends_come_back_on_both_hands_with_bones_of_constant_length() -> None:
    values = np.tile(REST, (FRAMES, 1))
    values[:, 9:] = np.radians(np.linspace(10, 60, FRAMES))[:, None] * np.tile([1.0, 0.0, 1.0, 0.8], 3)
    pose, points = hands_of(values)
    motion = animate(with_parts(pose, points), smooth=0.0)
    assert len(motion.names) == len(still().names) - 2 + 2 * 20
    for side in ("Left", "Right"):
        for name in ("Middle", "Ring", "Pinky"):
            for number, share in ((1, 1.0), (2, 1.0), (3, 0.8)):
                error = bent_by(motion, f"{side}Hand{name}{number}") - share * np.linspace(10, 60, FRAMES)
                assert np.abs(error).max() < 6, (side, name, number)
        places = forward_kinematics(motion)
        chain = [motion.names.index(f"{side}HandIndex{end}") for end in ("1", "2", "3", "3End")]
        assert np.ptp(np.linalg.norm(np.diff(places[:, chain], axis=1), axis=-1), axis=0).max() < 1e-9
    left, right = (motion.offsets[motion.names.index(f"{side}HandThumb1")] for side in ("Left", "Right"))
    assert np.allclose(left * MIRROR, right)


def test_the_palm_is_turned_as_the_hand_network_says() -> None:
    pose, points = hands_of(np.tile(REST, (FRAMES, 1)))
    motion = animate(with_parts(pose, points))
    assert np.degrees(np.linalg.norm([0.4, 0.2, 0.1])) == pytest.approx(bent_by(motion, "LeftHand").mean(), abs=12)
    assert bent_by(animate(pose), "LeftHand").max() < 1


def test_no_finger_bends_further_than_a_finger_can() -> None:
    values = np.tile(REST, (FRAMES, 1))
    values[:, 5:9] = np.radians([150, 0, 160, 140])
    pose, points = hands_of(values)
    motion = animate(with_parts(pose, points))
    for number, most in ((1, 90), (2, 110), (3, 85)):
        assert bent_by(motion, f"LeftHandIndex{number}").max() <= most + 0.1


def test_hands_that_were_not_seen_are_relaxed_and_gaps_fade_to_that() -> None:
    values = np.tile(REST, (FRAMES, 1))
    values[:, 9:] = 0.0
    nowhere = hands_of(values, there=np.zeros(FRAMES, bool))
    motion = animate(with_parts(*nowhere))
    assert bent_by(motion, "LeftHandMiddle2") == pytest.approx(RELAXED[1][2], abs=0.1)
    part = with_parts(*nowhere).parts["l_hand"]
    assert part.hidden.all()
    some = animate(with_parts(*hands_of(values, there=np.arange(FRAMES) < 10)))
    bend = bent_by(some, "LeftHandMiddle2")
    assert bend[:8].max() < 10
    assert bend[-1] > 20


def test_without_hands_the_motion_has_the_joints_that_it_had() -> None:
    pose, points = hands_of(np.tile(REST, (FRAMES, 1)))
    assert animate(with_parts(pose, replace(points, parts={}))).names == still().names


def test_bvh_csv_and_npz_carry_fingers(tmp_path: Path) -> None:
    values = np.tile(REST, (FRAMES, 1)) + np.linspace(0, 0.4, FRAMES)[:, None]
    motion = animate(with_parts(*hands_of(values)))
    for name in ("a.bvh", "a.npz"):
        sp.save(motion, tmp_path / name)
        again = sp.load_motion(tmp_path / name)
        assert set(again.names) == set(motion.names)
        order = [again.names.index(joint) for joint in motion.names]
        assert np.allclose(forward_kinematics(again)[:, order], forward_kinematics(motion), atol=2e-4)
    sp.save(motion, tmp_path / "a.csv")
    header = (tmp_path / "a.csv").read_text().splitlines()[0].split(",")
    assert all(f"{side}Hand{finger.title()}{n}_x" in header for side in ("Left", "Right") for finger in FINGERS for n in (1, 2, 3))


def test_a_hand_of_which_only_the_picture_is_known_is_lifted() -> None:
    values = np.tile(REST, (FRAMES, 1))
    values[:, 5:] = np.radians(np.linspace(0, 70, FRAMES))[:, None] * np.tile([1.0, 0.0, 1.0, 0.7], 4)
    joints = finger_joints(values, hand_shape([], 1.0))
    turn = Rotation.from_euler("xyz", [90, 0, -90], degrees=True).as_matrix()  # fingers up, the back to the camera
    wrist = np.tile([0.1, 0.0, 1.5], (FRAMES, 1))
    points = joints @ turn.T + wrist[:, None]
    expected = Expected(np.tile(turn, (FRAMES, 1, 1)), np.radians([50, 20, 40]), wrist, (0.02, 0.08))
    found = lift_hand(points[..., :2] / points[..., 2:], np.ones((FRAMES, 21)), expected, 1.0, False, FPS)
    relaxed = finger_joints(np.tile(REST, (FRAMES, 1)), hand_shape([], 1.0)) @ turn.T
    unlifted = np.linalg.norm(relaxed - joints @ turn.T, axis=-1).mean()
    assert np.linalg.norm(found - joints @ turn.T, axis=-1).mean() < 0.6 * unlifted
    assert HAND21.joints[0] == "wrist"
    assert CAMERA.focal > 0
