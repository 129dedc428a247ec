"""The benchmark of motions in the world: its cameras are what they say, and its measures tell a good motion from a bad one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import h36m, seen, walk
from scipy.spatial.transform import Rotation
from standing import standing
from stpose_training.data.filmed import KINDS, Scene, shoot
from world_measures import Result, bends, measures, turned_to

from stpose_core.animate import forward_kinematics
from stpose_core.animate.body import INDEX
from stpose_core.data import Motion


def scene() -> tuple[Scene, Motion]:
    """A walk whose contacts are known, as mocap and as a motion."""
    motion = walk(6.0)
    places = forward_kinematics(motion)
    ankles = places[:, [INDEX["LeftFoot"], INDEX["RightFoot"]]]
    still = np.linalg.norm(np.gradient(ankles, axis=0), axis=-1) * 30 < 0.3
    contacts = np.repeat(still, 2, axis=1)
    balls = places[:, [INDEX["LeftToeBase"], INDEX["RightToeBase"]]]
    return Scene("walk", h36m(motion), balls, contacts, True), replace(motion, contacts=contacts.astype(float))


def result(motion: Motion, of: Scene) -> Result:
    pose = seen(of.joints, 30.0)
    return Result(of, "static", pose, pose, motion)


@pytest.mark.parametrize("kind", KINDS)
def test_the_path_of_a_camera_and_its_keypoints_belong_together(kind: str) -> None:
    shot = shoot(scene()[0], kind, 3)
    joints = shot.scene.joints - shot.scene.joints.mean(axis=(0, 1))
    # Differences between two joints of a frame do not depend on where the camera is: compare their directions in the picture.
    span = joints[:, 10] - (joints[:, 3] + joints[:, 6]) / 2  # head to ankles
    back = np.swapaxes(shot.path.rotation, -1, -2)
    expected = np.einsum("tij,tj->ti", back @ shot.turn, span)[:, :2]
    xy = shot.keypoints.xy
    found = xy[:, 10] - (xy[:, 3] + xy[:, 6]) / 2
    known = np.isfinite(found).all(axis=1)
    assert known.mean() > 0.5
    cosine = (expected * found)[known].sum(1) / np.linalg.norm(expected[known], axis=1) / np.linalg.norm(found[known], axis=1)
    assert np.median(cosine) > 0.98
    assert shot.path.static == (kind == "static")
    turned = np.degrees(Rotation.from_matrix(shot.path.rotation).magnitude())
    assert (turned.max() > 2.0) == (kind != "static")


def test_the_same_number_gives_the_same_shot() -> None:
    one, same, other = (shoot(scene()[0], "hand-held", number) for number in (1, 1, 2))
    assert np.array_equal(one.keypoints.xy, same.keypoints.xy, equal_nan=True)
    assert not np.array_equal(one.keypoints.xy, other.keypoints.xy, equal_nan=True)


def test_the_truth_itself_has_no_error() -> None:
    of, motion = scene()
    found = measures([result(motion, of)])
    assert found["joint error, mm"] < 1e-6
    assert found["root path error, % of distance"] < 1e-6
    assert found["contacts F1, heel, %"] == pytest.approx(100.0)
    assert found["slide in stance, cm/frame"] == pytest.approx(found["  of the mocap itself"], abs=1e-6)
    assert found["knee's largest change of change / mocap's"] == pytest.approx(1.0)


def test_a_heading_of_its_own_is_no_error_and_a_wrong_path_is() -> None:
    of, motion = scene()
    turn = Rotation.from_euler("y", 50, degrees=True)
    hips = (turn * Rotation.from_quat(motion.rotations[:, 0][:, [1, 2, 3, 0]])).as_quat()[:, [3, 0, 1, 2]]
    rotations = motion.rotations.copy()
    rotations[:, 0] = hips
    turned = replace(motion, rotations=rotations, root=turn.apply(motion.root) + [3.0, 0.0, 1.0])
    assert measures([result(turned, of)])["root path error, % of distance"] < 1e-6
    assert measures([result(turned, of)])["joint error, mm"] < 1e-6
    pinned = replace(motion, root=motion.root * np.array([1.0, 1.0, 0.5]))
    found = measures([result(pinned, of)])
    assert found["root path error, % of distance"] > 5.0
    assert found["slide in stance, cm/frame"] > 1.0


def test_sinking_feet_and_contacts_the_wrong_way_round_show() -> None:
    of, motion = scene()
    sunk = replace(motion, root=motion.root - np.array([0.0, 0.1, 0.0]))
    assert measures([result(sunk, of)])["floor, 99th percentile below, cm"] > 5.0
    wrong = replace(motion, contacts=1 - motion.contacts)
    assert measures([result(wrong, of)])["contacts F1, toe, %"] < 1.0


def test_bends_are_measured_by_their_true_range() -> None:
    of, motion = scene()
    knees = {row[0]: row[2] for row in bends([result(motion, of)])["knee"]}
    assert set(knees) <= {"10-30", "30-60", "60-100"}
    for true, lifted, fitted, animated in knees.values():
        assert true == pytest.approx(lifted, abs=1e-3) == pytest.approx(fitted, abs=1e-3) == pytest.approx(animated, abs=1e-3)


def test_the_turn_that_fits_best_is_found() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3))
    turn = Rotation.from_euler("y", 130, degrees=True)
    assert np.allclose(turned_to(points, turn.apply(points) + 2.0), turn.as_matrix())


def test_standing_frames_are_counted_for_each_foot() -> None:
    contacts = np.zeros((10, 4))
    contacts[2:6, 1] = 0.9  # the left toes
    contacts[:, 2] = 0.4  # the right heel, not enough
    frames = np.zeros(10, bool)
    frames[2:8] = True
    assert standing(contacts, frames, "left") == pytest.approx(4 / 6)
    assert standing(contacts, frames, "right") == 0
