"""The options of a capture: from the command line, from a file, and by default."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from fakes import BarDetector, lift_standing
from stpose_cli.main import run
from test_cli import ARGUMENTS, bar, fails, video

import stpose_core.lift
from stpose_core.data import Camera, Keypoints, Pose3D
from stpose_core.formats import load_motion
from stpose_core.options import CaptureOptions

__all__ = ["bar", "video"]  # fixtures


@pytest.mark.usefixtures("bar")
def test_options_come_from_a_file_and_the_command_line_counts_before_it(tmp_path: Path, video: Path) -> None:
    (tmp_path / "options.json").write_text('{"fps": 12.5, "start": 0.4, "format": "npz", "device": "cpu"}')
    chosen = ["--options", str(tmp_path / "options.json"), "--progress", "none"]
    assert run(["mocap", str(video), "-o", str(tmp_path / "out"), *chosen]) == 0
    motion = load_motion(tmp_path / "out" / "walk.npz")
    assert (motion.fps, len(motion)) == (12.5, 10)
    assert run(["mocap", str(video), "-o", str(tmp_path / "out"), *chosen, "--fps", "25", "--format", "bvh"]) == 0
    again = load_motion(tmp_path / "out" / "walk.bvh")
    assert (again.fps, len(again)) == (pytest.approx(25), 20)


def test_of_two_options_that_exclude_each_other_the_file_s_gives_way(
    tmp_path: Path, video: Path, bar: BarDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "options.json").write_text('{"fov": 69, "actor_height": 1.7, "device": "cpu"}')
    seen: list[CaptureOptions] = []
    monkeypatch.setattr("stpose_cli.mocap._one", lambda job, options, *_: seen.append(options) or 0)
    words = ["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--options", str(tmp_path / "options.json"), "--focal", "800"]
    assert run([*words, "--camera-height", "1.5"]) == 0
    assert (seen[0].focal, seen[0].fov, seen[0].camera_height, seen[0].actor_height) == (800.0, None, 1.5, None)


def test_wrong_options_in_a_file_are_one_line(tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "options.json"
    arguments = ["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--options", file]
    assert "cannot read" in fails(capsys, *arguments)
    file.write_text('{"smoothing": 1}')
    assert "unknown option smoothing" in fails(capsys, *arguments)
    file.write_text('{"smooth": 2}')
    assert "options.json: smooth must be" in fails(capsys, *arguments)
    file.write_text("{}")
    assert "focal and fov" in fails(capsys, *arguments, "--focal", "900", "--fov", "60")
    assert not (tmp_path / "a.bvh").exists()


def test_a_known_field_of_view_reaches_the_lifter(
    tmp_path: Path, video: Path, bar: BarDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def lift(keypoints: Keypoints, camera: Camera | None = None) -> Pose3D:
        seen.append(camera)
        return lift_standing(keypoints)

    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift)
    assert run(["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--fov", "90", *ARGUMENTS]) == 0
    assert run(["mocap", str(video), "-o", str(tmp_path / "b.bvh"), *ARGUMENTS]) == 0
    assert seen == [Camera(pytest.approx(80.0), (80.0, 60.0)), None]  # type: ignore[arg-type]


def test_every_default_of_the_command_is_that_of_the_options() -> None:
    from stpose_cli.mocap import mocap

    defaults = {option.name: option.default for option in mocap.params}
    for entry in fields(CaptureOptions):
        assert defaults[entry.name] == entry.default, entry.name
