"""Quality in figures and one line of advice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moving_body import h36m, noisy, seen, still, walk
from stpose_cli.progress import Result

from stpose_core.animate import animate
from stpose_core.data import CameraPath, Capture, Keypoints, Pose3D
from stpose_core.quality import Quality, advice, quality
from stpose_core.skeletons import H36M17
from stpose_core.video import VideoInfo

LEGS = H36M17.index("l_knee", "l_ankle", "r_knee", "r_ankle")


def captured(pose: Pose3D, found: float = 1.0) -> Capture:
    frames = len(pose)
    score = np.ones((frames, 17))
    score[: round((1 - found) * frames)] = 0.0
    keypoints = Keypoints(np.full((frames, 17, 2), 100.0), score, pose.fps, (640, 360), "h36m17")
    info = VideoInfo(Path("a.mp4"), 640, 360, pose.fps, frames, frames / pose.fps)
    return Capture(info, "test", keypoints, pose, animate(pose))


def test_a_good_capture_needs_no_advice() -> None:
    found = quality(captured(noisy(seen(h36m(walk(4.0)), 30.0), 0.005)))
    assert found.seen == 1.0
    assert found.hidden == {"legs": 0.0, "arms": 0.0, "head": 0.0}
    assert found.contact > 0.8
    assert found.slide < 0.15
    assert found.floor > 0.95
    assert found.bones < 0.05
    assert found.camera == 1.0
    assert advice(found) is None


def test_hidden_legs_are_told_with_their_share() -> None:
    pose = seen(h36m(still(60)), 30.0)
    hidden = pose.hidden.copy()
    hidden[:36, LEGS] = True
    found = quality(captured(replace(pose, hidden=hidden)))
    assert found.hidden["legs"] == pytest.approx(0.6)
    assert advice(found) == "legs are out of the picture or hidden in 60 % of the frames; film the whole body"


def test_a_person_who_is_seldom_seen_is_told_first() -> None:
    pose = seen(h36m(still(60)), 30.0)
    found = quality(captured(replace(pose, hidden=np.ones((60, 17), bool)), found=0.5))
    assert (advice(found) or "").startswith("the person is detected in 50 %")


def test_trembling_limbs_and_an_unsure_camera_are_told() -> None:
    pose = seen(h36m(still(60)), 30.0)
    good = quality(captured(pose))
    assert "jitter" in (advice(replace(good, jitter=40.0)) or "")
    unsure = CameraPath.still(pose.camera, 60, confidence=0.1)
    assert "background" in (advice(quality(captured(pose), unsure)) or "")
    rough = quality(captured(noisy(pose, 0.02)))
    assert rough.jitter > 2 * good.jitter + 0.1


def test_figures_by_frame_are_the_same_at_each_frame_rate() -> None:
    slides = []
    for fps in (30.0, 60.0):
        capture = captured(seen(h36m(still(60)), fps))
        root = capture.motion.root.copy()
        root[:, 0] += 0.3 * np.arange(60) / fps
        slides.append(quality(replace(capture, motion=replace(capture.motion, root=root))).slide)
    assert slides[0] == pytest.approx(1.0, abs=0.02)
    assert slides[1] == pytest.approx(slides[0], rel=0.02)


def test_nothing_to_measure_is_nan_and_no_advice_crashes() -> None:
    empty = Quality(float("nan"), dict.fromkeys(("legs", "arms", "head"), float("nan")), *[float("nan")] * 6)
    assert advice(empty) is None


def test_the_command_prints_advice_below_the_result() -> None:
    one = Result("a.mp4", ["a.bvh"], 10, 30.0, 1, [1.0], 0.1, "test", ("film the whole body",))
    assert str(one).splitlines()[1] == "  film the whole body"
    two = Result("a.mp4", ["a.bvh", "b.bvh"], 10, 30.0, 2, [1.0, 1.0], 0.1, "test", (None, "film the whole body"))
    assert str(two).splitlines()[1:] == ["  person 2: film the whole body"]
    assert len(str(Result("a.mp4", ["a.bvh"], 10, 30.0, 1, [1.0], 0.1)).splitlines()) == 1
