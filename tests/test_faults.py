"""Faults end in results or in lines: no command hangs, no file is partial. `python tools/faults.py` tries more of them."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from stpose_core.errors import StposeError
from stpose_core.frames import open_source
from stpose_core.watchdog import step, watching

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
faults = pytest.importorskip("faults")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("kill -9 in write, before the file is renamed", "killed, 1 temporary file left; again: result"),
        ("decoder hangs", "status 2, 1 line"),
        ("decoder hangs in a worker", "status 2, 1 line"),
        ("video grows", "status 2, 1 line"),
    ],
)
def test_a_fault_is_handled(name: str, end: str) -> None:
    found = faults.measure(name)
    assert found.end == end
    assert (found.hangs, found.partial, found.tracebacks) == (0, 0, 0)


def test_what_is_partial_is_found(tmp_path: Path) -> None:
    """The measure itself: a file that was cut short and a temporary file are partial, a whole one is not."""
    bench = faults.Bench(tmp_path)
    (bench.out / "a.bvh").write_text("HIERARCHY\nROOT Hips\n{\n")
    (bench.out / ".b-00000000-1-0.partial.bvh").touch()
    (bench.out / "manifest.jsonl").write_text('{"status": "done"}\n')
    assert bench.partial() == 2


def test_the_watchdog_sees_only_steps_that_take_too_long() -> None:
    found: list[Path] = []
    seen = threading.Event()

    def hung(path: Path) -> None:
        found.append(path)
        seen.set()

    with watching(0.4, hung):
        for _ in range(20):
            with step(Path("quick.mp4")):
                time.sleep(0.05)
        assert not found
        with step(Path("slow.mp4")):
            assert seen.wait(10)
    assert found == [Path("slow.mp4")]


@pytest.mark.parametrize("name", ["imdecode", "imreadanimation"])
def test_the_watchdog_sees_pictures_that_hang(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of pictures, and an animated WebP: the same limit as for a video."""
    pillow = pytest.importorskip("PIL.Image")
    pictures = [pillow.fromarray(np.full((60, 80, 3), value, np.uint8)) for value in (10, 200, 90)]
    if name == "imdecode":
        path = tmp_path / "1.png"
        pictures[0].save(path)
        pictures[1].save(tmp_path / "2.png")
        source = open_source(tmp_path)
    else:
        path = tmp_path / "a.webp"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
        source = open_source(path)
    seen = threading.Event()
    found: list[Path] = []

    def hung(which: Path) -> None:
        found.append(which)
        seen.set()

    def hang(*_: object) -> None:
        assert seen.wait(10)
        raise cv2.error("it was stopped")

    monkeypatch.setattr(cv2, name, hang)
    with watching(0.4, hung), pytest.raises(StposeError):
        list(source.frames())
    assert found == [path]
