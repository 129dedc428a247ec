"""Training samples in which another person passes in front of the person."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_mocap import write_folder
from stpose_training.data.bodies import Random
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.overlap import overlap
from stpose_training.feed import Source, feed
from stpose_training.recipe import Recipe

from stpose_core.skeletons import H36M17

HEIGHT = {"head": -0.9, "neck": -0.6, "spine": -0.25, "pelvis": 0.0}


def standing() -> torch.Tensor:
    """(17, 2) a person seen from in front, y down, about a size high."""
    places = torch.zeros(17, 2)
    for number, name in enumerate(H36M17.joints):
        side = -0.1 if name.startswith("r_") else 0.1 if name.startswith("l_") else 0.0
        part = name.split("_")[-1]
        height = {"hip": 0.0, "knee": 0.45, "ankle": 0.9, "shoulder": -0.5, "elbow": -0.2, "wrist": 0.05}.get(part)
        places[number] = torch.tensor([side, HEIGHT.get(part, -0.75) if height is None else height])
    return 0.2 * places


def people(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Equal figures, far from each other, well seen: rays, score, size."""
    apart = 5 * torch.arange(batch)[:, None, None, None] * torch.tensor([1.0, 0.0])
    return standing() + apart.expand(-1, frames, 1, 2), torch.full((batch, frames, 17), 0.8), torch.full((batch, frames), 0.2)


def test_only_covered_joints_change_and_each_of_the_three_ways_occurs() -> None:
    rays, score, size = people(300, 100)
    moved, told, covered = overlap(rays, score, size, Random(1))
    assert torch.equal(moved[~covered], rays[~covered])
    assert torch.equal(told[~covered], score[~covered])
    hidden, displaced = told[covered] == 0, (moved[covered] != rays[covered]).any(-1)
    assert not (hidden & displaced).any()
    assert (hidden | displaced).all()
    assert 0.2 < hidden.float().mean() < 0.5
    # What is displaced went to a body within reach, not to the sample next door.
    assert (moved - rays).norm(dim=-1).max() < 8 * 0.2
    assert (told[covered] < score[covered]).all()


def test_the_other_passes_or_stops_in_front_for_a_while() -> None:
    rays, score, size = people(400, 120)
    _, _, covered = overlap(rays, score, size, Random(2))
    behind = covered[:, :, H36M17.joints.index("neck")]
    assert (behind[:, 1:] != behind[:, :-1]).sum(1).max() <= 2  # one passage a sample
    lengths = behind.sum(1)[behind.any(1)].float()
    assert lengths.quantile(0.1) >= 3
    assert 8 <= lengths.median() <= 40
    assert lengths.quantile(0.95) > 45  # who stops
    # A negative control: a joint far above the body is in nobody's way.
    away = rays.clone()
    away[:, :, 16, 1] -= 3
    _, _, never = overlap(away, score, torch.full_like(size, 0.2), Random(2))
    assert never[..., 16].float().mean() < 0.25 * covered[..., 16].float().mean()


def test_a_share_of_zero_changes_nothing() -> None:
    rays, score, size = people(20, 30)
    moved, told, covered = overlap(rays, score, size, Random(3), share=0.0)
    assert torch.equal(moved, rays)
    assert torch.equal(told, score)
    assert not covered.any()


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.02), (1.0, 0.05, 0.6)])
def test_a_recipe_says_in_how_many_samples(share: float, least: float, most: float, tmp_path: Path) -> None:
    bank = MotionBank(load_mocap(write_folder(tmp_path)), "cpu")
    batches = feed(Source(bank, 8), Recipe(batch=64, frames=16, reach=8, masked=0.0, overlapped=share), 0, lambda step: 1.0)
    batch = next(batches)
    batches.close()
    shown = batch.joints[:, 8:-8, :, 3] > 0
    assert least <= float((batch.wrong & shown).float().mean()) <= most
