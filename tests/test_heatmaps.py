"""Heat maps: what they show of joints, that training and lifting see the same, and that a network learns from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_mocap import REST, moving, write_folder
from stpose_cli.main import run as command
from stpose_training import evaluate as judging
from stpose_training import lifter as training
from stpose_training.checkpoint import load_start
from stpose_training.conditions import OCCLUSION, PLAIN, Take, film_clip
from stpose_training.data.bodies import Random
from stpose_training.data.footage import Window
from stpose_training.data.heatmaps import draw_blobs
from stpose_training.data.mocap import Clip, MotionBank, load_mocap
from stpose_training.data.samples import Faults, draw_batch
from stpose_training.recipe import Plan, Recipe, load_plan
from stpose_training.validation import fixed_batches

from stpose_core.data import Keypoints
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift import lifter as lifting
from stpose_core.lift.heatmaps import Blobs, HeatMaps, keypoint_blobs, spread_of
from stpose_core.lift.normalise import network_inputs, person_view
from stpose_core.lift.torch_network import TorchNetwork, torch_lifter
from stpose_core.networks.heads import MAP_CELLS, MAP_REACH, summaries
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import DilatedConfig, LiftingConfig, TemporalConfig, config_of, name_of
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights

MIRROR = list(H36M17.mirror)
TINY = {"inputs": "heatmaps", "latent": 16, "width": 8, "strides": [1, 2], "map_features": 4, "dropout": 0.1}
SHORT = Recipe(steps=6, batch=2, frames=32, reach=16, warmup=2, judged=1, evaluate_every=6, checkpoint_every=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


@pytest.fixture(scope="module")
def bank(folder: Path) -> MotionBank:
    return MotionBank(load_mocap(folder))


def map_reader(peaks: bool = False) -> Lifter:
    """An untrained lifter that reads heat maps, and with peaks also keypoints."""
    torch.manual_seed(0)
    network = TemporalNetwork(TemporalConfig(inputs="heatmaps", latent=16, width=8, strides=(1, 2), map_features=4, peaks=peaks))
    torch.nn.init.normal_(network.heads.weight, std=0.3)
    encoder = network.encoder.maps if peaks else network.encoder
    for layer in (encoder.cnn[0], encoder.joint[0], encoder.joint[2]):
        torch.nn.init.normal_(layer.weight, std=0.5)  # an untrained network hardly sees its maps
    if peaks:
        torch.nn.init.normal_(network.encoder.doubts.weight, std=0.5)
    return Lifter(TorchNetwork(network))


@pytest.fixture(scope="module", params=[False, True], ids=["maps", "both"])
def small(request: pytest.FixtureRequest) -> Lifter:
    return map_reader(request.param)


@pytest.fixture(scope="module")
def take() -> Take:
    return film_clip(Clip("a", "a", "a", moving(60, 3)), 0, PLAIN, maps=True)


def peaks(maps: torch.Tensor) -> torch.Tensor:
    """(..., H, W) -> (..., 2) middle of the highest cell, person sizes."""
    best = maps.flatten(-2).argmax(-1)
    cell = torch.stack((best % maps.shape[-1], best // maps.shape[-1]), -1)
    return MAP_REACH * (2 * (cell + 0.5) / maps.shape[-1] - 1)


def at(maps: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Values of (..., H, W) maps in the cells that (..., 2) places lie in."""
    cell = ((place / MAP_REACH + 1) / 2 * MAP_CELLS).floor().long().clamp(0, MAP_CELLS - 1)
    return maps.flatten(-2).gather(-1, (cell[..., 1] * MAP_CELLS + cell[..., 0]).unsqueeze(-1)).squeeze(-1)


def moved(place: torch.Tensor, cells: float) -> torch.Tensor:
    return place + torch.tensor([0.0, cells * 2 * MAP_REACH / MAP_CELLS])


