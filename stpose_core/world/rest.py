"""Contacts of other parts of the body than the feet: seat, back, head, knees, elbows and hands on the floor."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from stpose_core.animate.body import INDEX
from stpose_core.data import Array

# Metres of each joint above the floor where its part of the body rests on it.
PARTS = {
    "Hips": 0.10, "UpperChest": 0.10, "Head": 0.08, "LeftLeg": 0.05, "RightLeg": 0.05,
    "LeftForeArm": 0.04, "RightForeArm": 0.04, "LeftHand": 0.03, "RightHand": 0.03,
}  # fmt: skip
HEIGHTS = np.array(list(PARTS.values()))
JOINTS = [INDEX[name] for name in PARTS]
# m above the lowest part of the body, at which a contact is unlikely: of a body that lies, the trunk is lifted with a tilt.
_NEAR = np.array([0.15, 0.15, 0.15, 0.08, 0.08, 0.05, 0.05, 0.05, 0.05])
_SLOW = 0.4  # m/s, likewise
_AROUND = 0.5  # s before and after in which the lowest part counts as the ground
_SMOOTH = 0.1  # s


def resting(parts: Array, ankles: Array, fps: float) -> Array:
    """(T, P) in 0..1 how likely each part rests on the floor: low, compared with the lowest part of the body, and slow.

    parts: (T, P, 3) metres, y up. ankles: (T, 2, 3) of the soles below the ankles.
    """
    heights = parts[..., 1] - HEIGHTS
    lowest = np.minimum(heights.min(axis=1), ankles[..., 1].min(axis=1))
    ground = minimum_filter1d(lowest, 2 * max(1, round(_AROUND * fps)) + 1, mode="nearest")
    steps = np.linalg.norm(np.gradient(parts, axis=0), axis=-1) * fps if len(parts) > 1 else np.zeros(heights.shape)
    likely = np.exp(-(((heights - ground[:, None]) / _NEAR) ** 2) - (steps / _SLOW) ** 2)
    return np.asarray(gaussian_filter1d(likely, _SMOOTH * fps, axis=0, mode="nearest"))
