"""Bone lengths of one person over a clip, the rest directions of their torso, and the joints re-fitted to those lengths."""

from __future__ import annotations

import numpy as np

from stpose_core.animate.body import Rest
from stpose_core.animate.frames import chest_frame, turn_back, unit
from stpose_core.data import Array
from stpose_core.skeletons import H36M17

PARENTS = np.array(H36M17.parents)

# Medians over marker mocap of adults (CMU), in metres: only their ratios are used, to catch lengths no body has.
_USUAL = np.array(
    [np.nan, 0.09, 0.40, 0.42, 0.09, 0.40, 0.42, 0.25, 0.26, 0.16, 0.12, 0.14, 0.28, 0.24, 0.14, 0.28, 0.24]
)  # fmt: skip
_LEAST, _MOST = 0.65, 1.5
_HOLD = 0.15  # weight of the seen direction of a bone against the seen place of its joint
_MAX_TILT = np.radians(25.0)  # a rest direction does not lean more than this from the usual one
_USUAL_REST = Rest(unit(np.array([0.93, 0.05, -0.08])), np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0]))


def bone_vectors(joints: Array) -> Array:
    """(T, 17, 3) vector from its parent to each joint of Human3.6M; entry 0 is nought."""
    bones = np.zeros_like(joints)
    bones[:, 1:] = joints[:, 1:] - joints[:, PARENTS[1:]]
    return bones


def joints_from_bones(bones: Array) -> Array:
    """(T, 17, 3) joints relative to joint 0 from bone vectors."""
    joints = np.zeros_like(bones)
    for joint in range(1, bones.shape[1]):
        joints[:, joint] = joints[:, PARENTS[joint]] + bones[:, joint]
    return joints


def weighted_median(values: Array, weights: Array) -> float:
    """The value that half of the weight lies below. values, weights: (N,)."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def bone_lengths(bones: Array, weights: Array) -> Array:
    """(17,) one length in metres for each bone, the same on both sides; entry 0 is 0.

    bones: (T, 17, 3). weights: (T, 17). Lengths that no body has beside the others are moved to the nearest it can have.
    """
    measured, lengths = np.linalg.norm(bones, axis=-1), np.zeros(bones.shape[1])
    for joint in range(1, len(lengths)):
        both = [joint, H36M17.mirror[joint]]
        lengths[joint] = weighted_median(measured[:, both].ravel(), weights[:, both].ravel())
    ratio = lengths[1:] / _USUAL[1:]
    scale = max(float(np.median(ratio)), 1e-3)
    lengths[1:] = np.clip(ratio, _LEAST * scale, _MOST * scale) * _USUAL[1:]
    return lengths


def rest_directions(bones: Array, weights: Array) -> Rest:
    """How this person's shoulders, neck and head sit on an upright chest: medians over the clip, the same on both sides.

    Where a joint set has its neck or head joints differs between data sets by more than between people: with fixed
    directions, every motion would carry that difference as a shrug or a nod.
    """
    chest = chest_frame(bones)
    mirror = np.array([-1.0, 1.0, 1.0])

    def middle(joints: list[int], usual: Array) -> Array:
        local = [turn_back(chest, unit(bones[:, joint])) for joint in joints]
        if len(local) == 2:
            local[1] = local[1] * mirror
        values, weight = np.concatenate(local), np.concatenate([weights[:, joint] for joint in joints])
        found = np.array([weighted_median(values[:, axis], weight) for axis in range(3)])
        if len(joints) == 1:
            found[0] = 0.0
        return _towards(usual, unit(found))

    return Rest(middle([11, 14], _USUAL_REST.shoulder), middle([9], _USUAL_REST.neck), middle([10], _USUAL_REST.crown))


def _towards(usual: Array, found: Array) -> Array:
    """`found`, or as near to it as the largest tilt from `usual` allows."""
    angle = float(np.arccos(np.clip(usual @ found, -1.0, 1.0)))
    part = min(1.0, _MAX_TILT / max(angle, 1e-9))
    return unit((1 - part) * usual + part * found) if part < 1 else found


def refit_limb(start: Array, seen: Array, lengths: tuple[float, float], grip: float) -> tuple[Array, Array]:
    """Unit directions (T, 3) of both bones of a limb that bring its two joints nearest to where they were seen.

    start: (T, 3) where the limb begins on the skeleton; seen: (T, 3, 3) its three joints as they were seen; lengths in metres;
    grip: weight of the end against the middle joint. Least squares over the positions, by turns: it keeps hands and feet
    where they were without bending a limb that is straight, which closing the gap to the end exactly would do. The seen
    directions count as well, as the positions alone can leave the bend open.
    """
    origin, middle, end = seen[:, 0], seen[:, 1], seen[:, 2]
    seen_first, seen_second = _HOLD * lengths[0] * unit(middle - origin), _HOLD * lengths[1] * unit(end - middle)
    second = unit(seen_second)
    first = unit(seen_first)
    for _ in range(4):
        first = unit(middle - start + grip * (end - start - lengths[1] * second) + seen_first)
        second = unit(end - start - lengths[0] * first + seen_second)
    return first, second
