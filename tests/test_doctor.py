"""`stpose doctor` says what is there, and tries it before it says so."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from stpose_cli.main import run
from test_builtin import write_detector

from stpose_core.detect import compiling
from stpose_core.detect.rtmpose import FILES
from stpose_core.extras import how_to_install
from stpose_core.precision import Timing


def without_builtin(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As if the built-in detector's weights were those of a folder, which may be empty."""
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
    assert "no package that runs ONNX files; install it with: pip install" in told


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


@pytest.mark.parametrize(("half", "told"), [(7.0, "in bfloat16 ("), (31.0, "in single precision (")])
def test_doctor_says_what_the_detector_runs_in_and_why(
    half: float, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino")
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path))
    without_builtin(monkeypatch, write_detector(tmp_path / "weights"))
    for name in ("_mediapipe", "_rtmpose"):
        monkeypatch.setattr(f"stpose_cli.doctor.{name}", lambda: (True, "not asked"))
    monkeypatch.setattr("stpose_core.detect.runtime.may_have_half", lambda: True)
    monkeypatch.setattr(compiling, "_half_of", lambda core: "bf16")
    monkeypatch.setattr(compiling, "measure", lambda *runs: Timing(20.0, half))
    run(["doctor"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("detector builtin"))
    assert f"OpenVINO {openvino.__version__.split('-')[0]}" in line
    assert told in line
    assert "20.0 ms in single precision" in line
    assert f"{half:.1f} ms in bfloat16" in line
    # Without a package that runs graphs it is torch, and the way to something faster is told.
    monkeypatch.setattr("stpose_core.detect.runtime.runtime", lambda order: None)
    monkeypatch.setattr("stpose_cli.doctor._version", lambda name: None)
    run(["doctor"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("detector builtin"))
    assert "torch" in line
    assert "in single precision" in line
    assert "[fast]" in line


def test_doctor_names_the_command_for_an_extra_that_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"torch": "2.13", "lightning-fabric": "2.6", "tensorboard": "2.20", "h5py": "3.16"}
    monkeypatch.setattr("stpose_cli.doctor._version", found.get)
    monkeypatch.setattr("stpose_core.devices.choose_device", lambda device: "cpu")
    run(["doctor"])
    lines = {line[:20].rstrip(): line[21:] for line in capsys.readouterr().out.splitlines()}
    assert lines["extra train"] == "torch 2.13, lightning-fabric 2.6, tensorboard 2.20"
    assert lines["extra datasets"] == f"not installed (cdflib missing); {how_to_install('datasets')}"
    assert lines["extra synth"] == f"not installed (anny, pillow missing); {how_to_install('synth')}"
    assert lines["detector builtin"].endswith(how_to_install("fast"))
