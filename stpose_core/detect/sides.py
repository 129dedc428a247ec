"""Left and right over time: a detector that takes a front for a back exchanges all sides for a few frames."""

from __future__ import annotations

import numpy as np

from stpose_core.detect.tracks import Track
from stpose_core.skeletons import get_skeleton

LONGEST_FLIP = 0.5  # seconds; a longer stretch may as well be the right one
NEIGHBOURS = 0.15  # seconds between sights that can be compared
LIKELIER = 0.6  # exchanged joints must be nearer to those before than this share of the distance of the unexchanged ones
WORTH = 0.15  # of the person's half size: below this distance, as for somebody seen from the side, the sides cannot be told


def mend_sides(track: Track) -> None:
    """Exchange left and right back in short stretches that start and end with an exchange. Changes the track."""
    skeleton = get_skeleton(track.skeleton)
    paired = [index for pair in skeleton.pairs for index in pair]
    if len(track) < 3 or not paired:
        return
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
            track.swap_sides(slice(int(first), int(after)))
            row += 2
        else:
            row += 1


def _mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(a - b, axis=-1)
    seen = np.isfinite(distance)
    return np.where(seen, distance, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
