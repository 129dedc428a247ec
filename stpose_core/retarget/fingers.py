"""Hands and fingers: their frames at rest, and a relaxed hand for a source that has no fingers.

The palm is the plane of the knuckles. x of a hand's frame is the normal that points out of the palm on the left side, and its
opposite on the right, as for elbows (`anatomy`). A finger's x is the axis about which it bends into the palm.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from .anatomy import Anatomy
from .rotation import Array, about, across, from_frame, inverse, multiply, rotate, smallest, to_matrix, unit
from .slots import FINGER_SLOTS, FINGERS, PHALANGES, SIDES

# Degrees by which the bones of a relaxed finger are bent, each against the one before. The thumb's first bone keeps its rest pose.
RELAXED = {
    "thumb": (0.0, 10.0, 15.0),
    "index": (20.0, 25.0, 15.0),
    "middle": (25.0, 32.0, 18.0),
    "ring": (30.0, 35.0, 20.0),
    "pinky": (32.0, 35.0, 20.0),
}
_ALONG = np.cos(np.radians(50.0))  # a tail further from the bone before it says nothing about where the finger points
# A thumb at rest and the axis it bends about, along the hand, out of the palm, and towards the index finger.
_THUMB, _THUMB_AXIS = unit(np.array([0.7, 0.4, 0.55])), unit(np.array([0.5, -0.86, 0.0]))


def knuckles(anatomy: Anatomy, side: str) -> list[str]:
    """The slots of the first bones of the mapped fingers of a hand, from the index finger on."""
    return [slot for finger in FINGERS[1:] if (slot := f"{finger}1{side}") in anatomy.bones]


def palms(first: Anatomy, second: Anatomy) -> list[str]:
    """The sides on which the knuckles of both bodies show how the palm lies."""
    return [side for side in SIDES if all("hand" + side in one.bones and len(knuckles(one, side)) > 1 for one in (first, second))]


def add_hands(anatomy: Anatomy, frames: dict[str, Array], shown: Collection[str]) -> dict[str, Array]:
    """The rest frames (4,) with those of the fingers. shown: the sides whose hands get the frame of their palm (`palms`)."""
    found = {slot: frame for slot, frame in frames.items() if slot not in FINGER_SLOTS}
    for side in SIDES:
        hand = "hand" + side
        if hand not in found:
            continue
        palm = _palm(anatomy, side, found[hand])
        if side in shown:
            found[hand] = palm
        for finger in FINGERS:
            found.update(_finger(anatomy, finger, side, palm))
    return found


def _palm(anatomy: Anatomy, side: str, frame: Array) -> Array:
    """(4,) the frame of a palm at rest: by its knuckles, or `frame`, that of the hand, where fewer than two are mapped."""
    ends = knuckles(anatomy, side)
    along = anatomy.direction("hand" + side)
    if len(ends) < 2:
        return frame
    beside = across(anatomy.head_of(ends[0]) - anatomy.head_of(ends[-1]), along)
    if np.linalg.norm(beside) < 1e-3 * anatomy.leg_length():  # knuckles one behind the other
        return frame
    return from_frame(along, np.cross(along, beside))


def _axes(palm: Array, side: str) -> tuple[Array, Array, Array]:
    """(3,) each: along the hand, out of the palm, and towards the index finger."""
    x, y, _ = to_matrix(palm).T
    return y, x if side == ".L" else -x, np.cross(x, y)


def _finger(anatomy: Anatomy, finger: str, side: str, palm: Array) -> dict[str, Array]:
    found = {}
    along, out, ahead = _axes(palm, side)
    sign = 1.0 if side == ".L" else -1.0
    for number in PHALANGES:
        slot = f"{finger}{number}{side}"
        if slot not in anatomy.bones:
            continue
        direction = _direction(anatomy, finger, number, side, along)
        axis = -sign * ahead
        if finger == "thumb":
            start, hinge = (part @ np.stack([along, out, ahead]) for part in (_THUMB, _THUMB_AXIS))
            axis = sign * rotate(smallest(start, direction), hinge)
        found[slot] = from_frame(direction, axis)
    return found


def _direction(anatomy: Anatomy, finger: str, number: int, side: str, along: Array) -> Array:
    """(3,) where a bone of a finger points at rest. along: the hand's direction, where nothing else says it."""
    skeleton, bone = anatomy.skeleton, anatomy.bones[f"{finger}{number}{side}"]
    head = skeleton.heads[bone]
    mapped = [anatomy.head_of(slot) for n in PHALANGES[number:] if (slot := f"{finger}{n}{side}") in anatomy.bones]
    ends = mapped or [skeleton.heads[child] for child in skeleton.children(bone)]
    far = [end for end in ends if np.linalg.norm(end - head) > 1e-3 * anatomy.leg_length()]
    if far and (mapped or len(far) == 1):
        return unit(far[0] - head)
    before = [anatomy.head_of(slot) for n in PHALANGES[: number - 1] if (slot := f"{finger}{n}{side}") in anatomy.bones]
    usual = unit(head - before[-1]) if before else along
    own = unit(skeleton.tails[bone] - head)
    return own if own @ usual > _ALONG else usual


def relaxed(anatomy: Anatomy, rest: dict[str, Array], hands: dict[str, Array], moved: Collection[str]) -> dict[str, Array]:
    """For each mapped bone of a finger that is not `moved`, (T, 4) its axes in a relaxed, half-open hand.

    rest: the frames of `add_hands`. hands: for each slot of a hand (T, 4) how far it is turned from its rest, in the world.
    """
    found = {}
    for side in SIDES:
        if "hand" + side not in hands:
            continue
        palm = _palm(anatomy, side, rest["hand" + side])
        _, out, _ = _axes(palm, side)
        for finger in FINGERS:
            slots = [slot for n in PHALANGES if (slot := f"{finger}{n}{side}") in anatomy.bones]
            if not slots or set(slots) & set(moved):
                continue
            first, bend = rest[slots[0]], 0.0
            if finger != "thumb":
                x, y, _ = to_matrix(first).T
                first = from_frame(across(y, out), x)
            for slot in slots:
                bend += np.radians(RELAXED[finger][int(slot[len(finger)]) - 1])
                frame = multiply(about(to_matrix(first)[:, 0], bend), first)
                own = multiply(inverse(rest[slot]), anatomy.skeleton.rest[anatomy.bones[slot]])
                found[slot] = multiply(hands["hand" + side], multiply(frame, own))
    return found
