"""Heat maps: what they show of joints, that training and lifting see the same, and that a network learns from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_mocap import REST, moving, write_folder
from stpose_cli.main import run as command
from stpose_training import evaluate as judging
from stpose_training.conditions import OCCLUSION, PLAIN, Take, film_clip
from stpose_training.data.bodies import Random
from stpose_training.data.footage import Window
from stpose_training.data.heatmaps import draw_blobs
from stpose_training.data.mocap import Clip, MotionBank, load_mocap
from stpose_training.data.samples import Faults, draw_batch
from stpose_training.recipe import Recipe
from stpose_training.validation import fixed_batches

from stpose_core.data import Keypoints
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift import lifter as lifting
from stpose_core.lift.heatmaps import Blobs, HeatMaps, keypoint_blobs, spread_of
from stpose_core.lift.normalise import network_inputs, person_view
from stpose_core.lift.torch_network import TorchNetwork
from stpose_core.networks.heads import MAP_CELLS, MAP_REACH
from stpose_core.networks.lifting_configs import TemporalConfig
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
