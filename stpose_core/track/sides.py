"""Left and right over time: a detector that confuses front and back swaps the sides of a body, or of its arms or legs.

With correct labels, the vector from a right joint to the left one changes smoothly: legs that pass each other continue, whereas
legs whose labels are swapped as they pass seem to bounce. Therefore the labels of each detection are kept or swapped such that the
curvature of these vectors over the clip is minimal, with a cost for each swap: one hidden bit per frame, found by dynamic
programming (Viterbi 1967).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.types import Floats
from stpose_core.skeletons import get_skeleton
from stpose_core.track.track import Track

STEP = 0.04  # approximate seconds between the compared detections; over shorter times, noise exceeds movement
NOISE = 0.08  # torsos; curvature that may result from noise of the detector
MOST = 4.0  # maximum cost of the curvature of one pair, in squares of that noise, because detections contain outliers
AGAINST = 0.1  # cost of a swap against the detector, per pair and detection
_FEWEST = 4  # minimum number of compared detections

_ARM, _LEG = ("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "toe", "big_toe", "small_toe")
PARTS = (("shoulder", *_ARM), ("hip", *_LEG))
"""Parts that may be swapped separately, after the whole body was examined."""


def correct_sides(track: Track) -> Track:
    """A copy of the track in which temporary swaps of left and right by the detector are reversed."""
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
    """Which of the rows, all of one stretch, have these pairs swapped."""
    left, right = (list(side) for side in zip(*pairs))
    xy, score, torso = track.xy[rows].astype(float), track.score[rows].astype(float), track.torso(rows)
    vectors = xy[:, left] - xy[:, right]
    trust = np.where(np.isfinite(vectors).all(-1), np.minimum(score[:, left], score[:, right]), 0.0)
    vectors = np.nan_to_num(vectors) / (torso or np.inf)
    apart = max(1, round(STEP / float(np.median(np.diff(track.times[rows]))))) if len(rows) > 1 else 1
    knots = np.arange(0, len(rows), apart)
    if len(knots) < _FEWEST:
        return np.zeros(len(rows), bool)
    sign = signs(vectors[knots], trust[knots], AGAINST * apart)
    # Between two knots, the labels follow the interpolated vector.
    signed = vectors[knots] * sign[:, None, None]
    before = np.arange(len(rows)) // apart
    after = np.minimum(before + 1, len(knots) - 1)
    share = ((np.arange(len(rows)) - knots[before]) / apart)[:, None, None]
    expected = (1 - share) * signed[before] + share * signed[after]
    return np.asarray((trust * (vectors * expected).sum(-1)).sum(1) < 0)


def signs(vectors: Floats, trust: Floats, against: float) -> Floats:
    """1 or -1 for each of T detections: whether the vectors (T, P, 2) are kept or reversed.

    trust: (T, P) 0..1; against: cost of reversing a vector of full trust.
    """
    count = len(vectors)
    weight = trust[2:] * trust[1:-1] * trust[:-2]
    # bends[t, a, b]: of three detections, whether the first two are reversed relative to the last (1) or not (0).
    bends = np.empty((count - 2, 2, 2))
    for a in (0, 1):
        for b in (0, 1):
            off = vectors[2:] - 2 * (1 - 2 * b) * vectors[1:-1] + (1 - 2 * a) * vectors[:-2]
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
