"""Legs of two bones: reach a point with the ankle, with the knee in the plane in which it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import LIMBS
from .rotation import Array, across, from_frame, inverse, multiply, rotate, smallest, unit
from .solver import Posed

# Bends (sine) between which the plane changes over from the joint's own hinge to the one that is seen.
_UNSEEN, _SEEN = 0.03, 0.12
#: A leg is not stretched further than this part of its length: at the full length a knee would snap.
REACH = 0.9995
#: Nor is it stretched further than this (a knee bent by 20 degrees) where the motion does not do so itself: the last centimetre of
#: the reach turns a knee by 20 degrees, and it would pop.
_CALM = np.cos(np.radians(10.0))


@dataclass(frozen=True)
class Leg:
    """One leg of a posed body. side: ".L" or ".R"."""

    posed: Posed
    side: str

    @property
    def slots(self) -> tuple[str, str, str]:
        """Thigh, shin and foot."""
        return LIMBS["leg" + self.side]

    @property
    def lengths(self) -> tuple[float, float]:
        """Metres of thigh and shin."""
        hip, knee, ankle = (self.posed.anatomy.head_of(slot) for slot in self.slots)
        return float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))

    def longest(self) -> Array:
        """(T,) how far the ankle may be from the hip without a knee that pops: as far as it is in the motion, or a calm reach."""
        own = np.linalg.norm(self.posed.heads[self.slots[2]] - self.posed.heads[self.slots[0]], axis=1)
        return np.clip(own, sum(self.lengths) * _CALM, sum(self.lengths) * REACH)

    def drop(self, ankle: Array, up: Array) -> Array:
        """(T,) metres by which the hip has to come down for the ankle (T, 3) to be within reach without a knee that pops."""
        reach = ankle - self.posed.heads[self.slots[0]]
        height = reach @ up
        sideways = np.linalg.norm(reach - height[:, None] * up, axis=1)
        longest = self.longest()
        over = np.linalg.norm(reach, axis=1) > longest
        needed = -height - np.sqrt(np.maximum(longest**2 - sideways**2, 0.0))
        return np.where(over & (height < 0), np.maximum(needed, 0.0), 0.0)

    def hinge(self) -> Array:
        """(T, 3) the axis about which the knee bends: the plane that is seen, or the joint's own where the leg is straight."""
        posed, (upper, lower, end) = self.posed, self.slots
        axis = rotate(posed.turned(upper), posed.anatomy.hinge("leg" + self.side))
        plane = np.cross(unit(posed.heads[lower] - posed.heads[upper]), unit(posed.heads[end] - posed.heads[lower]))
        sine = np.linalg.norm(plane, axis=1, keepdims=True)
        agrees = (plane * axis).sum(-1, keepdims=True) > 0
        part = np.where(agrees, np.clip((sine - _UNSEEN) / (_SEEN - _UNSEEN), 0.0, 1.0), 0.0)
        return unit((1 - part) * axis + part * unit(plane))

    def reach(self, ankle: Array, hip: Array) -> tuple[Array, Array]:
        """Rotations (T, 4) of the thigh and the shin bone that bring the ankle to `ankle` (T, 3) from a hip at `hip` (T, 3).

        A point beyond the leg's length is reached for, not reached.
        """
        posed, (upper, lower, end) = self.posed, self.slots
        thigh, shin = self.lengths
        before = [unit(posed.heads[lower] - posed.heads[upper]), unit(posed.heads[end] - posed.heads[lower])]
        old_way = unit(posed.heads[end] - posed.heads[upper])
        distance = np.linalg.norm(ankle - hip, axis=1, keepdims=True)
        distance = np.clip(distance, abs(thigh - shin) + 1e-6, (thigh + shin) * REACH)
        way = unit(ankle - hip)
        old_axis = self.hinge()
        axis = unit(across(rotate(smallest(old_way, way), old_axis), way))
        cosine = np.clip((thigh**2 + distance**2 - shin**2) / (2 * thigh * distance), -1.0, 1.0)
        first = cosine * way + np.sqrt(1 - cosine**2) * np.cross(way, axis)
        second = unit(distance * way - thigh * first)
        turned = []
        for slot, old, new in ((upper, before[0], first), (lower, before[1], second)):
            change = multiply(from_frame(new, axis), inverse(from_frame(old, old_axis)))
            turned.append(multiply(change, posed.rotations[slot]))
        return turned[0], turned[1]
