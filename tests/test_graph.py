"""The built-in detector's networks as ONNX graphs: what they say is what torch says, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import FINDER, arrays_of, finder_network, spatial_network, trained
from stpose_training.spatial import heatmaps as in_torch

from stpose_core.detect import heatmaps, runtime
from stpose_core.detect.graph import finder_graph, spatial_graph
from stpose_core.detect.networks import read_finder, read_spatial
from stpose_core.detect.onnx_file import _check
from stpose_core.detect.onnx_write import model, node, tensor
from stpose_core.detect.sessions import OnnxRuntimeSession, OpenVINOSession
from stpose_core.errors import DetectorError, WeightsError
from stpose_core.networks.configs import STRIDE, FinderConfig, SpatialConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.weights import write_weights

SPATIAL = {
    "one scale": SpatialConfig(size=(64, 96), stem=8, width=8, modules=(), blocks=1, head=16),
    "two scales": SpatialConfig(size=(96, 128), stem=8, first=2, width=8, modules=(2,), blocks=1, head=16),
    "as it ships": SpatialConfig(size=(96, 64), stem=8, first=1, width=8, modules=(1, 1, 2), blocks=2, head=12, heads=4),
    "five joints": SpatialConfig(joints=5, size=(64, 64), stem=8, width=8, modules=(1, 1), blocks=1, head=16, heads=2),
}
FINDERS = {
    "as it ships": FinderConfig(side=128, stem=8, widths=(8, 12, 16, 20, 24), blocks=2, head=16),
    "two levels": FINDER,
}
RANDOM = np.random.default_rng(0)


@pytest.fixture(params=["onnxruntime", "openvino"])
def session(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip(request.param)
    return OnnxRuntimeSession if request.param == "onnxruntime" else OpenVINOSession


def close(session: Any, network: torch.nn.Module, graph: bytes, size: tuple[int, int]) -> None:
    picture = RANDOM.random((1, 3, size[1], size[0]), np.float32) - 0.5
    with torch.no_grad():
        expected = vars(network(torch.from_numpy(picture)))
    outputs = session(graph, size=size).run(picture)
    assert list(outputs) == list(expected)
    for name, values in expected.items():
        assert outputs[name].shape == tuple(values.shape)
        np.testing.assert_allclose(outputs[name], values.numpy(), rtol=1e-3, atol=1e-4 * max(1.0, float(values.abs().max())))
        assert values.std() > 1e-3 or values.numel() == 1, "control: the outputs differ from place to place"


@pytest.mark.parametrize("kind", SPATIAL)
def test_the_graph_of_a_spatial_network_says_what_torch_says(session: Any, kind: str) -> None:
    config = SPATIAL[kind]
    close(session, *spatial_network(config), config.size)


@pytest.mark.parametrize("kind", FINDERS)
def test_the_graph_of_a_finder_says_what_torch_says_for_all_sizes(session: Any, kind: str) -> None:
    network, graph = finder_network(FINDERS[kind])
    for size in ((128, 64), (192, 128)):
        close(session, network, graph, size)


def test_every_weight_counts(session: Any) -> None:
    """Negative control: a graph with any one tensor changed says something else."""
    config = SPATIAL["as it ships"]
    network, _ = spatial_network(config)
    arrays = arrays_of(network)
    picture = RANDOM.random((1, 3, config.size[1], config.size[0]), np.float32) - 0.5
    before = session(spatial_graph(config, arrays), size=config.size).run(picture)
    floats = [name for name, values in arrays.items() if values.dtype == np.float32]
    for name in floats[:: len(floats) // 12]:
        changed = {**arrays, name: arrays[name] + np.float32(0.5)}
        after = session(spatial_graph(config, changed), size=config.size).run(picture)
        assert any(np.abs(after[key] - before[key]).max() > 1e-4 for key in before), name


def test_graphs_are_sound_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    for graph in (spatial_network(SPATIAL["as it ships"])[1], finder_network()[1]):
        onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)
        _check(graph)


def test_attributes_and_tensors_are_written_as_onnx_reads_them() -> None:
    onnx = pytest.importorskip("onnx")
    attributes = {"whole": -3, "large": 2**40, "share": 0.25, "word": "Wörter", "wholes": (1, -2), "shares": (0.5, -1.5)}
    values = {"f": np.array([[1.5, -2.0]], np.float32), "i": np.array([-1, 2**40]), "scalar": np.float32(3).reshape(())}
    made = onnx.load_from_string(
        model([node("Some", ["a", ""], "b", attributes)], [tensor(*item) for item in values.items()], {"a": (1, "n")}, {"b": (2,)})
    )
    (read,) = made.graph.node
    assert (read.op_type, list(read.input), list(read.output)) == ("Some", ["a", ""], ["b"])
    found = {each.name: onnx.helper.get_attribute_value(each) for each in read.attribute}
    found = {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
    assert {name: tuple(value) if isinstance(attributes[name], tuple) else value for name, value in found.items()} == attributes
    for each in made.graph.initializer:
        array = onnx.numpy_helper.to_array(each)
        assert array.dtype == values[each.name].dtype
        np.testing.assert_array_equal(array, values[each.name])
    sides = [(side.dim_value, side.dim_param) for side in made.graph.input[0].type.tensor_type.shape.dim]
    assert sides == [(1, ""), (0, "n")]


@pytest.mark.parametrize("what", ["missing", "of another shape", "of another type", "unknown"])
@pytest.mark.parametrize("kind", ["spatial", "finder"])
def test_tensors_that_do_not_fit_are_refused(what: str, kind: str) -> None:
    network = trained(SpatialNetwork(SPATIAL["two scales"]) if kind == "spatial" else FinderNetwork(FINDER), 1)
    arrays = arrays_of(network)
    name = "maps.weight" if kind == "spatial" else "out.weight"
    if what == "missing":
        del arrays[name]
    elif what == "unknown":
        arrays["other"], name = np.zeros(3, np.float32), "other"
    else:
        arrays[name] = arrays[name][..., None] if what == "of another shape" else arrays[name].astype(np.int64)
    with pytest.raises(ValueError, match=name):
        spatial_graph(SPATIAL["two scales"], arrays) if kind == "spatial" else finder_graph(FINDER, arrays)


def write_tiny(folder: Path) -> Path:
    folder.mkdir()
    for name, network, config in (
        ("spatial", trained(SpatialNetwork(SPATIAL["two scales"]), 1), SPATIAL["two scales"]),
        ("finder", trained(FinderNetwork(FINDER), 1), FINDER),
    ):
        write_weights(folder / f"{name}.safetensors", network.state_dict(), name, {"network": config.to_dict()})
    return folder


def test_a_weights_file_that_lies_about_its_network_is_refused(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "weights")
    for name, read in (("spatial", read_spatial), ("finder", read_finder)):
        file: Any = read(folder / f"{name}.safetensors")
        write_weights(folder / "other", file.module().state_dict(), name, {"network": {**file.config.to_dict(), "head": 20}})
        with pytest.raises(WeightsError, match="does not contain the stated network"):
            read(folder / "other")


LOOK = """
import json, sys
import numpy as np
from stpose_core import load_detector
from stpose_core.detect import Box
detector = load_detector(*json.loads(sys.argv[1]))
picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
found = detector.find(picture, thorough=True)
pose = detector.pose(picture, Box(20, 10, 90, 110))
print(json.dumps({"torch": "torch" in sys.modules, "xy": pose.xy.tolist(), "score": pose.score.tolist(), "people": len(found),
                  "runtime": detector.runtime}))
