"""From the world to each bone's own axes: what an animator finds in the channels of a bone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rotation import Array, angle_between, continuous, inverse, multiply
from .skeleton import Skeleton
from .solver import Posed

# Controls that keep within this many rad of what they should follow count as fixed to it.
_RIGID = np.radians(0.05)


@dataclass(frozen=True)
class Attachment:
    """What a bone's channels are relative to.

    parent: the slot whose bone carries it, None for nothing that moves. offset: (4,) the axes of its channels at rest, seen from
    that bone's axes (from the world where parent is None).
    """

    parent: str | None
    offset: Array


def attachments(skeleton: Skeleton, mapped: dict[str, str]) -> dict[str, Attachment]:
    """From the bones' parents: right for each rig without constraints between its mapped bones."""
    slot_of = {skeleton.index(name): slot for slot, name in mapped.items()}
    found = {}
    for bone, slot in slot_of.items():
        offset, below = np.array([1.0, 0.0, 0.0, 0.0]), bone
        for ancestor in skeleton.ancestors(bone):
            step = multiply(inverse(skeleton.rest[ancestor]), skeleton.rest[below])
            offset = multiply(step, offset)
            if ancestor in slot_of:
                found[slot] = Attachment(slot_of[ancestor], offset)
                break
            if skeleton.posed is not None:
                offset = multiply(skeleton.posed[ancestor], offset)
            below = ancestor
        else:
            found[slot] = Attachment(None, multiply(skeleton.rest[below], offset))
    return found


def measured(bones: dict[str, Array], bases: dict[str, Array], order: list[str]) -> dict[str, Attachment | None]:
    """From poses in which every control was turned at random: what each really hangs on, through whatever constraints.

    bones: for each slot (P, 4) its axes in the world in P poses. bases: (P, 4) what its channels were.
    order: slots, from which a control may only follow earlier ones. None for a control that follows none of them rigidly.
    """
    found: dict[str, Attachment | None] = {}
    for number, slot in enumerate(order):
        channels = multiply(bones[slot], inverse(bases[slot]))
        best, least = None, _RIGID
        # Later slots first: the nearest of several that move alike.
        for parent in (*reversed(order[:number]), None):
            seen = channels if parent is None else multiply(inverse(bones[parent]), channels)
            error = float(angle_between(seen[0], seen).max())
            if error < least:
                best, least = Attachment(parent, seen[0]), error
        found[slot] = best
    return found


def local_rotations(posed: Posed, attached: dict[str, Attachment]) -> dict[str, Array]:
    """For each attached slot (T, 4) the rotation of its bone in its own channels, without jumps of sign."""
    found = {}
    for slot, rotation in posed.rotations.items():
        if slot not in attached:
            continue
        hold = attached[slot]
        # A bone whose carrier is not animated here stays with the carrier's rest.
        carrier = hold.offset if hold.parent is None else multiply(_carrier(posed, hold.parent), hold.offset)
        found[slot] = continuous(multiply(inverse(carrier), rotation))
    return found


def _carrier(posed: Posed, slot: str) -> Array:
    """(T, 4) or (4,): a slot that has no rotation, such as a root bone that is only moved, keeps its rest."""
    if slot in posed.rotations:
        return posed.rotations[slot]
    return posed.anatomy.skeleton.rest[posed.anatomy.bones[slot]]
