"""Tracks: what `stpose` writes, read without it, in Blender's axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_solver import TO_BLENDER
from walks import NAMES, dance, positions

from stpose_core.retarget.motion import Motion, TrackError, read_track, read_view, to_track


def write(path: Path, track: dict, **more: object) -> Path:
    content = {f"motion.{name}": np.array(value) for name, value in track.items()}
    np.savez_compressed(path, **{"format": np.array("stpose"), "version": np.array(1), **content, **more})
    return path


def test_joints_are_where_the_file_has_them(tmp_path: Path) -> None:
    track, turns = dance()
    moving = to_track(read_track(write(tmp_path / "a.npz", track)))
    places = positions(turns, track["root"])[0] @ TO_BLENDER.T
    for number, name in enumerate(moving.skeleton.names):
        assert np.allclose(moving.heads[:, number], places[:, NAMES.index(name)], atol=1e-9)
    assert not any(name.endswith("End") for name in moving.skeleton.names)


def test_the_rest_pose_stands_on_the_ground_and_faces_forward() -> None:
    skeleton = to_track(Motion(**dance()[0])).skeleton
    assert np.isclose(min(skeleton.heads[:, 2].min(), skeleton.tails[:, 2].min()), 0, atol=1e-9)
    assert skeleton.heads[skeleton.index("LeftArm")][0] > 0.1
    assert skeleton.tails[skeleton.index("LeftToeBase")][1] < -0.1


def test_another_frame_rate_keeps_the_time() -> None:
    motion = Motion(**dance()[0])
    again = motion.resampled(24.0)
    assert len(again) == 72
    assert np.allclose(again.root[-1], [np.interp(71 / 24, np.arange(90) / 30, motion.root[:, c]) for c in range(3)])


@pytest.mark.parametrize("damage", ["no file", "text", "other", "newer", "short", "gaps", "no motion"])
def test_what_is_no_track_is_said_in_a_line(tmp_path: Path, damage: str) -> None:
    track, path = dance()[0], tmp_path / "a.npz"
    if damage == "text":
        path.write_text("nothing")
    elif damage == "other":
        np.savez(path, a=np.ones(3))
    elif damage == "newer":
        write(path, track, version=np.array(9))
    elif damage == "short":
        write(path, {**track, "root": track["root"][:5]})
    elif damage == "gaps":
        write(path, {**track, "root": track["root"] * np.nan})
    elif damage == "no motion":
        np.savez(path, format=np.array("stpose"), version=np.array(1))
    with pytest.raises(TrackError) as error:
        read_track(path)
    assert "\n" not in str(error.value)


VIEW = {
    "pose3d.camera.focal": 900.0, "pose3d.camera.centre": [280.0, 350.0], "pose3d.root": np.full((90, 3), 2.0),
    "pose3d.up": [0.0, -1.0, 0.0], "keypoints.image_size": [540, 720], "video.path": "walk.mp4", "video.fps": 30.0,
}  # fmt: skip


def test_the_camera_of_a_capture_is_read(tmp_path: Path) -> None:
    view = read_view(write(tmp_path / "a.npz", dance()[0], **VIEW, start=2.0))
    assert view is not None
    assert (view.focal, view.size, view.fps, view.start, view.video) == (900.0, (540, 720), 30.0, 2.0, Path("walk.mp4"))
    assert read_view(write(tmp_path / "b.npz", dance()[0])) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"keypoints.image_size": 540}, {"keypoints.image_size": [0, 0]}, {"pose3d.camera.focal": [1.0, 2.0]},
        {"pose3d.camera.focal": 0.0}, {"pose3d.camera.centre": [1.0]}, {"pose3d.root": 1.0}, {"pose3d.up": [np.nan] * 3},
        {"video.fps": 0.0}, {"start": np.inf},
    ],
)  # fmt: skip
def test_a_camera_that_makes_no_sense_is_none(tmp_path: Path, damage: dict[str, object]) -> None:
    assert read_view(write(tmp_path / "a.npz", dance()[0], **{**VIEW, **damage})) is None
