"""Joint sets as named data (joints, parents, left/right pairs), and the conversion of one into another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from stpose_core.conversions import RECIPES, Recipe
from stpose_core.data import Array, Keypoints
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
        """For each joint, the index of its counterpart on the other side of the body (its own index for joints in the middle)."""
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

# Order of COCO's person keypoints (cocodataset.org, "keypoints" of the person category).
COCO17 = Skeleton(
    "coco17",
    (
        "nose", "l_eye", "r_eye", "l_ear", "r_ear", "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist",
        "l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle",
    ),
    (-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
)  # fmt: skip

# Order of MediaPipe Pose (PoseLandmark).
BLAZEPOSE33 = Skeleton(
    "blazepose33",
    (
        "nose", "l_eye_inner", "l_eye", "l_eye_outer", "r_eye_inner", "r_eye", "r_eye_outer", "l_ear", "r_ear",
        "l_mouth", "r_mouth", "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist",
        "l_pinky", "r_pinky", "l_index", "r_index", "l_thumb", "r_thumb",
        "l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle", "l_heel", "r_heel", "l_toe", "r_toe",
    ),
    (
        -1, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16,
        11, 12, 23, 24, 25, 26, 27, 28, 29, 30,
    ),
)  # fmt: skip

# Order of Halpe's 26 body keypoints (Halpe-FullBody, AlphaPose): COCO's 17, then head top, neck, pelvis and the feet.
HALPE26 = Skeleton(
    "halpe26",
    (
        *COCO17.joints, "head_top", "neck", "pelvis",
        "l_big_toe", "r_big_toe", "l_small_toe", "r_small_toe", "l_heel", "r_heel",
    ),
    (18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14, 0, 19, -1, 24, 25, 24, 25, 15, 16),
)  # fmt: skip

# Order of OpenPose's BODY_25 output ("MidHip" is the pelvis here).
OPENPOSE25 = Skeleton(
    "openpose25",
    (
        "nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "pelvis",
        "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear",
        "l_big_toe", "l_small_toe", "l_heel", "r_big_toe", "r_small_toe", "r_heel",
    ),
    (1, 8, 1, 2, 3, 1, 5, 6, -1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 21, 21, 14, 24, 24, 11),
)  # fmt: skip

FINGERS = ("thumb", "index", "middle", "ring", "pinky")

# Order of MediaPipe Hands and OpenPose's hands: of each finger the three joints from the palm outwards, then its tip.
HAND21 = Skeleton(
    "hand21",
    ("wrist", *(f"{finger}{number}" for finger in FINGERS for number in (1, 2, 3, 4))),
    (-1, *(0 if number == 1 else 4 * finger + number - 1 for finger in range(5) for number in (1, 2, 3, 4))),
)

# What detectors of the body show of a head, a hand and a foot.
FACE5 = Skeleton("face5", ("nose", "l_eye", "r_eye", "l_ear", "r_ear"), (-1, 0, 0, 1, 2))
PALM4 = Skeleton("palm4", ("wrist", "thumb", "index", "pinky"), (-1, 0, 0, 0))
FOOT3 = Skeleton("foot3", ("ankle", "heel", "toe"), (-1, 0, 0))

_ALL = (H36M17, COCO17, BLAZEPOSE33, HALPE26, OPENPOSE25, HAND21, FACE5, PALM4, FOOT3)
_SKELETONS = {skeleton.name: skeleton for skeleton in _ALL}


def get_skeleton(name: str) -> Skeleton:
    """The skeleton of that name. Raises FormatError if there is none."""
    if name not in _SKELETONS:
        raise FormatError(f"unknown skeleton '{' '.join(name.split())[:40]}'; known: {', '.join(_SKELETONS)}")
    return _SKELETONS[name]


def convert_points(points: ArrayLike, source: str, to: str = "h36m17") -> Array:
    """Joints (..., J, D) of skeleton `source` as joints (..., K, D) of skeleton `to`, in 2D or 3D.

    A source joint with a NaN coordinate counts as not detected. The result is NaN if no usable source was detected.
    Raises FormatError for an unknown skeleton, or if there is no conversion between the two.
    """
    points = np.asarray(points, dtype=np.float64)
    return _convert(points, np.isfinite(points).all(axis=-1).astype(np.float64), source, to)[0]


def convert(keypoints: Keypoints, to: str = "h36m17") -> Keypoints:
    """The same person over time in another skeleton. The score of a joint is the weighted mean of the scores of its
    sources, and lower if it was estimated from other joints than the best sources.

    Raises FormatError as `convert_points` does.
    """
    xy, score = _convert(keypoints.xy, keypoints.score, keypoints.skeleton, to)
    # A weighted mean of ones may round to more than one.
    return Keypoints(xy, np.minimum(score, 1.0), keypoints.fps, keypoints.image_size, to)


def _convert(points: Array, score: Array, source: str, to: str) -> tuple[Array, Array]:
    have, want = get_skeleton(source), get_skeleton(to)
    if points.ndim < 2 or points.shape[-2] != len(have.joints):
        raise ValueError(f"points has shape {points.shape}, expected (..., {len(have.joints)}, D) for '{source}'")
    if source == to:
        return points.copy(), score.copy()
    seen = np.isfinite(points).all(axis=-1) & (score > 0)
    out = np.full((*points.shape[:-2], len(want.joints), points.shape[-1]), np.nan)
    out_score = np.zeros(out.shape[:-1])
    for joint, recipes in enumerate(_recipes(source, to)):
        todo = np.ones(seen.shape[:-1], dtype=bool)
        for trust, indices, weights in recipes:
            usable = todo & seen[..., indices].all(axis=-1)
            out[usable, joint] = weights @ points[usable][:, indices]
            share = np.abs(weights) / np.abs(weights).sum()
            out_score[usable, joint] = trust * (score[usable][:, indices] @ share)
            todo &= ~usable
    return out, out_score


@cache
def _recipes(source: str, to: str) -> list[list[tuple[float, list[int], Array]]]:
    """For each joint of `to`, its recipes as (trust, indices into `source`, weights)."""
    if to != H36M17.name or source not in RECIPES:
        raise FormatError(f"cannot convert '{source}' joints to '{to}'; known: {', '.join(RECIPES)} to {H36M17.name}")
    have, table = get_skeleton(source), RECIPES[source]

    def compiled(recipe: Recipe, mirrored: bool) -> tuple[float, list[int], Array]:
        trust, weights = recipe
        indices = have.index(*weights)
        return trust, [have.mirror[i] for i in indices] if mirrored else indices, np.array(list(weights.values()))

    return [
        [compiled(recipe, name.startswith("r_")) for recipe in table["l_" + name[2:] if name.startswith("r_") else name]]
        for name in H36M17.joints
    ]
