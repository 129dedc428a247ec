"""Everybody in a video, in one world; and the picture that shows who has which number."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from commands import alive, fake_command
from rigs import character
from scenes import figure, make, pose_of, write_track
from walks import walk

ADDON = "bl_ext.user_default.stpose"
APART = np.array([1.5, 0.0, -0.8])  # m, in the axes of the file


@pytest.fixture
def command(scene: bpy.types.Scene, tmp_path: Path) -> tuple[Path, Path]:
    """A stand-in for the command, which finds two people: the second walks beside the first."""
    track, _ = walk()
    write_track(tmp_path / "prepared_2.npz", {**track, "root": track["root"] + APART})
    script, pids = fake_command(tmp_path, write_track(tmp_path / "prepared.npz", track))
    bpy.context.preferences.addons[ADDON].preferences.command = str(script)
    (tmp_path / "two.mp4").touch()
    return script, pids


def hips(obj: bpy.types.Object, bone: str) -> np.ndarray:
    return pose_of(obj, [bone], range(1, 60))[0][:, 0]


def test_everybody_comes_in_where_they_stood(command: tuple, tmp_path: Path) -> None:
    assert bpy.ops.stpose.capture_video(filepath=str(tmp_path / "two.mp4"), person="all") == {"FINISHED"}
    assert [path.name for path in sorted(tmp_path.glob("two*.npz"))] == ["two_person1.npz", "two_person2.npz"]
    rigs = [bpy.data.objects["two_person1"], bpy.data.objects["two_person2"]]
    assert bpy.context.scene.stpose.source == bpy.context.object == rigs[0]
    assert all(rig.select_get() for rig in rigs)
    apart = hips(rigs[1], "Hips") - hips(rigs[0], "Hips")
    wanted = [APART[0], -APART[2], APART[1]]
    figure("distance between two people, off by at most", 1000 * np.abs(apart - wanted).max(), "mm")
    assert np.abs(apart - wanted).max() < 1e-4
    # Two characters at the same place are as far apart, too.
    names = character("mixamo").named()
    bodies = [make(character("mixamo"), name) for name in ("Anna", "Ben")]
    for rig, body in zip(rigs, bodies):
        bpy.ops.stpose.retarget(source=rig.name, target=body.name)
    between = hips(bodies[1], names["hips"]) - hips(bodies[0], names["hips"])
    assert np.abs(between - wanted).max() < 0.01


def test_one_undo_takes_everybody_back(command: tuple, tmp_path: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.stpose.capture_video("EXEC_DEFAULT", True, filepath=str(tmp_path / "two.mp4"), person="all")
    assert len(bpy.data.armatures) == 2
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    assert not bpy.data.armatures


def test_a_damaged_track_among_several_leaves_no_rig(command: tuple, tmp_path: Path) -> None:
    (tmp_path / "prepared_2.npz").write_text("nothing")
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.stpose.capture_video(filepath=str(tmp_path / "two.mp4"), person="all")
    assert not bpy.data.objects


def test_the_picture_shows_who_has_which_number(command: tuple, scene: bpy.types.Scene, tmp_path: Path) -> None:
    shown = sys.modules[ADDON + ".operators.people"].shown
    assert bpy.ops.stpose.show_people(filepath=str(tmp_path / "two.mp4"), start=1.0, end=2.0) == {"FINISHED"}
    assert [line[:2] for line in shown.lines] == ["1:", "2:"]
    assert Path(shown.picture).is_file()
    assert shown.key == (str(tmp_path / "two.mp4"), 1.0, 2.0)
    assert bpy.ops.stpose.choose_person(number=2) == {"FINISHED"}
    assert (scene.stpose.person, scene.stpose.number) == ("number", 2)
    picture = Path(shown.picture)
    assert bpy.ops.stpose.cancel_people() == {"FINISHED"}
    assert not picture.exists()
    assert not bpy.ops.stpose.cancel_people.poll()


def test_people_that_cannot_be_found_are_said(command: tuple, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").touch()
    with pytest.raises(RuntimeError, match="nobody in the video"):
        bpy.ops.stpose.show_people(filepath=str(tmp_path / "bad.mp4"))
    with pytest.raises(RuntimeError, match="there is no video"):
        bpy.ops.stpose.show_people(filepath=str(tmp_path / "gone.mp4"))


def test_a_search_that_is_cancelled_or_left_behind_ends(command: tuple, tmp_path: Path) -> None:
    people, job = sys.modules[ADDON + ".operators.people"], sys.modules[ADDON + ".job"]
    (tmp_path / "slow.mp4").touch()
    people.shown.start(job.PeopleJob(command[0], job.Capture(tmp_path / "slow.mp4")), ("", 0.0, 0.0))
    until = time.monotonic() + 10
    while not command[1].exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert people.shown.running
    assert not bpy.ops.stpose.show_people.poll()
    bpy.ops.stpose.cancel_people()
    assert not people.shown.running
    time.sleep(0.1)
    assert not alive(int(command[1].read_text()))
