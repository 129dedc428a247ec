"""Joints that jump off their path and back, because a detector confuses a joint with another place or side for a few frames.

The path of each joint through the picture is smoothed by a penalised spline (Whittaker 1923; Eilers, Anal. Chem. 2003) that follows
confident detections and hardly follows outliers (iteratively reweighted with Cauchy weights, from wide to narrow: graduated
non-convexity, Blake and Zisserman 1987). Detections that leave the path in one jump and return in another are considered wrong and
moved onto it. A kick or a punch leaves the path as well, but takes more than one frame, and is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from stpose_core.detect.types import Floats
from stpose_core.track.track import Track

LONGEST = 0.5  # seconds; a joint that stays elsewhere for longer may be correct
FAR = 0.2  # torsos; a joint nearer to its path is never considered wrong
LEAP = 0.5  # share of its distance from the path that a joint must have moved in one frame
TRUST = 0.5  # share of the score that a corrected joint keeps
_STIFF = 0.07  # seconds; the path follows movements that take several times as long
_WIDE, _NARROW, _ROUNDS = 0.4, 0.1, 10  # torsos: distance of an outlier in the first and in the last step, and the steps between
FEWEST = 5  # detections that a path needs


def correct_jumps(track: Track) -> Track:
    """A copy of the track in which joints that briefly jump off their path are moved back onto it, with half of their score."""
    track = track.copied()
    for rows in track.stretches():
        if len(rows) < FEWEST:
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        xy, score = track.xy[part].astype(float), track.score[part].astype(float)
        torso = track.torso(rows)
        if torso > 0:
            wrong, path = leaps(track.times[part], xy / torso, score)
            track.xy[part][wrong] = path[wrong] * torso
            track.score[part][wrong] *= TRUST
    return track


def leaps(times: Floats, xy: Floats, score: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Which detections are wrong (T, J), and the paths (T, J, 2) of the others.

    times: (T,) seconds; xy: (T, J, 2) in torsos, NaN for joints that were not detected; score: (T, J).
    """
    seen = np.isfinite(xy).all(-1)
    weight = np.square(np.where(seen, score, 0.0))
    path = robust_path(times, xy, weight)
    aside = np.where(seen[..., None], xy - path, np.nan)
    wrong = np.stack([_away(times, aside[:, joint]) for joint in range(xy.shape[1])], 1)
    # A joint with too few other detections has no path.
    wrong &= (seen & ~wrong).sum(0) >= FEWEST
    if wrong.any():
        path = _smoothed(np.where(seen[..., None], xy, 0.0), np.where(wrong, 0.0, weight), _rigidity(times))
    return wrong, path


def robust_path(times: Floats, xy: Floats, weight: Floats) -> Floats:
    """(T, J, 2) smooth paths through the joints that hardly follow outliers.

    times: (T,) seconds; xy: (T, J, 2) in torsos; weight: (T, J), the square of the score for a usual detection, 0 where xy is NaN.
    """
    places = np.where(np.isfinite(xy).all(-1)[..., None], xy, 0.0)
    rigid = _rigidity(times)
    kept = weight
    for width in np.geomspace(_WIDE, _NARROW, _ROUNDS):
        path = _smoothed(places, kept, rigid)
        kept = weight / (1 + (np.linalg.norm(places - path, axis=-1) / width) ** 2)
    return path


def _away(times: Floats, aside: Floats) -> NDArray[np.bool_]:
    """(T,) where a joint is off its path after one jump and until another. aside: (T, 2) offset from the path, torsos."""
    off = np.linalg.norm(aside, axis=-1)
    step = np.linalg.norm(np.diff(aside, axis=0), axis=-1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], off > FAR, [False])).astype(int)))
    wrong = np.zeros(len(times), bool)
    for first, after in zip(edges[::2], edges[1::2]):
        least = LEAP * np.median(off[first:after])
        came = first == 0 or not step[first - 1] < least  # nothing is known about the frames before
        left = after == len(times) or not step[after - 1] < least
        wrong[first:after] = came and left and times[after - 1] - times[first] <= LONGEST
    return wrong


def _smoothed(places: Floats, weight: Floats, rigid: Floats) -> Floats:
    """The paths (T, J, 2) with the least weighted distance from places (T, J, 2), by weights (T, J), and the least curvature."""
    frames, joints = weight.shape
    # All joints are one band matrix, as the matrices of two joints do not overlap.
    bands = np.tile(rigid, joints)
    # A minimum weight keeps joints without detections solvable: at high rates, the stiffness is larger by more than the precision.
    bands[-1] += weight.T.ravel() + max(1e-9, 1e-12 * float(rigid[-1].max()))
    middle = (places * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1e-9)[:, None]
    goal = ((places - middle) * weight[..., None]).transpose(1, 0, 2).reshape(-1, 2)
    found: Floats = solveh_banded(bands, goal).reshape(joints, frames, 2).transpose(1, 0, 2)
    return found + middle


def _rigidity(times: Floats) -> Floats:
    """(3, T) the upper bands of the matrix of the sum of squared second derivatives, in frames' units, times the stiffness."""
    step = np.diff(times)
    between = (step[1:] + step[:-1]) / 2
    slopes = np.stack([1 / step[:-1], -1 / step[:-1] - 1 / step[1:], 1 / step[1:]]) / between
    factor = _STIFF**4 * between / np.median(step)
    bands = np.zeros((3, len(times)))
    for row in range(3):
        bands[2, row : row + len(between)] += factor * slopes[row] ** 2
    for row in range(2):
        bands[1, row + 1 : row + 1 + len(between)] += factor * slopes[row] * slopes[row + 1]
    bands[0, 2:] += factor * slopes[0] * slopes[2]
    return bands
