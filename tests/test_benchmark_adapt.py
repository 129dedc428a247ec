"""The benchmark of adapting: what is judged was not adapted to, the camera stands as it says, and controls are controls."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from small_footage import write_tiny
from small_mocap import REST, moving, write_folder
from stpose_training.data.mocap import Clip


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    place = Path(__file__).parent.parent / "benchmarks" / "adapt.py"
    spec = importlib.util.spec_from_file_location("benchmark_adapt", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_clips_of_each_subject_go_in_turns_to_adapting_and_judging(benchmark: ModuleType) -> None:
    clips = [Clip(str(number), subject, "", moving(60 + 5 * number, number)) for number, subject in enumerate("aabab")]
    takes = benchmark.filmed(clips)
    assert [len(take.truth) for take in takes.adapt_ordinary] == [60, 70, 75]  # the first and third of a, the first of b
    assert [len(take.truth) for take in takes.judge_ordinary] == [65, 80]
    assert len(takes.adapt) + len(takes.judge) == len(clips)
    lengths = [len(take.truth) for take in takes.adapt + takes.judge]
    assert sorted(lengths) == sorted(-(-len(benchmark.at_tempo(clip.positions, 1.25)) // 2) for clip in clips)


def test_the_camera_is_low_leans_and_films_twelve_frames_a_second(benchmark: ModuleType) -> None:
    clip = Clip("", "", "", np.repeat(REST[None], 90, axis=0))
    take = benchmark.film_low(clip, 0)
    assert take.keypoints.fps == 12.0
    assert len(take.truth) == 36
    assert np.array_equal(benchmark.film_low(clip, 0).keypoints.xy, take.keypoints.xy, equal_nan=True)
    # The body leans in the picture by about as much as the camera does, and is seen from below.
    truths = np.stack([benchmark.film_low(clip, number).truth for number in range(20)])
    up = truths[:, :, 10] - (truths[:, :, 3] + truths[:, :, 6]) / 2
    assert float(np.median(np.degrees(np.arctan2(up[..., 0], -up[..., 1])))) == pytest.approx(25, abs=5)
    assert float(np.median(up[..., 2])) > 0.2


def test_it_prints_the_table_and_a_rate_of_zero_changes_nothing(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    folder = write_folder(tmp_path)
    index = (folder / "index.csv").read_text().splitlines()
    rows = [line.split(",") for line in index]
    column = rows[0].index("subject")
    (folder / "index.csv").write_text(
        "\n".join(",".join([*r[:column], r[column] if n == 0 else "one", *r[column + 1 :]]) for n, r in enumerate(rows))
    )
    out = tmp_path / "figures.json"
    weights = ["--weights", str(write_tiny(tmp_path / "tiny.safetensors"))]
    given = ["--data", str(folder), *weights, "--steps", "1", "--rows", "rate 0", "shuffled", "--every", "1", "--json", str(out)]
    benchmark.main([*given, "--sets", "HDM05"])
    figures = json.loads(out.read_text())["HDM05"]
    assert figures["rate 0"][:3] == figures["before"]
    assert figures["rate 0"][3] == 1.0
    assert figures["shuffled"][:3] != figures["before"]
    assert "| rate 0 |" in capsys.readouterr().out
