"""Find a body in a skeleton whose names say nothing: two legs to the ground, two arms, and what is between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from .rotation import Array, to_matrix, unit
from .skeleton import Skeleton
from .slots import NECK, REQUIRED, SPINE

_MIDDLE = 0.02  # of the height: bones nearer than this to the plane of symmetry are in the middle
_DOWN = 0.7  # cosine


def find_body(skeleton: Skeleton) -> dict[str, str]:
    """Bone names by slot, as many as can be told; empty where there is no body in it."""
    best: dict[str, str] = {}
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
        heights = np.concatenate([skeleton.heads @ up, skeleton.tails @ up])
        self.height = float(np.ptp(heights)) if len(heights) else 0.0
        offset = np.stack([skeleton.heads @ side, skeleton.tails @ side])
        offset = offset - (np.median(offset) if offset.size else 0.0)
        self.offset = offset[1]
        self.middle: NDArray[np.bool_] = np.all(np.abs(offset) < _MIDDLE * self.height, axis=0)
        parents = {int(parent) for parent in skeleton.parents}
        self.leaves = [bone for bone in range(len(skeleton.names)) if bone not in parents]

    def body(self) -> dict[str, str]:
        found: dict[str, int] = {}
        legs = self._limbs(lambda bone: float(-(self.skeleton.tails[bone] @ self.up)))
        if len(legs) < 2:
            return {}
        hips = {self._trunk(path) for path in legs.values()}
        used = {bone for path in legs.values() for bone in path}
        arms = self._limbs(self._reach, used)
        if len(hips) != 1 or None in hips or len(arms) < 2:
            return {}
        chest = {self._trunk(path) for path in arms.values()}
        hip, top = hips.pop(), chest.pop()
        if chest or hip is None or top is None:
            return {}
        found["hips"] = hip
        way = [top, *self.skeleton.ancestors(top)]
        if hip not in way:
            return {}
        spine = list(reversed(way[: way.index(hip)]))
        found.update(zip(SPINE, spine))
        found.update(self._neck(top))
        for side, path in self._named(legs).items():
            found.update({slot + side: bone for slot, bone in self._leg(path).items()})
        for side, path in self._named(arms).items():
            found.update({slot + side: bone for slot, bone in self._arm(path).items()})
        return {slot: self.skeleton.names[bone] for slot, bone in found.items()}

    def _limbs(self, far: Callable[[int], float], used: set[int] | None = None) -> dict[float, list[int]]:
        """For each side the path of bones off the middle, from the trunk outwards, whose leaf is farthest."""
        limbs: dict[float, tuple[float, list[int]]] = {}
        for leaf in self.leaves:
            if self.middle[leaf]:
                continue
            path = [leaf]
            for bone in self.skeleton.ancestors(leaf):
                if self.middle[bone]:
                    break
                path.append(bone)
            if (used and used & set(path)) or len(path) < 2:
                continue
            side, value = float(np.sign(self.offset[leaf])), far(leaf)
            if side not in limbs or value > limbs[side][0]:
                limbs[side] = (value, path[::-1])
        return {side: path for side, (_, path) in limbs.items()}

    def _reach(self, leaf: int) -> float:
        """Metres along the bones from the trunk to a leaf."""
        total = float(np.linalg.norm(self.skeleton.tails[leaf] - self.skeleton.heads[leaf]))
        below = leaf
        for bone in self.skeleton.ancestors(leaf):
            if self.middle[bone]:
                break
            total += float(np.linalg.norm(self.skeleton.heads[below] - self.skeleton.heads[bone]))
            below = bone
        return total

    def _trunk(self, path: list[int]) -> int | None:
        """The bone in the middle that a limb hangs on."""
        parent = int(self.skeleton.parents[path[0]])
        return parent if parent >= 0 else None

    def _named(self, limbs: dict[float, list[int]]) -> dict[str, list[int]]:
        """The limbs by side. The feet show forward, and so which is the left one."""
        toes = np.zeros(3)
        for leg in self._limbs(lambda bone: float(-(self.skeleton.tails[bone] @ self.up))).values():
            foot = self._leg(leg).get("foot")
            if foot is not None:
                toes = toes + self.skeleton.tails[leg[-1]] - self.skeleton.heads[foot]
        left = 1.0 if np.cross(self.up, toes) @ self.side >= 0 else -1.0
        return {".L" if side == left else ".R": path for side, path in limbs.items()}

    def _joints(self, path: list[int]) -> Array:
        """(n + 1, 3) where the bones of a path begin, and where the last one ends."""
        return np.concatenate([self.skeleton.heads[path], self.skeleton.tails[path[-1:]]])

    def _leg(self, path: list[int]) -> dict[str, int]:
        joints = self._joints(path)
        down = unit(np.diff(joints, axis=0)) @ -self.up > _DOWN
        if not down.any():
            return {}
        first = int(down.argmax())
        last = first
        while last < len(path) and down[last]:
            last += 1
        if last >= len(path) or last - first < 2:
            return {}
        found = {"thigh": path[first], "shin": path[self._halfway(joints, first, last)], "foot": path[last]}
        if last + 1 < len(path):
            found["toe"] = path[last + 1]
        return found

    def _arm(self, path: list[int]) -> dict[str, int]:
        hands = [place for place, bone in enumerate(path) if len(self.skeleton.children(bone)) > 2]
        wrist = hands[0] if hands else len(path) - 1
        if wrist < 2:
            return {}
        joints = self._joints(path)
        lengths = np.linalg.norm(np.diff(joints[: wrist + 1], axis=0), axis=1)
        # A clavicle is short beside the bone after it.
        first = 1 if wrist > 2 and lengths[0] < 0.8 * lengths[1:].sum() / 2 else 0
        found = {"upper_arm": path[first], "forearm": path[self._halfway(joints, first, wrist)], "hand": path[wrist]}
        if first:
            found["shoulder"] = path[0]
        return found

    @staticmethod
    def _halfway(joints: Array, first: int, last: int) -> int:
        """The joint between two others that is nearest to the middle of the way."""
        way = np.cumsum(np.linalg.norm(np.diff(joints[first : last + 1], axis=0), axis=1))
        return first + 1 + int(np.abs(way[:-1] - way[-1] / 2).argmin())

    def _neck(self, chest: int) -> dict[str, int]:
        path: list[int] = []
        bone = chest
        while True:
            above = [
                child
                for child in self.skeleton.children(bone)
                if self.middle[child] and (self.skeleton.tails[child] - self.skeleton.heads[bone]) @ self.up > 0
            ]
            if not above:
                break
            bone = max(above, key=lambda child: float(self.skeleton.tails[child] @ self.up))
            path.append(bone)
        if not path:
            return {}
        path = path[: len(NECK) + 1]
        return {**dict(zip(NECK, path[:-1])), "head": path[-1]}
