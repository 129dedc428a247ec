"""Tracks: what `stpose` writes, read without it, in Blender's axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from retarget.motion import Motion, TrackError, read_track, to_track
from test_solver import TO_BLENDER
from walks import NAMES, dance, positions


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
