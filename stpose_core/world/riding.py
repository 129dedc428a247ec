"""Floors that move under a person: a bed, a trampoline, an escalator, a vehicle, as a camera that stands still shows them.

Feet that stand on a floor at rest keep their places in the picture. Where both seem to stand, and move across the picture
together, the floor moves, and nothing holds them. One foot alone may be a detection that went astray. If the camera moves as well,
the picture does not tell which of the two moved.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from stpose_core.data import Array, Mask

_SECONDS = 1.0  # over which feet are watched, and before and after which the floor moves as well
_MOVED = 0.12  # m across the ray within that time
_APART = 0.5  # share of that by which their movements may differ; in the training pieces no feet on a floor at rest do so
_DISTANCE = 1.0  # s, standard deviation of the filter of the distance, which a lifter misjudges from frame to frame
_NEAREST = 0.2  # m


def rides(ankles: Array, stand: Mask, fps: float) -> Mask:
    """(T,) frames in which the floor moves under feet that stand.

    ankles: (T, 2, 3) metres from a camera that stays in place, y up, before feet are held. stand: (T, 2) feet that seem to stand.
    """
    both, moves = stand.all(axis=1), np.zeros(len(stand), bool)
    if not both.any():
        return moves
    far = np.maximum(np.linalg.norm(ankles, axis=-1, keepdims=True), _NEAREST)
    rays = ankles / far
    middle = rays[both].mean(axis=(0, 1))
    side = np.cross(middle, [0.0, 1.0, 0.0])
    axes = np.stack([side, np.cross(side, middle)]) / max(float(np.linalg.norm(side)), 1e-6)
    distance = gaussian_filter1d(far.mean(axis=1, keepdims=True), _DISTANCE * fps, axis=0, mode="nearest")
    places = np.einsum("tpi,ai->tpa", rays, axes) * distance
    size = 2 * round(_SECONDS / 2 * fps) + 1
    edges = np.flatnonzero(np.diff(np.concatenate(([False], both, [False])).astype(int)))
    for first, stop in zip(edges[::2], edges[1::2]):
        common = _reach(places[first:stop].mean(axis=1), size)
        apart = _reach(places[first:stop, 0] - places[first:stop, 1], size)
        moves[first:stop] = (common > _MOVED) & (apart < _APART * common)
    return np.asarray(maximum_filter1d(moves, 2 * size - 1, mode="constant"))  # a floor that moves does so for a while


def _reach(places: Array, size: int) -> Array:
    """(N,) metres between the farthest of places (N, 2) within `size` frames about each."""
    most, least = (found(places, size, axis=0, mode="nearest") for found in (maximum_filter1d, minimum_filter1d))
    return np.asarray(np.linalg.norm(most - least, axis=-1))
