"""Zero-phase smoothing of noisy tracks: a Whittaker smoother whose strength follows the movement.

The smoother (Whittaker 1923; Eilers, Analytical Chemistry 75, 2003) minimises sum w (x - z)^2 + sum lambda (D3 z)^2. It looks
at past and future alike, so it does not lag, it takes a weight for each sample, and it bridges what has none. Here lambda is
set for each instant from a cut-off in Hz, so that the same strength does the same at each frame rate, and the cut-off rises
with the speed, as in the One Euro filter (Casiez et al., CHI 2012): what stands still is calmed, what is quick stays quick.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from stpose_core.data import Array, Mask

# A joint cannot leave its way and be back faster than this allows: a sprinter's hand or foot reaches about 150 m/s^2.
_MAX_ACCELERATION = 150.0
_SPIKE_SECONDS = 0.05
# Rounding errors grow with lambda. Above the first figure the smooth curve is drawn through fewer points, so many for each
# period of the highest cut-off; above the second one nothing is smoothed any stronger.
_STIFF, _STIFFEST = 1e8, 1e11
_KNOTS_PER_PERIOD = 16
_HELD = 1.0  # s^2: weight of the speed of what is held against its place
_STENCILS = {1: (-1.0, 1.0), 2: (1.0, -2.0, 1.0), 3: (-1.0, 3.0, -3.0, 1.0)}


def cutoff(strength: float) -> float:
    """The cut-off in Hz of a limb at rest for a strength in 0..1; infinite for 0."""
    return float("inf") if strength <= 0 else 5.0 * (1 - strength) / strength + 0.6


def penalty(hertz: Array | float, fps: float, order: int) -> Array:
    """lambda for which the smoother halves a wave of that frequency; falls to 0 as it passes half the frame rate."""
    frequency = np.asarray(hertz, dtype=np.float64)
    inside = 2 * np.sin(np.pi * np.clip(frequency, 1e-3, fps / 2) / fps)
    return (inside * np.maximum(frequency / (fps / 2), 1.0)) ** (-2.0 * order)


def whittaker(values: Array, weights: Array, hertz: Array | float, fps: float, order: int = 3) -> Array:
    """Smooth the columns of `values` (T, C), real or complex, along time.

    weights: (T,) confidence of each sample, 1 for a usual one. hertz: (T,) or one number, the cut-off at weight 1.
    order: of the difference that is kept small, 1..3 (lower on clips that are too short for it).
    """
    frames = len(values)
    order = min(order, frames - 1)
    if order < 1:
        return values.copy()
    weights = np.maximum(weights, 1e-6)
    smoothness = np.broadcast_to(penalty(hertz, fps, order), (frames,))
    line = _trend(values, weights, order)
    if smoothness.max() <= _STIFF:
        band = _roughness(smoothness, order)
        band[0] += weights
        return line + _solve(band, (values - line) * weights[:, None])
    each = max(1, int(fps / (_KNOTS_PER_PERIOD * np.max(hertz))))
    return line + _spline(values - line, weights, np.broadcast_to(hertz, (frames,)), fps, order, each)


def _roughness(smoothness: Array, order: int) -> Array:
    """D' lambda D as the lower bands (order + 1, N) of a matrix, from lambda (N,)."""
    stencil, rows = _STENCILS[order], len(smoothness) - order
    # A row of D spans order + 1 samples: its lambda is their mean.
    rough = np.mean([smoothness[k : k + rows] for k in range(order + 1)], axis=0)
    band = np.zeros((order + 1, len(smoothness)))
    for first in range(order + 1):
        for second in range(first, order + 1):
            band[second - first, first : first + rows] += rough * stencil[first] * stencil[second]
    return band


def _solve(band: Array, right: Array) -> Array:
    if np.iscomplexobj(right):
        return solveh_banded(band, right.real, lower=True) + 1j * solveh_banded(band, right.imag, lower=True)
    return np.asarray(solveh_banded(band, right, lower=True))


def _trend(values: Array, weights: Array, order: int) -> Array:
    """(T, C) the straight line (for order 1 the constant) nearest to the values. It costs no roughness, so it stays as it is."""
    share = (weights / weights.sum())[:, None]
    time = np.arange(len(values))[:, None] - (share[:, 0] * np.arange(len(values))).sum()
    slope = (share * time * values).sum(axis=0) / (share * time**2).sum() if order > 1 else 0.0
    return np.asarray((share * values).sum(axis=0) + slope * time)


