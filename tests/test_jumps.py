"""Joints that leap off their path are put back; joints that move fast are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.skeletons import H36M17
from stpose_core.track.jumps import FAR, TRUST, correct_jumps, leaps
from stpose_core.track.track import Track

TORSO = 100.0
WRIST, KNEE = H36M17.index("l_wrist", "r_knee")
_STANDING = {
    "head_top": (0, -170), "head": (0, -150), "neck": (0, -105), "spine": (0, -50), "pelvis": (0, 0),
    "shoulder": (35, -100), "elbow": (45, -40), "wrist": (50, 15), "hip": (20, 0), "knee": (22, 80), "ankle": (22, 160),
}  # fmt: skip


def walking(frames: int = 120, fps: float = 60.0) -> Track:
    """Somebody who crosses the picture at 1.5 torsos a second, swinging arms and legs."""
    times = np.arange(frames) / fps
    xy = np.empty((frames, 17, 2))
    for index, name in enumerate(H36M17.joints):
        side = {"l_": 1, "r_": -1}.get(name[:2], 0)
        x, y = _STANDING[name[2:] if side else name]
        reach = {"wrist": 40, "elbow": 20, "knee": 30, "ankle": 60}.get(name[2:], 0)
        xy[:, index] = np.stack([500 + 150 * times + side * x + side * reach * np.sin(6 * times), np.full(frames, 400.0 + y)], 1)
    xy += np.random.default_rng(1).normal(0, 1.5, xy.shape)
    return Track.of(1, "h36m17", times, np.arange(frames), xy, np.full((frames, 17), 0.8))


def off(track: Track, right: np.ndarray, joint: int) -> np.ndarray:
    """(N,) torsos."""
    return np.linalg.norm(track.xy[:, joint] - right[:, joint], axis=-1) / TORSO


@pytest.mark.parametrize(("rows", "sure"), [(slice(40, 52), 0.8), (slice(40, 60), 0.4), (slice(0, 6), 0.4), (slice(60, 61), 0.8)])
def test_a_joint_that_leaps_away_is_put_back(rows: slice, sure: float) -> None:
    track = walking()
    right, others = track.xy.copy(), [joint for joint in range(17) if joint != KNEE]
    track.xy[rows, KNEE] += (60, -30)
    track.score[rows, KNEE] = sure
    assert off(track, right, KNEE).max() > 0.5
    track = correct_jumps(track)
    assert off(track, right, KNEE).max() < FAR
    np.testing.assert_array_equal(track.xy[:, others], right[:, others])
    np.testing.assert_allclose(track.score[rows, KNEE], sure * TRUST)
    assert (np.delete(track.score[:, KNEE], np.r_[rows]) == np.float32(0.8)).all()


def test_what_moves_fast_or_stays_away_is_left_alone() -> None:
    track = walking()
    # A blow: a torso out and back within 0.3 s, as fast as 5 m/s.
    track.xy[50:69, WRIST, 0] += TORSO * 0.5 * (1 - np.cos(2 * np.pi * np.arange(19) / 18))
    # Elsewhere for longer than half a second: who says that it is wrong there?
    track.xy[40:76, KNEE] += (60, -30)
    track.score[40:76, KNEE] = 0.2
    # Nearer than what a joint may stray.
    track.xy[90:95, H36M17.index("head")[0], 1] += 0.8 * FAR * TORSO
    before, scores = track.xy.copy(), track.score.copy()
    track = correct_jumps(track)
    np.testing.assert_array_equal(track.xy, before)
    np.testing.assert_array_equal(track.score, scores)
    # Control: the same way out and back in one frame each.
    track = walking()
    track.xy[50:62, WRIST, 0] += TORSO
    moved = track.xy.copy()
    track = correct_jumps(track)
    assert (np.abs(track.xy - moved).max(2) > 10).sum() == 12


def test_pictures_that_are_far_apart_tell_nothing_of_leaps() -> None:
    track = walking(40, 5.0)
    track.xy[20, WRIST] += (60, -30)
    before = track.xy.copy()
    track = correct_jumps(track)
    np.testing.assert_array_equal(track.xy, before)


def test_joints_that_are_seen_little_and_tracks_that_are_short() -> None:
    track = walking()
    track.xy[:116, WRIST] = np.nan
    track.score[:116, WRIST] = 0
    track.xy[118, WRIST] += (90, 0)
    before = track.xy.copy()
    track = correct_jumps(track)
    np.testing.assert_array_equal(track.xy, before)
    for frames in range(4):
        few = walking(frames)
        few = correct_jumps(few)
        assert len(few) == frames
    # Nobody's torso is seen: there is nothing to measure by.
    headless = walking()
    headless.xy[:, H36M17.index("l_hip", "r_hip")] = np.nan
    headless.xy[40:44, KNEE] += (60, -30)
    before = headless.xy.copy()
    headless = correct_jumps(headless)
    np.testing.assert_array_equal(headless.xy, before)


def test_a_gap_ends_a_path() -> None:
    whole = walking()
    rows = np.r_[0:50, 90:120]
    xy = whole.xy[rows] + np.where(rows >= 90, 300.0, 0.0)[:, None, None]
    there = Track.of(1, "h36m17", whole.times[rows], whole.frames[rows], xy, whole.score[rows])
    before = there.xy.copy()
    there = correct_jumps(there)
    np.testing.assert_array_equal(there.xy, before)


def test_an_uneven_clock_changes_nothing() -> None:
    even = walking()
    xy = even.xy.astype(float) / TORSO
    xy[40:52, KNEE] += 0.6
    wrong, path = leaps(even.times, xy, even.score.astype(float))
    uneven = np.delete(np.arange(120), [30, 31, 45, 80])
    less, other = leaps(even.times[uneven], xy[uneven], even.score[uneven].astype(float))
    np.testing.assert_array_equal(less, wrong[uneven])
    assert np.abs(other - path[uneven]).max() < 0.05