def test_a_map_is_highest_where_the_joint_is() -> None:
    place = torch.tensor([[0.0, 0.0], [0.51, -0.93], [-1.2, 1.1]])
    joints = torch.cat((place, torch.tensor([[0.9, 1.0], [0.5, 1.0], [0.2, 1.0]])), -1)[None, None]
    maps = keypoint_blobs(joints).draw()
    cell = 2 * MAP_REACH / MAP_CELLS
    assert (peaks(maps) - place).abs().max() <= cell / 2 + 1e-6
    assert (peaks(maps.transpose(-1, -2)) - place).abs().max() > 1  # the control: x and y exchanged
    heights = maps.amax((-1, -2))[0, 0]
    assert (heights <= torch.tensor([0.9, 0.5, 0.2]) + 1e-6).all()
    assert (heights > torch.tensor([0.6, 0.4, 0.15])).all()
    # The middle of the mass is where the joint is, more exactly than a cell, and the mass is as wide as the score says.
    axis = MAP_REACH * ((torch.arange(MAP_CELLS) + 0.5) * 2 / MAP_CELLS - 1)
    across = maps[0, 0, 0].sum(0)
    middle = (across * axis).sum() / across.sum()
    assert float(middle) == pytest.approx(0.0, abs=1e-3)
    width = ((across * (axis - middle) ** 2).sum() / across.sum()).sqrt()
    assert float(width) == pytest.approx(float(spread_of(torch.tensor(0.9))), rel=0.02)
    assert spread_of(torch.tensor(0.2)) > 1.5 * spread_of(torch.tensor(1.0))


def test_a_hidden_joint_has_no_mass(bank: MotionBank) -> None:
    batch = draw_batch(bank, batch=16, window=Window(frames=32, reach=8), random=Random(4), faults=Faults(1.0), maps=True)
    assert batch.blobs is not None
    maps = Blobs(batch.blobs.place, batch.blobs.height, batch.blobs.spread).draw()  # without the background
    hidden = batch.joints[..., 3] == 0
    assert 0.02 < hidden.float().mean() < 0.6
    assert maps[hidden].abs().max() == 0
    seen = maps[~hidden & (batch.joints[..., :2].abs().amax(-1) < MAP_REACH)]
    assert seen.amax((-1, -2)).min() > 0.1
    with_background = batch.inputs[hidden]
    assert 0 < with_background.mean() < 0.05
    assert batch.inputs.max() <= 1


def test_the_peak_of_a_sample_is_its_joint_and_the_rest_of_the_sample_the_same(bank: MotionBank) -> None:
    plain, drawn = (
        draw_batch(bank, batch=8, window=Window(frames=32, reach=8), random=Random(5), faults=Faults(0.5), maps=maps)
        for maps in (False, True)
    )
    for name in ("joints", "context", "pose", "root", "up", "wrong"):
        assert torch.equal(getattr(plain, name), getattr(drawn, name))
    assert torch.equal(plain.inputs, plain.joints)
    joints = drawn.joints
    inside = (joints[..., 3] > 0) & (joints[..., :2].abs().amax(-1) < MAP_REACH)
    error = (peaks(drawn.inputs) - joints[..., :2]).norm(dim=-1)[inside]
    # But for two maxima that are nearly as high, or that flow together.
    assert (error < 2 * MAP_REACH / MAP_CELLS).float().mean() > 0.97
    narrow = drawn.narrowed(3)
    assert torch.equal(narrow.inputs, drawn.inputs[:, 3:-3])
    # Batches that follow one another are the same, too: curves of both paths are of the same takes.
    configs = (TemporalConfig(inputs=inputs, strides=(1,)) for inputs in ("keypoints", "heatmaps"))
    first, second = (fixed_batches(bank, config, 2, 3)[1] for config in configs)
    assert torch.equal(first.joints, second.joints)


