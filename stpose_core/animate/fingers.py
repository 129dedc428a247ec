"""Finger bones of a motion, from the hands ("hand21") of a pose: bones of constant length, bends within what a hand can do.

Each finger has a joint at the knuckle, which bends and spreads, and two hinges. Where nothing is known the hand is relaxed. A right
hand is solved as the left one that its mirror image is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.frames import continuous_quaternions, minimal_rotation, unit
from stpose_core.animate.smooth import cutoff, whittaker
from stpose_core.data import Array, Motion, Pose3D
from stpose_core.lift.shapes import HAND, MIRROR, STATURE, shape_turns
from stpose_core.skeletons import FINGERS

_UP = np.array([0.0, 1.0, 0.0])
_SIDES = (("Left", "l_hand"), ("Right", "r_hand"))
# Degrees: least and most of knuckle, spread and the two hinges of a finger; turn of the thumb's base, then its two hinges.
_LIMITS = ((-20.0, 90.0), (-20.0, 20.0), (0.0, 110.0), (0.0, 85.0))
_THUMB_BASE, _THUMB_LIMITS = 45.0, ((-10.0, 65.0), (-15.0, 85.0))
RELAXED = ((20.0, 0.0, 25.0, 15.0), (25.0, 0.0, 32.0, 18.0), (30.0, 0.0, 35.0, 20.0), (32.0, 0.0, 35.0, 20.0))
RELAXED_THUMB = (0.0, 0.0, 0.0, 10.0, 15.0)
_UNSEEN = 0.02  # weight of the relaxed hand where no other is seen
_QUICKER = 2.0  # cut-off of the bends against that of a limb at rest
_LEAST, _MOST = 0.7, 1.4  # of the usual length of a bone


@dataclass(frozen=True)
class HandShape:
    """The bones of a left hand at rest, metres. base: (5, 3) from the wrist to the first joint of each finger. lengths: (5, 3).
    along: (5, 3) unit directions of the fingers, which are straight; hinge: (5, 3) the axes about which they bend."""

    base: Array
    lengths: Array
    along: Array
    hinge: Array


def with_fingers(motion: Motion, pose: Pose3D, tall: float, smooth: float) -> Motion:
    """The motion with 15 finger bones in each hand, if the pose has a hand with fingers; else the motion itself.

    tall: stature in metres. The end of a hand gives way to the ends of its fingers.
    """
    parts = {side: pose.parts[name] for side, name in _SIDES if name in pose.parts and pose.parts[name].skeleton == "hand21"}
    if not parts:
        return motion
    local = {side: _in_the_palm(part, side == "Right") for side, part in parts.items()}
    hand = hand_shape([points[seen] for points, seen in local.values()], tall / STATURE)
    for side, _ in _SIDES:
        points, seen = local.get(side, (np.zeros((len(motion), 21, 3)), np.zeros(len(motion), bool)))
        motion = _added(motion, side, hand, finger_turns(_bends(hand, points, seen, smooth, motion.fps), hand))
    return motion


def _in_the_palm(part: Pose3D, right: bool) -> tuple[Array, Array]:
    """(T, 21, 3) joints in the axes of a left palm, and (T,) where they were seen."""
    seen = np.isfinite(part.xyz).all(axis=(1, 2)) & ~part.hidden.any(axis=1)
    points = np.where(seen[:, None, None], part.xyz, 0.0) @ shape_turns(part, right)
    return points * MIRROR if right else points, seen


def hand_shape(seen: list[Array], size: float) -> HandShape:
    """The hand of one person: medians over all frames of both hands, near what is usual. seen: (N, 21, 3) each, of a left hand in
    the axes of its palm. size: of the person against an adult of 1.70 m."""
    usual = size * HAND
    points = np.concatenate([*seen, np.empty((0, 21, 3))])
    points = points if len(points) else usual[None]
    bones = np.diff(points[:, 1:].reshape(-1, 5, 4, 3), axis=2)
    straight = np.diff(usual[1:].reshape(5, 4, 3), axis=1)
    measured, normal = np.median(np.linalg.norm(bones, axis=-1), axis=0), np.linalg.norm(straight, axis=-1)
    # The hand is as large as it usually is beside the body: networks tell its proportions, not its size.
    scale = normal.sum() / max(float(measured.sum()), 1e-6)
    lengths = np.clip(scale * measured, _LEAST * normal, _MOST * normal)
    base, common = scale * np.median(points[:, 1::4] - points[:, :1], axis=0), usual[1::4]
    length, normal = np.linalg.norm(base, axis=1, keepdims=True), np.linalg.norm(common, axis=1, keepdims=True)
    base = base / length * np.clip(length, _LEAST * normal, _MOST * normal)
    along = unit(HAND[4::4] - HAND[1::4])
    along[1:] = unit(along[1:] * np.array([1.0, 0.0, 1.0]))
    hinge = np.cross(along, -_UP)
    hinge[0] = unit(np.cross(along[0], HAND[17] - HAND[2]))
    return HandShape(base, lengths, along, unit(hinge))


def _bends(hand: HandShape, points: Array, seen: Array, smooth: float, fps: float) -> Array:
    """(T, 21) radians: turn of the thumb's base (3), its two hinges, then knuckle, spread and two hinges of each finger."""
    relaxed = np.radians(np.concatenate([RELAXED_THUMB, *RELAXED]))
    values = np.tile(relaxed, (len(points), 1))
    if seen.any():
        values[seen] = _read(hand, points[seen])
    weights = np.where(seen, 1.0, _UNSEEN)
    if smooth > 0 and len(values) > 2:
        values = whittaker(values, weights, _QUICKER * cutoff(smooth), fps, order=2)
    return _clipped(values)


