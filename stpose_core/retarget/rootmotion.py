"""Root motion: what carries the solved character over the ground: the hips, a root bone, the object, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .ground import smoothed
from .rotation import IDENTITY, Array, about, across, continuous, inverse, multiply, rotate
from .solver import Posed

FULL, IN_PLACE, ROOT_BONE, OBJECT = "FULL", "IN_PLACE", "ROOT_BONE", "OBJECT"
_TURN = 4.0  # frames over which the heading of the root is smoothed


@dataclass(frozen=True)
class Carrier:
    """How the root moves: a point p of the world at rest goes to centre + shift + turn(p - centre).

    shift: (T, 3) over the ground. turn: (T, 4) about the vertical.
    """

    centre: Array
    shift: Array
    turn: Array

    def carried(self, point: Array) -> Array:
        """(T, 3) where a point (3,) of the rest pose goes."""
        return np.asarray(self.centre + self.shift + rotate(self.turn, point - self.centre))

    def inside(self, points: Array) -> Array:
        """(T, 3) points of the world as the carrier sees them."""
        return np.asarray(self.centre + rotate(inverse(self.turn), points - self.centre - self.shift))


def split(posed: Posed, mode: str, heading: bool = False) -> tuple[Posed, Carrier | None]:
    """The pose without its root motion, and what carries it: None for FULL.

    heading: the carrier also turns with the character. The pose is then relative to the carrier, except on a root bone, whose
    own rotation is added to the pose as that of the slot "root", in the world like all others.
    """
    if mode == FULL or posed.path is None:
        return posed, None
    turn = _heading(posed) if heading and mode != IN_PLACE else np.broadcast_to(IDENTITY, (len(posed), 4))
    centre = posed.anatomy.hip_centre()
    carrier = Carrier(centre - (centre @ posed.up - posed.floor) * posed.up, posed.path, turn)
    if mode == ROOT_BONE:
        if not heading:
            return posed, carrier
        bone = posed.anatomy.bones["root"]
        rotations = {**posed.rotations, "root": continuous(multiply(turn, posed.anatomy.skeleton.rest[bone]))}
        return replace(posed, rotations=rotations), carrier
    rotations = {slot: continuous(multiply(inverse(turn), one)) for slot, one in posed.rotations.items()}
    return replace(posed, rotations=rotations, hips=carrier.inside(posed.hips)).placed(), carrier


def _heading(posed: Posed) -> Array:
    """(T, 4) the turn about the vertical of the hips, by their axis to the left, which stays level in a somersault."""
    left = across(posed.anatomy.left, posed.up)
    now = across(rotate(posed.turned("hips"), posed.anatomy.left), posed.up)
    sine, cosine = np.cross(left, now) @ posed.up, now @ left
    # Smoothed as vectors: a hip axis that is nearly vertical has no say.
    angle = np.unwrap(np.arctan2(smoothed(sine, _TURN), smoothed(cosine, _TURN)))
    return about(posed.up, angle)
