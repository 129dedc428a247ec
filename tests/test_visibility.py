"""Joints do not count as seen and hidden in turns where their score lies near the limit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stpose_core.data import Keypoints
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.lift.visibility import without_flicker


def seen(scores: list[float], fps: float = 30.0, rest: list[float] | None = None) -> NDArray[np.bool_]:
    """Whether a joint counts as seen, frame by frame. rest: scores of the others, by default sure ones."""
    score = np.repeat(np.array(rest or [0.9] * len(scores))[:, None], 17, axis=1)
    score[:, 1] = scores
    others = np.delete(score, 1, axis=1)
    steady = without_flicker(Keypoints(np.zeros((len(scores), 17, 2)), score, fps, (640, 480), "h36m17"))
    assert np.array_equal(np.delete(steady.score, 1, axis=1), others)
    return np.asarray(steady.score[:, 1] >= VISIBLE_SCORE)


@pytest.mark.parametrize(("mostly", "told"), [([0.13, 0.16, 0.13], False), ([0.16, 0.13, 0.16], True)])
def test_a_score_near_the_limit_counts_as_most_of_those_around(mostly: list[float], told: bool) -> None:
    assert (seen(mostly * 8) == told).all()


def test_scores_that_are_sure_stay() -> None:
    """One frame of nothing among good ones stays hidden, and one good frame among bad ones seen."""
    for scores in ([0.8] * 9 + [0.05] + [0.8] * 9, [0.02] * 9 + [0.8] + [0.02] * 9):
        assert (seen(scores) == (np.array(scores) > 0.1)).all()


@pytest.mark.parametrize("fps", [30.0, 240.0])
def test_frames_without_any_detection_do_not_count(fps: float) -> None:
    """Of a keypoint file with every tenth frame, and doubtful joints in it, everything stays."""
    scores = [0.2 if frame % 10 == 0 else 0.0 for frame in range(60)]
    assert (seen(scores, fps, rest=[0.9 if score else 0.0 for score in scores]) == (np.array(scores) > 0)).all()


def test_slow_films_are_left_as_they_are() -> None:
    scores = [0.13, 0.16] * 10
    assert (seen(scores, fps=9.9) == (np.array(scores) >= VISIBLE_SCORE)).all()
    assert not (seen(scores, fps=30.0) == (np.array(scores) >= VISIBLE_SCORE)).all(), "control"
