"""The discriminator in training: it learns while it can be fooled, and rests while it wins."""

import copy

import pytest
import torch

pytest.importorskip("lightning_fabric")

from stpose_training.critic import RESTS, Critic
from stpose_training.loop import make_fabric


@pytest.fixture
def critic() -> Critic:
    torch.manual_seed(0)
    return Critic(1e-3, make_fabric("cpu", "32-true"))


def _walk(seed: int) -> torch.Tensor:
    """(4, 40, 17, 3) poses that sway smoothly."""
    generator = torch.Generator().manual_seed(seed)
    pose = 0.3 * torch.randn(4, 1, 17, 3, generator=generator)
    return pose + 0.05 * torch.sin(torch.arange(40) / 6)[None, :, None, None]


def _changed(critic: Critic, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in critic.network.named_parameters())


def _weights(critic: Critic) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in critic.network.named_parameters()}


def test_learns_to_tell_still_from_shaken_then_rests(critic: Critic) -> None:
    shaken = _walk(1) + 0.3 * torch.randn(4, 40, 17, 3, generator=torch.Generator().manual_seed(2))
    first = critic.learn(_walk(0), shaken)
    assert first["critic"] > RESTS
    told = first
    for _ in range(400):
        told = critic.learn(_walk(0), shaken)
        if told["critic"] <= RESTS:
            break
    assert told["critic"] <= RESTS
    assert told["real"] > told["made"] + 0.2
    before = _weights(critic)
    critic.learn(_walk(0), shaken)
    assert not _changed(critic, before)


def test_goes_on_where_it_is_fooled(critic: Critic) -> None:
    before = _weights(critic)
    critic.learn(_walk(0), _walk(0))  # nothing to tell apart
    assert _changed(critic, before)


def test_fooling_it_moves_the_motion_and_not_the_critic(critic: Critic) -> None:
    made = _walk(0).requires_grad_()
    state = copy.deepcopy(critic.state_dict()["optimiser"])
    critic.fooled(made).backward()
    assert made.grad is not None
    assert float(made.grad.abs().sum()) > 0
    assert all(value.grad is None for value in critic.network.parameters())
    assert critic.state_dict()["optimiser"] == state
