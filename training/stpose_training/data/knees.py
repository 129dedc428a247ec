"""Recorded knees, corrected for how far the skeletons of marker mocap bend the legs of people who stand.

People who stand keep their knees within a few degrees of straight, and in level walking they are within 5 degrees at heel strike
(Winter, Biomechanics and Motor Control of Human Movement). The recorded skeletons of CMU and HDM05 stand with knees of 15 to 28
degrees, and walk with 13 and more, because their thighs and shins are together 1 to 3 % longer than the distance that hip and
ankle reach. Here hips and ankles stay where they are, and bones that are shorter by that share bring the knees forward less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stpose_core.animate.frames import across, unit
from stpose_core.lift.flexion import LIMBS, PARTS, bend
from stpose_training.data.mocap import MOCAP_FPS, Clip, by_person

Array = NDArray[np.float64]

LEGS = [LIMBS[limb] for limb in PARTS["knee"]]
_UPRIGHT = 0.97  # height of the pelvis above the lower ankle, as a share of the person's 90th percentile
_STILL, _ENOUGH = 0.12, 60  # m/s of the pelvis, and frames from which on standing decides
_REST = np.radians(3.0)  # flexion of a leg that stands
_MOST = np.radians(25.0)  # more than that is a posture


def standing_flexion(clips: Sequence[Array]) -> float:
    """Radians by which the straighter leg of a person is bent in standing, or, where nobody stands, at its straightest quarter.

    clips: (T, 17, 3) metres, z up, of one person on one skeleton. From 0 to 25 degrees.
    """
    parts = []
    for joints in clips:
        height = joints[:, 0, 2] - np.minimum(joints[:, LEGS[0][2], 2], joints[:, LEGS[1][2], 2])
        speed = np.linalg.norm(np.gradient(joints[:, 0], axis=0), axis=1) * MOCAP_FPS if len(joints) > 1 else np.ones(1)
        parts.append(np.stack([height, speed, bend(joints)[:, PARTS["knee"]].min(axis=1)]))
    height, speed, bends = np.concatenate(parts, axis=1)
    upright = height > _UPRIGHT * np.percentile(height, 90)
    still = upright & (speed < _STILL)
    level = np.median(bends[still]) if still.sum() > _ENOUGH else np.percentile(bends[upright], 25)
    return float(np.clip(level, 0.0, _MOST))


def straightened(joints: Array, standing: float) -> Array:
    """(T, 17, 3) joints whose knees are moved so that a leg bent by `standing` radians stands straight. Hips and ankles stay."""
    share = min(1.0, np.cos(standing / 2) / np.cos(_REST / 2))
    joints = joints.copy()
    for hip, knee, ankle in LEGS:
        thigh, line = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, hip]
        distance = np.linalg.norm(line, axis=1, keepdims=True)
        along = line / np.maximum(distance, 1e-6)
        side = across(thigh, along)
        upper, lower = (
            share * np.median(np.linalg.norm(joints[:, a] - joints[:, b], axis=1)) for a, b in ((knee, hip), (ankle, knee))
        )
        place = (upper**2 - lower**2 + distance**2) / (2 * np.maximum(distance, 1e-6))
        # A leg that is longer than its bones is straight.
        place = np.where(distance < upper + lower, place, distance * upper / (upper + lower))
        off = np.sqrt(np.maximum(upper**2 - place**2, 0.0)) * (distance < upper + lower)
        joints[:, knee] = joints[:, hip] + place * along + off * unit(side)
    return joints


def with_straight_knees(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with corrected knees; people are distinguished by subject and by the proportions of their legs."""
    found = list(clips)
    for numbers in by_person(clips):
        own = [np.asarray(clips[number].positions, np.float64) for number in numbers]
        standing = standing_flexion(own)
        for number, joints in zip(numbers, own):
            found[number] = replace(clips[number], positions=straightened(joints, standing).astype(np.float32))
    return found
