"""Nothing is reported to anybody: packages that would do so are kept from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_GRAPH = """
from onnx import TensorProto, helper
places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", places[:1], places[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
"""
_OURS = """
from stpose_core.detect.sessions import OnnxRuntimeSession
print(OnnxRuntimeSession(model).size)
"""
_PLAIN = """
import onnxruntime
print(onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].name)
"""


def left_by(code: str, said: str, folder: Path) -> list[str]:
    """The files that a network in ONNX Runtime leaves in the home folder of a user. It reports nothing in CI, which is not this."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environment = {**kept, "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", _GRAPH + code], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == said, ran.stderr
    return [str(path) for path in folder.rglob("*") if path.is_file()]


@pytest.mark.skipif(sys.platform == "win32", reason="reports through the system there")
def test_onnx_runtime_keeps_no_identifier_of_the_machine(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for name in ("ours", "plain"):
        (tmp_path / name).mkdir()
    assert left_by(_OURS, "(8, 8)", tmp_path / "ours") == []
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 29):
        assert left_by(_PLAIN, "x", tmp_path / "plain"), "control: by itself it keeps one"


def test_a_value_of_the_users_own_counts() -> None:
    code = "import os, stpose_core; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | given
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert ran.stdout.strip() == expected, ran.stderr
