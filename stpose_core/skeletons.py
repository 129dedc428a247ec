"""Joint sets as named data: joints, parents, left/right pairs."""

from __future__ import annotations

from dataclasses import dataclass

from stpose_core.errors import FormatError


@dataclass(frozen=True)
class Skeleton:
    """A named joint set. parents: index of the parent of each joint, -1 for a root. pairs: (left, right) indices."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) index pairs, from the names: "l_x" and "r_x"."""
        return tuple(
            (index, self.joints.index("r_" + joint[2:])) for index, joint in enumerate(self.joints) if joint.startswith("l_")
        )

    @property
    def mirror(self) -> tuple[int, ...]:
        """For each joint the index of its counterpart on the other side of the body (itself in the middle)."""
        order = list(range(len(self.joints)))
        for left, right in self.pairs:
            order[left], order[right] = right, left
        return tuple(order)

    def index(self, *names: str) -> list[int]:
        """The indices of the named joints."""
        return [self.joints.index(name) for name in names]


H36M17 = Skeleton(
    "h36m17",
    (
        "pelvis", "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle", "spine", "neck", "head", "head_top",
        "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist",
    ),
    (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)  # fmt: skip

_SKELETONS = {skeleton.name: skeleton for skeleton in (H36M17,)}


def get_skeleton(name: str) -> Skeleton:
    """The skeleton of that name. Raises FormatError if there is none."""
    if name not in _SKELETONS:
        raise FormatError(f"unknown skeleton '{name}'; known: {', '.join(_SKELETONS)}")
    return _SKELETONS[name]
