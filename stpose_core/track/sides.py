"""Left and right over time: a detector that takes a front for a back exchanges the sides of a body, or of its arms or legs.

Rightly named, the way from a right joint to its left one changes smoothly: legs that pass each other go on, those whose names were
exchanged as they passed seem to bounce. So each sight is named as the detector did or the other way round such that these ways
bend least over the clip, while every sight that is named against the detector costs something: one hidden bit a frame, found by
dynamic programming (Viterbi 1967).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.types import Floats
from stpose_core.skeletons import get_skeleton
from stpose_core.track.track import Track

STEP = 0.04  # seconds, about, between the sights that are compared: within less there is more noise than movement
NOISE = 0.08  # torsos: what bends no more than this may be the detector's noise
MOST = 4.0  # what one pair's bend costs at most, in squares of that noise: joints are found elsewhere, too
AGAINST = 0.1  # what it costs, a pair and sight, not to believe the detector
_FEWEST = 4  # sights that are compared at least

_ARM, _LEG = ("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "toe", "big_toe", "small_toe")
PARTS = (("shoulder", *_ARM), ("hip", *_LEG))
"""What may be exchanged by itself, after the whole body was looked at."""


def mend_sides(track: Track) -> Track:
    """A copy of the track in which left and right are exchanged back where a detector exchanged them for a while."""
    track = track.copied()
    skeleton = get_skeleton(track.skeleton)
    names = [skeleton.joints[left][2:] for left, _ in skeleton.pairs]
    for part in (names, *PARTS):
        pairs = [pair for pair, name in zip(skeleton.pairs, names) if name in part]
        for rows in track.stretches():
            if pairs:
                for row in rows[_exchanged(track, rows, pairs)]:
                    track.swap_sides(slice(int(row), int(row) + 1), [joint for pair in pairs for joint in pair])
    return track


def _exchanged(track: Track, rows: NDArray[np.int64], pairs: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which of the rows, all of one stretch, have these pairs exchanged."""
    left, right = (list(side) for side in zip(*pairs))
    xy, score, torso = track.xy[rows].astype(float), track.score[rows].astype(float), track.torso(rows)
    ways = xy[:, left] - xy[:, right]
    trust = np.where(np.isfinite(ways).all(-1), np.minimum(score[:, left], score[:, right]), 0.0)
    ways = np.nan_to_num(ways) / (torso or np.inf)
    apart = max(1, round(STEP / float(np.median(np.diff(track.times[rows]))))) if len(rows) > 1 else 1
    knots = np.arange(0, len(rows), apart)
    if len(knots) < _FEWEST:
        return np.zeros(len(rows), bool)
    sign = named(ways[knots], trust[knots], AGAINST * apart)
    # Between two knots a sight is named as the way between theirs would have it.
    signed = ways[knots] * sign[:, None, None]
    before = np.arange(len(rows)) // apart
    after = np.minimum(before + 1, len(knots) - 1)
    share = ((np.arange(len(rows)) - knots[before]) / apart)[:, None, None]
    expected = (1 - share) * signed[before] + share * signed[after]
    return np.asarray((trust * (ways * expected).sum(-1)).sum(1) < 0)


def named(ways: Floats, trust: Floats, against: float) -> Floats:
    """1 or -1 for each of T sights: whether the ways (T, P, 2) are taken as they are or the other way round.

    trust: (T, P) 0..1; against: what it costs to turn a way of full trust round.
    """
    count = len(ways)
    weight = trust[2:] * trust[1:-1] * trust[:-2]
    # bends[t, a, b]: of three sights, the first two the other way round than the last (1) or not (0).
    bends = np.empty((count - 2, 2, 2))
    for a in (0, 1):
        for b in (0, 1):
            off = ways[2:] - 2 * (1 - 2 * b) * ways[1:-1] + (1 - 2 * a) * ways[:-2]
            squares = (off**2).sum(-1) / NOISE**2
            bends[:, a, b] = (weight * squares * MOST / (squares + MOST)).sum(1)
    price = against * trust.sum(1)
    first, second, third = np.ogrid[:2, :2, :2]
    best = price[0] * first[..., 0] + price[1] * second[..., 0]
    came = np.empty((count, 2, 2), np.int64)
    for t in range(2, count):
        costs = best[:, :, None] + bends[t - 2][first ^ third, second ^ third] + price[t] * third
        came[t], best = costs.argmin(0), costs.min(0)
    turned = np.empty(count, np.int64)
    turned[-2:] = np.unravel_index(int(best.argmin()), best.shape)
    for t in range(count - 1, 1, -1):
        turned[t - 2] = came[t, turned[t - 1], turned[t]]
    return 1.0 - 2.0 * turned
