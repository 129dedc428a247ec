"""The lifting networks in numpy give the outputs of the torch modules that are trained."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from packaging.requirements import Requirement
from scipy.optimize import check_grad

from stpose_core.errors import StposeError, WeightsError
from stpose_core.lift import load_lifter, refine
from stpose_core.lift.normalise import network_inputs, person_view
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.networks.lifting import LiftingNetwork, make_network
from stpose_core.networks.lifting_configs import DilatedConfig, LiftingConfig, TemporalConfig, name_of
from stpose_core.networks.outputs import TemporalOutput
from stpose_core.networks.plain import PlainNetwork
from stpose_core.weights import read_arrays, write_weights

SMALL = {"latent": 24, "width": 12, "strides": (1, 2)}
CONFIGS: dict[str, LiftingConfig] = {
    "metric": TemporalConfig(**SMALL),  # type: ignore[arg-type]
    "projective": TemporalConfig(**SMALL, output="projective", place_window=2, output_window=2, frame_blocks=2, contacts=4),  # type: ignore[arg-type]
    "causal": TemporalConfig(**SMALL, output="projective", place_window=1, output_window=1, look_ahead=3),  # type: ignore[arg-type]
    "without visibility": TemporalConfig(**SMALL, output="projective", visibility=False),  # type: ignore[arg-type]
    "other kernel": TemporalConfig(latent=8, width=6, strides=(1, 3, 4), kernel=3, spread=2),
    "dilated": DilatedConfig(channels=16, kernels=(3, 3, 5)),
    "dilated without visibility": DilatedConfig(channels=16, kernels=(3, 3), visibility=False),
}


def network_of(config: LiftingConfig) -> LiftingNetwork:
    """A network whose norms and heads are as in one that was trained: nothing is at its initial value."""
    torch.manual_seed(3)
    network = make_network(config).eval()
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not values.is_floating_point():
                continue
            # Of a norm: positive, because a variance is.
            more = torch.rand_like(values) if values.ndim == 1 and name != "heads.bias" else 0.1 * torch.randn_like(values)
            values.add_(0.2 * more)
    return network


def arrays_of(network: LiftingNetwork) -> dict[str, NDArray[np.generic]]:
    return {name: values.numpy() for name, values in network.state_dict().items()}


def inputs_of(config: LiftingConfig, frames: int = 30) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two people as the network reads them; some joints are hidden, and one person is missing for a while."""
    random = np.random.default_rng(7)
    long = frames + 2 * config.context
    rays = random.normal(0, 0.2, (2, long, 17, 2)).cumsum(axis=1).astype(np.float32) * 0.1
    score = random.uniform(0, 1, (2, long, 17)).astype(np.float32)
    score[1, 5 : long - 5] = 0
    return network_inputs(rays, score, person_view(rays, score))


def furthest(one: TemporalOutput, other: TemporalOutput) -> float:
    pairs = [(getattr(one, entry.name), getattr(other, entry.name)) for entry in fields(one)]
    assert all(a.shape == b.shape for a, b in pairs)
    return max(float(np.abs(a - b).max()) for a, b in pairs if a.size)


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_are_those_of_the_torch_module(name: str) -> None:
    config = CONFIGS[name]
    network, inputs = network_of(config), inputs_of(config)
    said = PlainNetwork(config, arrays_of(network))(*inputs)
    assert furthest(said, TorchNetwork(network)(*inputs)) < 2e-5
    assert said.pose.shape == (2, 30, 17, 3)
    # The control: another value of one parameter shows.
    arrays = arrays_of(network)
    changed = next(part for part in arrays if part.endswith("running_var"))
    arrays[changed] = arrays[changed] * 1.5
    assert furthest(PlainNetwork(config, arrays)(*inputs), said) > 1e-4


def test_the_views_of_people_are_the_same_in_both_libraries() -> None:
    random = np.random.default_rng(1)
    rays, score = random.normal(0, 0.3, (2, 60, 17, 2)).astype(np.float32), random.uniform(0, 1, (2, 60, 17)).astype(np.float32)
    score[0, :20] = 0
    for causal in (False, True):
        view = person_view(rays, score, causal)
        other = person_view(torch.from_numpy(rays), torch.from_numpy(score), causal)
        for entry in fields(view):
            assert np.allclose(getattr(view, entry.name), getattr(other, entry.name).numpy(), atol=2e-6)
        there = network_inputs(torch.from_numpy(rays), torch.from_numpy(score), other)
        assert all(np.allclose(a, b.numpy(), atol=5e-6) for a, b in zip(network_inputs(rays, score, view), there))
        root = view.camera_to_root(np.ones((2, 60, 3), np.float32))
        assert np.allclose(view.root_to_camera(root), 1, atol=1e-5)


def test_too_few_frames_are_an_error() -> None:
    config = CONFIGS["metric"]
    inputs = inputs_of(config, 0)
    with pytest.raises(ValueError, match="frames are too few"):
        PlainNetwork(config, arrays_of(network_of(config)))(*inputs)


