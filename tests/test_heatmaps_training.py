"""Training a lifter on heat maps: it learns, goes on after a stop, and starts as a network that reads keypoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_mocap import write_folder
from stpose_training import lifter as training
from stpose_training.checkpoint import load_start
from stpose_training.recipe import Plan, Recipe, load_plan
from test_heatmaps import SHORT, TINY

from stpose_core.lift.heatmaps import Blobs
from stpose_core.lift.torch_network import torch_lifter
from stpose_core.networks.heads import MAP_CELLS, MAP_REACH, summaries
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import DilatedConfig, LiftingConfig, TemporalConfig, config_of, name_of
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.weights import write_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


def test_training_on_maps_learns(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=50, batch=4, frames=16, reach=16, rate=5e-3, warmup=5, judged=1, evaluate_every=50, checkpoint_every=50)
    dimensions = {**TINY, "dropout": 0.0}
    errors = {}
    for name, rate in (("taught", 5e-3), ("untaught", 0.0)):
        plan = Plan(replace(recipe, rate=rate), dimensions=dimensions)
        training.train(folder, output=tmp_path / f"{name}.safetensors", plan=plan, state=tmp_path / name)
        errors[name] = json.loads((tmp_path / name / "log.jsonl").read_text())["cmu_validation"]["mpjpe"]
    assert errors["taught"] < 0.7 * errors["untaught"]


def test_what_maps_tell_beyond_their_peaks_is_learnt_from() -> None:
    """Two places that are equally likely by the peak: a network that reads the map tells which by its second maximum."""
    torch.manual_seed(0)
    config = TemporalConfig(inputs="heatmaps", latent=16, width=8, strides=(1,), map_features=8, dropout=0)
    network = TemporalNetwork(config)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    frames = 2 * config.context + 4
    place = torch.zeros(16, frames, 17, 2, 2)
    place[..., 1, 0] = torch.where(torch.arange(16) % 2 == 0, -0.6, 0.6)[:, None, None]
    height = torch.tensor([0.8, 0.5]).expand(16, frames, 17, 2)
    blobs = Blobs(place, height, torch.full_like(height, 0.12))
    peak = Blobs(place, height * torch.tensor([1.0, 0.0]), blobs.spread)
    goal = place[:, :4, :, 1, 0]

    def taught(maps: torch.Tensor) -> float:
        loss = torch.tensor(0.0)
        for _ in range(60):
            loss = (network(maps, torch.zeros(16, frames, 4)).pose[:, :, 1:, 0] - goal[:, :, 1:]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    assert taught(blobs.draw()) < 0.05
    assert taught(peak.draw()) > 0.3  # the control: nothing tells


@pytest.mark.parametrize("summary", [False, True])
def test_a_network_that_reads_both_starts_as_one_that_reads_keypoints(tmp_path: Path, summary: bool) -> None:
    torch.manual_seed(0)
    small = {"latent": 16, "width": 8, "strides": (1,), "map_features": 4}
    plain = TemporalNetwork(TemporalConfig(**small))  # type: ignore[arg-type]
    torch.nn.init.normal_(plain.heads.weight, std=0.3)
    write_weights(tmp_path / "plain.safetensors", plain.state_dict(), "temporal", {})
    both = TemporalNetwork(TemporalConfig(**small, inputs="heatmaps", peaks=True, summary=summary))  # type: ignore[arg-type]
    for network in (plain, both):
        load_start(network.eval(), tmp_path / "plain.safetensors", "temporal")
    joints, maps = torch.rand(2, 40, 17, 4), torch.rand(2, 40, 17, MAP_CELLS, MAP_CELLS)
    wanted = plain(joints, torch.zeros(2, 40, 4)).pose
    assert torch.allclose(both(maps, torch.zeros(2, 40, 4), joints).pose, wanted, atol=1e-6)
    torch.nn.init.normal_(both.encoder.doubts.weight, std=0.5)
    made = both(maps, torch.zeros(2, 40, 4), joints).pose
    assert not torch.allclose(made, wanted, atol=1e-3)  # the control: then maps are read
    assert not torch.allclose(both(maps.flip(-1), torch.zeros(2, 40, 4), joints).pose, made, atol=1e-3)


def test_the_numbers_of_a_map_are_those_it_was_drawn_with() -> None:
    place = torch.tensor([[0.5, -0.3], [-0.6, 0.7]]).expand(1, 1, 2, 2, 2)
    height = torch.tensor([[0.08, 0.04], [0.08, 0.0]])[None, None]
    maps = Blobs(place, height, torch.full_like(height, 0.12)).draw()
    (both, one), cell = summaries(maps)[0, 0], 2 * MAP_REACH / MAP_CELLS
    assert (both[:2] - place[0, 0, 0, 0]).abs().max() < cell
    assert both[2] == pytest.approx(0.08, abs=0.01)
    assert both[7] == pytest.approx(0.5, abs=0.1)
    assert (both[8:] / both[7] - place[0, 0, 0, 1]).abs().max() < cell
    assert both[3] == pytest.approx(0.5 * 2 / 3 - 0.6 / 3, abs=0.03)
    assert one[3:7].tolist() == pytest.approx([0.5, -0.3, 0.12, 0.12], abs=0.01)
    assert one[7] < 0.02  # the control: no second maximum
    assert summaries(torch.zeros_like(maps)).abs().max() == 0


@pytest.mark.parametrize("critic", [0.0, 0.05])
def test_a_stopped_run_on_maps_goes_on_to_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, critic: float
) -> None:
    plan = Plan(replace(SHORT, critic=critic, critic_from=0.2, critic_ramp=0.3), dimensions=TINY)
    training.train(folder, output=tmp_path / "whole.safetensors", plan=plan, state=tmp_path / "whole")

    class Killed(BaseException):
        pass

    real = training.save_checkpoint

    def dying(path: Path, state: dict[str, Any]) -> None:
        real(path, state)
        if state["step"] == 4:
            raise Killed

    monkeypatch.setattr(training, "save_checkpoint", dying)
    with pytest.raises(Killed):
        training.train(folder, output=tmp_path / "half.safetensors", plan=plan, state=tmp_path / "half")
    monkeypatch.setattr(training, "save_checkpoint", real)
    training.train(folder, output=tmp_path / "half.safetensors", plan=plan, state=tmp_path / "half")
    whole, half = (torch_lifter(tmp_path / f"{name}.safetensors").network.module.state_dict() for name in ("whole", "half"))
    assert all(torch.equal(whole[name], half[name]) for name in whole)
    training.train(
        folder, output=tmp_path / "b.safetensors", plan=replace(plan, recipe=replace(plan.recipe, seed=1)), state=tmp_path / "b"
    )
    other = torch_lifter(tmp_path / "b.safetensors").network.module.state_dict()
    assert not all(torch.equal(whole[name], other[name]) for name in whole)


def test_the_paper_preset_reads_maps_and_has_the_papers_losses() -> None:
    paper, default = load_plan("paper"), load_plan("default")
    assert paper.dimensions["inputs"] == "heatmaps"
    assert default.dimensions["inputs"] == "keypoints"
    assert (paper.recipe.velocity, paper.recipe.bones) == (0.0, 0.0)
    assert paper.recipe.critic > 0


def test_without_the_visibility_channel_scores_and_flags_are_not_read() -> None:
    torch.manual_seed(0)
    joints, context = torch.rand(1, 20, 17, 4), torch.zeros(1, 20, 4)
    other = joints.clone()
    other[..., 2:] = 0
    configs: list[LiftingConfig] = []
    for visibility in (True, False):
        configs.append(TemporalConfig(latent=16, width=8, strides=(1,), visibility=visibility))
        configs.append(DilatedConfig(channels=16, kernels=(3, 3), visibility=visibility))
    for config in configs:
        network = make_network(config).eval()
        with torch.no_grad():
            same = torch.equal(network(joints, context).pose, network(other, context).pose)
            elsewhere = torch.equal(network(joints, context).pose, network(joints * 0.5, context).pose)
        assert same is not config.visibility
        assert not elsewhere
        assert config_of(name_of(config), config.to_dict()) == config
