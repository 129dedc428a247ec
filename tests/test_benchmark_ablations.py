"""The ablations in miniature, and the picture of the discriminator's curves from a run's log."""

from __future__ import annotations

import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest
from small_mocap import write_folder

from stpose_core.errors import TrainingError
from stpose_core.lift import load_lifter

SMALL = '{"latent": 16, "width": 8, "map_features": 4}'


def script(name: str) -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return script("ablations")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


def test_rows_are_trained_once_and_judged(
    benchmark: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", str(folder), "--seeds", "2", "--steps", "2", "--batch", "2", "--clips", "1", "--state", str(tmp_path)]
    arguments += ["--dimensions", SMALL, "--json", str(tmp_path / "all.json"), "--rows", "full", "maps", "drawn"]
    benchmark.main(arguments)
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 * 4  # a table after each seed
    assert "±" not in lines[1]
    assert lines[-2].startswith("| heat maps instead of their peaks | 2 | ")
    assert lines[-2].count("±") == 8
    kept = json.loads((tmp_path / "all.json").read_text())
    assert {row: set(values["seeds"]) for row, values in kept.items()} == {row: {"0", "1"} for row in ("full", "maps", "drawn")}
    assert kept["maps"]["seeds"]["0"] != kept["maps"]["seeds"]["1"]
    assert load_lifter(tmp_path / "maps-0" / "lifter.safetensors").reads_maps
    assert not load_lifter(tmp_path / "full-0" / "lifter.safetensors").reads_maps

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(benchmark, "train", never)
    benchmark.main(arguments)
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert again[-3:] == lines[-3:]
    with pytest.raises(AssertionError, match="trained again"):  # the control
        benchmark.main([*arguments, "--seeds", "3"])
    monkeypatch.undo()
    with pytest.raises(TrainingError, match="another run"):
        benchmark.main([*arguments, "--steps", "3"])


def test_every_row_makes_a_plan_of_its_own(benchmark: ModuleType) -> None:
    options = Namespace(steps=5, minutes=None, batch=2, threads=1, dimensions=None)
    plans = {name: benchmark.plan_of(row, 0, options).identity() for name, row in benchmark.ROWS.items() if not row.trained}
    first = plans.pop("full")
    for name, plan in plans.items():
        changed = {key for key in plan if plan[key] != first[key]}
        # One part at a time (dimensions are one entry); 2D-only clips are no part of the plan.
        assert len(changed) == (0 if benchmark.ROWS[name].footage else 1), name
    assert len({json.dumps(plan, sort_keys=True) for plan in plans.values()}) == len(plans)
    assert all(row.trained in benchmark.ROWS for row in benchmark.ROWS.values() if row.trained)


def test_the_row_with_footage_is_not_trained_without(
    benchmark: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--data", str(folder), "--rows", "footage"])
    assert "needs --footage" in capsys.readouterr().err


def test_curves_are_drawn_from_logs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install '.[dev]'")
    curves = script("critic_curves")
    for name, critic in (("on", {"critic": 0.25, "real": 0.6, "made": 0.4}), ("off", {})):
        (tmp_path / name).mkdir()
        sets = {"cmu_validation": {"mpjpe": 90.0}, "hdm05": {"mpjpe": 120.0}}
        rows = [{"step": step, "train": {"mpjpe": 0.1, **(critic if step > 10 else {})}, **sets} for step in (10, 20, 30)]
        (tmp_path / name / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curves.curve(curves.rows_of(tmp_path / "on"), "train", "real") == ([20, 30], [0.6, 0.6])
    curves.main([str(tmp_path / "on"), str(tmp_path / "off"), "-o", str(tmp_path / "a.png")])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
