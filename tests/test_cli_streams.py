"""The command when its outputs are full, closed or cannot show a name, and when it is asked to end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import film
from stpose_cli.progress import NoProgress, Result
from test_cli import files


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_asked_to_end_it_cleans_up(tmp_path: Path) -> None:
    path = film(tmp_path / "long.mp4", 25, 800)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import fakes, stpose_core.pipeline as d, stpose_core.lift as l\n"
        "d.load_detector = lambda name, device='auto': fakes.BarDetector()\n"
        "l.load_lifter = lambda path=None, device='cpu': fakes.lift_standing\n"
        "from stpose_cli.main import main; main()"
    )
    arguments = [
        "mocap",
        str(path),
        "-o",
        str(tmp_path / "a.bvh"),
        "--preview",
        str(tmp_path / "p.mp4"),
        "--progress",
        "json",
    ]
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", code, here, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # The preview is written under a temporary name, which appears after some frames.
    writing = any(len(files(tmp_path)) == 2 for line in process.stdout if json.loads(line).get("stage") == "preview")
    assert writing
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert files(tmp_path) == ["long.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by Linux's /dev/full")
def test_a_full_disk_below_standard_output() -> None:
    code = "from stpose_cli.main import main; main()"
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", code, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 2
    assert ran.stderr == "stpose: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs(closed: str, tmp_path: Path) -> None:
    code = "from stpose_cli.main import main; main()"
    command = f'exec "$0" "$@" {closed}'
    missing = [str(tmp_path / "none.mp4"), "-o", str(tmp_path / "a.bvh")]
    ran = subprocess.run(["sh", "-c", command, sys.executable, "-c", code, "mocap", *missing], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == (0 if "2" in closed else 1)


def test_a_name_that_standard_output_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8", errors="strict"))
    name = os.fsdecode(b"bad\xffname.mp4")
    NoProgress().result(Result(name, ["a.bvh"], 1, 25.0, 1, [1.0], 0.1))
    assert written.getvalue() == b"bad\\udcffname.mp4: 1 frame at 25 fps, a person detected in 100 % of them -> a.bvh\n"