@pytest.mark.parametrize("name", ["projective", "dilated"])
@pytest.mark.parametrize("fault", ["missing", "more", "shape"])
def test_a_file_whose_tensors_are_not_the_networks_is_refused(tmp_path: Path, name: str, fault: str) -> None:
    config = CONFIGS[name]
    tensors = dict(network_of(config).state_dict())
    if fault == "missing":
        del tensors["heads.bias"]
    elif fault == "more":
        tensors["one.more"] = torch.zeros(2)
    else:
        tensors["heads.bias"] = tensors["heads.bias"][:-1]
    header = {"architecture": name_of(config), "network": config.to_dict()}
    write_weights(tmp_path / "a.safetensors", tensors, "temporal", header)
    with pytest.raises(WeightsError, match=r"does not match the temporal network: .*(heads\.bias|one\.more)"):
        load_lifter(tmp_path / "a.safetensors")


def test_weights_in_bfloat16_need_no_torch(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    config = CONFIGS["projective"]
    tensors = {
        name: values.bfloat16() if values.is_floating_point() else values
        for name, values in network_of(config).state_dict().items()
    }
    header = {"kind": "temporal", "config": json.dumps({"network": config.to_dict()})}
    save_file(tensors, tmp_path / "a.safetensors", metadata=header)
    arrays, _ = read_arrays(tmp_path / "a.safetensors", "temporal")
    assert all(np.array_equal(arrays[name], values.float().numpy()) for name, values in tensors.items())
    load = f"from stpose_core import load_lifter; load_lifter({str(tmp_path / 'a.safetensors')!r})"
    code = f"{load}; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("fault", "told"), [("variance", "norm .* not finite"), ("values", "weights are damaged")])
def test_absurd_weights_are_an_error_without_warnings(fault: str, told: str, recwarn: pytest.WarningsRecorder) -> None:
    config = CONFIGS["projective"]
    arrays = arrays_of(network_of(config))
    if fault == "variance":
        arrays["norm.running_var"] = -np.ones_like(arrays["norm.running_var"])
    else:
        arrays |= {name: values * np.float32(1e30) for name, values in arrays.items() if name.endswith("wide.weight")}
    with pytest.raises((ValueError, WeightsError), match=told):
        PlainNetwork(config, arrays)(*inputs_of(config))
    assert not recwarn


@pytest.mark.parametrize("device", ["CPU", "nonsense"])
def test_an_unknown_device_is_named(device: str) -> None:
    with pytest.raises(StposeError, match=f"unknown device '{device}'"):
        load_lifter(device=device)
    assert load_lifter(device="auto").network.config.joints == 17


def test_a_network_that_reads_maps_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="is run in torch"):
        PlainNetwork(TemporalConfig(**SMALL, inputs="heatmaps"), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("term", ["reprojection", "bones", "bends"])
def test_the_slopes_of_the_fit_are_the_derivatives_of_its_terms(term: str) -> None:
    random = np.random.default_rng(5)
    joints = random.normal(0, 0.4, (3, 17, 3)) + [0, 0, 3]
    joints[0, 4, 2] = 0.02  # nearer than the nearest depth
    given = {
        "reprojection": lambda x: refine._reprojection(x, rays, trust, np.full((3, 1, 1), 90.0)),
        "bones": refine._bones,
        "bends": lambda x: refine._bends(x, np.full((3, 4), 0.4), np.full((3, 4), 0.1)),
    }[term]
    rays, trust = random.normal(0, 0.2, (3, 17, 2)), random.uniform(0, 1, (3, 17))
    scale = np.linalg.norm(given(joints)[1])

    def error(part: float = 1.0) -> float:
        at = joints.ravel()
        slope = lambda values: part * given(values.reshape(3, 17, 3))[1].ravel()  # noqa: E731
        return float(check_grad(lambda values: given(values.reshape(3, 17, 3))[0], slope, at)) / scale

    assert error() < 1e-5
    assert error(1.01) > 5e-3  # the control


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning_fabric"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from stpose_cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True, timeout=300, check=False)


def test_a_capture_needs_no_torch(tmp_path: Path) -> None:
    clip = str(Path(__file__).parents[1] / "examples" / "walk.mp4")
    done = without_torch("mocap", clip, "-o", str(tmp_path / "a.bvh"), "--detector", "builtin", "--end", "1")
    assert (done.returncode, (tmp_path / "a.bvh").exists()) == (0, True), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "lifter", "--data", "x", "-o", "a.safetensors"],
        ["mocap", "{clip}", "-o", "{out}", "--weights", "{maps}", "--detector", "builtin", "--end", "0.5"],
    ],
)
def test_what_needs_torch_says_so_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    config = TemporalConfig(**SMALL, inputs="heatmaps", map_features=4)  # type: ignore[arg-type]
    maps = tmp_path / "maps.safetensors"
    write_weights(maps, make_network(config).state_dict(), "temporal", {"network": config.to_dict()})
    clip = Path(__file__).parents[1] / "examples" / "walk.mp4"
    done = without_torch(*(part.format(clip=clip, out=tmp_path / "a.bvh", maps=maps) for part in arguments))
    lines = [line for line in done.stderr.splitlines() if line.startswith("stpose: ")]
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert "install" in lines[0]
    assert "Traceback" not in done.stderr


def test_torch_belongs_to_the_extras_for_training_and_graphics_cards() -> None:
    from importlib.metadata import requires

    needed = [Requirement(text) for text in requires("stpose") or []]
    plain = {one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert "numpy" in plain
    assert not plain & {"torch", "lightning-fabric"}
