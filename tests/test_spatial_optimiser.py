"""What the networks that see pictures are optimised with."""

from __future__ import annotations

import pytest
import torch
from stpose_training.spatial.recipe import Recipe
from stpose_training.vision.optimiser import Muon, make_optimisers

from stpose_core.networks.configs import SpatialConfig
from stpose_core.networks.spatial import SpatialNetwork

TINY = SpatialConfig(size=(64, 96), stem=8, first=1, width=8, modules=(1,), blocks=1, head=16)


def test_muon_moves_the_kernels_themselves_by_orthogonal_steps() -> None:
    network = SpatialNetwork(TINY).to(memory_format=torch.channels_last)
    kernel = network.enter[0].weight
    before = kernel.detach().clone()
    kernels, rest = make_optimisers(network, Recipe(rate=0.01, weight_decay=0.0))
    output = network(torch.randn(2, 3, 96, 64))
    output.maps.square().mean().backward()
    kernels.step()
    rows = (kernel.detach() - before).permute(0, 2, 3, 1).flatten(1)
    values = torch.linalg.svdvals(rows)
    assert values.min() > 0.4 * values.max() > 0  # the gradient itself has singular values that differ by orders of magnitude
    own = {id(value) for group in rest.param_groups for value in group["params"]}
    assert len(own) + len(kernels.param_groups[0]["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize("half", [False, True])
def test_muon_agrees_with_that_of_torch(half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_training.vision.optimiser.pays_in_bfloat16", lambda device: half)
    torch.manual_seed(0)
    mine = torch.nn.Parameter(torch.randn(24, 6, 3, 3).contiguous(memory_format=torch.channels_last))
    theirs = torch.nn.Parameter(mine.detach().permute(0, 2, 3, 1).flatten(1).clone())
    start = theirs.detach().clone()
    ours, torchs = Muon([mine], 0.01, 0.1), torch.optim.Muon([theirs], 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        mine.grad = torch.randn_like(mine)
        theirs.grad = mine.grad.permute(0, 2, 3, 1).flatten(1)
        ours.step()
        torchs.step()
    moved = mine.detach().permute(0, 2, 3, 1).flatten(1)
    assert (moved - theirs.detach()).norm() < 0.05 * (moved - start).norm()
