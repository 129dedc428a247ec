"""Joint frames at rest: for each mapped bone the axes that the body part has, whatever axes and roll its bone was given.

A frame is a quaternion that brings y along the part (towards the hand, the foot, the head) and x along its hinge: the axis about
which elbow and knee bend (positive = flexing), and across the body to its left for the trunk and the feet.
"""

from __future__ import annotations

import numpy as np

from .rotation import Array, across, from_frame, inverse, multiply, rotate, smallest, to_matrix, unit
from .skeleton import Skeleton, Track
from .slots import FINGERS, NECK, SIDES, SPINE, chain

# A character that leans less than this from an axis of its object stands along that axis: rigs are built upright.
_UPRIGHT = np.cos(np.radians(25.0))
# Below the first bend a limb at rest counts as straight, above the second its plane is taken as it is.
_STRAIGHT, _BENT = np.radians(1.0), np.radians(4.0)
# A plane of bending further than this from how an elbow or knee bends is an accident of modelling.
_ALIKE = np.cos(np.radians(25.0))
# What a motion must show before its own hinge is believed: mean sine of the bend, and how alike its planes are.
_SHOWN, _STEADY = 0.12, 0.8

LIMBS = {
    **{"arm" + side: ("upper_arm" + side, "forearm" + side, "hand" + side) for side in SIDES},
    **{"leg" + side: ("thigh" + side, "shin" + side, "foot" + side) for side in SIDES},
}


class Anatomy:
    """The body that a map finds in a skeleton at rest. Raises ValueError if it lacks the thighs, which tell left from right."""

    def __init__(self, skeleton: Skeleton, mapped: dict[str, str]) -> None:
        self.skeleton, self.mapped = skeleton, mapped
        self.bones = {slot: skeleton.index(name) for slot, name in mapped.items()}
        self.left, self.up, self.forward = self._character()

    @property
    def character(self) -> Array:
        """(4,) the frame of the whole character: y up, x to its left, z forward."""
        return from_frame(self.up, self.left)

    def head_of(self, slot: str) -> Array:
        """(3,) where the slot's bone begins."""
        return np.asarray(self.skeleton.heads[self.bones[slot]])

    def end_of(self, slot: str) -> Array:
        """(3,) where the part ends: where the next mapped part begins, or else the tail of its bone."""
        for limb in LIMBS.values():
            if slot in limb[:2] and limb[limb.index(slot) + 1] in self.bones:
                return self.head_of(limb[limb.index(slot) + 1])
        side = slot[-2:]
        if slot == "foot" + side and "toe" + side in self.bones:
            return self.head_of("toe" + side)
        if slot == "hand" + side:
            knuckles = [self.head_of(one) for finger in FINGERS[1:] if (one := f"{finger}1{side}") in self.bones]
            if len(knuckles) > 1:
                return np.asarray(np.mean(knuckles, axis=0))
            fingers = [self.skeleton.heads[child] for child in self.skeleton.children(self.bones[slot])]
            away = [head for head in fingers if np.linalg.norm(head - self.head_of(slot)) > 1e-4]
            if len(away) > 2:
                return np.asarray(np.mean(away, axis=0))
        trunk = [*chain(SPINE, self.mapped), *chain(NECK, self.mapped), *(["head"] if "head" in self.mapped else [])]
        if slot in trunk[:-1]:
            return self.head_of(trunk[trunk.index(slot) + 1])
        return np.asarray(self.skeleton.tails[self.bones[slot]])

    def direction(self, slot: str) -> Array:
        """(3,) unit vector along the part at rest."""
        return unit(self.end_of(slot) - self.head_of(slot))

    def leg_length(self) -> float:
        """Metres from hip to ankle along the bones, the mean of both sides."""
        return float(
            np.mean(
                [
                    np.linalg.norm(self.head_of("shin" + side) - self.head_of("thigh" + side))
                    + np.linalg.norm(self.head_of("foot" + side) - self.head_of("shin" + side))
                    for side in SIDES
                ]
            )
        )

    def hip_centre(self) -> Array:
        """(3,) the middle between both hip joints."""
        return np.asarray((self.head_of("thigh.L") + self.head_of("thigh.R")) / 2)

    def _character(self) -> tuple[Array, Array, Array]:
        pairs = [part for part in ("thigh", "upper_arm") if {part + ".L", part + ".R"} <= set(self.bones)]
        if "thigh" not in pairs:
            raise ValueError("the map needs both thighs: they tell left from right")
        left = unit(sum(self.head_of(part + ".L") - self.head_of(part + ".R") for part in pairs))
        tops = [slot for slot in ("head", "neck", *reversed(SPINE)) if slot in self.bones]
        low = self.hip_centre()
        if tops and np.linalg.norm(self.head_of(tops[0]) - low) > 1e-6:
            up = self.head_of(tops[0]) - low
        else:
            up = low - (self.head_of("foot.L") + self.head_of("foot.R")) / 2
        up = unit(across(up, left))
        axes = to_matrix(self.skeleton.axes).T
        # Only up: a spine may lean at rest, but left and right are alike.
        up = _snapped(up, axes)
        left = unit(across(left, up))
        return left, up, np.asarray(np.cross(left, up))

    def frames(self, hinges: dict[str, Array] | None = None, match_spine: bool = False) -> dict[str, Array]:
        """The rest frame (4,) of each mapped slot.

        hinges: axes (3,) at rest for limbs ("arm.L", ...) that are known better than the rest pose tells.
        match_spine: frames of spine and neck lie along each bone; if not, the spine's lie along the whole spine and the
        neck's upright, so that the curve which the character has at rest is kept.
        """
        upright = self.character
        found = dict.fromkeys(self.bones, upright)
        spine = chain(SPINE, self.mapped)
        tops = [slot for slot in ("neck", "head") if slot in self.bones]
        if spine and tops:
            along = self.head_of(tops[0]) - self.head_of(spine[0])
            if np.linalg.norm(along) > 1e-6:
                found.update((slot, from_frame(along, self.left)) for slot in spine)
        if match_spine:
            for slot in [*spine, *chain(NECK, self.mapped)]:
                found[slot] = from_frame(self.direction(slot), self.left)
        for limb, (upper, lower, end) in LIMBS.items():
            if upper not in self.bones or lower not in self.bones:
                continue
            axis = (hinges or {}).get(limb, self.hinge(limb))
            found[upper] = from_frame(self.direction(upper), axis)
            carried = rotate(smallest(self.direction(upper), self.direction(lower)), axis)
            found[lower] = from_frame(self.direction(lower), carried)
            if limb.startswith("arm") and end in self.bones:
                carried = rotate(smallest(self.direction(lower), self.direction(end)), carried)
                found[end] = from_frame(self.direction(end), carried)
        for side in SIDES:
            if "foot" + side in self.bones:
                # A foot that stands flat at rest shall stand flat: only its heading is taken from the bone.
                heading = across(self.direction("foot" + side), self.up)
                if heading @ self.forward < 0.2:  # it points down, or back: not a foot as it stands
                    heading = self.forward
                frame = from_frame(self.up, np.cross(self.up, heading))
                found.update((slot, frame) for slot in ("foot" + side, "toe" + side) if slot in self.bones)
        return found

    def habit(self, limb: str) -> Array:
        """(3,) the axis about which a straight limb would bend, carried from a T-pose by the smallest turn."""
        upper = LIMBS[limb][0]
        if limb.startswith("leg"):
            return rotate(smallest(-self.up, self.direction(upper)), self.left)
        out, axis = (self.left, -self.up) if limb.endswith(".L") else (-self.left, self.up)
        return rotate(smallest(out, self.direction(upper)), axis)

    def hinge(self, limb: str) -> Array:
        """(3,) the axis about which a limb bends, from the bend that it has at rest, or its habit where it has none."""
        upper, lower, _ = LIMBS[limb]
        first, second, habit = self.direction(upper), self.direction(lower), self.habit(limb)
        plane = np.cross(first, second)
        bend = float(np.arctan2(np.linalg.norm(plane), first @ second))
        if bend < _STRAIGHT or unit(plane) @ habit < _ALIKE:
            return habit
        part = np.clip((bend - _STRAIGHT) / (_BENT - _STRAIGHT), 0.0, 1.0)
        return unit((1 - part) * habit + part * unit(plane))

    def bend_at_rest(self, limb: str) -> float:
        """rad between both bones of a limb at rest."""
        upper, lower, _ = LIMBS[limb]
        return float(np.arccos(np.clip(self.direction(upper) @ self.direction(lower), -1.0, 1.0)))


