"""The ablations of the spatial network in miniature."""

from __future__ import annotations

import importlib.util
import json
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from test_train_spatial import TINY, write_dots

from stpose_core.detect.networks import load_spatial


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "spatial_ablations.py"
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("spatial_ablations", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["spatial_ablations"] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_rows_are_trained_once_and_judged(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "validation"):
        write_dots(tmp_path, part, 0)
    arguments = ["--cache", str(tmp_path), "--seeds", "2", "--samples", "16", "--batch", "8", "--state", str(tmp_path / "state")]
    arguments += ["--dimensions", json.dumps(TINY.to_dict()), "--json", str(tmp_path / "all.json"), "--rows", "full", "single"]
    benchmark.main(arguments)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 * 3  # a table after each seed
    assert lines[-1].startswith("| one scale, as deep as one module | 2 | ")
    assert lines[-1].count("±") == 2  # nobody is beside anybody in these pictures
    kept = json.loads((tmp_path / "all.json").read_text())
    assert {row: set(values["seeds"]) for row, values in kept.items()} == {row: {"0", "1"} for row in ("full", "single")}
    assert load_spatial(tmp_path / "state" / "single-0" / "spatial.safetensors")[0].config.modules == ()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(benchmark, "train", never)
    benchmark.main(arguments)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][-2:] == lines[-2:]
    with pytest.raises(AssertionError, match="trained again"):  # the control
        benchmark.main([*arguments, "--seeds", "3"])


def test_every_row_changes_one_thing(benchmark: ModuleType) -> None:
    options = Namespace(samples=100, batch=8, threads=1, rate=0.001, dimensions=None, start=None)
    plans = {}
    for name, row in benchmark.ROWS.items():
        config, recipe = benchmark.plan_of(row, 0, options)
        plans[name] = {**asdict(recipe), **config.to_dict()}
    first = plans.pop("full")
    for name, plan in plans.items():
        changed = {key for key in plan if plan[key] != first[key]}
        # Real people are no part of the plan.
        assert len(changed) == (0 if benchmark.ROWS[name].footage else 1), name
    options.start = Path("w.safetensors")
    assert benchmark.plan_of(benchmark.ROWS["footage"], 0, options)[1].held
    assert not first["held"]


def test_the_row_with_footage_is_not_trained_without(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--cache", str(tmp_path), "--rows", "footage"])
    assert "needs --footage" in capsys.readouterr().err
