"""The benchmark of mending: what it lifts is what following people would give, and its share counts what was changed."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from stpose_training.conditions import Take
from test_jumps import FAR, KNEE, TORSO, walking

from stpose_core.data import Keypoints
from stpose_core.track.jumps import correct_jumps
from stpose_core.track.sides import correct_sides


@pytest.fixture
def benchmark() -> ModuleType:
    import mending

    return mending


def test_a_take_is_mended_as_tracks_are(benchmark: ModuleType) -> None:
    track = walking()
    right, xy, score = track.xy.astype(float), track.xy.astype(float), track.score.astype(float)
    xy[40:50, KNEE] += (60, -30)
    xy[:3], score[:3] = np.nan, 0.0
    take = Take(Keypoints(xy, score, 60.0, (1920, 1080), "h36m17"), np.zeros((120, 17, 3)), np.zeros((120, 17), bool))
    mended, share = benchmark.corrected(take, correct_sides, correct_jumps)
    assert share == pytest.approx(10 / (117 * 17))
    assert np.linalg.norm(mended.keypoints.xy[3:] - right[3:], axis=-1).max() < FAR * TORSO
    assert not mended.keypoints.seen[:3].any()
    assert len(mended.keypoints) == 120
    # Control: nothing leaps, nothing is replaced.
    clean = Take(Keypoints(right, score, 60.0, (1920, 1080), "h36m17"), take.truth, take.masked)
    assert benchmark.corrected(clean, correct_sides, correct_jumps)[1] == 0
    assert benchmark.corrected(take)[1] == 0
