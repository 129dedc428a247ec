"""A video in pieces: the result is that of the whole video, whatever the pieces, and most detections come from the records."""

from __future__ import annotations

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from batch_kit import Feedback
from fakes import film, lift_standing
from stpose_cli.batch import Batch, ThisProcess
from stpose_cli.outputs import Job
from stpose_cli.progress import Progress
from stpose_cli.reports import make_reports
from stpose_cli.task import Task
from test_batch import POSIX, entries, start, stpose, wait_for
from test_cli import fails, files

from stpose_core import capture_people
from stpose_core.data import Capture
from stpose_core.detect.boxes import snapped
from stpose_core.detect.types import Box
from stpose_core.frames import FrameSource, open_source
from stpose_core.options import CaptureOptions
from stpose_core.pieces import LEAD, Recorded, Recorder, Replayed, piece_ranges, record_piece

FPS = 12.5


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of the bar. It is away for two seconds, in the middle of which the third piece of three begins."""
    frames = round(93 * FPS)
    away = range(round(61 * FPS), round(63 * FPS))
    return film(tmp_path_factory.mktemp("long") / "long.mp4", FPS, frames, [n for n in range(frames) if n not in away])


def recorded(video: FrameSource, count: int, **limits: float) -> list[Recorded]:
    ranges = piece_ranges(video.times(), count, **limits)
    found = [record_piece(video, Feedback(), within, True, lambda *_: None) for within in ranges]
    return [piece for piece in found if piece is not None]


def captured(video: FrameSource, detector: object) -> Capture:
    return capture_people(video, detector=detector, lifter=lift_standing, refine=False, camera="static", person="largest")[0]


def equal(a: Capture, b: Capture) -> bool:
    """Equal detections, bit by bit; what is computed from them depends in the last bits on where arrays lie in memory."""
    same = np.array_equal(a.keypoints.xy, b.keypoints.xy, equal_nan=True) and np.array_equal(a.keypoints.score, b.keypoints.score)
    near = np.allclose(a.motion.root, b.motion.root, atol=1e-9) and np.allclose(a.motion.contacts, b.motion.contacts, atol=1e-9)
    return bool(same and near)


def test_pieces_cover_the_video_and_begin_where_the_whole_is_searched() -> None:
    times = np.arange(3000) / 25  # two minutes
    assert piece_ranges(times, 3) == [(0.0, 40.0), (40.0 - LEAD, 80.0), (80.0 - LEAD, np.inf)]
    # Not shorter than half a minute, in the range asked for.
    assert len(piece_ranges(times, 50)) == 3
    assert piece_ranges(times, 4, start=10.2, end=15.0) == [(10.2, 15.0)]
    first, second = piece_ranges(times, 2, start=10.2, end=100.0)
    assert (first[0], second[1]) == (10.2, 100.0)
    assert first[1] == second[0] + LEAD == pytest.approx(55.2)
    assert piece_ranges(times, 4, start=500.0) == [(500.0, np.inf)]
    # Above 45 frames a second, the whole picture is searched after 45 frames.
    fast = np.arange(12000) / 100
    assert [start for start, _ in piece_ranges(fast, 2)] == pytest.approx([0.0, 58.05])


def test_the_result_is_that_of_the_whole_video(video: Path) -> None:
    with open_source(video) as source:
        whole = captured(source, Feedback())
        pieces = recorded(source, 3)
        assert len(pieces) == 3
        replayed = Replayed(Feedback(), pieces)
        assert equal(captured(replayed.watched(source), replayed), whole)
        # Nearly everything is in the records. Control: with one piece missing it is not, and the result is the same.
        assert replayed.known > 0.97 * replayed.asked
        partial = Replayed(Feedback(), pieces[:1] + pieces[2:])
        assert equal(captured(partial.watched(source), partial), whole)
        assert partial.known < 0.75 * partial.asked
        # The records are used: other answers in them give another result.
        pieces[1].xy[:] += 1.0
        wrong = Replayed(Feedback(), pieces)
        assert not equal(captured(wrong.watched(source), wrong), whole)


def test_pictures_that_are_no_frames_are_known_by_their_content(video: Path) -> None:
    """Where people meet, the tracker looks at pictures in which some of them are painted over."""
    recorder, box = Recorder(Feedback()), Box(40.0, 10.0, 80.0, 110.0)
    with open_source(video) as source:
        frame = next(iter(recorder.watched(source).frames()))
    painted = frame.image.copy()
    painted[:20] = 0
    assert recorder.number(frame.image) == 0
    assert recorder.number(painted) == recorder.number(painted.copy()) < 0
    assert recorder.number(painted) != recorder.number(frame.image.copy()) < 0
    recorder.find(painted)
    pose = recorder.pose(painted, box)
    recorded = recorder.recorded()
    assert recorded is not None
    replayed = Replayed(Feedback(), [recorded])
    assert replayed.find(painted.copy()) == recorder.find(painted)
    assert np.array_equal(replayed.pose(painted.copy(), box).xy, pose.xy)
    assert replayed.known == 2
    replayed.pose(frame.image.copy(), box)
    assert replayed.known == 2


def test_boxes_that_are_nearly_alike_become_equal() -> None:
    box = Box(100.2, 50.3, 190.4, 250.1, 0.7, 0.01)
    near = box.moved(np.array([0.1, -0.1]))
    assert snapped(box) == snapped(near)
    assert snapped(snapped(box)) == snapped(box)
    moved = np.array([snapped(box).x0 - box.x0, snapped(box).y0 - box.y0, snapped(box).x1 - box.x1, snapped(box).y1 - box.y1])
    assert np.abs(moved).max() <= box.size / 256
    assert snapped(box.moved(np.array([4.0, 0.0]))) != snapped(box)
    for empty in (Box(0, 0, 0, 0), Box(float("nan"), 0, 1, float("nan")), Box(0, 0, float("inf"), 1)):
        assert snapped(empty) == empty or np.isnan(snapped(empty).x0)


@POSIX
@pytest.mark.parametrize(
    "workers",
    [
        ("--jobs", "2"),
        pytest.param(
            ("--ray", "local", "--jobs", "2"), marks=pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
        ),
    ],
    ids=["processes", "ray"],
)
def test_the_pieces_of_a_video_are_recorded_by_workers(workers: tuple[str, ...], video: Path, tmp_path: Path) -> None:
    """One of the workers is killed in the middle of a piece. The outputs are those of the command without pieces."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert stpose(tmp_path, video, "-o", whole, "--jobs", "1", "--detector", "batch_kit:Feedback")[0] == 0
    status, told, errors = stpose(
        tmp_path, video, "-o", out, *workers, "--chunks", "3", "--detector", "batch_kit:FeedbackOnce", "--progress", "json"
    )
    assert status == 0, errors
    assert (tmp_path / "notes" / "killed").exists()
    assert "it is tried again" in errors
    assert (out / "long.bvh").read_bytes() == (whole / "long.bvh").read_bytes()
    assert files(out) == ["long.bvh", "manifest.jsonl"]
    stages = {event["stage"] for event in map(json.loads, told.splitlines()) if event["event"] == "progress"}
    assert stages <= {"detect 1/3", "detect 2/3", "detect 3/3", "join", "lift"}
    assert len(stages) > 3
    (entry,) = entries(out)
    assert (entry["status"], entry["frames"]) == ("done", round(93 * FPS))


