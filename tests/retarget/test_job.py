"""The process runner: progress, results, errors in full, and a cancel that leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import alive, fake_command
from job import CANCELLED, DETECTORS, DONE, FAILED, RUNNING, Capture, CaptureJob, Job, PeopleJob, find_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in command is a script with a #! line")


@pytest.fixture
def stand_in(tmp_path: Path) -> tuple[Path, Path]:
    track = tmp_path / "whole.npz"
    track.write_bytes(b"a track")
    return fake_command(tmp_path, track)


def video(tmp_path: Path, name: str) -> Capture:
    (tmp_path / name).touch()
    return Capture(tmp_path / name)


def test_a_capture_tells_of_its_progress_and_gives_its_track(stand_in: tuple, tmp_path: Path) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, "good.mp4"), tmp_path / "good.npz")
    parts = []
    while job.poll().status == RUNNING:
        parts.append(job.state.part)
        time.sleep(0.005)
    assert job.state.status == DONE
    assert (tmp_path / "good.npz").read_bytes() == b"a track"
    assert job.state.results[0]["frames"] == 60
    seen = [part for part in parts if part is not None]
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert job.state.stage == "detect"


@pytest.mark.parametrize(
    ("name", "text"), [("bad.mp4", "there is nobody in the video"), ("crash.mp4", "MemoryError: much too long")]
)
def test_errors_are_told_in_full_and_leave_nothing(stand_in: tuple, tmp_path: Path, name: str, text: str) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, name), tmp_path / "out.npz")
    assert job.wait().status == FAILED
    assert text in job.state.error
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("name", ["slow.mp4", "slow-stubborn.mp4"])
def test_cancel_ends_all_processes_and_leaves_no_file(stand_in: tuple, tmp_path: Path, name: str) -> None:
    before = set(Path(tempfile.gettempdir()).glob("stpose-*"))
    job = CaptureJob(stand_in[0], video(tmp_path, name), tmp_path / "out.npz")
    while job.poll().stage != "detect":
        time.sleep(0.02)
    pids = [int(pid) for pid in stand_in[1].read_text().split()]
    assert all(alive(pid) for pid in pids)
    job.cancel()
    time.sleep(0.1)
    assert not any(alive(pid) for pid in pids)
    assert job.poll().status == CANCELLED
    assert not (tmp_path / "out.npz").exists()
    assert set(Path(tempfile.gettempdir()).glob("stpose-*")) == before


@pytest.mark.timing
@pytest.mark.parametrize("name", ["slow.mp4", "slow-stubborn.mp4"])
def test_cancel_takes_less_than_a_second(stand_in: tuple, tmp_path: Path, name: str) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, name), tmp_path / "out.npz")
    while job.poll().stage != "detect":
        time.sleep(0.02)
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 1.0


@pytest.mark.timing
def test_polling_never_waits(stand_in: tuple, tmp_path: Path) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, "slow.mp4"), tmp_path / "out.npz")
    times = []
    for _ in range(30):
        began = time.perf_counter()
        job.poll()
        times.append(time.perf_counter() - began)
        time.sleep(0.01)
    job.cancel()
    assert sorted(times)[-2] < 0.005


def test_a_track_that_cannot_be_moved_to_its_place_is_an_error(stand_in: tuple, tmp_path: Path) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, "good.mp4"), tmp_path / "nowhere" / "good.npz")
    assert job.wait().status == FAILED
    assert "cannot write" in job.state.error


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        CaptureJob(tmp_path / "missing", Capture(tmp_path / "a.mp4"), tmp_path / "a.npz")


def test_plain_output_is_kept(stand_in: tuple) -> None:
    job = Job([stand_in[0], "doctor"])
    assert job.wait().status == DONE
    assert job.state.output[-1] == "ready"


def test_the_command_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    assert find_command(home=tmp_path) is None
    for place in (".virtualenvs/mocap/bin", "stpose/.venv/bin", ".local/bin", "venv/bin"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "stpose").touch()
    assert find_command(home=tmp_path) == tmp_path / ".local/bin/stpose"
    assert find_command(str(tmp_path / "venv/bin")) == tmp_path / "venv/bin/stpose"
    assert find_command(str(tmp_path / "gone")) is None


def test_the_command_reads_the_options_of_a_capture(tmp_path: Path) -> None:
    """Each choice arrives in the command as it was made; the words of the command line are ones it has."""
    main = pytest.importorskip("stpose_cli.mocap")
    from stpose_core.options import CaptureOptions, read_options

    capture = Capture(Path("a.mp4"), "2", float(np.float32(0.4)), 1.5, 4.0, "mediapipe", "cpu")
    file = tmp_path / "options.json"
    file.write_text(json.dumps(capture.options()))
    wanted = CaptureOptions(person="2", smooth=0.4, start=1.5, end=4.0, detector="mediapipe", device="cpu")
    assert read_options(file) == wanted
    words = capture.arguments(Path("o.npz"), file)
    assert words[:4] == ["mocap", "a.mp4", "-o", "o.npz"]
    assert words[words.index("--options") + 1] == str(file)
    assert {word for word in words if word.startswith("-")} <= {option for one in main.mocap.params for option in one.opts}


def test_the_job_hands_its_options_to_the_command_and_removes_the_file(stand_in: tuple, tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("stpose-*"))
    job = CaptureJob(stand_in[0], replace(video(tmp_path, "good.mp4"), smooth=0.9), tmp_path / "good.npz")
    assert job.wait().status == DONE
    assert json.loads(stand_in[1].with_name("options").read_text())["smooth"] == 0.9
    assert set(Path(tempfile.gettempdir()).glob("stpose-*")) == before


def test_the_defaults_are_those_of_stpose() -> None:
    options = pytest.importorskip("stpose_core.options")
    default = options.CaptureOptions()
    chosen = Capture(Path("a.mp4")).options()
    assert chosen == {name: getattr(default, name) for name in chosen}
    panel = panel_module("properties")
    assert panel.STPoseSettings.smooth == default.smooth
    assert panel.STPoseSettings.person == default.person  # the first item of an enumeration is its default
    assert not panel.STPoseSettings.use_range
    assert (panel.STPoseSettings.filmed, panel.STPoseSettings.refine) == (default.camera, default.refine)
    operator = panel_module("operators.capture").STPOSE_OT_capture_video
    assert (operator.smooth, operator.person) == (default.smooth, default.person)
    chosen = panel_module("preferences").STPosePreferences
    assert (chosen.detector, chosen.device) == (default.detector, default.device)


def panel_module(name: str) -> SimpleNamespace:
    """A module of the extension with the default of each property as the attribute of its class, by a stand-in for Blender."""
    code = "import sys; sys.path[:0] = sys.argv[1:3]; import panel_defaults; print(panel_defaults.read(sys.argv[3]))"
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parents[1]), name], capture_output=True, text=True, check=True
    )
    return SimpleNamespace(**{kind: SimpleNamespace(**values) for kind, values in json.loads(done.stdout).items()})


def test_the_detectors_are_those_of_the_command() -> None:
    known = pytest.importorskip("stpose_core.detect").NAMES
    assert [name for name, _, _ in DETECTORS] == [*known, "file"]


def test_everybody_comes_as_a_track_each(tmp_path: Path) -> None:
    (tmp_path / "prepared.npz").write_bytes(b"first")
    (tmp_path / "prepared_2.npz").write_bytes(b"second")
    command, _ = fake_command(tmp_path, tmp_path / "prepared.npz")
    job = CaptureJob(command, replace(video(tmp_path, "crowd.mp4"), person="all"), tmp_path / "out.npz")
    assert job.wait().status == DONE, job.state.error
    assert [track.name for track in job.tracks] == [f"out_person{number}.npz" for number in range(1, 12)]
    assert (tmp_path / "out_person2.npz").read_bytes() == b"second"
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / "out.npz").exists()


def test_one_person_is_one_track(stand_in: tuple, tmp_path: Path) -> None:
    job = CaptureJob(stand_in[0], video(tmp_path, "good.mp4"), tmp_path / "good.npz")
    assert job.wait().status == DONE
    assert job.tracks == [tmp_path / "good.npz"]


def test_people_are_listed_with_a_picture(stand_in: tuple, tmp_path: Path) -> None:
    job = PeopleJob(stand_in[0], replace(video(tmp_path, "good.mp4"), start=1.5))
    assert job.wait().status == DONE
    assert [line[:2] for line in job.people] == ["1:", "2:"]
    assert job.picture.is_file()
    assert "--start 1.5" in stand_in[1].with_name("words").read_text()
    job.close()
    assert not job.picture.parent.exists()


def test_the_words_for_people_are_those_of_the_command(stand_in: tuple, tmp_path: Path) -> None:
    main = pytest.importorskip("stpose_cli.people")
    job = PeopleJob(stand_in[0], replace(video(tmp_path, "good.mp4"), start=1.0, end=2.0))
    job.wait()
    job.close()
    said = stand_in[1].with_name("words").read_text().split()
    assert {word for word in said if word.startswith("--")} <= {option for one in main.people.params for option in one.opts}
