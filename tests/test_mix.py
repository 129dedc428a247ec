"""The mean of two weights files is that of their tensors, and nothing that was measured on either is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from stpose_training.mix import main

from stpose_core.weights import read_weights, write_weights


def saved(path: Path, value: float, kind: str = "spatial", width: int = 3, **header: object) -> Path:
    tensors = {"weight": torch.full((width,), value), "count": torch.tensor(7)}
    write_weights(path, tensors, kind, {"network": {"width": width}, **header})
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_a_quarter_of_those_before(tmp_path: Path) -> None:
    new = saved(tmp_path / "new.safetensors", 1.0, samples=300, calibration={"joint": [0, 1, 1]}, passed=True)
    before = saved(tmp_path / "before.safetensors", 5.0, samples=200)
    assert run(new, before, "--share", 0.25, "-o", tmp_path / "mean.safetensors") == (0, "")
    tensors, header = read_weights(tmp_path / "mean.safetensors", "spatial")
    assert tensors["weight"].tolist() == [2.0, 2.0, 2.0]
    assert int(tensors["count"]) == 7
    mixed = [{"share": 0.75, "samples": 300}, {"share": 0.25, "samples": 200}]
    assert header == {"network": {"width": 3}, "mixed": mixed}


@pytest.mark.parametrize("wrong", ["another width", "another kind", "a share", "no file"])
def test_what_cannot_be_mixed_is_told_in_a_line(wrong: str, tmp_path: Path) -> None:
    new = saved(tmp_path / "new.safetensors", 1.0)
    before = tmp_path / "before.safetensors"
    if wrong != "no file":
        saved(before, 5.0, "temporal" if wrong == "another kind" else "spatial", 4 if wrong == "another width" else 3)
    status, said = run(new, before, "--share", 1.5 if wrong == "a share" else 0.5, "-o", tmp_path / "mean.safetensors")
    assert status == 2
    assert said.startswith("stpose: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "mean.safetensors").exists()
