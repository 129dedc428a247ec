"""Arms and legs: the twist of a limb from the plane in which its elbow or knee bends.

A limb that is straight has no such plane. So the twist is solved over the whole clip at once: what is seen counts by the
square of the sine of the bend, the anatomical habit of the joint counts a little everywhere, and twists that follow one
another should be alike. Twists are compared by parallel transport along the way of the bone: the frame they are written in
has a seam (bone opposite to its rest direction), the comparison has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpose_core.animate.frames import about, minimal_rotation, ramp, turn, turn_back, unit
from stpose_core.animate.smooth import whittaker
from stpose_core.data import Array

_HABIT = 0.02  # weight of the habit against a plane seen at a right angle
_RIGHT_WAY, _WRONG_WAY = np.radians(90.0), np.radians(160.0)  # off the habit: up to which a plane counts fully, and not at all
_TWIST_HERTZ = 6.0  # cut-off of the twist where the plane is seen best


@dataclass(frozen=True)
class Hinge:
    """A limb of two bones. rest: unit direction of both at rest; axis: about which it bends, at rest.

    habit: rad of twist, away from the smallest turn that brings the first bone to its direction, for each 1 + y of that
    direction in the parent's frame (0 hanging, 2 straight up): fitted to marker mocap, both sides alike.
    straight: rad that the joint goes past straight.
    """

    rest: Array
    axis: Array
    habit: float
    straight: float


LEFT_ARM = Hinge(np.array([1.0, 0, 0]), np.array([0, -1.0, 0]), np.radians(-50.0), np.radians(5.0))
RIGHT_ARM = Hinge(np.array([-1.0, 0, 0]), np.array([0, 1.0, 0]), np.radians(50.0), np.radians(5.0))
LEFT_LEG = Hinge(np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), np.radians(-18.0), np.radians(3.0))
RIGHT_LEG = Hinge(np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), np.radians(18.0), np.radians(3.0))


def limb_frames(parent: Array, first: Array, second: Array, hinge: Hinge, fps: float) -> tuple[Array, Array]:
    """World frames (T, 3, 3) of both bones of a limb: their rotation from the rest pose.

    parent: (T, 3, 3) frame that the limb hangs on. first, second: (T, 3) unit directions of the bones.
    The second bone leaves its direction only where it would bend the wrong way.
    """
    local = turn_back(parent, first)
    swing = minimal_rotation(hinge.rest, local)
    axis, side = turn(swing, hinge.axis), np.cross(local, turn(swing, hinge.axis))
    plane = np.cross(local, turn_back(parent, second))  # its length is the sine of the bend
    seen = (plane * axis).sum(-1) + 1j * (plane * side).sum(-1)
    twist = _twist(seen, hinge.habit * (1 + local[:, 1]), local, axis, side, fps)
    upper = parent @ swing @ about(hinge.rest, np.angle(twist))

    # The second bone: a pure bend about the axis, and then the small turn off that plane which is left.
    axis = turn(upper, hinge.axis)
    ahead = np.cross(axis, first)
    bend = np.arctan2((second * ahead).sum(-1), (second * first).sum(-1))
    over = np.maximum(-hinge.straight - bend, 0.0)
    # A bend of more than half a turn is a full bend forward, not one backward.
    over = np.where(bend < -np.pi / 2 - hinge.straight, np.maximum(np.pi + 2 * hinge.straight - over, 0.0), over)
    second = turn(about(axis, over), second)
    bent = upper @ about(hinge.axis, bend + over)
    return upper, minimal_rotation(turn(bent, hinge.rest), unit(second)) @ bent


def _twist(seen: Array, habit: Array, local: Array, axis: Array, side: Array, fps: float) -> Array:
    """(T,) unit complex numbers: the twist away from the smallest turn to the bone's direction."""
    # How far the untwisted axis turns from frame to frame, carried along the bone without twist.
    carried = turn(minimal_rotation(local[:-1], local[1:]), axis[:-1])
    step = np.arctan2((carried * side[1:]).sum(-1), (carried * axis[1:]).sum(-1))
    transport = np.exp(1j * np.concatenate([[0.0], np.cumsum(step)]))
    size = np.abs(seen)
    toward = seen / np.maximum(size, 1e-9)
    # A plane the wrong way round is one past straight, or noise, and says nothing about the twist.
    off = np.abs(np.angle(toward * np.exp(-1j * habit)))
    weight = size**2 * ramp(off, _WRONG_WAY, _RIGHT_WAY)
    total = weight + _HABIT
    # A limb that is quite straight is left untwisted, as in the rest pose.
    usual = np.exp(1j * habit * np.minimum(size / 0.5, 1.0))
    target = (weight * toward + _HABIT * usual) / total
    smooth = whittaker((target / transport)[:, None], total, _TWIST_HERTZ, fps, order=2)[:, 0] * transport
    return np.asarray(smooth / np.maximum(np.abs(smooth), 1e-9))
