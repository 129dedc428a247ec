"""Left and right over time: a detector that takes a front for a back exchanges the sides of a body, or of its arms or legs."""

from __future__ import annotations

import numpy as np

from stpose_core.detect.tracks import Track
from stpose_core.skeletons import get_skeleton

LONGEST_FLIP = 0.5  # seconds; a longer stretch may as well be the right one
NEIGHBOURS = 0.15  # seconds between sights that can be compared
LIKELIER = 0.6  # exchanged joints must be nearer to those before than this share of the distance of the unexchanged ones
WORTH = 0.15  # of the person's half size: below this distance, as for somebody seen from the side, the sides cannot be told


_ARM, _LEG = ("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "toe", "big_toe", "small_toe")
PARTS = (("shoulder", *_ARM), ("hip", *_LEG), _ARM, _LEG)
"""What may be exchanged by itself, after the whole body was looked at."""


def mend_sides(track: Track) -> None:
    """Exchange left and right back in short stretches that start and end with an exchange. Changes the track."""
    pairs = get_skeleton(track.skeleton).pairs
    names = [get_skeleton(track.skeleton).joints[left][2:] for left, _ in pairs]
    _mend(track, [index for pair in pairs for index in pair])
    for part in PARTS:
        _mend(track, [index for pair, name in zip(pairs, names) if name in part for index in pair])


def _mend(track: Track, paired: list[int]) -> None:
    """For left and right joints that are exchanged together."""
    if len(track) < 3 or not paired:
        return
    skeleton = get_skeleton(track.skeleton)
    mirrored = [skeleton.mirror[index] for index in paired]
    xy, times = track.xy.astype(float), track.times
    same = _mean_distance(xy[1:, paired], xy[:-1, paired])
    swapped = _mean_distance(xy[1:, mirrored], xy[:-1, paired])
    half_size = np.maximum(track.sizes()[:-1] / 2, 1.0)
    flips = (swapped < LIKELIER * same) & (same > WORTH * half_size) & (np.diff(times) <= NEIGHBOURS)
    starts = np.flatnonzero(flips) + 1
    row = 0
    while row + 1 < len(starts):
        first, after = starts[row], starts[row + 1]
        if times[after] - times[first] <= LONGEST_FLIP:
            track.swap_sides(slice(int(first), int(after)), paired)
            row += 2
        else:
            row += 1


def _mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(a - b, axis=-1)
    seen = np.isfinite(distance)
    return np.where(seen, distance, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
