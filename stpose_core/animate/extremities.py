"""How head, hands and feet are turned, from the parts of a pose: each as a turn against the part of the body that carries it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import INDEX, Rest
from stpose_core.animate.frames import frame, minimal_rotation, turn, turn_back, unit
from stpose_core.animate.rotations import Body, share
from stpose_core.animate.smooth import smooth_bones
from stpose_core.data import Array, Pose3D
from stpose_core.lift.shapes import shape_of, shape_turns

# Largest turns in degrees about the axes at rest (x left, y up, z forward): of the head against the chest, of the hand against the
# forearm, of the foot against the shin.
HEAD, HAND, FOOT = (60.0, 80.0, 40.0), (130.0, 45.0, 80.0), (40.0, 35.0, 25.0)
_BEND = np.radians(58.0)  # of the head against the neck, as lines
_FREE = 0.8  # of a limit, up to which a turn stays as it is
_SURE = 0.2  # rad: standard deviation of a turn of weight 1
_UNSEEN = 0.02  # weight of the body's own guess where nothing was seen


def turned(part: Pose3D, world: Array, right: bool = False) -> tuple[Array, Array]:
    """(T, 3, 3) how a part is turned in the world, and (T,) weights, 0 where it was not seen.

    world: (T, 3, 3) from the camera axes of each frame to those of the world. right: whether it is a part of the right side.
    """
    shape, used = shape_of(part.skeleton, right)
    posed = np.isfinite(part.xyz[:, used]).all(axis=(1, 2))
    sigma = np.where(posed[:, None], part.sigma[:, used], 1.0)[:, 1:] / np.linalg.norm(shape - shape[0], axis=1)[1:]
    known = np.minimum((_SURE / np.maximum(np.median(sigma, axis=1), 0.05)) ** 2, 4.0)
    return world @ shape_turns(part, right), np.where(posed, known, 0.0)


def turn_head_and_hands(body: Body, rest: Rest, pose: Pose3D, crown: Array, world: Array, smooth: float) -> None:
    """In place: neck, head and hands of a body as the parts of a pose show them. crown: (T, 3) from the head to its top, metres,
    world axes. world: (T, 3, 3) from camera axes to those of the world."""
    chest, line, head = body["UpperChest"], turn(body["Neck"], unit(rest.neck)), body["Head"]
    top = unit(body.offsets[INDEX["HeadEnd"]])
    if "face" in pose.parts:
        turns, weights = turned(pose.parts["face"], world)
        head = head @ relative(head, turns, weights, smooth, pose.fps)
        head = chest @ limited(np.swapaxes(chest, 1, 2) @ head, HEAD)
        top = crown_direction(head, crown, weights, top)
        body.offsets[INDEX["HeadEnd"]] = np.linalg.norm(body.offsets[INDEX["HeadEnd"]]) * top
        # The neck points where it was seen, and takes half of the turn to the side.
        half = share(chest, head, 0.5)
        body.put("Neck", minimal_rotation(turn(half, unit(rest.neck)), line) @ half)
    head = bent_within(head, top, line)
    for name in ("Head", "HeadEnd"):
        body.put(name, head)
    for side, name in (("Left", "l_hand"), ("Right", "r_hand")):
        if name in pose.parts:
            turns, weights = turned(pose.parts[name], world, side == "Right")
            forearm = body[side + "ForeArm"]
            hand = forearm @ limited(relative(forearm, turns, weights, smooth, pose.fps), HAND)
            for joint in ("Hand", "HandEnd"):
                body.put(side + joint, hand)


def foot_turns(body: Body, pose: Pose3D, world: Array, smooth: float) -> dict[str, Array]:
    """(T, 3, 3) how each foot that was seen is turned in the world, by side, within what an ankle allows."""
    found = {}
    for side, name in (("Left", "l_foot"), ("Right", "r_foot")):
        if name in pose.parts:
            turns, weights = turned(pose.parts[name], world, side == "Right")
            shin = body[side + "Leg"]
            found[side] = shin @ limited(relative(shin, turns, weights, smooth, pose.fps), FOOT)
    return found


def relative(base: Array, turns: Array, weights: Array, smooth: float, fps: float) -> Array:
    """(T, 3, 3) turns against a base (T, 3, 3), smoothed; where nothing was seen, they fade to none."""
    against = np.where((weights > 0)[:, None, None], np.swapaxes(base, 1, 2) @ turns, np.eye(3))
    axes = smooth_bones(np.swapaxes(against, 1, 2)[:, :2], np.repeat(np.maximum(weights, _UNSEEN)[:, None], 2, 1), smooth, fps)
    return frame(axes[:, 0], axes[:, 1], keep="x")


def limited(turns: Array, limits: tuple[float, float, float]) -> Array:
    """Turns (T, 3, 3) whose parts about x, y and z stay within limits in degrees, approached softly."""
    parts, most = Rotation.from_matrix(turns).as_rotvec(), np.radians(limits)
    over = np.maximum(np.abs(parts) - _FREE * most, 0.0)
    room = (1 - _FREE) * most
    parts = np.sign(parts) * (np.minimum(np.abs(parts), _FREE * most) + room * np.tanh(over / room))
    return np.asarray(Rotation.from_rotvec(parts).as_matrix())


def bent_within(head: Array, crown: Array, neck: Array) -> Array:
    """`head` (T, 3, 3), tipped back where the line to its crown (3,) makes a kink with that of the neck (T, 3)."""
    line = turn(head, unit(crown))
    angle = np.arccos(np.clip((line * neck).sum(-1), -1.0, 1.0))
    over = np.maximum(angle - _FREE * _BEND, 0.0)
    most = np.minimum(angle, _FREE * _BEND) + (1 - _FREE) * _BEND * np.tanh(over / ((1 - _FREE) * _BEND))
    part = (most / np.maximum(angle, 1e-9))[:, None]
    back = Rotation.from_matrix(minimal_rotation(neck, line))
    wanted = Rotation.from_rotvec(back.as_rotvec() * part).apply(neck)
    return np.asarray(minimal_rotation(line, wanted) @ head)


def crown_direction(head: Array, bones: Array, weights: Array, usual: Array) -> Array:
    """(3,) where the crown is in the head's own axes: the median over the frames in which the head was seen, in the middle."""
    seen = weights > 0
    if not seen.any():
        return usual
    local = np.median(turn_back(head[seen], unit(bones[seen])), axis=0) * np.array([0.0, 1.0, 1.0])
    return unit(local) if local[1] > 0.5 else usual
