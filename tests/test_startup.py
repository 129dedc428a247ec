"""What the command imports before it has to: help is printed at once, and torch waits until something is lifted."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_the_pipeline_imports_torch_only_to_lift() -> None:
    before = imported("import stpose_core.pipeline, stpose_core.detect.builtin, stpose_core.detect.onnx_pose")
    assert "numpy" in before, "control"
    assert "torch" not in before
    assert "torch" in imported("from stpose_core import load_lifter; load_lifter()")
