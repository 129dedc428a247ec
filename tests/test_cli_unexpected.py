"""Errors that nobody expects: what they cost in a batch, and in one video."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from stpose_cli.main import run
from test_cli import ARGUMENTS, files, results

import stpose_core.lift
import stpose_core.pipeline
from stpose_core.detect.types import Box, Pose2D


class Shot(BarDetector):
    """Fails in an unexpected way on the third frame of pictures that are `wide` pixels wide, or with `error`."""

    def __init__(self, wide: int, error: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self._wide, self._error = wide, error

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if image.shape[1] == self._wide and self.looked > 2:
            raise self._error("the network\nfell over")
        return super().pose(image, box)


@pytest.fixture
def five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Five videos, of which the third is of another size."""
    (tmp_path / "in").mkdir()
    paths = []
    for number in range(5):
        with monkeypatch.context() as patch:
            if number == 2:
                patch.setattr("fakes.SIZE", (192, 120))
            paths.append(str(film(tmp_path / "in" / f"{number}.mp4", 25, 12)))
    return paths


def with_detector(monkeypatch: pytest.MonkeyPatch, detector: object) -> None:
    monkeypatch.setattr(stpose_core.pipeline, "load_detector", lambda name, device: detector)
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)


@pytest.mark.parametrize("error", [RuntimeError, ZeroDivisionError, MemoryError, OSError])
def test_an_unexpected_error_in_a_batch_costs_one_video(
    five: list[str], error: type[Exception], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_detector(monkeypatch, Shot(192, error))
    threads = threading.active_count()
    assert run(["mocap", *five, "-o", f"{tmp_path}/out/", *ARGUMENTS]) == 2
    told = capsys.readouterr()
    assert files(tmp_path / "out") == ["0.bvh", "1.bvh", "3.bvh", "4.bvh", "manifest.jsonl"]
    assert len(results(told.out)) == 5
    (line,) = told.err.splitlines()
    assert line.startswith(f"stpose: {five[2]}: {error.__name__}: the network fell over (")
    assert threading.active_count() == threads
    # For programs it is one event, between the results of the others.
    assert run(["mocap", *five, "-o", f"{tmp_path}/out/", "--overwrite", "--progress", "json"]) == 2
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ends = [(event["event"], event["video"]) for event in events if event["event"] != "progress"]
    assert ends == [*(("error" if number == 2 else "result", path) for number, path in enumerate(five)), ("summary", "")]


def test_an_unexpected_error_in_one_video_is_a_bug_and_shows_where(
    five: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_detector(monkeypatch, Shot(192))
    with pytest.raises(RuntimeError, match="fell over"):
        run(["mocap", five[2], "-o", str(tmp_path / "a.bvh"), *ARGUMENTS])
    # A batch ends at once if the reader of its output has gone, or if it is interrupted.
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # replaced where it is broken
    for error, status in ((BrokenPipeError, 2), (KeyboardInterrupt, 130)):
        with_detector(monkeypatch, Shot(192, error))
        assert run(["mocap", *five, "-o", f"{tmp_path}/{status}/", *ARGUMENTS]) == status
        assert files(tmp_path / str(status)) == ["0.bvh", "1.bvh", "manifest.jsonl"]
