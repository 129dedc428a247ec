"""Sides that a detector exchanged are put right; people who turn round, and legs that pass each other, stay as they were seen."""

from __future__ import annotations

import numpy as np
import pytest
from test_jumps import _STANDING

from stpose_core.skeletons import H36M17
from stpose_core.track.sides import MOST, NOISE, correct_sides, signs
from stpose_core.track.track import Track

LEGS = H36M17.index("l_knee", "l_ankle")


def walker(frames: int = 120, fps: float = 30.0, facing: object = 0.5, pace: float = 5.5) -> Track:
    """Somebody who walks. facing: radians, a number or (T,): 0 looks at us. pace: radians a second of the swing of legs."""
    times = np.arange(frames) / fps
    turn = np.broadcast_to(np.asarray(facing, float), frames)
    xy = np.empty((frames, 17, 2))
    for index, name in enumerate(H36M17.joints):
        side = {"l_": 1, "r_": -1}.get(name[:2], 0)
        x, y = _STANDING[name[2:] if side else name]
        reach = {"wrist": -35, "elbow": -15, "knee": 30, "ankle": 55}.get(name[2:], 0)
        ahead = side * reach * np.sin(pace * times)
        xy[:, index] = np.stack([500 + side * x * np.cos(turn) + ahead * np.sin(turn), np.full(frames, 400.0 + y)], 1)
    xy += np.random.default_rng(2).normal(0, 1.5, xy.shape)
    return Track.of(1, "h36m17", times, np.arange(frames), xy, np.full((frames, 17), 0.8))


def wrong(track: Track, right: np.ndarray) -> int:
    """Frames that differ."""
    return int((np.abs(track.xy - right) > 0).any((1, 2)).sum())


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
def test_a_whole_body_taken_for_its_back_is_turned_round(fps: float) -> None:
    track = walker(fps=fps)
    right, score = track.xy.copy(), track.score.copy()
    track.swap_sides(slice(40, 75))
    assert wrong(track, right) == 35
    track = correct_sides(track)
    assert wrong(track, right) == 0
    np.testing.assert_array_equal(track.score, score)


def test_arms_and_legs_are_put_right_by_themselves() -> None:
    track = walker()
    right = track.xy.copy()
    for names, rows in ((("l_shoulder", "l_elbow", "l_wrist"), slice(0, 6)), (("l_hip", "l_knee", "l_ankle"), slice(70, 84))):
        track.swap_sides(rows, H36M17.index(*names))
    assert wrong(track, right) == 20
    track = correct_sides(track)
    assert wrong(track, right) == 0


def test_legs_exchanged_as_they_pass_each_other() -> None:
    # From the side nothing leaps: two legs of which each takes the other's way seem to bounce.
    track = walker(facing=np.pi / 2, pace=9.0)
    right = track.xy.copy()
    passing = np.flatnonzero(np.diff(np.sign(np.sin(9.0 * track.times))) != 0)
    track.swap_sides(slice(int(passing[2]) + 1, int(passing[3]) + 1), LEGS)
    apart = np.abs(track.xy - right)[:, LEGS].max((1, 2))
    assert (apart > 50).sum() == 7
    track = correct_sides(track)
    # At the moment of passing neither name is wrong.
    assert np.abs(track.xy - right)[:, LEGS].max() < 50


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_who_turns_round_has_turned_round(seconds: float) -> None:
    track = walker(facing=np.interp(np.arange(120) / 30, (1.5, 1.5 + seconds), (0.2, np.pi)))
    right = track.xy.copy()
    track = correct_sides(track)
    assert wrong(track, right) == 0
    # Control: the same, but in one frame.
    track = walker(facing=np.where(np.arange(120) < 30, 0.2, np.pi))
    right = track.xy.copy()
    track = correct_sides(track)
    assert wrong(track, right) == 30


def test_a_detector_that_is_always_of_one_mind_is_believed() -> None:
    track = walker()
    track.swap_sides(slice(0, 120))
    right = track.xy.copy()
    track = correct_sides(track)
    assert wrong(track, right) == 0
    # The better part of a clip says what the rest is.
    track.swap_sides(slice(85, 120))
    track = correct_sides(track)
    assert wrong(track, right) == 0


def test_joints_unseen_gaps_and_short_tracks() -> None:
    track = walker()
    track.xy[:, LEGS] = np.nan
    track.score[:, LEGS] = 0
    right = track.xy.copy()
    track.swap_sides(slice(40, 50))
    track = correct_sides(track)
    np.testing.assert_array_equal(track.xy, right)
    for frames in range(5):
        few = walker(frames)
        before = few.xy.copy()
        few = correct_sides(few)
        np.testing.assert_array_equal(few.xy, before)
    # What was on the other side of a gap says nothing of this one.
    whole = walker()
    rows = np.r_[0:50, 70:120]
    xy = whole.xy.copy()
    xy[70:] = xy[70:, list(H36M17.mirror)]
    apart = Track.of(1, "h36m17", whole.times[rows], whole.frames[rows], xy[rows], whole.score[rows])
    before = apart.xy.copy()
    apart = correct_sides(apart)
    np.testing.assert_array_equal(apart.xy, before)


def price(ways: np.ndarray, trust: np.ndarray) -> float:
    """What ways cost that are not turned round."""
    squares = np.square(ways[2:] - 2 * ways[1:-1] + ways[:-2]).sum(-1) / NOISE**2
    return float((trust[2:] * trust[1:-1] * trust[:-2] * squares * MOST / (squares + MOST)).sum())


def test_names_are_the_cheapest_of_all() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        ways, trust = random.normal(0, 0.3, (7, 2, 2)), random.uniform(0, 1, (7, 2))
        every = [1.0 - 2.0 * np.array([number >> bit & 1 for bit in range(7)]) for number in range(128)]
        prices = [price(ways * sign[:, None, None], trust) + 0.1 * trust[sign < 0].sum() for sign in every]
        np.testing.assert_array_equal(signs(ways, trust, 0.1), every[int(np.argmin(prices))])
