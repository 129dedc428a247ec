"""Batches: many videos, in this process, in processes and on Ray; what happens to them when workers die or a person stops them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import ANY

import pytest
from batch_kit import NOTES
from fakes import BarDetector, film
from stpose_cli.batch import Batch, Crash
from stpose_cli.inputs import find_videos
from stpose_cli.main import run
from stpose_cli.manifest import checksum
from stpose_cli.outputs import Job, unique_names
from stpose_cli.processes import Processes
from stpose_cli.progress import NoProgress, Progress
from stpose_cli.reports import Reports
from stpose_cli.task import Outcome, Task
from test_cli import ARGUMENTS, bar, fails, files  # noqa: F401 - a fixture

from stpose_core.errors import FormatError, VideoError
from stpose_core.files import remove_partials, written_whole
from stpose_core.formats import load_motion
from stpose_core.options import CaptureOptions

HERE = Path(__file__).parent
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A folder with three videos, one of them in a sub-folder."""
    folder = tmp_path / "takes"
    (folder / "second").mkdir(parents=True)
    for number, name in enumerate(("a.mp4", "b.mp4", "second/c.mp4")):
        film(folder / name, 25, 20 + number)
    return folder


def start(tmp_path: Path, *words: str | Path) -> subprocess.Popen[str]:
    """The command in a process of its own, as the leader of a group, as in a terminal."""
    (tmp_path / "notes").mkdir(exist_ok=True)
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {NOTES: str(tmp_path / "notes"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stpose_cli.main", "mocap", *map(str, words), "--device", "cpu", "--camera", "static"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def stpose(tmp_path: Path, *words: str | Path) -> tuple[int, str, str]:
    process = start(tmp_path, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def wait_for(condition: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_folder_a_pattern_and_a_list_stand_for_videos(takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (takes / "out").mkdir()
    film(takes / "out" / "preview.mp4", 25, 3)
    (takes / ".hidden.mp4").write_bytes(b"")
    (takes / "notes.txt").write_text("text")
    everything = [takes / "a.mp4", takes / "b.mp4", takes / "second" / "c.mp4"]
    assert find_videos([takes], str(takes / "out")) == (everything, True)
    assert find_videos([Path("takes/*.mp4")], "out") == ([Path("takes/a.mp4"), Path("takes/b.mp4")], True)
    assert find_videos([Path("takes/**/c.mp4")], "out") == ([Path("takes/second/c.mp4")], True)
    (tmp_path / "list.txt").write_text("takes/b.mp4\n\ntakes/se*\n")
    assert find_videos([Path("@list.txt")], "out") == ([Path("takes/b.mp4"), Path("takes/second/c.mp4")], True)
    # Once each, however often they are named. A single file is not a batch, and a folder of pictures is one clip.
    assert find_videos([Path("takes/a.mp4"), takes], str(takes / "out"))[0] == [Path("takes/a.mp4"), *everything[1:]]
    assert find_videos([Path("takes/a.mp4")], "out") == ([Path("takes/a.mp4")], False)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_bytes(b"")
    assert find_videos([Path("pictures")], "out") == ([Path("pictures")], False)
    # Names that exist mean what they say.
    for name in ("@a.mp4", "a[1].mp4"):
        (tmp_path / name).write_bytes(b"")
        assert find_videos([Path(name)], "out") == ([Path(name)], False)
    with pytest.raises(VideoError, match="no file matches none"):
        find_videos([Path("none*.mp4")], "out")
    with pytest.raises(FormatError, match=r"cannot read none\.txt"):
        find_videos([Path("@none.txt")], "out")


@pytest.mark.parametrize(
    ("videos", "names"),
    [
        (["/x/walk.mp4", "/x/run.mp4"], ["walk", "run"]),
        (["/x/a/walk.mp4", "/x/b/walk.mp4", "/x/c/run.mp4"], ["a_walk", "b_walk", "run"]),
        (["/x/1/a/walk.mp4", "/x/2/a/walk.mp4"], ["1_a_walk", "2_a_walk"]),
        (["/x/walk.mp4", "/x/walk.mov"], ["walk_mp4", "walk_mov"]),
        (["/x/walk.mp4", "/x/WALK.mov"], ["walk_mp4", "WALK_mov"]),
        (["/x/a/walk.mp4", "/x/b/walk.mp4", "/x/a_walk.mp4"], ["a_walk", "b_walk", "a_walk_2"]),
        (["/x/walk.mp4", "/x/Walk.mp4", "/x/walk_mp4.mp4"], ["walk_mp4", "Walk_mp4_2", "walk_mp4_3"]),
    ],
)
def test_names_of_outputs_are_unique(videos: list[str], names: list[str]) -> None:
    found = unique_names([Path(video) for video in videos])
    assert len({name.casefold() for name in found}) == len(found)
    assert found == names


def test_a_batch_is_resumed(bar: BarDetector, takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    out = tmp_path / "out"
    words = ["mocap", str(takes), "-o", str(out), *ARGUMENTS]
    assert run(words) == 0
    assert files(out) == ["a.bvh", "b.bvh", "c.bvh", "manifest.jsonl"]
    assert [entry["status"] for entry in entries(out)] == ["done"] * 3
    first = entries(out)[0]
    assert (first["video"], first["files"]) == (str(takes / "a.mp4"), ["a.bvh"])
    assert first["sha256"] == checksum(takes / "a.mp4")
    assert (first["options"]["smooth"], first["frames"], first["people"], first["tries"]) == (0.4, 20, 1, 1)
    assert first["quality"][0]["seen"] == 1.0
    # Nothing is left to do: no picture is looked at. Control: a missing output is made again, the others are not.
    bar.looked = 0
    assert run(words) == 0
    assert bar.looked == 0
    assert "3 skipped" in capsys.readouterr().out
    (out / "b.bvh").unlink()
    assert run(words) == 0
    assert 21 <= bar.looked < 30
    assert [Path(entry["video"]).name for entry in entries(out)] == ["a.mp4", "b.mp4", "c.mp4", "b.mp4"]
    # Another video under the same name, or other options: the output is not what was asked for, and is not replaced unasked.
    film(takes / "a.mp4", 25, 30)
    capsys.readouterr()
    assert run(words) == 2
    assert f"{out / 'a.bvh'} exists already, but the video has changed; --overwrite captures it again" in capsys.readouterr().err
    assert run([*words, "--smooth", "0.7"]) == 2
    assert "b.bvh exists already, but it was captured with other options (smooth 0.4, now 0.7)" in capsys.readouterr().err
    assert len(load_motion(out / "a.bvh")) == 20
    assert run([*words, "--overwrite"]) == 0
    assert len(load_motion(out / "a.bvh")) == 30


def test_the_manifest_has_errors_from_before_there_was_a_folder(bar: BarDetector, takes: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    (takes / "0.mp4").write_text("no video")
    assert run(["mocap", str(takes), "-o", str(out), *ARGUMENTS]) == 2
    assert [(Path(entry["video"]).name, entry["status"]) for entry in entries(out)][:2] == [("0.mp4", "error"), ("a.mp4", "done")]
    # An error alone makes no folder.
    assert run(["mocap", str(takes / "0.mp4"), "-o", str(tmp_path / "other") + "/", *ARGUMENTS]) == 2
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that takes no files from anybody")
def test_a_folder_that_takes_no_file_is_found_before_any_work(
    bar: BarDetector,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Permissions do not show it: they allow the superuser to write into /proc."""
    video = film(tmp_path / "a.mp4", 25, 5)
    for out in ("/proc/a.bvh", "/proc/"):
        line = fails(capsys, "mocap", video, "-o", out, *ARGUMENTS)
        assert "into /proc" in line
    assert bar.looked == 0


@POSIX
def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from stpose_core.files import written_whole\n"
        "with written_whole(sys.argv[1]) as part:\n    part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    out = tmp_path / "a.bvh"
    subprocess.run([sys.executable, "-c", code, str(out)])
    assert len(files(tmp_path)) == 1
    # One that is at work, and files of other names, stay.
    (tmp_path / ".b-00000000-1-0.partial.bvh").touch()
    with written_whole(out) as part:
        part.write_text("mine")
        assert len(files(tmp_path)) == 2
        remove_partials(out)
        assert part.exists()
    assert files(tmp_path) == [".b-00000000-1-0.partial.bvh", "a.bvh"]


@POSIX
def test_a_batch_in_processes(takes: Path, tmp_path: Path) -> None:
    """Two processes; one is killed in the middle of a video, which is tried again. One video is damaged."""
    out = tmp_path / "out"
    (takes / "bad.mp4").write_text("no video")
    status, told, errors = stpose(tmp_path, takes, "-o", out, "--jobs", "2", "--detector", "batch_kit:Once", "--progress", "json")
    assert files(out) == ["a.bvh", "b.bvh", "c.bvh", "manifest.jsonl"], errors
    assert status == 2
    events = [json.loads(line) for line in told.splitlines()]
    ends = {Path(event["video"]).name: event["event"] for event in events if event["event"] in ("result", "error")}
    assert ends == {"a.mp4": "result", "b.mp4": "result", "c.mp4": "result", "bad.mp4": "error"}
    (warning,) = [event for event in events if event["event"] == "warning"]
    assert "was killed by signal 9; it is tried again" in warning["message"]
    assert sorted(entry["tries"] for entry in entries(out)) == [1, 1, 1, 2]
    assert (events[-1]["done"], events[-1]["failed"]) == (3, 1)
    assert {event["video"] for event in events if event["event"] == "progress"} >= {str(takes / "a.mp4"), str(takes / "b.mp4")}
    assert [len(load_motion(out / f"{name}.bvh")) for name in "abc"] == [20, 21, 22]
    assert errors.count("\n") == 2
    assert "Traceback" not in errors


@POSIX
def test_a_video_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    video, out = film(tmp_path / "a.mp4", 25, 5), tmp_path / "out"
    out.mkdir()
    status, _, errors = stpose(tmp_path, video, "-o", out, "--jobs", "1", "--detector", "batch_kit:Always")
    assert status == 2
    assert errors.splitlines()[-1] == f"stpose: {video}: the worker process was killed by signal 9, 3 times"
    assert (entries(out)[0]["status"], entries(out)[0]["tries"]) == ("error", 3)


@POSIX
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_finishes_what_runs_and_twice_stops(presses: int, tmp_path: Path) -> None:
    for name in "abc":
        film(tmp_path / f"{name}.mp4", 25, 60)
    out = tmp_path / "out"
    process = start(tmp_path, f"{tmp_path}/*.mp4", "-o", out, "--jobs", "1", "--detector", "batch_kit:Slow")
    wait_for(lambda: list((tmp_path / "notes").iterdir()))
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.strip() == "stpose: finishing 1 video; press Ctrl-C again to stop at once"
    if presses == 1:
        assert files(out) == ["a.bvh", "manifest.jsonl"]
        assert told.splitlines()[-1].startswith("1 captured, 2 left in ")
    else:
        assert not out.exists()
    (pid,) = (int(file.name) for file in (tmp_path / "notes").iterdir())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20)


@POSIX
def test_a_worker_that_is_starting_is_not_ended_by_ctrl_c_and_ends_quietly_when_terminated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Signals reach it while it imports, before it has handlers."""
    task = Task(Job(tmp_path / "none.mp4", tmp_path / "a.bvh", False), CaptureOptions(device="cpu").to_json(), False, divide=2)

    def end_after(sent: signal.Signals) -> Outcome | Crash:
        pool = Processes(1, 60.0)
        pool.submit(task, NoProgress())
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid or 0, sent)
        try:
            while not (found := pool.ended(60)):
                pass
        finally:
            pool.close()
        return found[0][1]

    assert end_after(signal.SIGINT) == Outcome(error=f"there is no file {tmp_path / 'none.mp4'}", seconds=ANY)
    assert end_after(signal.SIGTERM) == Crash("ended with status 143")
    assert capfd.readouterr().err == ""


@POSIX
def test_the_workers_of_a_killed_command_end(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", 25, 800)
    process = start(tmp_path, video, "-o", tmp_path / "out/", "--jobs", "1", "--detector", "batch_kit:Slow")
    wait_for(lambda: list((tmp_path / "notes").iterdir()))
    process.kill()
    process.communicate()
    (pid,) = (int(file.name) for file in (tmp_path / "notes").iterdir())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20)


@POSIX
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
def test_a_batch_on_ray(takes: Path, tmp_path: Path) -> None:
    """A worker is killed in the middle: no video is lost, no partial file stays."""
    out = tmp_path / "out"
    for name in ("a.mp4", "b.mp4"):
        film(takes / name, 25, 100)  # long enough to see the progress
    words = ("--ray", "local", "--jobs", "2", "--progress", "json")
    status, told, errors = stpose(tmp_path, takes, "-o", out, *words, "--detector", "batch_kit:SlowOnce")
    assert (tmp_path / "notes" / "killed").exists()
    assert files(out) == ["a.bvh", "b.bvh", "c.bvh", "manifest.jsonl"], errors
    assert status == 0
    assert sorted(entry["tries"] for entry in entries(out)) == [1, 1, 2]
    progress = [event for event in map(json.loads, told.splitlines()) if event["event"] == "progress"]
    assert any(event["stage"] == "detect" and 0 < event["done"] < event["total"] for event in progress)
    assert "the worker process on the cluster died; it is tried again" in errors
    assert "Traceback" not in errors


def test_ray_that_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    video = film(tmp_path / "a.mp4", 25, 5)
    line = fails(capsys, "mocap", video, "-o", f"{tmp_path}/out/", "--ray", "auto", *ARGUMENTS)
    assert "--ray needs the package ray" in line


class Planned:
    """A pool whose worker finds three pieces and no person; Ctrl-C comes while it divides the first video."""

    size = 6

    def __init__(self) -> None:
        self.given: list[Task] = []
        self._waiting: list[Task] = []

    def free(self) -> bool:
        return not self._waiting

    def submit(self, task: Task, progress: Progress) -> None:
        self.given.append(task)
        self._waiting.append(task)

    def ended(self, seconds: float) -> list[tuple[Task, Outcome | Crash]]:
        if len(self.given) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        done, self._waiting = self._waiting, []
        return [(task, Outcome(pieces=3, error=None if task.divide or task.piece else "nobody")) for task in done]

    def close(self) -> None:
        pass


@POSIX
def test_a_video_that_ctrl_c_finds_being_divided_is_finished(takes: Path, tmp_path: Path) -> None:
    jobs = [Job(takes / name, tmp_path / f"{name[0]}.npz", everyone=False) for name in ("a.mp4", "b.mp4")]
    pool = Planned()
    assert Batch(jobs, CaptureOptions(), False, tmp_path, Reports(), chunks=3).run(lambda: pool) == 130
    assert {task.job.video.name for task in pool.given} == {"a.mp4"}
    assert [task.piece and task.piece[0] for task in pool.given] == [None, 0, 1, 2, None]
