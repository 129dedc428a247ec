"""A hand in 3D from its 21 joints in the picture: the palm as a rigid shape, then each finger by a search over how it can bend."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.fingers import RELAXED, RELAXED_THUMB, finger_joints, hand_shape
from stpose_core.data import Array
from stpose_core.lift.rigid import Expected, Shape, fit
from stpose_core.lift.shapes import HAND, MIRROR, RIGID

_ACCURACY = 0.01  # metres at the person of a joint with the highest score
_LOOSE = np.radians(35.0)  # how far a hinge may well be from the relaxed hand
_STARTS = [(0, 0, 0), (90, 0, 0), (-90, 0, 0), (180, 0, 0), (0, 0, 50), (0, 0, -50)]
_KNUCKLES, _HINGES, _SPREADS = np.arange(-20, 91, 10), np.arange(0, 111, 10), (-12, 0, 12)  # degrees that are tried
_LAST = 0.7  # of the bend of the middle hinge of a finger, which the last one follows
_BASES, _TIPS = (-25, 0, 25), (0, 20, 40, 60)


def lift_hand(rays: Array, score: Array, expected: Expected, size: float, right: bool, fps: float) -> Array:
    """(T, 21, 3) metres from the wrist, camera axes.

    rays: (T, 21, 2) x / z and y / z; score: (T, 21), 0 where a joint was not seen.
    expected: what the forearm says about the palm. size: of the person against an adult of 1.70 m.
    """
    palm = HAND[RIGID] * MIRROR if right else HAND[RIGID]
    accuracy = np.where(score > 0, _ACCURACY / np.maximum(score, 1e-3), np.inf)
    starts = Rotation.from_euler("xyz", _STARTS, degrees=True).as_matrix()
    found = fit(Shape(size * palm), rays[:, RIGID], accuracy[:, RIGID], expected, starts, fps)
    hand = hand_shape([], size)
    relaxed = np.radians(np.concatenate([RELAXED_THUMB, *RELAXED]))
    joints = np.zeros((len(rays), 21, 3))
    for finger in range(5):
        own = slice(1 + 4 * finger, 5 + 4 * finger)
        values, unlikely = _tries(finger, relaxed)
        tried = finger_joints(values, hand)[:, own] * (MIRROR if right else 1.0)
        for frame in range(len(rays)):
            places = tried @ found.turns[frame].T + found.place[frame]
            depth = np.maximum(places[..., 2:], 0.1)
            off = np.linalg.norm((places[..., :2] / depth - rays[frame, own]) * depth, axis=-1) / accuracy[frame, own]
            best = (np.minimum(off**2, 25.0).sum(axis=1) + unlikely).argmin()
            joints[frame, own] = places[best] - found.place[frame]
    return joints


def _tries(finger: int, relaxed: Array) -> tuple[Array, Array]:
    """Bends (N, 21) of a hand with one finger in every way that is tried, and (N,) how unlikely each is."""
    if finger == 0:
        chosen = slice(0, 5)
        rows = [(*base, tip, tip) for base in product(_BASES, repeat=3) for tip in _TIPS]
    else:
        chosen = slice(1 + 4 * finger, 5 + 4 * finger)
        rows = [(a, b, c, _LAST * c) for a, b, c in product(_KNUCKLES, _SPREADS, _HINGES)]
    values = np.tile(relaxed, (len(rows), 1))
    values[:, chosen] = np.radians(np.array(rows, float))
    return values, (((values - relaxed) / _LOOSE) ** 2).sum(axis=1)
