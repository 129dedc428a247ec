"""Joints that a detector took from another person: where two people meet, it finds joints of the one in front for the one behind.

A joint of the one behind that lies on the same joint of the one in front, of either side, is covered by that person if it is there
at all. It is marked as not seen. Where most of the joints that both show are so, the whole detection is the other person's.

The one in front gets joints as well, of one who is hidden and therefore not tracked at the time. These show only against the
person's own movement before and after: a joint that is far from its path while two people overlap is marked as not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import SEEN
from stpose_core.detect.types import Floats
from stpose_core.skeletons import get_skeleton
from stpose_core.track.jumps import FEWEST, robust_path
from stpose_core.track.track import Track

NEAR = 0.25  # torsos between a joint and the same one of another person
MOST = 0.6  # share of the joints of arms, legs and trunk from which a whole detection is another person's
_AROUND = 0.5  # seconds before and after, over which it is judged who stands nearer to the camera
OFF = 0.5  # torsos from its path at which a joint is given up while people overlap
_DOUBTED = 0.02  # what a detection counts for the path while people overlap: enough to bridge where nothing contradicts
_UNSEEN = 1.0  # seconds before and after its detections for which a person is where they were seen; gaps are interpolated
_LONGEST = 2.0  # seconds; over a longer overlap, the movement before and after tells nothing
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


def without_strays(tracks: Sequence[Track]) -> list[Track]:
    """Copies of the corrected tracks of one clip, without joints that are far from the person's own path while this person overlaps
    another for up to two seconds. A person who never does, or who is alone, keeps everything."""
    result = [track.copied() for track in tracks]
    for track, own in zip(result, tracks):
        meets = _overlaps(own, [other for other in tracks if other is not own])
        torso = own.torso(np.arange(len(own)))
        if not meets.any() or not torso > 0 or len(own) < FEWEST:
            continue
        xy = own.xy.astype(float) / torso
        weight = np.where(np.isfinite(xy).all(-1), own.score.astype(float), 0.0) ** 2
        path = robust_path(own.times, xy, weight * np.where(meets, _DOUBTED, 1.0)[:, None])
        stray = (np.nan_to_num(np.linalg.norm(xy - path, axis=-1)) > OFF) & meets[:, None]
        track.xy[stray], track.score[stray] = np.nan, 0.0
    return result


def _overlaps(track: Track, others: Iterable[Track]) -> NDArray[np.bool_]:
    """(N,) whether the person's box overlaps that of another person, seen or hidden, for a short time."""
    low, high = _boxes(track.xy, track.score)
    meets = np.zeros(len(track), bool)
    for other in others:
        shown = (other.score >= SEEN).any(1)
        times = other.times[shown]
        if not len(times):
            continue
        ends = np.concatenate(_boxes(other.xy[shown], other.score[shown]), axis=1)
        box = np.stack([np.interp(track.times, times, side) for side in ends.T], axis=1)
        after = np.searchsorted(times, track.times)
        near = np.abs(times[np.stack([after - 1, after]).clip(0, len(times) - 1)] - track.times).min(0) <= _UNSEEN
        meets |= near & (np.minimum(high, box[:, 2:]) > np.maximum(low, box[:, :2])).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], meets, [False])).astype(int)))
    for first, end in zip(edges[::2], edges[1::2]):
        meets[first:end] = track.times[end - 1] - track.times[first] <= _LONGEST
    return meets


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
