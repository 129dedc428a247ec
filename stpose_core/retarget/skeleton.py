"""Skeletons at rest and in motion, as arrays in the world's axes: z up, metres."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .rotation import IDENTITY, Array, inverse, multiply, rotate


@dataclass(frozen=True)
class Skeleton:
    """A skeleton at rest.

    names: J bone names. parents: (J,) index of each bone's parent, -1 for none; parents come before children.
    heads, tails: (J, 3) where each bone begins and ends. rest: (J, 4) quaternions, the bone's own axes in the world.
    axes: (4,) the axes of the object that the bones belong to; a character usually stands along one of them.
    posed: (J, 4) how a bone that is not retargeted is turned from its rest, in its own axes; identity if not given.
    """

    names: tuple[str, ...]
    parents: NDArray[np.int64]
    heads: Array
    tails: Array
    rest: Array
    axes: Array = field(default_factory=IDENTITY.copy)
    posed: Array | None = None

    def __post_init__(self) -> None:
        if (np.asarray(self.parents) >= np.arange(len(self.names))).any():
            raise ValueError("every parent must come before its children")

    def index(self, name: str) -> int:
        """The index of a bone. Raises KeyError if there is none of that name."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None

    def ancestors(self, bone: int) -> list[int]:
        """Indices of a bone's parents, the nearest first."""
        found, parent = [], int(self.parents[bone])
        while parent >= 0:
            found.append(parent)
            parent = int(self.parents[parent])
        return found

    def children(self, bone: int) -> list[int]:
        """Indices of the bones that hang on this one."""
        return [int(child) for child in np.flatnonzero(np.asarray(self.parents) == bone)]


@dataclass(frozen=True)
class Track:
    """A skeleton in motion.

    rotations: (T, J, 4) quaternions, each bone's own axes in the world. heads: (T, J, 3) where each bone begins.
    fps: frames a second. contacts: (T, 4) in 0..1, left heel, left toe, right heel, right toe on the ground; None if not known.
    """

    skeleton: Skeleton
    rotations: Array
    heads: Array
    fps: float
    contacts: Array | None = None

    def __len__(self) -> int:
        return len(self.rotations)

    def scaled(self, size: float) -> Track:
        """The same `size` times as large, about the origin."""
        skeleton = replace(self.skeleton, heads=size * self.skeleton.heads, tails=size * self.skeleton.tails)
        return replace(self, skeleton=skeleton, heads=size * self.heads)


def pose_from_local(skeleton: Skeleton, local: Array, root: Array, fps: float, contacts: Array | None = None) -> Track:
    """Forward kinematics.

    local: (T, J, 4) each bone's turn from its rest, in its own rest axes (Blender's `rotation_quaternion`).
    root: (T, 3) where the bones without a parent begin, as a shift from their rest place.
    """
    rotations = np.empty((len(local), len(skeleton.names), 4))
    heads = np.empty((len(local), len(skeleton.names), 3))
    for bone, parent in enumerate(skeleton.parents):
        turned = multiply(skeleton.rest[bone], local[:, bone])
        if parent < 0:
            rotations[:, bone], heads[:, bone] = turned, skeleton.heads[bone] + root
            continue
        carried = multiply(rotations[:, parent], inverse(skeleton.rest[parent]))
        rotations[:, bone] = multiply(carried, turned)
        heads[:, bone] = heads[:, parent] + rotate(carried, skeleton.heads[bone] - skeleton.heads[parent])
    return Track(skeleton, rotations, heads, fps, contacts)