def _spline(values: Array, weights: Array, hertz: Array, fps: float, order: int, each: int) -> Array:
    """The smoother over a cubic B-spline with a knot each `each` samples (P-splines: Eilers & Marx, Statistical Science 11, 1996).

    With a knot for each sample it is the plain smoother, but for the little that B-splines blur.
    """
    place = np.arange(len(values)) / each
    left = place.astype(int)
    u = place - left
    shares = ((1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6, (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6, u**3 / 6)
    count = int(left[-1]) + len(shares)
    at_knots = np.interp((np.arange(count) - 1) * each, np.arange(len(values)), hertz)
    band = np.zeros((len(shares), count))
    smoothness = np.asarray(np.minimum(penalty(at_knots, fps / each, order), _STIFFEST) * each, dtype=np.float64)
    band[: order + 1] = _roughness(smoothness, order)
    right = np.zeros((count, values.shape[1]), dtype=values.dtype)
    for first, share in enumerate(shares):
        np.add.at(right, left + first, values * (weights * share)[:, None])
        for second in range(first, len(shares)):
            band[second - first] += np.bincount(left + first, weights * share * shares[second], count)
    knots = _solve(band, right)
    return np.asarray(sum(share[:, None] * knots[left + first] for first, share in enumerate(shares)))


def held(track: Array, still: Array, fps: float) -> Array:
    """A track (T, C) that hardly changes while it is `still` (T,) in 0..1, and is as before in between."""
    if len(track) < 3:
        return track.copy()
    pairs = _HELD * (still[1:] * still[:-1]) * fps**2
    band = _roughness(np.full(len(track), (fps / 6.0) ** 4 / (2 * np.pi) ** 4), 2)
    band[0] += 1.0
    band[0, 1:] += pairs
    band[0, :-1] += pairs
    band[1, :-1] -= pairs
    return _solve(band, track)


def speed_of(track: Array, weights: Array, fps: float, first_pass: float = 5.0) -> Array:
    """(T,) local speed of a track (T, 3) in units per second, above what its noise alone would show.

    The highest speed within 0.12 s counts, so that a turning point, where the speed is nought, stays sharp.
    """
    if len(track) < 3:
        return np.zeros(len(track))
    speed = np.linalg.norm(np.gradient(whittaker(track, weights, first_pass, fps), axis=0), axis=1) * fps
    speed = np.maximum(speed - np.percentile(speed, 10), 0.0)
    reach = max(1, round(0.12 * fps))
    return np.asarray(gaussian_filter1d(maximum_filter1d(speed, 2 * reach + 1), 0.06 * fps, mode="nearest"))


def smooth_bones(bones: Array, weights: Array, strength: float, fps: float) -> Array:
    """Smooth bone vectors (T, B, 3), metres, each by how fast it turns. weights: (T, B). A strength of 0 changes nothing.

    Vectors, not unit directions: one that noise in depth has shortened says less about the direction, and counts less.
    """
    if strength <= 0 or len(bones) < 3:
        return bones.copy()
    rest, result = cutoff(strength), np.empty_like(bones)
    lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)
    for bone in range(bones.shape[1]):
        # As rad/s; of a short bone the error shows as turning more than its movement does, so it counts as a longer one.
        turning = speed_of(bones[:, bone] / max(lengths[bone], 0.2), weights[:, bone], fps)
        result[:, bone] = whittaker(bones[:, bone], weights[:, bone], rest * (1 + turning / 2.0), fps)
    return result


def confidence(sigma: Array, hidden: Mask, filled: Mask) -> Array:
    """(T, J) weights: 1 for a usual sample, less where the error is above the joint's usual one, hidden, or filled in.

    sigma: (T, J) metres. Only the ratio to the joint's own median counts, as the noise that is smoothed is not the whole error.
    """
    if not len(sigma):
        return np.ones_like(sigma)
    known = np.where(np.isfinite(sigma) & (sigma > 0), sigma, np.nan)
    usual = np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 1.0 for column in known.T])
    ratio = np.where(np.isfinite(known), known, usual) / usual
    weights = np.clip(ratio**-2.0, 0.1, 2.0) * np.where(hidden, 0.3, 1.0)
    return np.where(filled[:, None], 0.1, weights)


def find_spikes(joints: Array, fps: float) -> Mask:
    """(T, J) samples of `joints` (T, J, 3) metres that leave the way and are back within 50 ms, as no body does."""
    frames = len(joints)
    spikes: NDArray[np.bool_] = np.zeros(joints.shape[:2], dtype=bool)
    for length in range(1, max(1, round(_SPIKE_SECONDS * fps)) + 1):
        rows = frames - length - 1
        if rows < 1:
            break
        before, after = joints[:rows], joints[length + 1 :]
        away = np.full(before.shape[:2], np.inf)
        for step in range(1, length + 1):
            straight = before + (after - before) * (step / (length + 1))
            away = np.minimum(away, np.linalg.norm(joints[step : step + rows] - straight, axis=-1))
        possible = 0.05 + _MAX_ACCELERATION / 2 * ((length + 1) / 2 / fps) ** 2
        limit = possible + 6.0 * np.median(away, axis=0)
        out = (away > limit) & (np.linalg.norm(after - before, axis=-1) < 0.6 * away)
        for step in range(1, length + 1):
            spikes[step : step + rows] |= out
    return spikes


def bridge(values: Array, bad: Mask) -> Array:
    """`values` (T, C) with the rows in `bad` (T,) drawn straight between their good neighbours."""
    good = np.flatnonzero(~bad)
    if not len(good) or not bad.any():
        return values.copy()
    at = np.arange(len(values))
    return np.stack([np.interp(at, good, column[good]) for column in values.T], axis=1)
