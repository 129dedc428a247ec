"""The comparison with the baseline, in miniature: one network trained by it, the other given as a file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from small_mocap import write_folder

from stpose_core.networks.dilated import DilatedNetwork
from stpose_core.networks.lifting_configs import DilatedConfig
from stpose_core.weights import write_weights

PRESET = """
[dimensions]
latent = 16
width = 8
strides = [1, 2]
[recipe]
batch = 4
frames = 32
reach = 16
judged = 1
"""


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "lifter.py"
    spec = importlib.util.spec_from_file_location("benchmark_lifter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_trains_what_is_no_file_and_compares(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mocap").mkdir()
    data = write_folder(tmp_path / "mocap")
    (tmp_path / "own.toml").write_text(PRESET)
    config = DilatedConfig(channels=8, kernels=(3, 3))
    header = {"architecture": "dilated", "network": config.to_dict()}
    baseline = tmp_path / "baseline.safetensors"
    write_weights(baseline, DilatedNetwork(config).state_dict(), "temporal", header)
    arguments = ["--data", str(data), "--baseline", str(baseline), "--preset", str(tmp_path / "own.toml"), "--steps", "3"]
    arguments += ["--state", str(tmp_path / "state"), "--clips", "2", "--frames", "200", "--json", str(tmp_path / "a.json")]
    benchmark.main(arguments)
    printed = capsys.readouterr().out
    assert "training multi-stride" in printed
    assert (tmp_path / "state" / "multi-stride.safetensors").is_file()
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("|  | ") or line.startswith("| ")]
    assert rows[0][-1] == "multi-stride / baseline |"
    figures = json.loads((tmp_path / "a.json").read_text())
    ours, theirs = figures["multi-stride"], figures[str(baseline)]
    assert set(ours) == set(theirs)
    for row in ("CMU validation: MPJPE", "HDM05: PA-MPJPE", "HDM05: MPJPE, person, 10 frames, hidden", "lifting, frames/s"):
        line = next(line for line in printed.splitlines() if line.startswith(f"| {row} |"))
        assert float(line.split("|")[4]) == pytest.approx(ours[row] / theirs[row], abs=1e-3)


def test_spread_and_table(benchmark: ModuleType) -> None:
    from stpose_training.evaluate import Measures

    values = (60.0, 51.0, 50.0, 45.0, 55.0)
    rows = {str(value): Measures(1, 1.0, value, 1.0, 1.0, 1.0, float("nan")) for value in values}
    assert benchmark.spread(rows) == pytest.approx(1.2)
    text = benchmark.table(["ours", "other"], [{"MPJPE": 40.1}, {"MPJPE": 46.8}])
    assert text.splitlines()[-1] == "| MPJPE | 40.10 | 46.80 | 0.857 |"