class Counted(ThisProcess):
    """A pool for many workers that notes what it is given."""

    size = 1024

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Task] = []

    def submit(self, task: Task, progress: Progress) -> None:
        self.given.append(task)
        super().submit(task, progress)


@pytest.mark.parametrize("chunks", [1024, None])
def test_a_video_gives_no_more_tasks_than_it_has_pieces(chunks: int | None, video: Path, tmp_path: Path) -> None:
    """A pool starts a worker for each task that waits."""
    short, bad = film(tmp_path / "short.mp4", FPS, 5), tmp_path / "bad.mp4"
    bad.write_text("no video")
    videos = [video, short, bad]
    pool, jobs = Counted(), [Job(path, tmp_path / f"{path.stem}.bvh", False) for path in videos]
    options = CaptureOptions(detector="batch_kit:Feedback", device="cpu", camera="static", end=62.0)
    assert Batch(jobs, options, False, tmp_path, make_reports("none", 3), chunks).run(lambda: pool) == 2
    given = [[task.piece for task in pool.given if task.job.video == path and task.divide is None] for path in videos]
    assert given == [[(0, 2), (1, 2), None], [None], []]
    assert {entry["video"]: entry["status"] for entry in entries(tmp_path)} == {
        str(video): "done",
        str(short): "done",
        str(bad): "error",
    }


def test_pieces_need_workers(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, "mocap", video, "-o", f"{tmp_path}/out/", "--chunks", "2")
    assert "--chunks needs --jobs or --ray" in line


@POSIX
def test_ctrl_c_finishes_all_pieces_of_a_video_in_work(video: Path, tmp_path: Path) -> None:
    other, out = film(tmp_path / "other.mp4", FPS, 5), tmp_path / "out"
    words = ("--jobs", "1", "--chunks", "2", "--detector", "batch_kit:LessSlow", "--end", "62", "--fps", "5")
    process = start(tmp_path, video, other, "-o", out, *words)
    wait_for(lambda: list((tmp_path / "notes").iterdir()))
    os.killpg(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    assert files(out) == ["long.bvh", "manifest.jsonl"]
    assert told.splitlines()[-1].startswith("1 captured, 1 left in ")
