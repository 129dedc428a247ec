"""Joints that a detector took from another person: where two people meet, it finds joints of the one in front for the one behind.

A joint of the one behind that lies on the same joint of the one in front, of either side, is covered by that person if it is there
at all. It is marked as not seen. Where most of the joints that both show are so, the whole detection is the other person's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import SEEN
from stpose_core.detect.types import Floats
from stpose_core.skeletons import get_skeleton
from stpose_core.track.track import Track

NEAR = 0.25  # torsos between a joint and the same one of another person
MOST = 0.6  # share of the joints of arms, legs and trunk from which a whole detection is another person's
_AROUND = 0.5  # seconds before and after, over which it is judged who stands nearer to the camera
_LIMBS = tuple(f"{side}_{name}" for side in "lr" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))


def without_others(tracks: Sequence[Track]) -> list[Track]:
    """Copies of the tracks of one clip, without joints that belong to a person in front. Detections that are all another
    person's have no joints."""
    result = [track.copied() for track in tracks]
    for behind in result:
        for front in result:
            if front is not behind and front.skeleton == behind.skeleton:
                _leave(behind, front)
    return result


def _leave(behind: Track, front: Track) -> None:
    _, mine, theirs = np.intersect1d(behind.frames, front.frames, return_indices=True)
    if not len(mine):
        return
    near = _meets(behind, mine, front, theirs)
    mine, theirs = mine[near], theirs[near]
    if not len(mine):
        return
    skeleton = get_skeleton(behind.skeleton)
    hides = _ground(front)[theirs] > _ground(behind)[mine]
    torso = max(behind.torso(np.arange(len(behind))), front.torso(np.arange(len(front))), 1.0)
    xy, other = behind.xy[mine].astype(float), front.xy[theirs].astype(float)
    seen = front.score[theirs] >= SEEN
    off = [
        np.where(seen[:, order], np.linalg.norm(xy - other[:, order], axis=-1), np.inf)
        for order in (list(range(len(skeleton.joints))), list(skeleton.mirror))
    ]
    taken = (np.nan_to_num(np.minimum(*off), nan=np.inf) < NEAR * torso) & hides[:, None]
    limbs = skeleton.index(*_LIMBS)
    shown = np.isfinite(xy[:, limbs]).all(-1) & (behind.score[mine][:, limbs] >= SEEN)
    whole = (taken[:, limbs] & shown).sum(1) > MOST * np.maximum(shown.sum(1), 1)
    taken |= (whole & shown.any(1))[:, None]
    rows, joints = np.nonzero(taken)
    behind.xy[mine[rows], joints], behind.score[mine[rows], joints] = np.nan, 0.0


def _meets(a: Track, rows_a: NDArray[np.int64], b: Track, rows_b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) whether the boxes of two people overlap in these rows."""
    (low_a, high_a), (low_b, high_b) = _boxes(a.xy[rows_a], a.score[rows_a]), _boxes(b.xy[rows_b], b.score[rows_b])
    return np.asarray(((np.minimum(high_a, high_b) - np.maximum(low_a, low_b)) > 0).all(1))


def _boxes(xy: Floats, score: Floats) -> tuple[Floats, Floats]:
    seen = (np.isfinite(xy).all(-1) & (score >= SEEN))[..., None]
    return np.where(seen, xy, np.inf).min(1), np.where(seen, xy, -np.inf).max(1)


def _ground(track: Track) -> Floats:
    """(N,) how low in the picture a person stands, pixels: the median height of the lower ankle around each row. Of two people on
    one floor the lower one is nearer. -inf where no ankle is seen around."""
    ankles = get_skeleton(track.skeleton).index("l_ankle", "r_ankle")
    low = np.where(track.score[:, ankles] >= SEEN, track.xy[:, ankles, 1], -np.inf).max(1).astype(float)
    first = np.searchsorted(track.times, track.times - _AROUND)
    last = np.searchsorted(track.times, track.times + _AROUND, side="right")
    middle = np.full(len(track), -np.inf)
    for row, (a, b) in enumerate(zip(first, last)):
        seen = low[a:b][np.isfinite(low[a:b])]
        if len(seen):
            middle[row] = np.median(seen)
    return middle
