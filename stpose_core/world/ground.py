"""From camera axes to world axes: y up, a person who faces the camera faces +z, the floor at y = 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from stpose_core.animate.frames import minimal_rotation
from stpose_core.data import Array, Mask

_STEP = 0.4  # m
_SURE_SECONDS = 0.3  # of frames in which the lowest part of the body is seen, for these alone to tell where the floor is
_FLIP = np.diag([1.0, -1.0, -1.0])  # camera x right, y down, z forward -> x right, y up, z towards the camera


def room_from_camera(up: Array) -> Array:
    """(3, 3) rotation from camera axes to world axes. up: (3,) against gravity in camera axes; a level camera if it is unknown."""
    length = float(np.linalg.norm(up))
    if not np.isfinite(length) or length < 1e-6:
        return _FLIP
    return np.asarray(minimal_rotation(_FLIP @ (up / length), np.array([0.0, 1.0, 0.0])) @ _FLIP)


def clearance(joints: Array, ankle: float) -> tuple[Array, NDArray[np.intp]]:
    """(T,) height in metres of the lowest part of the body, and (T,) the joint that it is. joints: (T, 17, 3), y up. ankle: its
    height in standing.

    Ankles stand on their height; a body on hands, knees or its back rests on those.
    """
    above = np.array([0.10, 0.10, 0.05, ankle, 0.10, 0.05, ankle, 0.10, 0.10, 0.08, 0.0, 0.05, 0.04, 0.03, 0.05, 0.04, 0.03])
    heights = joints[..., 1] - above
    return np.asarray(heights.min(axis=1)), heights.argmin(axis=1)


def stand(lowest: Array, seen: Mask, fps: float, steady: bool = True) -> Array:
    """(T,) metres by which to lower a motion, so that it stands on the floor at 0.

    lowest: (T,) clearance. seen: (T,) frames in which that part of the body was seen. Where it was not, as when a person comes into
    the picture head first, its height is a guess: the floor is not there, but nothing sinks below it either. All frames count if
    too few are seen. steady: take away what the body floats or sinks for longer than a jump.
    """
    if seen.sum() < max(2, round(_SURE_SECONDS * fps)):
        seen = np.ones(len(lowest), bool)
    floor = floor_height(lowest[seen])
    known = np.interp(np.arange(len(lowest)), np.flatnonzero(seen), lowest[seen])
    down = floor + (floor_drift(known - floor, fps) if steady else np.zeros(len(lowest)))
    return np.where(seen, down, np.minimum(down, lowest))


def floor_height(lowest: Array) -> float:
    """Height in metres of the floor below a motion, from its clearance (T,).

    The lowest the body comes to, but for the lowest twentieth of the frames, so that a few that dip do not lift the rest.
    """
    return float(np.percentile(lowest, 5))


def floor_drift(lowest: Array, fps: float) -> Array:
    """(T,) metres by which the body seems to float or sink for longer than a jump lasts, because its distance was misjudged.

    lowest: (T,) clearance above the floor. The lower envelope over a second, smoothed. What is more than a step high is not
    called an error but a block, a stair or a beam that the person stands on: it fades out towards 0.4 m (Tukey's biweight).
    """
    envelope = minimum_filter1d(lowest, 2 * max(1, round(fps / 2)) + 1, mode="nearest")
    envelope = gaussian_filter1d(envelope, 0.25 * fps, mode="nearest")
    return np.asarray(envelope * np.maximum(0.0, 1 - (envelope / _STEP) ** 2) ** 2)