def hinges_in_motion(anatomy: Anatomy, track: Track) -> dict[str, Array]:
    """For limbs that are straight at rest the axes (3,), at rest, about which the motion bends them, where it shows that well."""
    found = {}
    for limb, (upper, lower, end) in LIMBS.items():
        if not {upper, lower, end} <= set(anatomy.bones) or anatomy.bend_at_rest(limb) > _BENT:
            continue
        bones = [anatomy.bones[slot] for slot in (upper, lower, end)]
        first, second = (unit(track.heads[:, bones[i + 1]] - track.heads[:, bones[i]]) for i in (0, 1))
        home = multiply(anatomy.skeleton.rest[bones[0]], inverse(track.rotations[:, bones[0]]))
        planes = rotate(home, np.cross(first, second))
        shown, total = np.linalg.norm(planes, axis=1).mean(), planes.mean(axis=0)
        steady = np.linalg.norm(total) / max(shown, 1e-12)
        if shown > _SHOWN and steady > _STEADY and unit(total) @ anatomy.habit(limb) > _ALIKE:
            found[limb] = unit(across(total, anatomy.direction(upper)))
    return found


def _snapped(vector: Array, axes: Array) -> Array:
    """`vector`, or the axis (either way) of `axes` (3, 3) rows that it nearly lies along."""
    cosines = axes @ vector
    best = int(np.abs(cosines).argmax())
    if abs(cosines[best]) < _UPRIGHT:
        return vector
    return np.asarray(axes[best] * np.sign(cosines[best]))
