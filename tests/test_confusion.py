"""Training samples in which the sides of a body are taken for each other, as the built-in detector does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_mocap import write_folder
from stpose_training.conditions import CONFUSED, PLAIN, film_clip
from stpose_training.data.bodies import Random
from stpose_training.data.confusion import PAIRS, confuse
from stpose_training.data.fit_confusion import statistics
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.feed import Source, feed
from stpose_training.recipe import Recipe

from stpose_core.skeletons import H36M17

MIRROR = list(H36M17.mirror)
# `python -m stpose_training.data.fit_confusion CACHE` on 495 upright held-out rendered people, with the weights that ship.
REAL = {"hip": (0.061, 0.022), "knee": (0.179, 0.046), "ankle": (0.215, 0.064), "shoulder": (0.085, 0.040), "elbow": (0.115, 0.028)}


def people(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Figures whose joints all lie apart, well seen: rays, score, size."""
    places = torch.randn(batch, 1, 17, 2, generator=torch.Generator().manual_seed(0)).expand(-1, frames, -1, -1)
    return places, torch.full((batch, frames, 17), 0.8), torch.full((batch, frames), 0.5)


def test_sides_are_confused_as_often_as_the_built_in_detector_does() -> None:
    rays, score, size = people(3000, 4)
    moved, _, _ = confuse(rays, score, size, Random(1))
    there = (moved - rays[:, :, MIRROR]).norm(dim=-1) < 0.1
    for left, right in PAIRS[:5]:
        one, both = REAL[H36M17.joints[left][2:]]
        assert abs(float((there[..., left] ^ there[..., right]).float().mean()) - one) < 0.03
        assert abs(float((there[..., left] & there[..., right]).float().mean()) - both) < 0.03


def test_what_is_called_wrong_is_what_was_moved_and_has_lower_scores() -> None:
    rays, score, size = people(800, 40)
    moved, told, wrong = confuse(rays, score, size, Random(2))
    assert torch.equal((moved != rays).any(-1), wrong)
    assert told[wrong].mean() < 0.6 * 0.8
    assert told[~wrong].mean() > 0.85 * 0.8
    assert (told <= score).all()
    assert (told > 0).all()


def test_confusion_lasts_and_some_takes_have_much_of_it() -> None:
    rays, score, size = people(800, 60)
    _, _, wrong = confuse(rays, score, size, Random(3))
    knee = wrong[..., PAIRS[1][0]]
    assert (knee[:, 1:] == knee[:, :-1]).float().mean() > 0.93  # of frames alone it would be 0.72
    shares = wrong.float().mean((1, 2)).sort().values
    assert shares[80] < 0.02
    assert shares[-80] > 0.3


def test_those_who_take_no_part_are_left_as_they_are_and_hidden_joints_stay_hidden() -> None:
    rays, score, size = people(400, 10)
    score = score.clone()
    score[:, 3:6, 2] = 0
    moved, told, wrong = confuse(rays, score, size, Random(4), share=0.5)
    still = ~wrong.flatten(1).any(1)
    assert 0.35 < still.float().mean() < 0.75
    assert torch.equal(moved[still], rays[still])
    assert (told[:, 3:6, 2] == 0).all()
    assert (told[:, 6:] > 0).all()
    none = confuse(rays, score, size, Random(4), share=0.0)
    assert torch.equal(none[0], rays)
    assert torch.equal(none[1], score)
    assert not none[2].any()


def test_statistics_know_one_on_the_other_from_both_and_from_elsewhere() -> None:
    rays, score, _ = people(10, 1)
    true, told = rays[:, 0].double().numpy(), score[:, 0].double().numpy()
    counted = told > 0
    found = true.copy()
    (left, right), (_, ankle) = PAIRS[1], PAIRS[2]
    found[:4, left] = true[:4, right]
    found[4:5, [left, right]] = true[4:5, [right, left]]
    found[5:, ankle] += 50
    shares = statistics(found, true, told, counted)
    assert shares["knee: one on the other"] == 0.4
    assert shares["knee: exchanged"] == 0.1
    assert shares["ankle: elsewhere"] == 0.25
    assert shares["knee: elsewhere"] == 0
    assert shares["hip: one on the other"] == 0


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.05), (1.0, 0.08, 0.4)])
def test_a_recipe_says_how_many_samples_are_confused(share: float, least: float, most: float, tmp_path: Path) -> None:
    bank = MotionBank(load_mocap(write_folder(tmp_path)), "cpu")
    batches = feed(Source(bank, 8), Recipe(batch=64, frames=16, reach=8, masked=0.0, confused=share), 0, lambda step: 1.0)
    batch = next(batches)
    batches.close()
    # Joints outside of the picture count as wrong too, and have no score.
    shown = batch.joints[:, 8:-8, :, 3] > 0
    assert least <= float((batch.wrong & shown).float().mean()) <= most


def test_lifters_are_judged_on_joints_that_are_seen_but_displaced(tmp_path: Path) -> None:
    clips = load_mocap(write_folder(tmp_path))
    pairs = [(film_clip(clip, n, PLAIN), film_clip(clip, n, CONFUSED)) for n, clip in enumerate(clips)]
    assert sum(confused.masked.sum() for _, confused in pairs) > 0
    for plain, confused in pairs:
        both = (plain.keypoints.score > 0) & (confused.keypoints.score > 0)
        moved = np.linalg.norm(plain.keypoints.xy - confused.keypoints.xy, axis=-1) > 1e-6
        assert np.array_equal(moved & both, confused.masked & both)
        assert (confused.keypoints.score > 0).sum() == (plain.keypoints.score > 0).sum()
