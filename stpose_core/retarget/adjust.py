"""Offsets on a finished motion: the spine bent and turned, shoulders and arms raised; legs and path stay.

Every angle is about the character's own axes, carried by what the part hangs on: the spine's by the hips, those of shoulders and
arms by the chest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from .rotation import IDENTITY, Array, about, multiply, rotate
from .slots import SIDES, SLOTS, SPINE, chain, parent_slot
from .solver import Posed


@dataclass(frozen=True)
class Adjust:
    """Degrees. spine_bend: forward. spine_side, spine_turn: to the character's left. shoulders: up. arms_out: away from the body.
    arms_forward: to the front."""

    spine_bend: float = 0.0
    spine_side: float = 0.0
    spine_turn: float = 0.0
    shoulders: float = 0.0
    arms_out: float = 0.0
    arms_forward: float = 0.0

    @property
    def nothing(self) -> bool:
        """Whether every offset is 0."""
        return not any(getattr(self, entry.name) for entry in fields(self))


def adjusted(posed: Posed, by: Adjust) -> Posed:
    """The motion with the offsets; all that hangs on an adjusted part moves with it."""
    anatomy = posed.anatomy
    own = _own_turns(posed, by)
    total: dict[str, Array] = {}
    rotations = {}
    for slot in chain(SLOTS, posed.rotations):  # each after what it hangs on
        total[slot] = multiply(_above(slot, posed, total), own.get(slot, IDENTITY))
        rotations[slot] = multiply(total[slot], posed.rotations[slot])
    return replace(posed, anatomy=anatomy, rotations=rotations).placed()


def _above(slot: str, posed: Posed, total: dict[str, Array]) -> Array:
    parent = parent_slot(slot, posed.rotations)
    return IDENTITY if parent is None else total[parent]


def _own_turns(posed: Posed, by: Adjust) -> dict[str, Array]:
    """For each adjusted slot (T, 4) its turn in the world, before those of what it hangs on."""
    anatomy = posed.anatomy
    spine = chain(SPINE, posed.rotations)
    found = {}
    if spine:
        left, up, forward = _axes(posed, "hips")
        whole = [(left, by.spine_bend), (forward, -by.spine_side), (up, by.spine_turn)]
        share = IDENTITY
        for axis, degrees in whole:
            share = multiply(about(axis, np.radians(degrees / len(spine)) * np.ones(len(posed))), share)
        found.update(dict.fromkeys(spine, share))
    chest = spine[-1] if spine else "hips"
    left, _, forward = _axes(posed, chest)
    for side, sign in zip(SIDES, (1.0, -1.0)):
        raised = "shoulder" + side
        if raised in anatomy.bones:
            found[raised] = about(forward, np.full(len(posed), sign * np.radians(by.shoulders)))
        out = about(forward, np.full(len(posed), sign * np.radians(by.arms_out)))
        found["upper_arm" + side] = multiply(about(left, np.full(len(posed), -np.radians(by.arms_forward))), out)
    return found


def _axes(posed: Posed, slot: str) -> tuple[Array, Array, Array]:
    """(T, 3) each: the character's left, up and forward as a part of it carries them."""
    turned = posed.turned(slot)
    return tuple(rotate(turned, axis) for axis in (posed.anatomy.left, posed.anatomy.up, posed.anatomy.forward))  # type: ignore[return-value]
