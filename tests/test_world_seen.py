"""Where the picture shows the ankles, beside those of the body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import CAMERA, h36m, seen, walk

from stpose_core.animate import animate
from stpose_core.animate.motion import start_of
from stpose_core.data import Array, Keypoints, Pose3D
from stpose_core.skeletons import H36M17
from stpose_core.world import contacts as contact_network

FPS = 30.0
LEFT = H36M17.joints.index("l_ankle")


def filmed(tilt: float = 0.0) -> tuple[Pose3D, Keypoints]:
    pose = seen(h36m(walk(4.0)), FPS, tilt=tilt)
    points = pose.xyz + pose.root[:, None]
    xy = points[..., :2] / points[..., 2:] * CAMERA.focal + np.asarray(CAMERA.centre)
    return pose, Keypoints(xy, np.full(xy.shape[:2], 0.8), FPS, (1280, 720), "h36m17")


def off_of(pose: Pose3D, keypoints: Keypoints) -> tuple[Array, Array]:
    legs = start_of(pose, 0.0, None, keypoints).legs
    assert legs.off is not None
    assert legs.score is not None
    return legs.off, legs.score


def test_an_ankle_that_is_seen_elsewhere_is_so_far_off() -> None:
    pose, keypoints = filmed()
    off, score = off_of(pose, keypoints)
    assert np.abs(off).max() < 0.02, "the keypoints are those of the pose"
    assert (score == 0.8).all()
    depth = (pose.xyz + pose.root[:, None])[:, LEFT, 2]
    xy = keypoints.xy.copy()
    xy[:, LEFT] += (CAMERA.focal / depth)[:, None] * [0.1, -0.2]
    moved = off_of(pose, replace(keypoints, xy=xy))[0]
    # The picture's right is the world's right, its down is down.
    assert moved[:, 0] - off[:, 0] == pytest.approx(np.tile([0.1, 0.2, 0.0], (len(pose), 1)), abs=0.01)
    assert moved[:, 1] == pytest.approx(off[:, 1])


def test_what_a_tilted_camera_shows_is_off_in_the_axes_of_the_world() -> None:
    pose, keypoints = filmed(0.4)
    off = off_of(pose, keypoints)[0]
    assert np.abs(off).max() < 0.02
    depth = (pose.xyz + pose.root[:, None])[:, LEFT, 2]
    xy = keypoints.xy.copy()
    xy[:, LEFT, 1] -= CAMERA.focal / depth * 0.2
    moved = off_of(pose, replace(keypoints, xy=xy))[0][:, 0] - off[:, 0]
    assert moved[:, 1] == pytest.approx(np.full(len(pose), 0.2 * np.cos(0.4)), abs=0.02)
    assert np.abs(moved[:, 2]) == pytest.approx(np.full(len(pose), 0.2 * np.sin(0.4)), abs=0.02)


def test_gaps_are_bridged_and_strays_left_out() -> None:
    pose, keypoints = filmed()
    xy, score = keypoints.xy.copy(), keypoints.score.copy()
    xy[40:44, LEFT] = np.nan
    score[60:62, LEFT] = 0.1
    xy[60:62, LEFT] += 30.0
    xy[80, LEFT] += 400.0
    off, found = off_of(pose, replace(keypoints, xy=xy, score=score))
    assert np.abs(off).max() < 0.02
    assert np.flatnonzero(found[:, 0] == 0).tolist() == [40, 41, 42, 43, 60, 61, 80]
    assert (found[:, 1] == 0.8).all()
    score[:, LEFT] = 0.0
    off, found = off_of(pose, replace(keypoints, score=score))
    assert (off[:, 0] == 0).all()
    assert (found[:, 0] == 0).all()


def test_keypoints_of_other_frames_do_not_belong_to_a_pose() -> None:
    pose, keypoints = filmed()
    with pytest.raises(ValueError, match="do not belong together"):
        animate(pose, keypoints=replace(keypoints, xy=keypoints.xy[1:], score=keypoints.score[1:]))


def test_a_capture_tells_its_contacts_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    pose, keypoints = filmed()
    read: list[bool] = []
    features = contact_network.features

    def spied(legs: contact_network.Legs, fps: float) -> Array:
        read.append(legs.off is not None)
        return features(legs, fps)

    monkeypatch.setattr(contact_network, "features", spied)
    animate(pose, keypoints=keypoints)
    assert read
    assert all(read)
    read.clear()
    motion = animate(pose)
    assert read
    assert not any(read)
    assert 0.3 < (motion.contacts > 0.5).mean() < 0.9, "without keypoints, too"
