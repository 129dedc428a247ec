"""Where a source in motion stands."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .skeleton import Track
from .slots import SIDES
from .soles import LEG

_STILL = 0.35  # m/s, of a leg of 0.9 m, up to which an ankle counts as standing
_BAND = 0.06  # m above the lowest ankles in which standing ankles are looked for


def standing_level(anatomy: Anatomy, track: Track) -> float:
    """Height along the source's `up` of the ankle of a foot that stands flat, from the motion alone.

    From the contacts of the track where it has any, else from the lowest ankles that stand still. The rest pose says nothing: in
    a BVH file its hips usually lie at the origin.
    """
    ankles = np.stack([track.heads[:, anatomy.bones["foot" + side]] for side in SIDES], axis=1)
    heights = ankles @ anatomy.up
    if track.contacts is not None:
        heel, toe = track.contacts[:, 0::2] >= 0.5, track.contacts[:, 1::2] >= 0.5
        for stands in (heel & toe, heel):
            if stands.any():
                return float(np.median(heights[stands]))
    size = anatomy.leg_length() / LEG
    speed = np.linalg.norm(np.gradient(ankles, axis=0), axis=-1) * track.fps if len(ankles) > 1 else np.zeros(heights.shape)
    still = heights[speed < _STILL * size]
    if not len(still):
        still = heights.ravel()
    return float(np.median(still[still <= np.percentile(still, 2) + _BAND * size]))