def _read(hand: HandShape, points: Array) -> Array:
    """The bends (N, 21) of hands (N, 21, 3)."""
    bones = unit(np.diff(points[:, 1:].reshape(-1, 5, 4, 3), axis=2))
    base = Rotation.from_matrix(minimal_rotation(hand.along[0], bones[:, 0, 0]))
    columns = [*base.as_rotvec().T, *_hinges(bones[:, 0], base, hand.hinge[0])]
    for finger in range(1, 5):
        along, hinge = hand.along[finger], hand.hinge[finger]
        first = bones[:, finger, 0]
        aside, ahead, down = first @ -hinge, first @ along, first @ -_UP
        # A finger bent to a right angle says nothing about how far it is spread.
        spread = np.arctan2(aside, np.maximum(np.abs(ahead), 0.3))
        spread = np.clip(spread, *np.radians(_LIMITS[1]))
        knuckle = np.arctan2(down, ahead * np.cos(spread) + aside * np.sin(spread))
        turned = _spread(spread) * Rotation.from_rotvec(knuckle[:, None] * hinge)
        columns += [knuckle, spread, *_hinges(bones[:, finger], turned, hinge)]
    return _clipped(np.stack(columns, axis=1))


def _hinges(bones: Array, first: Rotation, axis: Array) -> list[Array]:
    """The bends (N,) of the two hinges of a finger with bones (N, 3, 3), about the axis (3,) that the first bone carries."""
    about = first.apply(axis)
    found = []
    for one, two in ((bones[:, 0], bones[:, 1]), (bones[:, 1], bones[:, 2])):
        cross = np.cross(one, two)
        size = np.arctan2(np.linalg.norm(cross, axis=1), (one * two).sum(-1))
        # What is bent by more than a little is bent the one way that there is.
        found.append(np.where(((cross * about).sum(-1) < 0) & (size < np.radians(35.0)), -size, size))
    return found


def _clipped(values: Array) -> Array:
    values = values.copy()
    length = np.linalg.norm(values[:, :3], axis=1, keepdims=True)
    values[:, :3] *= np.minimum(1.0, np.radians(_THUMB_BASE) / np.maximum(length, 1e-9))
    limits = np.radians([*_THUMB_LIMITS, *(_LIMITS * 4)])
    values[:, 3:] = np.clip(values[:, 3:], limits[:, 0], limits[:, 1])
    return values


def _spread(angle: Array) -> Rotation:
    return Rotation.from_rotvec(-angle[:, None] * _UP)


def finger_joints(values: Array, hand: HandShape) -> Array:
    """(N, 21, 3) joints of a left hand in the axes of its palm, from bends (N, 21)."""
    turns, joints = finger_turns(values, hand), np.zeros((len(values), 21, 3))
    for finger in range(5):
        place, turn = np.repeat(hand.base[finger][None], len(values), 0), np.eye(3)
        for number in range(4):
            joints[:, 1 + 4 * finger + number] = place
            if number < 3:
                turn = turn @ turns[:, finger, number]
                place = place + turn @ (hand.lengths[finger, number] * hand.along[finger])
    return joints


def finger_turns(values: Array, hand: HandShape) -> Array:
    """(T, 5, 3, 3, 3) rotations of each finger's bones, relative to what carries them, from bends (T, 21)."""
    turns = np.empty((len(values), 5, 3, 3, 3))
    about = lambda finger, angle: Rotation.from_rotvec(angle[:, None] * hand.hinge[finger]).as_matrix()  # noqa: E731
    turns[:, 0, 0] = Rotation.from_rotvec(values[:, :3]).as_matrix()
    turns[:, 0, 1], turns[:, 0, 2] = about(0, values[:, 3]), about(0, values[:, 4])
    for finger in range(1, 5):
        knuckle, spread, second, third = values[:, 1 + 4 * finger : 5 + 4 * finger].T
        turns[:, finger, 0] = _spread(spread).as_matrix() @ about(finger, knuckle)
        turns[:, finger, 1], turns[:, finger, 2] = about(finger, second), about(finger, third)
    return turns


def _added(motion: Motion, side: str, hand: HandShape, turns: Array) -> Motion:
    """The motion with the fingers of one hand after its other joints."""
    kept = [index for index, name in enumerate(motion.names) if name != f"{side}HandEnd"]
    names = [motion.names[index] for index in kept]
    parents = [kept.index(motion.parents[index]) if motion.parents[index] >= 0 else -1 for index in kept]
    offsets, rotations = [motion.offsets[kept]], [motion.rotations[:, kept]]
    mirror = np.array([-1.0, 1.0, 1.0] if side == "Right" else [1.0, 1.0, 1.0])
    for finger, title in enumerate(FINGERS):
        above = names.index(f"{side}Hand")
        vectors = [hand.base[finger], *(hand.lengths[finger][:, None] * hand.along[finger])]
        for number, vector in enumerate(vectors):
            parents.append(above)
            above = len(names)
            names.append(f"{side}Hand{title.title()}{min(number + 1, 3)}{'End' if number == 3 else ''}")
            offsets.append((vector * mirror)[None])
            own = turns[:, finger, number] * mirror[:, None] * mirror if number < 3 else np.tile(np.eye(3), (len(motion), 1, 1))
            rotations.append(continuous_quaternions(own)[:, None])
    return replace(
        motion,
        names=tuple(names),
        parents=np.array(parents),
        offsets=np.concatenate(offsets),
        rotations=np.concatenate(rotations, axis=1),
    )
