"""The command: what it writes, and that what a person can get wrong ends in one line, exit status 2 and no file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from stpose_cli.main import run
from test_doctor import without_builtin
from test_pipeline import lift_any, write_people

import stpose_core.lift
import stpose_core.pipeline
from stpose_core.errors import DetectorError, OutputError
from stpose_core.formats import load_motion

ARGUMENTS = ["--progress", "none", "--device", "cpu"]


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> BarDetector:
    """The command with the stand-in detector and lifter."""
    detector = BarDetector()
    load = stpose_core.pipeline.load_detector
    known = lambda name, device="auto": detector if name == "auto" else load(name, device)  # noqa: E731
    monkeypatch.setattr(stpose_core.pipeline, "load_detector", known)
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)
    return detector


@pytest.fixture
def video(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return film(folder / "walk.mp4", 25, 30)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def results(out: str) -> list[str]:
    """The lines of standard output, without advice, which is indented."""
    return [line for line in out.splitlines() if not line.startswith(" ")]


def fails(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run the command, which has to end with 2, one line on standard error and nothing on standard output."""
    assert run([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("stpose: ")
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err
    return told.err


@pytest.mark.usefixtures("bar")
@pytest.mark.parametrize("suffix", ["bvh", "csv", "npz"])
def test_one_video_gives_one_file_and_one_line(
    tmp_path: Path, video: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"walk.{suffix}"
    assert run(["mocap", str(video), "-o", str(out), *ARGUMENTS]) == 0
    told = results(capsys.readouterr().out)
    assert told == [f"{video}: 30 frames at 25 fps, a person detected in 100 % of them by bar -> {out}"]
    assert files(tmp_path) == ["in/walk.mp4", f"walk.{suffix}"]
    if suffix != "csv":
        motion = load_motion(out)
        assert (len(motion), motion.fps) == (30, pytest.approx(25))


@pytest.mark.usefixtures("bar")
def test_the_unit_is_that_of_the_file(tmp_path: Path, video: Path) -> None:
    for unit in ("cm", "m"):
        assert run(["mocap", str(video), "-o", str(tmp_path / f"{unit}.bvh"), "--units", unit, *ARGUMENTS]) == 0
    lengths = [_largest_offset(tmp_path / f"{unit}.bvh") for unit in ("cm", "m")]
    assert lengths[0] == pytest.approx(100 * lengths[1], rel=1e-3)


@pytest.mark.usefixtures("bar")
def test_several_videos_go_to_a_folder_and_a_bad_one_does_not_stop_the_rest(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "in" / "bad.mp4"
    bad.write_text("no video")
    other = film(tmp_path / "in" / "other.mp4", 10, 12)
    out = tmp_path / "out" / "deep"
    assert run(["mocap", str(video), str(bad), str(other), "-o", str(out), "--format", "csv", *ARGUMENTS]) == 2
    told = capsys.readouterr()
    assert files(out) == ["manifest.jsonl", "other.csv", "walk.csv"]
    assert len(results(told.out)) == 3
    assert told.out.splitlines()[-1].startswith("2 captured, 1 failed in ")
    assert len(told.err.splitlines()) == 1
    assert "bad.mp4" in told.err


@pytest.mark.usefixtures("bar")
def test_everybody_goes_to_numbered_files(tmp_path: Path, video: Path) -> None:
    assert run(["mocap", str(video), "-o", str(tmp_path / "out"), "--person", "all", *ARGUMENTS]) == 0
    assert files(tmp_path / "out") == ["walk_person1.bvh"]
    # Again: what is there may not be replaced without being asked to.
    assert run(["mocap", str(video), "-o", str(tmp_path / "out"), "--person", "all", *ARGUMENTS]) == 2
    assert run(["mocap", str(video), "-o", str(tmp_path / "out"), "--person", "all", "--overwrite", *ARGUMENTS]) == 0


@pytest.mark.parametrize(("name", "runtime", "told"), [("builtin", None, True), ("builtin", "there", False), ("bar", None, False)])
def test_who_uses_the_built_in_detector_without_its_faster_runtime_is_told_of_it(
    name: str, runtime: str | None, told: bool, bar: BarDetector, tmp_path: Path, video: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bar.name = name
    monkeypatch.setattr("stpose_cli.task.find_spec", lambda module: runtime)
    assert run(["mocap", str(video), "-o", str(tmp_path / "a.bvh"), *ARGUMENTS]) == 0
    assert ("[fast]" in capsys.readouterr().err) == told


@pytest.mark.usefixtures("bar")
def test_a_preview_is_written_beside(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preview = tmp_path / "seen.mp4"
    arguments = ["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--preview", str(preview), *ARGUMENTS]
    assert run(arguments) == 0
    assert str(preview) in capsys.readouterr().out
    assert files(tmp_path) == ["a.bvh", "in/walk.mp4", "seen.mp4"]


@pytest.mark.usefixtures("bar")
def test_progress_as_json_is_a_parsed_line_each(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.bvh"
    assert run(["mocap", str(video), "-o", str(out), "--progress", "json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    events = [json.loads(line) for line in told.out.splitlines()]
    assert {event["event"] for event in events} == {"progress", "result"}
    assert {event["video"] for event in events} == {str(video)}
    for event in events[:-1]:
        assert set(event) == {"event", "video", "stage", "done", "total", "eta"}
        assert 0 <= event["done"] <= event["total"]
        assert event["eta"] is None or event["eta"] >= 0
    assert {"detect", "lift"} <= {event["stage"] for event in events[:-1]}
    result = events[-1]
    assert (result["event"], result["files"], result["frames"], result["fps"]) == ("result", [str(out)], 30, 25)
    assert (result["people"], result["seen"]) == (1, [1.0])


@pytest.mark.usefixtures("bar")
def test_errors_as_json_are_told_to_programs_and_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.mp4"
    assert run(["mocap", str(missing), "-o", str(tmp_path / "a.bvh"), "--progress", "json"]) == 2
    told = capsys.readouterr()
    (event,) = [json.loads(line) for line in told.out.splitlines()]
    assert (event["event"], event["video"]) == ("error", str(missing))
    assert str(missing) in event["message"]
    assert told.err == f"stpose: {event['message']}\n"


@pytest.mark.usefixtures("bar")
def test_bars_are_for_standard_error(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mocap", str(video), "-o", str(tmp_path / "a.bvh")]) == 0
    told = capsys.readouterr()
    assert len(results(told.out)) == 1
    assert "detect" in told.err
    assert "30/30" in told.err


def test_a_missing_file_and_a_text_file(bar: BarDetector, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    for path in (tmp_path / "none.mp4", text, tmp_path):
        told = fails(capsys, "mocap", path, "-o", tmp_path / "a.bvh", *ARGUMENTS)
        assert str(path) in told
    assert bar.looked == 0
    assert files(tmp_path) == ["text.mp4"]


@pytest.mark.usefixtures("bar")
def test_nobody_in_the_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "empty.mp4", 25, 25, there=[])
    preview = tmp_path / "preview.mp4"
    fails(capsys, "mocap", path, "-o", tmp_path / "a.bvh", "--preview", preview, *ARGUMENTS)
    fails(capsys, "mocap", path, "-o", f"{tmp_path}/out/", *ARGUMENTS)
    assert files(tmp_path) == ["empty.mp4"]
    assert not (tmp_path / "out").exists()


def test_outputs_are_checked_before_the_work(
    bar: BarDetector, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.bvh"
    there.write_text("keep me")
    file = tmp_path / "file"
    file.write_text("not a folder")
    cases: list[tuple[list[str | Path], str]] = [
        (["-o", there], "exists"),
        (["-o", tmp_path / "no" / "folder" / "a.bvh"], "no folder"),
        (["-o", file / "a.bvh"], "no folder"),
        (["-o", f"{file}/sub/"], "is a file"),
        (["-o", tmp_path / "a.mov"], ".bvh"),
        (["-o", tmp_path / "a.bvh", "--person", "all"], "folder"),
        (["-o", tmp_path / "a.bvh", "--format", "csv"], "--format"),
        (["-o", tmp_path / "a.bvh", "--preview", tmp_path / "a.avi"], ".mp4"),
        (["-o", tmp_path / "a.bvh", "--preview", there.parent / "no" / "a.mp4"], "no folder"),
        (["-o", tmp_path / "a.bvh", "--preview", video, "--overwrite"], "is an input"),
    ]
    for arguments, words in cases:
        assert words in fails(capsys, "mocap", video, *arguments, *ARGUMENTS)
    assert "folder" in fails(capsys, "mocap", video, video, "-o", tmp_path / "a.bvh", *ARGUMENTS)
    assert bar.looked == 0
    assert there.read_text() == "keep me"
    assert files(tmp_path) == ["file", "in/walk.mp4", "there.bvh"]
    # Control: asked to, it replaces the file.
    assert run(["mocap", str(video), "-o", str(there), "--overwrite", *ARGUMENTS]) == 0
    assert there.read_text() != "keep me"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("bar")
def test_a_folder_without_permission(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    fails(capsys, "mocap", video, "-o", folder / "a.bvh", *ARGUMENTS)
    fails(capsys, "mocap", video, "-o", folder, *ARGUMENTS)


@pytest.mark.usefixtures("bar")
def test_namesakes_do_not_overwrite_each_other(tmp_path: Path, video: Path) -> None:
    (tmp_path / "b").mkdir()
    twins = [film(tmp_path / "b" / name, 25, 5) for name in ("walk.mov", "Walk.mp4", "other.mp4")]
    assert run(["mocap", str(video), *map(str, twins), "-o", str(tmp_path / "out"), *ARGUMENTS]) == 0
    names = ["b_Walk_mp4.bvh", "b_walk_mov.bvh", "in_walk_mp4.bvh", "manifest.jsonl", "other.bvh"]
    assert files(tmp_path / "out") == names


def test_detectors_that_are_unknown_or_not_installed(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(capsys, "mocap", video, "-o", tmp_path / "a.bvh", "--detector", "nonsense", *ARGUMENTS)
    without_builtin(monkeypatch, tmp_path / "none")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path / "none"))
    for detector, remedy in (("auto", "pip install"), ("mediapipe", "pip install"), ("rtmpose", "STPOSE_MODELS")):
        told = fails(capsys, "mocap", video, "-o", tmp_path / "a.bvh", "--detector", detector, *ARGUMENTS)
        assert remedy in told
    with pytest.raises(DetectorError):
        stpose_core.load_detector("auto")
    assert files(tmp_path) == ["in/walk.mp4"]


def test_a_package_that_does_not_load(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stpose_core.pipeline", None)
    assert "stpose doctor" in fails(capsys, "mocap", video, "-o", tmp_path / "a.bvh", *ARGUMENTS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--start", "soon"],
        ["--start", "1:2:3:4"],
        ["--end", "-1"],
        ["--start", "2", "--end", "1"],
        ["--person", "everyone"],
        ["--person", "0"],
        ["--smooth", "1.5"],
        ["--fps", "0"],
        ["--fps", "nan"],
        ["--device", "tpu"],
        ["--progress", "loud"],
        ["--units", "inch"],
        ["--no-such-option"],
    ],
)
def test_bad_options(
    bar: BarDetector, tmp_path: Path, video: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fails(capsys, "mocap", video, "-o", tmp_path / "a.bvh", "--progress", "none", *arguments)
    assert bar.looked == 0
    assert files(tmp_path) == ["in/walk.mp4"]


def test_forgotten_arguments(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "VIDEO" in fails(capsys, "mocap", "-o", "a.bvh")
    assert "--out" in fails(capsys, "mocap", video)
    fails(capsys, "nonsense")


@pytest.mark.usefixtures("bar")
@pytest.mark.parametrize(("start", "end", "frames"), [("0:00.2", "0:01", 20), ("0.2", "1", 20), ("00:00:00.4", "9:00", 20)])
def test_times_are_seconds_or_minutes(tmp_path: Path, video: Path, start: str, end: str, frames: int) -> None:
    out = tmp_path / "a.bvh"
    assert run(["mocap", str(video), "-o", str(out), "--start", start, "--end", end, *ARGUMENTS]) == 0
    assert len(load_motion(out)) == frames


def test_an_interruption_leaves_nothing(
    bar: BarDetector, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    arguments = ["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--preview", str(tmp_path / "p.mp4"), *ARGUMENTS]
    for place in ("stpose_core.preview.draw_skeleton", "stpose_core.formats.save"):
        monkeypatch.setattr(place, interrupt)
        assert run(arguments) == 130
        assert not (tmp_path / "a.bvh").exists()
        monkeypatch.undo()
        monkeypatch.setattr(stpose_core.pipeline, "load_detector", lambda name, device: bar)
        monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)
        (tmp_path / "p.mp4").unlink(missing_ok=True)
    assert files(tmp_path) == ["in/walk.mp4"]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links and names")
@pytest.mark.usefixtures("bar")
def test_names_that_the_system_refuses(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long, loop, out = tmp_path / ("a" * 300), tmp_path / "loop.bvh", tmp_path / "a.bvh"
    loop.symlink_to(loop)
    for arguments in (
        [long, "-o", out],
        [loop, "-o", out],
        [video, "-o", f"{long}.bvh"],
        [video, "-o", f"{long}/"],
        [video, "-o", loop / "a.bvh"],
        [video, "-o", out, "--detector", long],
        [video, "-o", out, "--detector", loop],
        [video, "-o", out, "--preview", f"{long}.mp4"],
    ):
        fails(capsys, "mocap", *arguments, *ARGUMENTS)
    assert files(tmp_path) == ["in/walk.mp4"]


@pytest.mark.usefixtures("bar")
def test_only_numbered_files_are_in_the_way_of_everybody(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("walk.bvh", "walk_person1_old.bvh", "walk_person.bvh"):
        (out / name).write_text("another's")
    arguments: list[str | Path] = ["mocap", video, "-o", out, "--person", "all", *ARGUMENTS]
    assert run([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    (out / "walk_person1.bvh").rename(out / "walk_person2.bvh")
    assert "walk_person2.bvh exists" in fails(capsys, *arguments)
    # Nor may a numbered file be the file of keypoints.
    keypoints = out / "walk_person2.npz"
    keypoints.write_bytes(b"keypoints")
    assert "is an input" in fails(capsys, *arguments, "--format", "npz", "--overwrite", "--detector", keypoints)
    assert keypoints.read_bytes() == b"keypoints"


@pytest.mark.usefixtures("bar")
def test_no_preview_stays_of_a_motion_that_was_not_saved(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("stpose_core.formats.save", refuse)
    monkeypatch.setattr("stpose_core.save", refuse, raising=False)
    fails(capsys, "mocap", video, "-o", tmp_path / "a.bvh", "--preview", tmp_path / "p.mp4", *ARGUMENTS)
    assert files(tmp_path) == ["in/walk.mp4"]


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert run(["mocap", "--help"]) == 0
    assert "--person" in capsys.readouterr().out
    assert run([]) == 2


def _largest_offset(path: Path) -> float:
    offsets = [line.split()[1:] for line in path.read_text().splitlines() if line.strip().startswith("OFFSET")]
    return float(np.abs(np.array(offsets, dtype=float)).max())


def test_people_who_are_left_out_are_told_of(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_any)
    # Between two frames of the motion, at one a second, nobody is seen.
    joints = write_people(tmp_path / "a.json", (40, 0.9, range(30)), (100, 0.9, range(10, 14)))
    arguments = ["mocap", str(video), "-o", f"{tmp_path}/out/", "--person", "all", "--fps", "1", "--detector", str(joints)]
    for progress in ("none", "bar", "json"):
        assert run([*arguments, "--progress", progress, "--overwrite"]) == 0
        told = capsys.readouterr()
        (line,) = (line for line in told.err.splitlines() if line.startswith("stpose: "))
        assert "left out 1 of 2 people (by size: 2), detected in too few frames" in line
        assert files(tmp_path / "out") == ["walk_person1.bvh"]
        if progress == "json":
            events = [json.loads(line) for line in told.out.splitlines()]
            (warning,) = (event for event in events if event["event"] == "warning")
            assert warning["video"] == str(video)
            assert line == f"stpose: {warning['message']}"
            assert (events[-1]["event"], events[-1]["people"]) == ("result", 1)
