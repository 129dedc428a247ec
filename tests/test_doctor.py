"""`stpose doctor` says what is there, and tries it before it says so."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from stpose_cli.main import run

from stpose_core.detect.rtmpose import FILES


def without_builtin(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As if no weights of the built-in detector were there."""
    for module in ("stpose_core.weights", "stpose_core.detect", "stpose_core.detect.builtin"):
        monkeypatch.setattr(f"{module}.DETECTOR", folder)


def test_doctor_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status = run(["doctor"])
    told = capsys.readouterr().out
    for word in ("stpose", "torch", "opencv", "devices", "builtin", "mediapipe", "rtmpose"):
        assert word in told
    assert ("not ready" in told) == (status == 2)
    without_builtin(monkeypatch, tmp_path)
    for name in ("mediapipe", "onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(["doctor"]) == 2
    told = capsys.readouterr().out
    assert "no detector is installed" in told
    assert "pip install onnxruntime" in told


def test_doctor_tries_what_it_tells_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    without_builtin(monkeypatch, tmp_path)
    # Packages that are there, but of no use: the wheel without models, a runtime without a model.
    empty = types.ModuleType("mediapipe")
    empty.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "mediapipe", empty)
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert run(["doctor"]) == 2
    told = capsys.readouterr().out
    assert "no pose models" in told
    assert f"no RTMPose model in {tmp_path}" in told
    assert "no detector is installed" in told
    assert "safetensors does not load" in told
    monkeypatch.delitem(sys.modules, "safetensors")
    damaged = tmp_path / "lifter.safetensors"
    damaged.write_bytes(b"nothing of use")
    monkeypatch.setattr("stpose_core.weights.LIFTER", damaged)
    (tmp_path / f"{FILES['balanced']}.onnx").write_bytes(b"")
    assert run(["doctor"]) == 2
    told = capsys.readouterr().out
    assert "not a readable weights file" in told
    assert f"{FILES['balanced']}.onnx, run by onnxruntime" in told
    assert "no detector is installed" not in told
