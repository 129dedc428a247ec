"""Standard errors of every format: one line, status 2, and no file; a reader that closes the pipe is no error to speak of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stpose_cli.main import run
from test_formats_glb import body_motion

from stpose_core.formats import FORMATS, save

SUFFIXES = [entry.suffix for entry in FORMATS]
READABLE = [entry.suffix for entry in FORMATS if entry.readable]
MISSING = {".c3d": "ezc3d", ".usda": "pxr", ".usdc": "pxr", ".usdz": "pxr"}
WRITTEN_HERE = [suffix for suffix in SUFFIXES if suffix != ".fbx"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bvh"
    save(body_motion(frames=5), path)
    return path


def error_of(words: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    assert run([str(word) for word in words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("stpose: ")
    assert told.err.count("\n") == 1
    assert len(told.err) < 700
    return told.err


@pytest.mark.parametrize("words", [["convert", "SOURCE", "-o"], ["trim", "SOURCE", "--end", "1", "-o"], ["mocap", "a.mp4", "-o"]])
def test_an_unsupported_suffix(words: list[str], source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = source.with_name("b.abc")
    told = error_of([*(source if word == "SOURCE" else word for word in words), target], capsys)
    assert "b.abc" in told
    assert ".bvh, .glb" in told
    assert not target.exists()


@pytest.mark.parametrize("command", ["info", "convert", "view"])
def test_an_unsupported_suffix_of_the_input(command: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = source.rename(source.with_name("b.abc"))
    target = ["-o", source.with_name("c.glb")] if command == "convert" else []
    assert "'.abc'" in error_of([command, other, *target], capsys)


@pytest.mark.parametrize(
    "words",
    [["info", ""], ["convert", "SOURCE", "-o", ""], ["mocap", "", "-o", "a.bvh"], ["mocap", "a.mp4", "-o", ""], ["pose", ""]],
)
def test_an_empty_name_is_not_the_current_folder(words: list[str], source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the name is empty" in error_of([source if word == "SOURCE" else word for word in words], capsys)


def test_a_file_of_motion_is_no_video(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = error_of(["mocap", source, "-o", source.with_name("b.glb")], capsys)
    assert f"{source} is a file of motion, not a video; stpose convert" in told
    other = source.rename(source.with_name("b.fbx"))
    assert ".glb in Blender" in error_of(["mocap", other, "-o", source.with_name("b.glb")], capsys), "fbx is only written"


def test_people_takes_no_file_of_motion(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{source} is a file of motion, not a video" in error_of(["people", source], capsys)


def test_a_folder_of_videos_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    (folder / "a.mp4").touch()
    assert "takes is a folder of videos; give one of them" in error_of(["people", folder], capsys)


def test_a_video_is_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mov").touch()
    told = error_of(["pose", tmp_path / "a.mov", "-o", tmp_path / "b.json"], capsys)
    assert "a.mov is a video, not a picture; stpose mocap captures it" in told


@pytest.mark.parametrize(("words", "what"), [(["a.mp4", "--jobs", "2"], "--jobs"), (["a.mp4", "b.mp4"], "many videos")])
def test_a_batch_needs_a_folder(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"a.bvh is one file; for {what} give a folder" in error_of(["mocap", *words, "-o", "a.bvh"], capsys)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_unwritable_target(suffix: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = source.with_name(f"there{suffix}")
    there.write_text("kept")
    folder = source.with_name(f"folder{suffix}")
    folder.mkdir()
    targets = [source.with_name("no folder") / f"b{suffix}", source / f"b{suffix}", there, folder]
    if Path("/proc/self").exists():
        targets.append(Path(f"/proc/b{suffix}"))  # not even by root
    for target in targets:
        told = error_of(["convert", source, "-o", target], capsys)
        assert str(target) in told or str(target.parent) in told or "needs Blender" in told
    assert there.read_text() == "kept"
    assert not list(folder.iterdir())
    assert {path.name for path in source.parent.iterdir()} == {source.name, there.name, folder.name}


@pytest.mark.parametrize("suffix", MISSING)
def test_a_missing_package(suffix: str, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, MISSING[suffix], None)
    told = error_of(["convert", source, "-o", source.with_name(f"b{suffix}")], capsys)
    assert "install it with" in told
    assert not source.with_name(f"b{suffix}").exists()


def test_no_blender(source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("STPOSE_BLENDER", "")
    monkeypatch.setattr("stpose_core.formats.fbx.find_spec", lambda name: None)
    assert "a .fbx needs Blender" in error_of(["convert", source, "-o", source.with_name("b.fbx")], capsys)


@pytest.mark.parametrize("suffix", READABLE)
def test_an_input_that_is_something_else(suffix: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = source.with_name(f"a{suffix}")
    wrong.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    for words in (["info", wrong], ["convert", wrong, "-o", source.with_name("b.glb")], ["view", wrong]):
        assert wrong.name in error_of(words, capsys)
    wrong.unlink()
    assert wrong.name in error_of(["info", wrong], capsys)
    assert not source.with_name("b.glb").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
@pytest.mark.parametrize("suffix", READABLE)
def test_a_closed_pipe_is_quiet(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    save(body_motion(frames=5), path)
    code = "from stpose_cli.main import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run([sys.executable, "-c", code, "info", str(path)], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stderr) == (2, "")


@pytest.mark.parametrize("suffix", WRITTEN_HERE)
def test_info_says_what_each_format_holds(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"a{suffix}"
    save(body_motion(frames=30), path)
    if suffix not in READABLE:
        assert "only written" in error_of(["info", path], capsys)
        return
    assert run(["info", str(path)]) == 0
    told = capsys.readouterr().out
    for line in ("person 1 of 1", "frames:          30", "fps:             30.0", "seconds:         1.0", "skeleton:"):
        assert line in told


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("suffix", MISSING)
def test_a_capture_names_a_missing_package_before_its_work(
    suffix: str, folder: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").touch()  # not read: it is no video
    out = [f"{tmp_path}/out/", "--format", suffix[1:]] if folder else [tmp_path / f"a{suffix}"]
    monkeypatch.setitem(sys.modules, MISSING[suffix], None)
    assert f"a {suffix} needs the package" in error_of(["mocap", tmp_path / "a.mp4", "-o", *out], capsys)
    assert not (tmp_path / "out").exists()


def test_a_motion_is_not_written_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").touch()
    assert "give the name of a file" in error_of(["mocap", tmp_path / "a.mp4", "-o", "-"], capsys)
