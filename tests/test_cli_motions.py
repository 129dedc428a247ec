"""`stpose convert`, `stpose info` and `stpose trim`; parts and loops of motions."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from stpose_cli.capture_options import Seconds
from stpose_cli.main import run
from test_formats import make_capture
from test_formats_glb import body_motion

from stpose_core.animate.body import INDEX
from stpose_core.animate.clip import cut, looped
from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import OptionError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.formats.figure import rest_positions

NECK = INDEX["Neck"]


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_convert_goes_there_and_back(tmp_path: Path) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.bvh")
    for before, after in (("a.bvh", "b.glb"), ("b.glb", "c.json"), ("c.json", "d.vrma"), ("d.vrma", "e.bvh"), ("e.bvh", "f.npz")):
        assert run(["convert", str(tmp_path / before), "-o", str(tmp_path / after)]) == 0
    again = load_motion(tmp_path / "f.npz")
    hands = [found.names.index(name) for found, name in ((again, "leftHand"), (motion, "LeftHand"))]
    places = [forward_kinematics(found)[:, hand] for found, hand in zip((again, motion), hands)]
    np.testing.assert_allclose(places[0], places[1], atol=0.001)
    assert again.fps == motion.fps


@pytest.mark.parametrize(
    ("rig", "name"), [("mixamo", "mixamorig:LeftForeArm"), ("unreal", "lowerarm_l"), ("stpose", "LeftForeArm")]
)
def test_convert_renames(rig: str, name: str, tmp_path: Path) -> None:
    save(body_motion(), tmp_path / "a.bvh")
    assert run(["convert", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.bvh"), "--rig", rig, "--units", "m"]) == 0
    assert name in load_motion(tmp_path / "b.bvh").names
    assert load_motion(tmp_path / "b.bvh").root == pytest.approx(load_motion(tmp_path / "a.bvh").root, abs=1e-5)


def test_convert_gives_the_names_of_stpose_back(tmp_path: Path) -> None:
    motion = body_motion()
    a, b, c = (str(tmp_path / name) for name in ("a.bvh", "b.bvh", "c.bvh"))
    save(motion, a, rig="mixamo")
    assert run(["convert", a, "-o", b, "--rig", "stpose"]) == 0
    assert set(load_motion(b).names) == set(motion.names)
    # Control: without the option, the names of the file stay.
    assert run(["convert", a, "-o", c]) == 0
    assert load_motion(c).names == load_motion(a).names


def test_convert_takes_one_person_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = [body_motion(seed=1), body_motion(seed=2)]
    save(people, tmp_path / "a.glb")
    source = str(tmp_path / "a.glb")
    assert run(["convert", source, "-o", str(tmp_path / "b.bvh"), "--person", "2"]) == 0
    np.testing.assert_allclose(load_motion(tmp_path / "b.bvh").root, people[1].root, atol=1e-4)
    assert "no person 3" in error_of(["convert", source, "-o", str(tmp_path / "c.bvh"), "--person", "3"], capsys)
    assert "holds one person, not 2" in error_of(["convert", source, "-o", str(tmp_path / "c.bvh")], capsys)
    assert run(["convert", source, "-o", str(tmp_path / "c.json")]) == 0
    assert len(load_people(tmp_path / "c.json")) == 2


def test_errors_are_one_line_and_leave_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(body_motion(), tmp_path / "a.bvh")
    (tmp_path / "a.fbx").write_bytes(b"")
    a, b = str(tmp_path / "a.bvh"), str(tmp_path / "b.bvh")
    assert "unknown format" in error_of(["convert", a, "-o", str(tmp_path / "b.xyz")], capsys)
    assert "is an input" in error_of(["convert", a, "-o", a, "--overwrite"], capsys)
    assert "exists already" in error_of(["convert", a, "-o", str(tmp_path / "a.fbx")], capsys)
    assert "only written" in error_of(["convert", str(tmp_path / "a.fbx"), "-o", b], capsys)
    assert "only written" in error_of(["info", str(tmp_path / "a.fbx")], capsys)
    assert "cannot read" in error_of(["info", str(tmp_path / "none.bvh")], capsys)
    assert "nothing to do" in error_of(["trim", a, "-o", b], capsys)
    assert "no frames from 9 s" in error_of(["trim", a, "-o", b, "--start", "9"], capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"a.bvh", "a.fbx"}


def test_info_says_what_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save([body_motion(fps=50.0), body_motion(frames=10)], tmp_path / "a.glb", rig="unreal")
    assert run(["info", str(tmp_path / "a.glb"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["people"]
    assert [(person["frames"], person["fps"], person["skeleton"]) for person in found] == [
        (30, 50.0, "unreal"),
        (10, 30.0, "unreal"),
    ]
    assert run(["info", str(tmp_path / "a.glb")]) == 0
    assert "person 2 of 2" in capsys.readouterr().out


def test_info_gives_the_quality_of_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    motion = body_motion(frames=9)
    save(replace(make_capture(), motion=motion), tmp_path / "a.npz")
    assert run(["info", str(tmp_path / "a.npz")]) == 0
    out = capsys.readouterr().out
    assert "mediapipe" in out
    assert "advice" in out
    save(motion, tmp_path / "b.npz")
    assert run(["info", str(tmp_path / "b.npz")]) == 0
    out = capsys.readouterr().out
    assert "advice" not in out
    assert re.search(r"jitter: +[1-9][0-9.]+ m/s", out)
    assert re.search(r"foot slide: +not known", out)


def test_info_for_programs_has_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    motion = body_motion(frames=9)
    contacts, filled = np.zeros((9, 4)), np.zeros(9, bool)
    contacts[:3], filled[0] = 1.0, True
    save(replace(make_capture(), motion=replace(motion, contacts=contacts, filled=filled)), tmp_path / "a.npz")
    save(motion, tmp_path / "b.bvh")
    save(motion, tmp_path / "c.trc")
    save(replace(motion, filled=filled), tmp_path / "d.json")

    def told(name: str) -> dict[str, object]:
        assert run(["info", str(tmp_path / name), "--json"]) == 0
        (person,) = json.loads(capsys.readouterr().out)["people"]
        return dict(person)

    found = told("a.npz")
    assert found["height"] == pytest.approx(np.ptp(rest_positions(motion)[:, 1]), abs=1e-4)
    assert (found["filled_frames"], found["foot_contacts"]) == (0.1111, 0.3333)
    assert found["detected"] == 1.0
    assert isinstance(found["foot_slide"], float)
    assert isinstance(found["jitter"], float)
    assert isinstance(found["hidden"], dict)
    assert set(found["hidden"]) == {"legs", "arms", "head"}
    assert [told("b.bvh")[name] for name in ("foot_contacts", "foot_slide", "filled_frames")] == [None] * 3
    assert told("c.trc")["missing"] == 0.0
    assert told("d.json")["filled_frames"] == 0.1111
    assert run(["info", str(tmp_path / "a.npz")]) == 0
    table = capsys.readouterr().out
    assert re.search(rf"height: +{found['height']:.2f} m\n", table)
    assert re.search(r"filled frames: +11 %\n +foot contacts: +33 %\n", table)


@pytest.mark.parametrize("command", ["info", "convert", "trim", "view"])
def test_a_video_is_for_mocap(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = error_of([command, str(tmp_path / "a.MP4")], capsys)  # not: -o is missing
    assert told.endswith("a.MP4 is a video, not a file of motion; stpose mocap captures the motion in it\n")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1:59.5", 119.5), ("75:00", 4500.0), ("1:02:03", 3723.0), (".5", 0.5)]
)
def test_times(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["1:99", "1:60", "1:75:00", "1:2:3:4", "-1", "1:", ":5", "1:.5", ".", "1e3", "٣"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time; write seconds"):
        Seconds().convert(text, None, None)


def test_trim_keeps_the_frames_of_a_range(tmp_path: Path) -> None:
    motion = body_motion(frames=90)
    save(motion, tmp_path / "a.bvh")
    assert run(["trim", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.bvh"), "--start", "1", "--end", "0:02.5"]) == 0
    again = load_motion(tmp_path / "b.bvh")
    assert len(again) == 45
    np.testing.assert_allclose(again.root, motion.root[30:75], atol=1e-5)
    assert len(cut(motion, 0.0, 1 / 30)) == 1
    with pytest.raises(OptionError, match="no frames"):
        cut(motion, 1.0, 1.0)


def swinging(frames: int, period: float = 1.0, fps: float = 30.0) -> Motion:
    """Joints swing with a period in seconds, while the body walks along z and rises, and the neck turns further and further."""
    motion = body_motion(frames, fps)
    times = np.arange(frames) / fps
    angles = 0.6 * np.sin(2 * np.pi * times / period)[:, None]
    rotations = np.zeros((frames, len(motion.names), 4))
    rotations[..., 0], rotations[..., 1] = np.cos(angles / 2), np.sin(angles / 2)
    rotations[:, 0] = (1, 0, 0, 0)
    rotations[:, NECK] = np.stack([np.cos(0.1 * times), 0 * times, np.sin(0.1 * times), 0 * times], axis=-1)
    root = np.stack([0 * times, 0.95 + 0.02 * times, 1.2 * times], axis=-1)
    return replace(motion, rotations=rotations, root=root)


@pytest.mark.parametrize("seconds", [2.3, 3.7])
def test_a_loop_ends_where_it_begins(seconds: float, tmp_path: Path) -> None:
    motion = swinging(round(30 * seconds))
    save(motion, tmp_path / "a.npz")
    assert run(["trim", str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.npz"), "--loop"]) == 0
    loop = load_motion(tmp_path / "b.npz")
    assert abs(len(loop) - 30 * round(len(loop) / 30)) <= 1  # whole periods
    assert len(loop) >= len(motion) // 2

    def gaps(one: Motion) -> tuple[float, float]:
        """What lies between the last frame and the first: angle of the neck in radians, height of the root in metres."""
        first, last = (Rotation.from_quat(one.rotations[frame, NECK][[1, 2, 3, 0]]) for frame in (0, -1))
        return float((last.inv() * first).magnitude()), float(abs(one.root[-1, 1] - one.root[0, 1]))

    for blended, plain in zip(gaps(loop), gaps(cut(motion, 0, len(loop) / 30))):
        assert blended < 0.2 * plain
    # The path along the floor stays, and nothing changes before the blend.
    np.testing.assert_allclose(loop.root[:, 2], motion.root[: len(loop), 2])
    np.testing.assert_allclose(loop.rotations[: len(loop) - 9], motion.rotations[: len(loop) - 9])


def turning(motion: Motion, after: float, degrees: float) -> Motion:
    """From `after` seconds on, the body faces elsewhere."""
    angle = np.radians(degrees) * (np.arange(len(motion)) / motion.fps >= after) / 2
    rotations = motion.rotations.copy()
    rotations[:, 0] = np.stack([np.cos(angle), 0 * angle, np.sin(angle), 0 * angle], axis=1)
    return replace(motion, rotations=rotations)


def test_a_loop_ends_before_the_body_turns_away() -> None:
    motion = swinging(120)
    loop = looped(turning(motion, 1.6, 160.0))
    assert len(loop) in (29, 30, 31)
    # Control: a body that sways by 20 degrees does not end it.
    assert len(looped(turning(motion, 1.6, 20.0))) >= 60
    with pytest.raises(OptionError, match="never faces as in the first frame"):
        looped(turning(motion, 0.3, -160.0))


def test_a_motion_that_is_too_short_for_a_loop_is_refused() -> None:
    with pytest.raises(OptionError, match=r"0\.5 s at least"):
        looped(body_motion(frames=10))
