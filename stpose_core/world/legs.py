"""Feet in contact are held in place; the legs follow by inverse kinematics that keeps bone lengths and the planes of the knees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.spatial.transform import Rotation

from stpose_core.animate import hinge
from stpose_core.animate.body import INDEX
from stpose_core.animate.feet import foot_frames
from stpose_core.animate.frames import about, across, minimal_rotation, ramp, turn, unit
from stpose_core.animate.rotations import Body
from stpose_core.animate.smooth import whittaker
from stpose_core.data import Array
from stpose_core.world.contacts import decided
from stpose_core.world.solve import Stiffness, settle

_SIDES = (("Left", hinge.LEFT_LEG), ("Right", hinge.RIGHT_LEG))
_FREE = 0.03  # m, standard deviation of the displacement of a foot in the air
_FIRM = Stiffness(speed=0.003, height=0.03, acceleration=6.0, slip=1.0)
_MOST = np.radians(14.0)  # by which the bend of a knee is changed
_ABOUT_STRAIGHT = np.radians(15.0)
_FARTHEST = 0.12  # m, largest displacement of a foot: a contact that asks for more is wrong
_PASSES = 2  # rounds of carrying the pelvis and holding the feet
_UPRIGHT = (0.55, 0.75)  # height of a hip above its ankle, as a share of their distance, from which on the pelvis gives way
_RISE = 0.02  # m that the pelvis rises or falls in one round at most: a leg that asks for more is not upright, or does not stand
_DOUBT = 0.3  # contacts (squared) that are as much as none
# Roll of the pelvis, at most in one round, and its cut-off; contacts of both feet, for so many seconds before and after, from
# which on it rolls: in walking, it would take up what the contacts are early or late.
_ROLL, _ROLL_HERTZ, _BOTH, _STANDS = np.radians(6.0), 1.0, (0.3, 0.6), 0.4
_SHORTEST = 0.3  # s: a shorter clip does not show which foot stands
# Thresholds of contacts that hold a foot: lower than those of contacts that a motion shows, because a foot that is not held slides
# by 3 cm a frame, while one that is held in error is hardly moved (`Stiffness.slip`).
_LOCKED = (0.3, 0.15)
_GRIP_HERTZ = 4.0  # cut-off of how far a leg may straighten to its contacts
_ROOT_HERTZ = 2.0  # cut-off of what the root moves for legs that do not reach the ground


def plant(
    body: Body,
    root: Array,
    contacts: Array,
    ankle: float,
    fps: float,
    firm: bool = True,
    toes: Mapping[str, Array] = MappingProxyType({}),
) -> Array:
    """Sets the frames of the feet and, if `firm`, moves the legs so that feet in contact stay in place on the floor.

    body: its legs and feet are changed. root: (T, 3) metres. contacts: (T, 4) left heel, left toe, right heel, right toe.
    ankle: metres of the ankle above the floor in standing. toes: (T, 3, 3) orientation of the feet by side,
    where it was detected. Returns the root, moved to where the legs reach the ground.
    """
    on = np.where(decided(contacts, *_LOCKED), contacts, 0.0)
    feet = [
        _leg(side, limb, _joints(body, root, side), on[:, 2 * number : 2 * number + 2], toes.get(side))
        for number, (side, limb) in enumerate(_SIDES)
    ]
    for _ in range(_PASSES if firm and len(root) >= _SHORTEST * fps else 0):
        root = _carry(body, feet, root, ankle, fps)
        missing, weight = np.zeros_like(root), np.full((len(root), 1), 1e-3)
        for foot in feet:
            held = foot.contacts.max(axis=1, keepdims=True)
            missing += held * foot.hold(body, root, ankle, fps)
            weight += held
        root = root + whittaker(missing / weight, np.ones(len(root)), _ROOT_HERTZ, fps, order=2)
    for foot in feet:
        foot.stand(body, root, ankle, fps)
    return root


def _carry(body: Body, feet: Sequence[_Leg], root: Array, ankle: float, fps: float) -> Array:
    """Raises, lowers and rolls the pelvis, so that legs that stand keep the bends of their knees. Returns the root (T, 3)."""
    held = np.stack([foot.contacts.max(axis=1) for foot in feet], axis=1)
    rise = np.stack([foot.rise(body, root, ankle, fps) for foot in feet], axis=1)
    width = float(np.linalg.norm(body.offsets[INDEX["LeftUpLeg"]] - body.offsets[INDEX["RightUpLeg"]]))
    both = ramp(minimum_filter1d(held.min(axis=1), 2 * round(_STANDS * fps) + 1, mode="nearest"), *_BOTH)
    roll = both * _ROLL * np.tanh((rise[:, 0] - rise[:, 1]) / width / _ROLL)
    mean = (held**2 * rise).sum(axis=1) / ((held**2).sum(axis=1) + _DOUBT)
    up, roll = (
        whittaker(values[:, None], np.ones(len(root)), hertz, fps, order=2)[:, 0]
        for values, hertz in ((mean, _ROOT_HERTZ), (roll, _ROLL_HERTZ))
    )
    body.put("Hips", about(body["Hips"][..., 2], roll) @ body["Hips"])
    return np.asarray(root + up[:, None] * np.array([0.0, 1.0, 0.0]))


@dataclass(frozen=True)
class _Leg:
    """One leg. bend: (T,) radians of its knee before anything is moved. contacts: (T, 2) of its heel and toe. toes: (T, 3, 3) how
    the foot is turned in the picture, None where nothing shows it."""

    side: str
    limb: hinge.Hinge
    bend: Array
    contacts: Array
    toes: Array | None

    def stand(self, body: Body, root: Array, ankle: float, fps: float) -> None:
        """Sets the frames of the foot."""
        foot = self._foot(body, _joints(body, root, self.side)[2], ankle, fps)
        for name in ("Foot", "ToeBase", "ToeEnd"):
            body.put(self.side + name, foot)

    def hold(self, body: Body, root: Array, ankle: float, fps: float) -> Array:
        """Moves the leg towards its contacts. Returns (T, 3) metres by which the ankle misses its goal."""
        hip, knee, end = _joints(body, root, self.side)
        goal = self._goal(body, end, ankle, fps)
        # The goal of a swinging foot lies on the way between two stances, mostly below it: it is no reason to straighten the leg.
        grip = whittaker(self.contacts.max(axis=1, keepdims=True), np.ones(len(end)), _GRIP_HERTZ, fps, order=2)[:, 0]
        straighter = _MOST * np.clip(grip, 0.0, 1.0)
        knee, end = reach(hip, knee, end, goal, body[self.side + "UpLeg"][..., 2], self.bend, straighter)
        upper, lower = hinge.limb_frames(body["Hips"], unit(knee - hip), unit(end - knee), self.limb, fps)
        body.put(self.side + "UpLeg", upper)
        body.put(self.side + "Leg", lower)
        return goal - end

    def rise(self, body: Body, root: Array, ankle: float, fps: float) -> Array:
        """(T,) metres by which the hip is to rise for a leg that keeps the bend of its knee and reaches its contacts."""
        hip, _, end = _joints(body, root, self.side)
        wanted = hip - self._goal(body, end, ankle, fps)
        upper, lower = (float(np.linalg.norm(body.offsets[INDEX[self.side + joint]])) for joint in ("Leg", "Foot"))
        length = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(self.bend))
        height = np.sqrt(np.maximum(length**2 - (wanted[:, [0, 2]] ** 2).sum(axis=1), 0.0))
        return np.asarray(ramp(wanted[:, 1] / length, *_UPRIGHT) * _RISE * np.tanh((height - wanted[:, 1]) / _RISE))

    def _goal(self, body: Body, end: Array, ankle: float, fps: float) -> Array:
        """(T, 3) where the ankle, now at `end` (T, 3), is to be for contacts that stay in place on the floor."""
        ball = body.offsets[INDEX[self.side + "ToeBase"]]
        parts = np.stack([end, end + turn(self._foot(body, end, ankle, fps), ball)], axis=1)
        known = np.tile(np.eye(3) / _FREE**2, (len(end), 1, 1))
        shift = settle(parts, self.contacts, np.array([ankle, ankle + ball[1]]), known, _FIRM, fps)
        far = np.linalg.norm(shift, axis=1, keepdims=True)
        return np.asarray(end + shift * _FARTHEST * np.tanh(far / _FARTHEST) / np.maximum(far, 1e-9))

    def _foot(self, body: Body, end: Array, ankle: float, fps: float) -> Array:
        toe = body.offsets[INDEX[self.side + "ToeBase"]] + body.offsets[INDEX[self.side + "ToeEnd"]]
        shin, down = body[self.side + "Leg"], None
        if self.toes is not None:
            against = Rotation.from_matrix(np.swapaxes(shin, 1, 2) @ self.toes).as_rotvec()
            down, shin = against[:, 0], shin @ about(np.array([0.0, 1.0, 0.0]), against[:, 1])
        return foot_frames(shin, end, toe, ankle, self.contacts, fps, down)


def _joints(body: Body, root: Array, side: str) -> tuple[Array, Array, Array]:
    """(T, 3) hip, knee and ankle of a leg, metres. root: (T, 3)."""
    hip = root + turn(body["Hips"], body.offsets[INDEX[side + "UpLeg"]])
    knee = hip + turn(body[side + "UpLeg"], body.offsets[INDEX[side + "Leg"]])
    return hip, knee, knee + turn(body[side + "Leg"], body.offsets[INDEX[side + "Foot"]])


def _leg(side: str, limb: hinge.Hinge, joints: tuple[Array, Array, Array], contacts: Array, toes: Array | None) -> _Leg:
    hip, knee, end = joints
    distance, upper, lower = (np.linalg.norm(a - b, axis=1) for a, b in ((end, hip), (knee, hip), (end, knee)))
    return _Leg(side, limb, _bend(distance, upper, lower), contacts, toes)


def reach(
    hip: Array, knee: Array, ankle: Array, goal: Array, ahead: Array, had: Array, straighter: Array | float = _MOST
) -> tuple[Array, Array]:
    """Knee and ankle (T, 3) of a leg whose ankle is brought towards `goal`: the plane of the knee turns along with the leg.

    ahead: (T, 3) the front of the thigh, to which knees bend. had: (T,) radians of bend. It changes by 14 degrees at most, softly:
    near full extension a small step of the ankle is a large turn of the knee, and a goal that asks for more is a contact that
    ended or began a moment off. straighter: (T,) radians by which the knee may straighten at most.
    """
    upper, lower = np.linalg.norm(knee - hip, axis=1), np.linalg.norm(ankle - knee, axis=1)
    line, wanted = ankle - hip, goal - hip
    turned = minimal_rotation(unit(line), unit(wanted))
    change = _bend(np.linalg.norm(wanted, axis=1), upper, lower) - had
    most = np.where(change > 0, _MOST, np.maximum(straighter, 1e-6))
    bend = had + most * np.tanh(change / most)
    # A bend below nought stands for a goal out of reach.
    bend = np.maximum(bend, 0.0)
    distance = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(bend))
    along, before = unit(wanted), turn(turned, knee - hip)
    side, front = across(before, along), across(ahead, along)
    # A leg that is about straight may be bent backwards by a hair; a bent one has its knee where it is.
    backwards = ((side * front).sum(-1) < 0) & (had < _ABOUT_STRAIGHT)
    side = unit(np.where(backwards[:, None], front, side))
    off = np.arctan2(lower * np.sin(bend), upper + lower * np.cos(bend))  # of the upper bone from the line to the ankle
    knee = hip + upper[:, None] * (np.cos(off)[:, None] * along + np.sin(off)[:, None] * side)
    return knee, hip + distance[:, None] * along


def _bend(distance: Array, upper: Array, lower: Array) -> Array:
    """(T,) radians of a knee's bend from the distance (T,) between hip and ankle; below 0 where that is out of reach."""
    cosine = (distance**2 - upper**2 - lower**2) / (2 * upper * lower)
    return np.asarray(np.where(cosine < 1, np.arccos(np.clip(cosine, -1, 1)), -np.arccos(np.clip(2 - cosine, -1, 1))))
