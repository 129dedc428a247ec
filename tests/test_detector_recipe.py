"""One recipe file makes a whole detector: what it says, what is wrong in it, and all steps in miniature."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from stpose_cli.main import run as stpose
from stpose_training import detector
from stpose_training.detector_recipe import DetectorRecipe, Rendering, load_recipe
from stpose_training.finder.recipe import Recipe as FinderRecipe
from stpose_training.spatial.recipe import Recipe as SpatialRecipe
from stpose_training.synth.cache import fill_cache, shards
from test_synth_people import assets as assets
from test_train_spatial import TINY

from stpose_core.detect import load_detector
from stpose_core.detect.builtin import BuiltinDetector, Calibration
from stpose_core.detect.networks import load_finder, load_spatial
from stpose_core.errors import TrainingError
from stpose_core.networks import configs

RECIPE = """
network = "tiny"
[render]
pictures = 8
held_out = 8
frames = 8
held_out_frames = 8
seed = 3
[spatial]
samples = 32
batch = 8
judge_every = 16
[finder]
samples = 32
batch = 8
mosaics = 0.5
"""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setitem(configs.PRESETS, "tiny", TINY)


def test_the_recipe_that_comes_along_is_read() -> None:
    recipe = load_recipe()
    assert recipe.render == Rendering()
    assert (recipe.network, recipe.spatial.samples, recipe.finder.samples) == ("small", 2_300_000, 400_000)
    assert recipe.spatial == SpatialRecipe(samples=2_300_000)
    assert recipe.finder == FinderRecipe(samples=400_000)
    assert DetectorRecipe().spatial.samples == 2_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[render]\npictures = 0", "pictures must be at least 1"),
        ("[spatial]\nsample = 3", "there is no 'sample'; there are samples, batch"),
        ("[spatial]\nsamples = 3.5", "samples must be of type int"),
        ("[spatial]\nsamples = true", "samples must be of type int"),
        ("[spatial]\nothers = 1", "others must be of type bool"),
        ("[spatial]\ncoarse = 1.5", "coarse must be from 0 to 1"),
        ("[finder]\nmosaics = -0.1", "mosaics must be from 0 to 1"),
        ("[finder]\nmosaics = 0.6\nlabelled = 0.5", "leave no frames"),
        ("[finder]\ncoarse = 0.5", "there is no 'coarse'"),
        ("[lifter]\nsteps = 3", "unknown entry lifter"),
        ("network = 3", "network must be a name"),
        ("spatial = 3", "spatial must be a table"),
        ("network =", "own.toml: "),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(TrainingError) as error:
        load_recipe(str(tmp_path / "own.toml"))
    assert message in str(error.value)


def test_one_command_makes_a_detector_and_resumes(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detector, "fill_cache", partial(fill_cache, size=8))
    (tmp_path / "own.toml").write_text(RECIPE)
    cache, out = tmp_path / "cache", tmp_path / "my_detector"
    arguments = ["train", "detector", "--cache", str(cache), "-o", str(out), "--recipe", str(tmp_path / "own.toml")]
    arguments += ["--state", str(tmp_path / "runs"), "--device", "cpu"]
    assert stpose(arguments) == 2
    assert "give --assets and --mocap" in capsys.readouterr().err
    assert stpose([*arguments, "--assets", str(assets), "--mocap", str(assets / "mocap")]) == 0
    for part in ("train", "validation", "frames-train", "frames-validation"):
        assert len(shards(cache, part)) == 1, part
    network, header = load_spatial(out / "spatial.safetensors")
    assert network.config == TINY
    assert header["samples"] == load_finder(out / "finder.safetensors")[1]["samples"] == 32
    assert Calibration.of(header) != Calibration()
    assert isinstance(load_detector(str(out)), BuiltinDetector)
    rendered = shards(cache, "train")[0].stat().st_mtime_ns
    capsys.readouterr()
    assert stpose(arguments) == 0, "the same command again has nothing to do"
    assert "resumes at 32 samples" in capsys.readouterr().out
    assert shards(cache, "train")[0].stat().st_mtime_ns == rendered
    assert load_spatial(out / "spatial.safetensors")[1]["calibration"] == header["calibration"]
