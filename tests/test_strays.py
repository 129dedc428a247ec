"""Joints that leave a person's own path while others overlap are given up; everything else is kept."""

from __future__ import annotations

import numpy as np
import pytest
from test_jumps import KNEE, TORSO, WRIST, walking

from stpose_core.track import others
from stpose_core.track.cleaning import clean_tracks
from stpose_core.track.jumps import correct_jumps
from stpose_core.track.others import OFF, without_strays
from stpose_core.track.track import Track

STRAYS = slice(106, 136)


def strayed(frames: int = 240) -> Track:
    """A walker whose knee is drawn to somebody else's for half a second, a torso away, without a leap."""
    track = walking(frames)
    track.xy[STRAYS, KNEE, 0] -= TORSO * np.interp(np.arange(30), [0, 8, 21, 29], [0.1, 1.0, 1.0, 0.1])
    return track


def passing(frames: int = 240, at: int = 120, speed: float = -200.0, away: float = 0.0) -> Track:
    """Somebody who comes towards the walker and meets the walker in a frame. away: pixels to the side."""
    track = walking(frames)
    times = np.arange(frames) / 60
    track.xy[..., 0] += ((speed - 150) * (times - times[at]))[:, None] + away
    return track


def without(track: Track, frames: range) -> Track:
    kept = ~np.isin(track.frames, frames)
    return Track.of(2, track.skeleton, track.times[kept], track.frames[kept], track.xy[kept], track.score[kept])


@pytest.mark.parametrize("hidden", [range(0), range(105, 140)])
def test_a_joint_that_leaves_its_path_while_people_overlap_is_given_up(hidden: range) -> None:
    """Also while the other person is hidden, between two detections."""
    track, other = strayed(), without(passing(), hidden)
    far = np.abs(track.xy[:, KNEE, 0] - walking(240).xy[:, KNEE, 0]) > (OFF + 0.1) * TORSO
    assert far.sum() >= 10
    assert np.array_equal(correct_jumps(track).xy, track.xy), "no leap: only the overlap tells"
    cleaned, same = without_strays([track, other])
    gone = cleaned.score == 0
    assert gone[far, KNEE].all()
    assert np.isnan(cleaned.xy[gone]).all()
    assert gone.sum() <= far.sum() + 4, "nothing but the strays"
    assert not gone[:, WRIST].any()
    assert np.array_equal(same.xy, other.xy)
    assert np.isfinite(track.xy).all(), "the tracks themselves stay as they were"
    assert (clean_tracks([track, other])[0].score[far, KNEE] == 0).all()


def test_the_path_counts_little_of_what_is_seen_in_the_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: with detections at full weight, the path follows the strays."""
    monkeypatch.setattr(others, "_DOUBTED", 1.0)
    cleaned, _ = without_strays([strayed(), passing()])
    assert (cleaned.score > 0).all()


@pytest.mark.parametrize(
    "company",
    [[], [passing(away=2000)], [passing(at=40)], [passing(speed=150)], [without(passing(), range(240))]],
    ids=["alone", "far away", "met before", "side by side all the time", "never seen"],
)
def test_without_a_short_overlap_everything_is_kept(company: list[Track]) -> None:
    track = strayed()
    cleaned = without_strays([track, *company])[0]
    assert np.array_equal(cleaned.xy, track.xy)
    assert np.array_equal(cleaned.score, track.score)
