"""Find a body in a skeleton whose names say nothing: two legs to the ground, two arms, and what is between them.

Only where bones begin is looked at: where they end, and how they are turned, is a matter of the program that a rig comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from math import log

import numpy as np
from numpy.typing import NDArray

from .fingershape import find_fingers
from .rotation import Array, to_matrix
from .skeleton import Skeleton
from .slots import NECK, REQUIRED, SPINE

_MIDDLE = 0.008  # of the height: joints nearer than this to the plane of symmetry are in the middle
_SAME = 0.01  # of the height: joints nearer than this to one another are one
_BAD = 1.0  # a limb that fits worse is none
_LONGEST = 14  # bones of a path from the trunk that are tried as joints of a limb
_STEEP = 0.7  # cosine of the steepest lean of a neck; a jaw lies further ahead
_SKULL = (0.2, 0.45)  # of the trunk from hips to shoulders, above these: the lowest and the highest place of a head's joint
_BALL = 0.085  # of the height: from the ankle to the ball of the foot


#: For each side the path of bones of a limb, and where its joints are on it.
_Limbs = dict[float, tuple[list[int], tuple[int, ...]]]


@dataclass(frozen=True)
class _Build:
    """Proportions of a limb, in lengths of its first bone. second: of the second bone; before, after: least and most of what
    comes before the limb (a clavicle, half a pelvis) and after it (a hand, a foot)."""

    second: float
    before: tuple[float, float]
    after: tuple[float, float]


_ARM = _Build(0.9, (0.2, 0.9), (0.12, 1.0))
_LEG = _Build(1.0, (0.0, 0.4), (0.15, 0.8))


def find_body(skeleton: Skeleton) -> dict[str, str]:
    """Bone names by slot, as many as can be told; empty where there is no body in it."""
    best: dict[str, str] = {}
    if not len(skeleton.names):
        return best
    axes = to_matrix(skeleton.axes).T
    # Blender's own z up first, then y up, and the sides along x first: ties go to the first.
    for up, side in sorted(permutations(range(3), 2), key=lambda pair: ((2, 1, 0).index(pair[0]), pair[1])):
        for sign in (1.0, -1.0):
            found = _Search(skeleton, sign * axes[up], axes[side]).body()
            if len(set(found) & set(REQUIRED)) > len(set(best) & set(REQUIRED)):
                best = found
    return best


class _Search:
    """A search with a given up and sideways axis, (3,) each."""

    def __init__(self, skeleton: Skeleton, up: Array, side: Array) -> None:
        self.skeleton, self.up, self.side = skeleton, up, side
        self.height = float(np.ptp(skeleton.heads @ up))
        offset = skeleton.heads @ side
        self.offset = offset - np.median(offset)
        self.middle: NDArray[np.bool_] = np.abs(self.offset) < _MIDDLE * self.height
        self.below: list[list[int]] = [[] for _ in skeleton.names]
        for bone, parent in enumerate(skeleton.parents):
            if parent >= 0:
                self.below[int(parent)].append(bone)

    def body(self) -> dict[str, str]:
        legs = self._limbs(_LEG, self._drop)
        if len(legs) < 2:
            return {}
        used = {bone for path, _ in legs.values() for bone in path}
        hip = max(float(self.skeleton.heads[path[0]] @ self.up) for path, _ in legs.values())
        arms = self._limbs(_ARM, self._reach, used, hip + 0.1 * self.height)
        if len(arms) < 2:
            return {}
        top = self._common(path[0] for path, _ in arms.values())
        if top is None:
            return {}
        hips = self._common([top, *(path[0] for path, _ in legs.values())])
        if hips is None or hips == top:
            return {}
        found: dict[str, int] = {"hips": hips}
        way = [top, *self.skeleton.ancestors(top)]
        spine = way[: way.index(hips)][::-1]
        found.update(zip(SPINE, spine if len(spine) <= len(SPINE) else [*spine[: len(SPINE) - 1], top]))
        found.update(self._neck(top, arms, legs))
        left = self._left(legs)
        for parts, limbs in ((("thigh", "shin", "foot"), legs), (("upper_arm", "forearm", "hand"), arms)):
            for side, (path, joints) in limbs.items():
                end = ".L" if side == left else ".R"
                found.update({part + end: path[joint] for part, joint in zip(parts, joints)})
                if limbs is arms and joints[0] > 0:
                    found["shoulder" + end] = path[0]
                if limbs is arms:
                    found.update(find_fingers(self.skeleton, path[joints[2]], end))
                if limbs is legs and joints[2] + 1 < len(path):
                    found["toe" + end] = self._toe(path[joints[2] :])
        return {slot: self.skeleton.names[bone] for slot, bone in found.items()}

    def _limbs(
        self, build: _Build, far: Callable[[list[int]], float], used: Collection[int] = (), lowest: float = -np.inf
    ) -> _Limbs:
        """For each side the path of bones off the middle that goes farthest and has the build of a limb, and where its joints are.

        used: bones that it may not hold. lowest: height from which on it may begin.
        """
        found: _Limbs = {}
        for path in sorted(self._paths(), key=far, reverse=True):
            side = float(np.sign(self.offset[path[-1]]))
            if side in found or set(used) & set(path) or self.skeleton.heads[path[0]] @ self.up < lowest:
                continue
            joints, fit = self._joints(path, build)
            if fit < _BAD:
                found[side] = path, joints
        return found

    def _paths(self) -> Iterator[list[int]]:
        """From the trunk to each leaf, on one side."""
        for leaf, below in enumerate(self.below):
            if below or self.middle[leaf]:
                continue
            path = [leaf]
            for bone in self.skeleton.ancestors(leaf):
                if self.middle[bone]:
                    break
                path.append(bone)
            if 3 <= len(path) and len(set(np.sign(self.offset[path]))) == 1:
                yield path[::-1]

    def _drop(self, path: list[int]) -> float:
        """Metres that a path goes down, and those along its bones: of heel and toe the toe is the end of a leg."""
        heights = self.skeleton.heads[path] @ self.up
        return float(heights[0] - heights[-1]) + self._reach(path)

    def _reach(self, path: list[int]) -> float:
        """Metres along the bones of a path."""
        return float(np.linalg.norm(np.diff(self.skeleton.heads[path], axis=0), axis=1).sum())

    def _joints(self, path: list[int], build: _Build) -> tuple[tuple[int, ...], float]:
        """The three joints of a path that fit a limb's build best, and how far they are off: 0 fits."""
        heads = self.skeleton.heads[path]
        leaf = self.skeleton.tails[path[-1]] - heads[-1]
        # Where a path ends with the hand or foot itself, the bone's own length stands for it.
        tip = min(float(np.linalg.norm(leaf)), 0.15 * self.height)
        best: tuple[int, ...] = (0, 0, 0)
        least = np.inf
        steps = np.linalg.norm(np.diff(heads, axis=0), axis=1)
        rest = (np.append(steps[::-1].cumsum()[::-1], 0.0) + tip).tolist()  # from each joint to the path's end
        apart = np.linalg.norm(heads[:_LONGEST, None] - heads[None, :_LONGEST], axis=-1).tolist()
        heights = (heads @ self.up).tolist()
        # Where a bone begins where the one before it does, the first of them is the joint.
        usable = [joint for joint in range(min(len(path), _LONGEST)) if joint == 0 or steps[joint - 1] >= _SAME * self.height]
        for triple in combinations(usable, 3):
            first, second, third = triple
            upper, lower = apart[first][second], apart[second][third]
            if min(upper, lower) < 3 * _SAME * self.height:
                continue
            if build is _LEG and heights[first] - heights[third] < 0.7 * (upper + lower):
                continue
            off = abs(log(lower / upper / build.second))
            off += (0.0 if first == 0 else _outside(apart[0][first] / upper, build.before)) + _outside(
                rest[third] / upper, build.after
            )
            if off >= least:
                continue
            off += 3 * max(_bulge(heads[first : second + 1]), _bulge(heads[second : third + 1]))
            if off < least - 1e-9:
                best, least = triple, off
        return best, float(least)

    def _toe(self, foot: list[int]) -> int:
        """The bone of the ball of the foot. foot: the path from the ankle on."""
        heads = self.skeleton.heads[foot]
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(heads, axis=0), axis=1))])
        return foot[1 + int(np.abs(way[1:] - _BALL * self.height).argmin())]

    def _left(self, legs: _Limbs) -> float:
        """The sign of the side that is the left one: the feet show forward."""
        toes, skeleton = np.zeros(3), self.skeleton
        for path, joints in legs.values():
            ankle = path[joints[2]]
            foot = [ankle, *(bone for bone in range(len(skeleton.names)) if ankle in skeleton.ancestors(bone))]
            points = np.concatenate([skeleton.heads[foot], skeleton.tails[foot]]) - skeleton.heads[ankle]
            flat = points - (points @ self.up)[:, None] * self.up
            toes = toes + points[np.linalg.norm(flat, axis=1).argmax()]
        return 1.0 if np.cross(self.up, toes) @ self.side >= 0 else -1.0

    def _common(self, bones: Iterator[int] | list[int]) -> int | None:
        """The nearest bone that all of these are, or hang on."""
        ways = [[bone, *self.skeleton.ancestors(bone)] for bone in bones]
        return next((bone for bone in ways[0] if all(bone in way for way in ways[1:])), None)

    def _neck(self, chest: int, arms: _Limbs, legs: _Limbs) -> dict[str, int]:
        """The bones from the chest to the head: not on to the jaw, the hair or a hat."""
        heights, heads = self.skeleton.heads @ self.up, self.skeleton.heads
        shoulders, hips = (float(np.mean([heights[path[joints[0]]] for path, joints in limbs.values()])) for limbs in (arms, legs))
        trunk, path = shoulders - hips, [chest]
        while True:
            here = path[-1]
            rise = {child: heights[child] - heights[here] for child in self.below[here] if self.middle[child]}
            above = [
                (self._highest(child), child)
                for child, up in rise.items()
                if up > _SAME * self.height and (here == chest or up > _STEEP * np.linalg.norm(heads[child] - heads[here]))
            ]
            # What carries a face or hair is the head, and nothing above its middle is.
            if not above or (len(self.below[here]) > 1 and heights[here] > shoulders + _SKULL[0] * trunk):
                break
            child = max(above)[1]
            if len(path) > 1 and heights[child] > shoulders + _SKULL[1] * trunk:
                break
            path.append(child)
        gaps = np.linalg.norm(np.diff(self.skeleton.heads[path], axis=0), axis=1)
        if len(gaps) > 2 and gaps[-1] > 1.3 * gaps[-2] and not self.below[path[-1]]:
            path.pop()  # the top of the head is no bone to turn
        path = path[1 : len(NECK) + 2]
        return {**dict(zip(NECK, path[:-1])), "head": path[-1]} if path else {}

    def _highest(self, bone: int) -> float:
        """Height of the highest joint at or below a bone in the hierarchy."""
        return max([float(self.skeleton.heads[bone] @ self.up), *(self._highest(child) for child in self.below[bone])])


def _outside(value: float, limits: tuple[float, float]) -> float:
    """How far a ratio is from a range, as the logarithm of a factor; 0 inside."""
    least, most = limits
    if value < least:
        return log(least / max(value, 0.25 * least))
    return log(value / most) if value > most else 0.0


def _bulge(points: Array) -> float:
    """How far the points (n, 3) between the first and the last are off the line between them, in its lengths."""
    way = points[-1] - points[0]
    length = float(np.linalg.norm(way))
    beside = np.cross(points[1:-1] - points[0], way / length)
    return float(np.linalg.norm(beside, axis=1).max() / length) if len(beside) else 0.0
