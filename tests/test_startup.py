"""What the command imports before it has to: help and `info` are printed at once, and a capture does without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_formats import make_capture
from test_formats_glb import body_motion

from stpose_core.formats import FORMATS, save

HEAVY = ("torch", "numpy", "scipy", "cv2", "av", "mediapipe", "openvino", "onnxruntime")


def imported(code: str) -> set[str]:
    """Which of HEAVY a new process has imported after the code."""
    told = f"{code}\nimport sys; print('imported', *(set({HEAVY}) & sys.modules.keys()))"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, env=environment, timeout=120, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["mocap", "--help"], ["train", "--help"], ["nothing"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported(f"from stpose_cli.main import run; run({arguments})") == set()


@pytest.mark.parametrize("suffix", [entry.suffix for entry in FORMATS if entry.readable])
def test_info_imports_nothing_heavy_but_numpy(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    save(make_capture() if suffix == ".npz" else body_motion(frames=5), path)
    found = imported(f"from stpose_cli.main import run; assert run(['info', {str(path)!r}]) == 0")
    assert found == {"numpy"}


@pytest.mark.timing
@pytest.mark.parametrize("arguments", [["--help"], ["info", "FILE"]])
def test_the_command_starts_within_a_third_of_a_second_of_work(arguments: list[str], tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    save(make_capture(), tmp_path / "a.npz")
    words = [str(tmp_path / "a.npz") if word == "FILE" else word for word in arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        subprocess.run([sys.executable, "-m", "stpose_cli.main", *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5 < 0.3


def test_lifting_imports_no_torch() -> None:
    given = "import stpose_core.pipeline, stpose_core.detect.builtin, stpose_core.detect.onnx_pose, stpose_core.animate"
    loaded = imported(f"{given}, stpose_core.lift.refine; from stpose_core import load_lifter; load_lifter()")
    assert "numpy" in loaded, "control"
    assert "torch" not in loaded
    assert "torch" in imported("from stpose_core.lift.torch_network import torch_lifter; torch_lifter()"), "control"
