"""Soles: the points of a foot that touch the ground, and which of its two bones carries each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Anatomy
from .rotation import Array, across, inverse, multiply, rotate, unit
from .slots import SIDES

#: Leg length in metres, hip to ankle, that all lengths of the foot lock refer to.
LEG = 0.9
_BALL = 0.02  # height of the ball joint above the sole where the skeleton has no point on the ground
_HEEL = 0.25  # distance from ankle to heel, in lengths from ankle to ball
_TOES = 0.5  # length of the toes, in the same unit


@dataclass(frozen=True)
class Sole:
    """One foot at rest, in the world.

    points: (N, 3) points of the sole. toe: (N,) in 0..1, the share that the toe bone carries; the foot bone carries the rest.
    ankle, joint: (3,) where the foot and the toe bone begin. heel, ball: (3,) the points of the sole that are held.
    """

    points: Array
    toe: Array
    ankle: Array
    joint: Array
    heel: Array
    ball: Array

    def offsets(self, foot: Array, toe: Array) -> Array:
        """(T, N, 3) from the ankle to each point. foot, toe: (T, 4) turns of both bones from their rest."""
        on_foot = rotate(foot[:, None], self.points - self.ankle)
        if not self.toe.any():
            return on_foot
        on_toe = self.to_joint(foot)[:, None] + rotate(toe[:, None], self.points - self.joint)
        return np.asarray(on_foot + self.toe[:, None] * (on_toe - on_foot))

    def carried(self, own: Anatomy, other: Anatomy, side: str) -> Sole:
        """The sole as it lies where the foot is in another rest pose of the same skeleton."""
        if own.skeleton is other.skeleton:
            return self
        turns = []
        for slot in ("foot" + side, "toe" + side):
            slot = slot if slot in own.bones else "foot" + side
            bone = own.bones[slot]
            turns.append(multiply(other.skeleton.rest[bone], inverse(own.skeleton.rest[bone])))
        ankle = other.head_of("foot" + side)
        points = ankle + self.offsets(turns[0][None], turns[1][None])[0]
        heel, ball, joint = (ankle + rotate(turns[0], point - self.ankle) for point in (self.heel, self.ball, self.joint))
        return Sole(points, self.toe, ankle, joint, heel, ball)

    def to_joint(self, foot: Array) -> Array:
        """(T, 3) from the ankle to where the toe bone begins."""
        return rotate(foot, self.joint - self.ankle)


def size_of(anatomy: Anatomy) -> float:
    """The unit of length of this character: 1 where the legs are 0.9 long."""
    return anatomy.leg_length() / LEG


def soles_from_bones(anatomy: Anatomy) -> dict[str, Sole]:
    """Soles estimated from the bones alone, by side."""
    return {side: sole_of(anatomy, side, *_bone_points(anatomy, side)) for side in SIDES}


def sole_of(anatomy: Anatomy, side: str, points: Array, toe: Array) -> Sole:
    """The sole with its heel and ball. points: (N, 3). toe: (N,) share of the toe bone."""
    ankle, joint = anatomy.head_of("foot" + side), anatomy.end_of("foot" + side)
    ahead = heading_of(anatomy, side)
    lowest = float((points @ anatomy.up).min())
    # The heel is the point of the sole furthest back, near the ground.
    length = max(float((joint - ankle) @ ahead), 1e-6)
    low = points[points @ anatomy.up - lowest < 0.3 * length]
    heel = low[(low @ ahead).argmin()]
    return Sole(points, toe, ankle, joint, heel, joint - (joint @ anatomy.up - lowest) * anatomy.up)


def heading_of(anatomy: Anatomy, side: str) -> Array:
    """(3,) the horizontal unit vector along a foot at rest."""
    flat = across(anatomy.direction("foot" + side), anatomy.up)
    return unit(flat) if np.linalg.norm(flat) > 0.2 else anatomy.forward


def _bone_points(anatomy: Anatomy, side: str) -> tuple[Array, Array]:
    """Heel, both sides of the ball, and the tip of the toes, on the ground below the bones."""
    skeleton, up = anatomy.skeleton, anatomy.up
    ankle, joint, ahead = anatomy.head_of("foot" + side), anatomy.end_of("foot" + side), heading_of(anatomy, side)
    reach = max(float((joint - ankle) @ ahead), 0.02 * size_of(anatomy))
    below, tips = [joint], []
    for slot in ("foot" + side, "toe" + side):
        if slot not in anatomy.bones:
            continue
        bone = anatomy.bones[slot]
        below += [skeleton.heads[child] for child in skeleton.children(bone)]
        tail = skeleton.tails[bone] - skeleton.heads[bone]
        # The tail of an imported bone may point anywhere: it counts where it points along the foot.
        if unit(tail) @ ahead > 0.5:
            below.append(skeleton.tails[bone])
            if slot.startswith("toe"):
                tips.append(skeleton.tails[bone])
    floor = float(min(point @ up for point in below))
    if len(below) == 1:
        floor -= _BALL * size_of(anatomy)
    tip = tips[0] if tips else joint + _TOES * reach * ahead
    wide = 0.3 * reach * np.cross(up, ahead)
    places = [ankle - _HEEL * reach * ahead, joint + wide, joint - wide, tip]
    points = np.array([place - (place @ up - floor) * up for place in places])
    return points, np.array([0.0, 0.0, 0.0, 1.0 if "toe" + side in anatomy.bones else 0.0])
