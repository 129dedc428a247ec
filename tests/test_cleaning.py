"""Tracks are cleaned once, after everybody was followed: of detectors and of keypoint files, leaving what was given as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from test_jumps import KNEE, off, walking
from test_pipeline import lift_any
from test_sides import walker, wrong

import stpose_core as sp
from stpose_core import pipeline
from stpose_core.data import Keypoints
from stpose_core.detect.types import Box, Pose2D
from stpose_core.skeletons import H36M17, get_skeleton
from stpose_core.track.cleaning import clean_tracks
from stpose_core.track.jumps import correct_jumps
from stpose_core.track.sides import correct_sides
from stpose_core.track.track import Track

TURNED = slice(40, 75)  # frames in which left and right are exchanged
SMALLER = 0.1  # a walker fits into the film


def test_tracks_come_out_cleaned_and_those_given_stay_as_they_are() -> None:
    sides, leaping = walker(), walking()
    right, path = sides.xy.copy(), leaping.xy.copy()
    sides.swap_sides(TURNED)
    leaping.xy[60:66, KNEE] += (60, -30)
    leaping.seldom = True
    given = [(track.xy.copy(), track.score.copy(), track.presence.copy()) for track in (sides, leaping)]
    # One by one: both walk in the same place, and together one would hide the other.
    first, second = (clean_tracks([track])[0] for track in (sides, leaping))
    assert wrong(first, right) == 0
    assert off(second, path, KNEE).max() < 0.2
    for track, (xy, score, presence) in zip((sides, leaping), given):
        np.testing.assert_array_equal(track.xy, xy)
        np.testing.assert_array_equal(track.score, score)
        np.testing.assert_array_equal(track.presence, presence)
    for before, after in ((sides, first), (leaping, second)):
        assert (after.id, after.skeleton, after.seldom) == (before.id, before.skeleton, before.seldom)
        np.testing.assert_array_equal(after.times, before.times)
        np.testing.assert_array_equal(after.presence, before.presence)
        assert after.pose(50).box == before.pose(50).box
    again = [clean_tracks([track])[0] for track in (sides, leaping)]
    np.testing.assert_array_equal(again[0].xy, first.xy)
    np.testing.assert_array_equal(again[1].xy, second.xy)


@pytest.mark.parametrize("mend", [correct_sides, correct_jumps])
def test_each_step_leaves_its_track_as_it_is(mend: Callable[[Track], Track]) -> None:
    track = walking() if mend is correct_jumps else walker()
    if mend is correct_jumps:
        track.xy[60:66, KNEE] += (60, -30)
    else:
        track.swap_sides(TURNED)
    xy, score = track.xy.copy(), track.score.copy()
    assert (mend(track).xy != xy).any()
    np.testing.assert_array_equal(track.xy, xy)
    np.testing.assert_array_equal(track.score, score)


class Turning(BarDetector):
    """Takes left for right while the bar is in one part of the picture."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        pose = super().pose(image, box)
        if 60 <= box.centre[0] < 66:
            pose.xy[:] = pose.xy[list(H36M17.mirror)]
        return pose


def test_what_a_detector_sees_is_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(tmp_path / "a.mp4", 30, 120)

    def captured(detector: BarDetector) -> np.ndarray:
        return sp.capture(video, detector=detector, lifter=lift_standing, device="cpu").keypoints.xy  # type: ignore[arg-type]

    right = captured(BarDetector())
    np.testing.assert_allclose(captured(Turning()), right, atol=1e-3)
    # Control: some frames are seen the other way round.
    monkeypatch.setattr(pipeline, "clean_tracks", list)
    assert 5 < (np.abs(captured(Turning()) - right) > 1).any(axis=(1, 2)).sum() < 30


def write_coco(path: Path, track: Track) -> Path:
    """COCO results; joints of the face, which a walker has not, lie where the head is."""
    names = [name if name in H36M17.joints else "head" for name in get_skeleton("coco17").joints]
    rows = np.concatenate([track.xy * SMALLER, track.score[..., None]], 2)[:, H36M17.index(*names)]
    entries = [{"image_id": n, "category_id": 1, "keypoints": row.ravel().tolist(), "score": 0.9} for n, row in enumerate(rows)]
    path.write_text(json.dumps(entries))
    return path


def write_alone(path: Path, track: Track) -> Path:
    """An .npz of nothing but keypoints."""
    np.savez(path, xy=track.xy * SMALLER, score=track.score, fps=30.0, image_size=(160, 120), skeleton=np.array("h36m17"))
    return path


@pytest.mark.parametrize(("write", "name"), [(write_coco, "joints.json"), (write_alone, "joints.npz")])
def test_exchanged_sides_in_a_keypoint_file_are_put_right(
    tmp_path: Path, write: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(tmp_path / "a.mp4", 30, 120)

    def captured(track: Track) -> np.ndarray:
        joints = write(tmp_path / name, track)  # type: ignore[operator]
        return sp.capture(video, detector=joints, lifter=lift_any, device="cpu").keypoints.xy  # type: ignore[arg-type]

    track = walker()
    right = captured(track)
    track.swap_sides(TURNED)
    np.testing.assert_allclose(captured(track), right, atol=1e-3)
    # Control: without the stage the sides are wrong in those frames.
    monkeypatch.setattr(pipeline, "clean_tracks", list)
    frames = np.flatnonzero(np.nanmax(np.abs(captured(track) - right), axis=(1, 2)) > 1)
    assert frames.tolist() == list(range(120))[TURNED]


def test_a_capture_is_cleaned_once(tmp_path: Path) -> None:
    """Its .npz as a keypoint file gives the same joints, whatever they are."""
    video = film(tmp_path / "a.mp4", 30, 120)
    capture = sp.capture(video, detector=BarDetector(), lifter=lift_standing, device="cpu")  # type: ignore[arg-type]
    track = walker()
    track.swap_sides(TURNED)
    seen = Keypoints(track.xy * SMALLER, track.score, 30.0, (160, 120), "h36m17")
    sp.save(replace(capture, keypoints=seen), tmp_path / "a.npz")
    again = sp.capture(video, detector=tmp_path / "a.npz", lifter=lift_standing, device="cpu")  # type: ignore[arg-type]
    np.testing.assert_allclose(again.keypoints.xy, seen.xy, atol=1e-3)
