"""The baseline and the discriminator: what they see, what they say of real and of broken motion, and how they are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from stpose_core.errors import WeightsError
from stpose_core.lift import load_lifter
from stpose_core.lift.heatmaps import keypoint_blobs
from stpose_core.lift.torch_network import torch_lifter
from stpose_core.networks.dilated import DilatedNetwork
from stpose_core.networks.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    critic_loss,
    fooling_loss,
    kcs,
    temporal_kcs,
)
from stpose_core.networks.heads import MAP_CELLS, MAP_REACH, ProjectiveHeads, peaks
from stpose_core.networks.lifting import make_network
from stpose_core.networks.lifting_configs import DilatedConfig, TemporalConfig, config_of, name_of
from stpose_core.networks.outputs import places
from stpose_core.networks.temporal import TemporalNetwork
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights


@pytest.mark.parametrize(("kernels", "field"), [((3, 3, 3, 3), 81), ((3, 3, 3, 3, 3), 243), ((3, 5), 15)])
def test_the_baseline_sees_the_product_of_its_kernels_and_no_more(kernels: tuple[int, ...], field: int) -> None:
    torch.manual_seed(0)
    config = DilatedConfig(channels=32, kernels=kernels)
    assert 2 * config.context + 1 == field
    network = DilatedNetwork(config).eval()
    data, context = torch.randn(1, field + 2, 17, 4), torch.zeros(1, field + 2, 4)
    changed = data.clone()
    changed[:, 0] += 5  # seen by the first of the three outputs alone
    with torch.no_grad():
        difference = (network(data, context).pose - network(changed, context).pose).abs().amax((0, 2, 3))
    assert len(difference) == 3
    assert difference[0] > 0
    assert (difference[1:] == 0).all()
    with pytest.raises(ValueError, match="too few"):
        network(data[:, : field - 1], context[:, : field - 1])


def test_the_baseline_is_as_large_as_published() -> None:
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in DilatedNetwork(DilatedConfig(kernels=(3,) * n)).parameters()) for n in (4, 5)]
    assert sizes[0] == pytest.approx(12.8e6, rel=0.03)  # 12.75 M and 16.95 M in the paper, with other heads
    assert sizes[1] == pytest.approx(16.95e6, rel=0.03)


@pytest.mark.parametrize("config", [TemporalConfig(latent=8, width=4), DilatedConfig(channels=8, kernels=(3, 3))])
def test_weights_name_their_network(config: TemporalConfig | DilatedConfig, tmp_path: Path) -> None:
    network = make_network(config)
    assert config_of(name_of(config), config.to_dict()) == config
    header = {"architecture": name_of(config), "network": config.to_dict()}
    write_weights(tmp_path / "a.safetensors", network.state_dict(), "temporal", header)
    assert type(torch_lifter(tmp_path / "a.safetensors").network.module) is type(network)
    # Files from before there were two networks say nothing, and hold the multi-stride one.
    write_weights(tmp_path / "b.safetensors", network.state_dict(), "temporal", {"network": config.to_dict()})
    if isinstance(config, TemporalConfig):
        assert isinstance(torch_lifter(tmp_path / "b.safetensors").network.module, TemporalNetwork)
    else:
        with pytest.raises(WeightsError, match="does not match"):
            load_lifter(tmp_path / "b.safetensors")
    write_weights(tmp_path / "c.safetensors", network.state_dict(), "temporal", {**header, "architecture": "lstm"})
    with pytest.raises(WeightsError, match="unknown network 'lstm'"):
        load_lifter(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    "network",
    [
        {"kernels": 3}, {"kernels": []}, {"kernels": [3] * 99}, {"kernels": [4]}, {"kernels": ["3"]}, {"kernels": [10**9]},
        {"channels": 10**9}, {"channels": True}, {"channels": 8.5}, {"joints": 5}, {"dropout": 1}, {"dropout": "0"}, {"color": 1},
    ],
)  # fmt: skip
def test_dimensions_of_the_baseline_from_a_file_are_not_trusted(tmp_path: Path, network: dict[str, object]) -> None:
    config = DilatedConfig(channels=8, kernels=(3, 3))
    path, whole = tmp_path / "odd.safetensors", {**config.to_dict(), **network}
    write_weights(path, make_network(config).state_dict(), "temporal", {"architecture": "dilated", "network": whole})
    with pytest.raises(WeightsError) as caught:
        load_lifter(path)
    assert "\n" not in str(caught.value)
    if "joints" not in network:
        with pytest.raises(ValueError, match=next(iter(network))):
            DilatedConfig.from_dict(whole)


def figure(frames: int, seed: int = 0, moving: float = 0.05) -> torch.Tensor:
    """(1, T, 17, 3) a body of constant bones whose limbs swing."""
    random = np.random.default_rng(seed)
    joints = np.zeros((frames, 17, 3))
    time = np.arange(frames) / 30
    for joint in range(1, 17):
        axis, phase = random.normal(size=3), random.uniform(0, 6)
        turn = Rotation.from_rotvec(moving * 10 * np.sin(3 * time + phase)[:, None] * axis)
        joints[:, joint] = joints[:, H36M17.parents[joint]] + turn.apply(random.normal(0, 0.15, 3))
    return torch.from_numpy(joints).float()[None]


def test_kcs_holds_lengths_and_angles_and_no_orientation() -> None:
    pose = figure(10)
    matrix = kcs(pose)
    thigh = pose[0, 3, 2] - pose[0, 3, 1]
    shin = pose[0, 3, 3] - pose[0, 3, 2]
    assert matrix[0, 3, 1, 1] == pytest.approx(float(thigh @ thigh), rel=1e-5)
    assert matrix[0, 3, 1, 2] == pytest.approx(float(thigh @ shin), rel=1e-4, abs=1e-6)
    turn = torch.from_numpy(Rotation.from_rotvec([0.4, -1.0, 0.3]).as_matrix()).float()
    assert torch.allclose(kcs(pose @ turn.T), matrix, atol=1e-6)
    assert not torch.allclose(kcs(pose * 1.1), matrix, atol=1e-4)


def test_temporal_kcs_is_zero_for_a_body_that_only_turns() -> None:
    pose = figure(1).expand(-1, 12, -1, -1)
    turns = torch.from_numpy(Rotation.from_rotvec(np.arange(12)[:, None] * [0.0, 0.2, 0.1]).as_matrix()).float()
    turning = pose @ turns.transpose(-1, -2)
    assert temporal_kcs(turning, 5).shape == (1, 7, 16, 16)
    assert temporal_kcs(turning, 5).abs().max() < 1e-5
    moving = figure(12)
    assert torch.allclose(temporal_kcs(moving, 5)[0, 2], kcs(moving)[0, 7] - kcs(moving)[0, 2])
    assert temporal_kcs(moving, 5).abs().max() > 1e-3


def test_the_discriminator_judges_windows_of_28_frames() -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(width=8)).eval()
    data = torch.randn(2, 40, 17, 3) * 0.3
    with torch.no_grad():
        scores = network(data)
        changed = data.clone()
        changed[:, 28, 1:] *= 2  # outside of the first window, inside of the others
        other = network(changed)
        inside = data.clone()
        inside[:, 27, 1:] *= 2
        third = network(inside)
    assert scores.shape == (2, 4)
    assert torch.equal(other[:, 0], scores[:, 0])
    assert (other[:, 1:] != scores[:, 1:]).all()
    assert (third[:, 0] != scores[:, 0]).all()
    with pytest.raises(ValueError, match="too few"):
        network(data[:, :27])


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(width=8))
    for _ in range(20):
        network(torch.randn(2, 30, 17, 3))
    layers = [layer for layer in network.critic if isinstance(layer, torch.nn.Conv1d)]
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) == pytest.approx(1, abs=0.05)
        raw = layer.parametrizations.weight.original.detach().flatten(1)  # type: ignore[union-attr]
        assert torch.linalg.matrix_norm(raw, 2) != pytest.approx(1, abs=0.05)  # the control: it is the norm that does it


def test_least_squares_losses() -> None:
    one, zero = torch.ones(3, 2), torch.zeros(3, 2)
    assert critic_loss(one, zero) == 0
    assert critic_loss(zero, one) == 1
    assert fooling_loss(one) == 0
    assert fooling_loss(zero) == 1


@pytest.mark.parametrize("fault", ["stretching bones", "trembling", "none"])
def test_the_discriminator_learns_to_tell_broken_motion_and_not_what_is_alike(fault: str) -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(width=16))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.5, 0.9))
    good = torch.cat([figure(32, 1, moving=0.02 + 0.002 * n) for n in range(16)])

    def broken(poses: torch.Tensor) -> torch.Tensor:
        if fault == "stretching bones":
            return poses * (1 + 0.3 * torch.sin(torch.arange(32) / 3))[:, None, None]
        if fault == "trembling":
            return poses + 0.05 * torch.randn(poses.shape)
        return poses

    for _ in range(60):
        loss = critic_loss(network(good[::2]), network(broken(good[::2])))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        gap = (network(good[1::2]).mean() - network(broken(good[1::2])).mean()).item()
    if fault == "none":
        assert abs(gap) < 1e-2
        assert float(loss.detach()) == pytest.approx(0.25, abs=0.02)  # nothing to tell apart: a half for both
    else:
        assert gap > 0.3


def test_the_discriminator_keeps_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(width=8)).eval()
    pose = figure(30)
    with torch.no_grad():
        full = network(pose)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(pose)
    assert torch.equal(full, mixed)


def test_a_projective_output_makes_metres_of_places_depths_and_size() -> None:
    """Heads that say the truth of places, depths and size give the true pose near the camera; other geometry does not."""
    torch.manual_seed(0)
    points = 0.4 * torch.randn(1, 5, 17, 3) + torch.tensor([0.1, 0.0, 1.8])
    size = torch.full((1, 5), 0.5)
    seen = points[..., :2] / points[..., 2:] / size[..., None, None]
    metric = points[..., 0, 2] * size
    heads = ProjectiveHeads(1, 17)
    raw = torch.zeros(1, 5, 17, 3)
    # Trust in the places is full; what the head adds is depth alone.
    raw[..., 2] = (points[..., 2] - points[..., :1, 2]) / metric[..., None]
    root = torch.stack((torch.zeros(1, 5), torch.zeros(1, 5), metric.log()), -1)
    nothing = torch.zeros(1, 5, 17)
    parts = (raw.flatten(2), root, nothing, nothing, torch.zeros(1, 5, 3), torch.full((1, 5, 17), 20.0), nothing[..., :0])
    heads.values = lambda features: torch.cat(parts, -1)  # type: ignore[method-assign]
    true = points - points[..., :1, :]
    assert (heads(torch.zeros(1, 1, 5), seen, size).pose - true).abs().max() < 1e-5
    assert (heads(torch.zeros(1, 1, 5), seen, torch.zeros(1, 5)).pose - true).abs().max() > 0.05  # no perspective
    with pytest.raises(ValueError, match="needs the positions"):
        heads(torch.zeros(1, 1, 5))


def test_places_are_averaged_over_the_frames_that_show_the_joint() -> None:
    joints = torch.zeros(1, 9, 2, 4)
    joints[..., :2] = torch.arange(9.0)[None, :, None, None]
    joints[:, :, 0, 3] = 1
    joints[:, 4, 1, 3] = 1  # the other joint is seen once
    mean = places(joints, 2)
    assert torch.allclose(mean[0, 2:7, 0, 0], torch.arange(2.0, 7.0))
    assert torch.allclose(mean[0, [2, 3, 4, 5, 6], 1, 0], torch.full((5,), 4.0))
    assert (mean[0, [0, 1, 7, 8], 1] == 0).all()
    assert torch.equal(places(joints, 0)[0, :, 0], joints[0, :, 0, :2])


def test_what_is_seen_reaches_a_projective_pose() -> None:
    """An untrained network's pose follows the places already: the metric one's does not."""
    torch.manual_seed(0)
    config = {"latent": 8, "width": 4, "strides": (1,), "dropout": 0.0}
    inputs, context = torch.randn(1, 40, 17, 4), torch.zeros(1, 40, 4)
    inputs[..., 3] = 1
    moved = inputs.clone()
    moved[:, 20, 16, 0] += 1
    change = {}
    for output in ("projective", "metric"):
        network = TemporalNetwork(TemporalConfig(output=output, **config)).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            change[output] = float((network(moved, context).pose - network(inputs, context).pose)[0, 20 - 8, 16, 0])
    assert change["projective"] > 0.8
    assert abs(change["metric"]) < 0.2
    with pytest.raises(ValueError, match="output must be"):
        TemporalConfig.from_dict({"output": "polar"})


def test_a_projective_output_starts_from_the_peaks_of_heat_maps() -> None:
    joints = torch.cat((torch.rand(1, 6, 17, 2) * 2 - 1, torch.full((1, 6, 17, 1), 0.9), torch.ones(1, 6, 17, 1)), -1)
    joints[:, :, 4] = 0  # hidden: an empty map
    maps = keypoint_blobs(joints).draw()
    found = peaks(maps)
    seen = joints[..., 3] > 0
    assert torch.equal(found[..., 3] > 0, seen)
    assert (found - joints)[..., :2][seen].abs().max() < 0.25 * 2 * MAP_REACH / MAP_CELLS  # far within a cell
    assert (peaks(maps.flip(-1)) - joints)[..., :2][seen].abs().max() > 0.5
    network = TemporalNetwork(
        TemporalConfig(inputs="heatmaps", output="projective", latent=8, width=4, strides=(1,), map_features=4)
    )
    out = network.eval()(maps.repeat(1, 4, 1, 1, 1), torch.zeros(1, 24, 4))
    assert out.pose.shape == (1, 8, 17, 3)