"""


def looked(tmp_path: Path, *arguments: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the built-in detector says in a process of its own, where the packages `without` are not installed."""
    hidden = "".join(f"import sys; sys.modules['{name}'] = None\n" for name in without)
    command = [sys.executable, "-c", hidden + LOOK, json.dumps(arguments)]
    environment = {"STPOSE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("weights", ["that ship", "of one's own"])
def test_detection_does_not_import_torch(weights: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    name = "builtin" if weights == "that ship" else str(write_tiny(tmp_path / "weights"))
    for device in ("auto", "cpu"):
        assert looked(tmp_path, name, device)["torch"] is (device == "auto" and torch.cuda.is_available())
    with_openvino = looked(tmp_path, name, "cpu", without=("onnxruntime",))
    with_onnxruntime = looked(tmp_path, name, "cpu", without=("openvino",))
    # Control: without a package that runs graphs it is torch.
    with_torch = looked(tmp_path, name, "cpu", without=("openvino", "onnxruntime"))
    assert [with_openvino["torch"], with_onnxruntime["torch"], with_torch["torch"]] == [False, False, True]
    for said, told in ((with_openvino, "OpenVINO"), (with_onnxruntime, "ONNX Runtime"), (with_torch, "torch")):
        assert told in said["runtime"]
    np.testing.assert_allclose(with_onnxruntime["xy"], with_torch["xy"], atol=0.01)
    np.testing.assert_allclose(with_onnxruntime["score"], with_torch["score"], atol=1e-3)
    assert with_onnxruntime["people"] == with_torch["people"]
    # Half precision: 0.05 of a score, and pixels where the joint is plain.
    np.testing.assert_allclose(with_openvino["score"], with_torch["score"], atol=0.05)


@pytest.mark.parametrize(
    ("cpuinfo", "package"),
    [
        ("flags : fpu avx2 f16c\n", "onnxruntime"),
        ("flags : fpu avx512f avx512_bf16\n", "openvino"),
        ("flags : fpu amx_bf16 amx_tile\n", "openvino"),
        ("Features : fp asimd asimdhp\n", "openvino"),
        (None, "openvino"),
    ],
)
def test_without_half_precision_the_package_that_loads_faster_runs_networks(
    cpuinfo: str | None, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    flags = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        flags.write_text(cpuinfo)
    monkeypatch.setattr("stpose_core.detect.compiling._FLAGS", flags)
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    runner = runtime.make_runner(read_finder(write_tiny(tmp_path / "weights") / "finder.safetensors"))
    assert runner.description == package


def test_a_runtime_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr(runtime, "OnnxRuntimeSession", refuse)
    monkeypatch.setattr(runtime, "runtime", lambda order: "onnxruntime")
    file = read_spatial(write_tiny(tmp_path / "weights") / "spatial.safetensors")
    with pytest.raises(DetectorError, match=r"onnxruntime cannot run the networks \(out of luck\)"):
        runtime.make_runner(file, "cpu", file.config.size)


def test_maps_are_decoded_as_in_training() -> None:
    """Peaks in the middle, at edges and in corners, flat maps and sharp ones."""
    maps = RANDOM.normal(size=(40, 32, 24)).astype(np.float32)
    rows, columns = np.mgrid[:32, :24]
    for number in range(30):
        y, x = RANDOM.uniform(-1, 33), RANDOM.uniform(-1, 25)
        maps[number] += 12 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / RANDOM.uniform(2, 20))
    maps[39] = 0
    places, mass = heatmaps.decode(maps, STRIDE)
    expected, share = (values[0].double().numpy() for values in in_torch.decode(torch.from_numpy(maps)[None], STRIDE))
    np.testing.assert_allclose(places[:30], expected[:30], atol=0.01)
    # Where the peak of a flat map lies is a matter of rounding, and so is how much lies near it: a corner has less than the middle.
    np.testing.assert_allclose(mass[:39], share[:39], atol=1e-4)
    assert mass[39] < 0.05
    assert np.ptp(places[:30], axis=0).min() > 60, "control: the peaks lie far apart"


def test_mirrored_maps_are_merged_as_in_training() -> None:
    maps, others = RANDOM.normal(size=(2, 17, 16, 12)).astype(np.float32) * 4
    hidden, other_hidden = RANDOM.normal(size=(2, 17)).astype(np.float32)
    merged, unseen = heatmaps.with_mirrored(maps, hidden, others, other_hidden)
    given = (torch.from_numpy(values)[None] for values in (maps, hidden, others, other_hidden))
    expected, expected_unseen = (values[0].numpy() for values in in_torch.with_mirrored(*given))
    np.testing.assert_allclose(merged, expected, atol=1e-4)
    np.testing.assert_allclose(unseen, expected_unseen, atol=1e-6)