def test_maps_come_back_with_their_seed(bank: MotionBank) -> None:
    first, again, other = (
        draw_batch(bank, batch=4, window=Window(frames=16, reach=8), random=Random(seed), faults=Faults(0.5), maps=True).inputs
        for seed in (7, 7, 8)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def figure(batch: int = 40, frames: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, T, 17, 2) rays of a figure that stands still with legs wide apart, and (B, T) its size."""
    rays = torch.from_numpy(REST[:, [0, 2]] * [3, -1] / 4).float().expand(batch, frames, 17, 2)
    return rays, person_view(rays, torch.ones(rays.shape[:3])).size


def test_sides_that_are_exchanged_leave_a_second_maximum_at_the_true_place() -> None:
    true, size = figure()
    view = person_view(true, torch.ones(true.shape[:3]))
    legs = [1, 2, 3, 4, 5, 6]
    rays = true.clone()
    rays[:, :, legs] = true[:, :, [MIRROR[joint] for joint in legs]]
    wrong = torch.zeros(true.shape[:3], dtype=torch.bool)
    wrong[:, :, legs] = True
    score = torch.full(true.shape[:3], 0.8)

    def share_with_mass(wrong: torch.Tensor) -> float:
        blobs = draw_blobs(true, true, rays, score, wrong, size, Random(1)).in_view(view)
        maps = blobs.draw()
        joints, _ = network_inputs(true, score, view)
        place = joints[:, :, [3, 6], :2]  # ankles: well apart
        ankles = maps[:, :, [3, 6]]
        assert (at(ankles, place.flip(2)) > 0.5).all()  # the first maximum, at the wrong place
        level = at(ankles, place)
        beside = torch.maximum(at(ankles, moved(place, 3)), at(ankles, moved(place, -3)))
        return float(((level > 0.15) & (level > beside)).float().mean())

    assert share_with_mass(wrong) > 0.6
    assert share_with_mass(torch.zeros_like(wrong)) < 0.2  # the control: only what is doubted now and then


def test_a_right_peak_now_and_then_comes_with_a_lower_one_on_the_other_side() -> None:
    true, size = figure(200)
    score, wrong = torch.full(true.shape[:3], 0.8), torch.zeros(true.shape[:3], dtype=torch.bool)
    belief = draw_blobs(true, true, true, score, wrong, size, Random(2))
    doubted = belief.height[..., 1] > 0
    assert 0.005 < doubted.float().mean() < 0.15
    assert torch.equal(belief.rays[..., 1, :][doubted], true[:, :, MIRROR][doubted])
    assert (belief.height[..., 1] <= belief.height[..., 0]).all()
    assert torch.equal(belief.rays[..., 0, :], true)


def test_what_lifting_reads_off_the_picture_is_what_training_draws(take: Take) -> None:
    assert take.maps is not None
    clip = Clip("a", "a", "a", moving(60, 3))
    assert film_clip(clip, 0, PLAIN).maps is None
    rays = (take.keypoints.xy - np.array(take.keypoints.image_size) / 2) / lifting.Camera.assumed(take.keypoints.image_size).focal
    score = torch.tensor(take.keypoints.score).float()[None]
    ray = torch.from_numpy(np.nan_to_num(rays)).float()[None]
    view = person_view(ray, score)
    camera = lifting.Camera.assumed(take.keypoints.image_size)
    joints, _ = network_inputs(ray, score, view)
    seen = take.maps.seen_in(view, camera)
    off = replace(take.maps, corner=take.maps.corner + 6 * take.maps.cell[:, None]).seen_in(view, camera)
    visible = joints[..., 3] > 0

    def far(maps: torch.Tensor) -> float:
        return float(((peaks(maps) - joints[..., :2]).norm(dim=-1)[visible] > 2 * MAP_REACH / MAP_CELLS).float().mean())

    assert far(seen) < 0.03
    assert far(off) > 0.9  # the control: three cells beside
    # Heights, too: nothing is lost by the way.
    top = seen.amax((-1, -2))[visible]
    assert (top / joints[..., 2][visible]).median() > 0.85


def test_joints_that_a_condition_hides_have_no_mass() -> None:
    hidden = film_clip(Clip("a", "a", "a", moving(60, 3)), 0, OCCLUSION[2], maps=True)
    plain = film_clip(Clip("a", "a", "a", moving(60, 3)), 0, PLAIN, maps=True)
    assert hidden.maps is not None
    assert plain.maps is not None
    assert hidden.masked.any()
    background = 0.09
    assert hidden.maps.values[hidden.masked].max() < background
    assert plain.maps.values[hidden.masked & (plain.keypoints.score > 0.3)].max(axis=(-1, -2)).min() > background


def test_a_clip_lifted_in_blocks_is_lifted_as_a_whole(small: Lifter, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(take.keypoints, maps=take.maps)
    monkeypatch.setattr(lifting, "_BLOCK", 17)
    parts = small(take.keypoints, maps=take.maps)
    assert np.allclose(whole.xyz, parts.xyz, atol=1e-5)
    assert whole.posed.all()
    drawn = small(take.keypoints)  # maps of the joints alone
    assert np.abs(drawn.xyz - whole.xyz).max() > 1e-3
    monkeypatch.setattr(HeatMaps, "window", lambda maps, start, stop: maps[np.arange(start, stop) % len(maps)])
    assert not np.allclose(small(take.keypoints, maps=take.maps).xyz, whole.xyz, atol=1e-4)  # the control: other frames' maps


def test_mirroring_picture_and_maps_mirrors_the_pose(small: Lifter, take: Take) -> None:
    maps, points = take.maps, take.keypoints
    assert maps is not None
    width, cells = points.image_size[0], maps.values.shape[-1]
    xy = points.xy[:, MIRROR] * [-1, 1] + [width, 0]
    other = Keypoints(xy, points.score[:, MIRROR], points.fps, points.image_size, "h36m17")
    corner = np.stack((width - maps.corner[:, 0] - cells * maps.cell, maps.corner[:, 1]), -1)
    flipped = HeatMaps(maps.values[:, MIRROR, :, ::-1], corner, maps.cell)
    pose, mirrored = small(points, maps=maps), small(other, maps=flipped)
    assert np.abs(mirrored.xyz[:, MIRROR] * [-1, 1, 1] - pose.xyz).max() < 1e-3
    assert np.abs(mirrored.xyz * [-1, 1, 1] - pose.xyz).max() > 1e-2
    assert np.abs(small(other, maps=maps).xyz[:, MIRROR] * [-1, 1, 1] - pose.xyz).max() > 1e-2  # the control: maps not mirrored


def test_fast_clips_take_their_own_maps_and_slow_ones_do_without(small: Lifter, take: Take) -> None:
    maps, points = take.maps, take.keypoints
    assert maps is not None
    fast = replace(points, fps=60.0)
    one = small(replace(points, xy=points.xy[1::2], score=points.score[1::2]), maps=maps[1::2])
    assert np.allclose(small(fast, maps=maps).xyz[1::2], one.xyz, atol=1e-5)
    slow = replace(points, fps=10.0)
    assert np.array_equal(small(slow, maps=maps).xyz, small(slow).xyz)


def test_maps_that_do_not_fit_are_refused(small: Lifter, take: Take) -> None:
    maps = take.maps
    assert maps is not None
    with pytest.raises(ValueError, match="do not fit"):
        small(take.keypoints, maps=maps[:5])
    with pytest.raises(ValueError, match="reads keypoints"):
        load_lifter()(take.keypoints, maps=maps)
    with pytest.raises(ValueError, match="must be"):
        HeatMaps(maps.values[0], maps.corner, maps.cell)
    with pytest.raises(ValueError, match="finite"):
        HeatMaps(maps.values, maps.corner, maps.cell * 0)


def test_weights_that_read_maps_are_taken_and_lift_keypoints(small: Lifter, take: Take, tmp_path: Path) -> None:
    path = tmp_path / "maps.safetensors"
    write_weights(path, small.network.module.state_dict(), "temporal", {"network": small.network.config.to_dict()})
    again = load_lifter(path)
    assert again.reads_maps
    assert not load_lifter().reads_maps
    assert np.abs(again(take.keypoints).xyz - small(take.keypoints).xyz).max() < 2e-2  # fp16
    stream = small.stream(take.keypoints.fps, take.keypoints.image_size)
    poses = [stream.push(xy, score) for xy, score in zip(take.keypoints.xy, take.keypoints.score)]
    streamed = np.concatenate([pose.xyz for pose in [*poses, *stream.finish()] if pose is not None])
    assert np.allclose(streamed, small(take.keypoints).xyz, atol=1e-4)


def test_the_command_says_what_weights_that_read_maps_are_shown(
    small: Lifter, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "maps.safetensors"
    write_weights(path, small.network.module.state_dict(), "temporal", {"network": small.network.config.to_dict()})
    monkeypatch.setattr(judging, "evaluate", lambda *_, **__: judging.Report())
    for weights, says in ((["--weights", str(path)], True), ([], False)):
        assert command(["evaluate", "lifter", "--data", str(tmp_path), *weights]) == 0
        assert ("maps are drawn from the keypoints" in capsys.readouterr().err) is says


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
