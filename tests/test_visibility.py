"""Joints do not count as seen and hidden in turns where their score lies near the limit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stpose_core.data import Keypoints
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.lift.visibility import without_flicker


def seen(scores: list[float], fps: float = 30.0) -> NDArray[np.bool_]:
    """Whether a joint counts as seen, frame by frame, beside others that are sure."""
    score = np.full((len(scores), 17), 0.9)
    score[:, 1] = scores
    steady = without_flicker(Keypoints(np.zeros((len(scores), 17, 2)), score, fps, (640, 480), "h36m17"))
    assert (np.delete(steady.score, 1, axis=1) == 0.9).all()
    return np.asarray(steady.score[:, 1] >= VISIBLE_SCORE)


@pytest.mark.parametrize(("mostly", "told"), [([0.13, 0.16, 0.13], False), ([0.16, 0.13, 0.16], True)])
def test_a_score_near_the_limit_counts_as_most_of_those_around(mostly: list[float], told: bool) -> None:
    assert (seen(mostly * 8) == told).all()


def test_a_limb_that_is_hidden_for_longer_stays_hidden() -> None:
    scores = [0.8] * 12 + [0.02] * 12 + [0.8] * 12
    assert (seen(scores) == (np.array(scores) > 0.1)).all()


def test_a_joint_that_the_detector_does_not_believe_in_is_never_brought_back() -> None:
    """One frame of nothing among good ones stays hidden: its position is not to be used."""
    scores = [0.8] * 9 + [0.05] + [0.8] * 9
    assert (~seen(scores)).nonzero()[0].tolist() == [9]


def test_slow_films_are_left_as_they_are() -> None:
    scores = [0.13, 0.16] * 10
    assert (seen(scores, fps=5.0) == (np.array(scores) >= VISIBLE_SCORE)).all()
    assert not (seen(scores, fps=30.0) == (np.array(scores) >= VISIBLE_SCORE)).all(), "control"
