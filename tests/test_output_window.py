"""The output window of the temporal network: less jitter, the same place in time, and nothing of frames beyond its reach."""

import pytest
import torch

from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.outputs import TemporalOutput, averaged
from stpose_core.networks.temporal import TemporalNetwork

TINY = {"latent": 16, "width": 8, "strides": (1, 2), "dropout": 0.0}


def _output(pose: torch.Tensor) -> TemporalOutput:
    batch, frames, joints = pose.shape[:3]
    plain = torch.arange(float(frames)).reshape(1, frames, 1)
    return TemporalOutput(pose, plain.expand(batch, frames, 3), plain.expand(batch, frames, joints), plain, plain, plain)


def test_a_steady_movement_stays_and_jitter_goes() -> None:
    way = torch.linspace(0, 1, 40).reshape(1, 40, 1, 1) * torch.ones(1, 40, 17, 3)
    shaken = way + 0.05 * torch.randn(1, 40, 17, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(averaged(_output(way), 2).pose, way[:, 2:-2])
    left = (averaged(_output(shaken), 2).pose - way[:, 2:-2]).square().mean().sqrt()
    assert left < 0.7 * (shaken - way).square().mean().sqrt()


def test_all_parts_are_of_the_same_frames() -> None:
    made = averaged(_output(torch.zeros(1, 20, 17, 3)), 3)
    for part in (made.root, made.log_sigma, made.hidden, made.up, made.contacts):
        torch.testing.assert_close(part[0, :, 0], torch.arange(3.0, 17.0))


@pytest.mark.parametrize("output", ["metric", "projective"])
def test_a_network_with_a_window_is_the_average_of_one_without(output: str) -> None:
    torch.manual_seed(0)
    without = TemporalNetwork(TemporalConfig(output=output, **TINY)).eval()
    within = TemporalNetwork(TemporalConfig(output=output, output_window=2, **TINY)).eval()
    within.load_state_dict(without.state_dict())  # the window has no weights
    assert within.config.context == without.config.context + 2
    inputs, context = torch.randn(1, 60, 17, 4), torch.rand(1, 60, 4)
    expected, made = averaged(without(inputs, context), 2), within(inputs, context)
    torch.testing.assert_close(made.pose, expected.pose)
    torch.testing.assert_close(made.root, expected.root)
    # An output sees its context, and not a frame more.
    reach = within.config.context
    other = inputs.clone()
    other[:, :10] += 1.0
    moved = within(other, context)
    torch.testing.assert_close(moved.pose[:, 10:], made.pose[:, 10:])
    assert made.pose.shape[1] == 60 - 2 * reach
    assert not torch.equal(moved.pose[:, 9], made.pose[:, 9])


def test_an_absurd_window_is_refused() -> None:
    with pytest.raises(ValueError, match="output_window"):
        TemporalConfig.from_dict({"output_window": 1000})
