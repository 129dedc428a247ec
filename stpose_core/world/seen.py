"""Where the picture shows the ankles, beside those of the smoothed body.

Fit and smoothing take the jitter out of a body, and with it the moment at which a foot stops. The detected ankles keep it. They are
taken at the distance of the body's ankles, so that the turn of the camera and the size of the person are taken out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpose_core.data import Array, Keypoints, Pose3D
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, convert
from stpose_core.world.contacts import Legs

_ANKLES = H36M17.index("l_ankle", "r_ankle")
_FARTHEST = 0.5  # m from the body's ankle; a detection that is farther off is wrong
_NEAREST = 0.2  # m from the camera


def with_picture(legs: Legs, pose: Pose3D, keypoints: Keypoints, distance: Array, world: Array, ankle: float) -> Legs:
    """The legs of a pose, with `off` and `score` from the keypoints that it was lifted from.

    distance: (T,) metres of the pelvis from the camera. world: (T, 3, 3) from camera axes to the legs' axes. ankle: metres of the
    ankle above the floor in standing. Raises ValueError unless pose and keypoints have the same frames.
    """
    if len(pose) != len(keypoints):
        raise ValueError(f"{len(pose)} poses and {len(keypoints)} frames of keypoints do not belong together")
    points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
    places = legs.ankles + [0.0, ankle, 0.0] + (legs.ray * distance[:, None])[:, None]
    places = np.einsum("tji,tpj->tpi", world, places)
    depth = np.maximum(places[..., 2:], _NEAREST)
    rays = (points.xy[:, _ANKLES] - np.asarray(pose.camera.centre)) / pose.camera.focal
    off = np.concatenate((rays * depth, depth), axis=-1) - places
    score = points.score[:, _ANKLES]
    seen = (score >= VISIBLE_SCORE) & (np.linalg.norm(off, axis=-1) < _FARTHEST)
    # A detection that is missing is no jump: between two others, the ankle is as far off as on the way between them.
    frames = np.arange(len(pose))
    for foot in (0, 1):
        known = np.flatnonzero(seen[:, foot])
        off[:, foot] = np.stack([np.interp(frames, known, column) for column in off[known, foot].T], -1) if len(known) else 0.0
    return replace(legs, off=np.einsum("tij,tpj->tpi", world, off), score=np.where(seen, score, 0.0))
