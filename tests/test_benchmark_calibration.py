"""The calibration curves: a lifter that knows where it errs, and one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from calibration import Said, by_chance, by_expected_error, draw, table


def honest(count: int = 40_000) -> Said:
    random = np.random.default_rng(0)
    expected = np.exp(random.normal(-3, 0.5, count))
    chance = random.uniform(0, 1, count) ** 2
    wrong = (random.uniform(0, 1, count) < chance).astype(float)
    seen = (random.uniform(0, 1, count) < 0.9).astype(float)
    return Said(expected, random.exponential(expected), chance, wrong, seen)


def test_what_an_honest_lifter_says_comes_true() -> None:
    said = honest()
    for group in by_expected_error(said):
        assert group.true == pytest.approx(group.said, rel=0.08)
    for group in by_chance(said):
        assert group.true == pytest.approx(group.said, abs=0.03)


def test_a_lifter_that_is_too_sure_and_one_that_guesses_are_found_out() -> None:
    said = honest()
    for group in by_expected_error(replace(said, expected=said.expected / 2)):
        assert group.true > 1.8 * group.said
    random = np.random.default_rng(1)
    guessed = by_expected_error(replace(said, expected=random.permutation(said.expected)))
    assert guessed[-1].true < 1.2 * guessed[0].true
    shares = [group.true for group in by_chance(replace(said, chance=random.permutation(said.chance)))]
    assert max(shares) - min(shares) < 0.1


def test_joints_that_were_not_seen_can_be_left_out() -> None:
    said = honest()
    said = replace(said, wrong=1 - said.seen)
    assert all(group.true == 0 for group in by_chance(said, seen_only=True))
    assert all(group.true > 0 for group in by_chance(said))


def test_table_and_picture(tmp_path: Path) -> None:
    found = {("HDM05", "masked"): honest(), ("CMU validation", "nothing masked"): honest()}
    assert "| HDM05, masked: all |" in table(found)
    draw(found, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000
