"""The skeleton that a Motion is given: names, parents, rest pose, and where the 17 joints of Human3.6M lie on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array

_SPINE = (("Hips", ""), ("Spine", "Hips"), ("Chest", "Spine"), ("UpperChest", "Chest"), ("Neck", "UpperChest"),
          ("Head", "Neck"), ("HeadEnd", "Head"))  # fmt: skip
_SIDE = (("Shoulder", "UpperChest"), ("Arm", "Shoulder"), ("ForeArm", "Arm"), ("Hand", "ForeArm"), ("HandEnd", "Hand"),
         ("UpLeg", "Hips"), ("Leg", "UpLeg"), ("Foot", "Leg"), ("ToeBase", "Foot"), ("ToeEnd", "ToeBase"))  # fmt: skip


def _tree() -> tuple[tuple[str, ...], tuple[int, ...]]:
    centre = {name for name, _ in _SPINE}
    pairs = list(_SPINE)
    for side in ("Left", "Right"):
        pairs += [(side + name, parent if parent in centre else side + parent) for name, parent in _SIDE]
    names = tuple(name for name, _ in pairs)
    return names, tuple(names.index(parent) if parent else -1 for _, parent in pairs)


NAMES, PARENTS = _tree()
INDEX = {name: index for index, name in enumerate(NAMES)}

#: Which joint of a Motion coincides with each of the 17 joints of Human3.6M (names of `stpose_core.skeletons`).
MOTION_FROM_H36M: dict[str, str] = {
    "pelvis": "Hips", "r_hip": "RightUpLeg", "r_knee": "RightLeg", "r_ankle": "RightFoot",
    "l_hip": "LeftUpLeg", "l_knee": "LeftLeg", "l_ankle": "LeftFoot", "spine": "Chest", "neck": "Neck",
    "head": "Head", "head_top": "HeadEnd", "l_shoulder": "LeftArm", "l_elbow": "LeftForeArm", "l_wrist": "LeftHand",
    "r_shoulder": "RightArm", "r_elbow": "RightForeArm", "r_wrist": "RightHand",
}  # fmt: skip

# Parts of the measured bones at which the joints lie that Human3.6M has not.
SPINE_JOINT = 0.35  # Spine, on the way from pelvis to spine
UPPER_CHEST = 0.5  # UpperChest, on the way from spine to neck
CLAVICLE = 0.15  # LeftShoulder, on the way from neck to shoulder

# Parts of the stature (Drillis & Contini 1966, as printed in Winter, Biomechanics and Motor Control of Human Movement):
# leg from hip to ankle 0.491, ankle height 0.039, hand 0.108; the foot's 0.152 less the heel behind the ankle.
LEG_OF_STATURE = 0.491
ANKLE_HEIGHT = 0.039
BALL_OF_FOOT, TOE_TIP = 0.075, 0.115
BALL_HEIGHT = 0.010
HAND = 0.1


class Rest:
    """Rest directions of the measured bones: unit vectors, y up, facing +z.

    shoulder: (3,) of the left side, from neck to shoulder. neck: neck to head. crown: head to head top.
    """

    def __init__(self, shoulder: Array, neck: Array, crown: Array) -> None:
        self.shoulder, self.neck, self.crown = shoulder, neck, crown


def ankle_height(lengths: Array) -> float:
    """Height of the ankle joint above the sole in metres. lengths: (17,) bone lengths in Human3.6M order."""
    return ANKLE_HEIGHT * stature(lengths)


def stature(lengths: Array) -> float:
    """Standing height in metres, from the legs. lengths: (17,) bone lengths in Human3.6M order."""
    return float(lengths[[2, 3, 5, 6]].sum() / 2 / LEG_OF_STATURE)


def rest_offsets(lengths: Array, rest: Rest) -> Array:
    """(J, 3) offsets in metres of a T-pose with these bones: Motion.offsets.

    lengths: (17,) length in metres of the bone that ends in each joint of Human3.6M; entry 0 is not used.
    """
    tall, up = stature(lengths), np.array([0.0, 1.0, 0.0])
    offsets = np.zeros((len(NAMES), 3))

    def put(name: str, vector: Array | tuple[float, float, float]) -> None:
        offsets[INDEX[name]] = vector

    put("Spine", SPINE_JOINT * lengths[7] * up)
    put("Chest", (1 - SPINE_JOINT) * lengths[7] * up)
    put("UpperChest", UPPER_CHEST * lengths[8] * up)
    put("Neck", (1 - UPPER_CHEST) * lengths[8] * up)
    put("Head", lengths[9] * rest.neck)
    put("HeadEnd", lengths[10] * rest.crown)
    for side, out, shoulder, hip in (("Left", 1.0, 11, 4), ("Right", -1.0, 14, 1)):
        mirror = np.array([out, 1.0, 1.0])
        clavicle = lengths[shoulder] * rest.shoulder * mirror
        put(side + "Shoulder", (1 - UPPER_CHEST) * lengths[8] * up + CLAVICLE * clavicle)
        put(side + "Arm", (1 - CLAVICLE) * clavicle)
        put(side + "ForeArm", (out * lengths[shoulder + 1], 0.0, 0.0))
        put(side + "Hand", (out * lengths[shoulder + 2], 0.0, 0.0))
        put(side + "HandEnd", (out * HAND * tall, 0.0, 0.0))
        put(side + "UpLeg", (out * lengths[hip], 0.0, 0.0))
        put(side + "Leg", (0.0, -lengths[hip + 1], 0.0))
        put(side + "Foot", (0.0, -lengths[hip + 2], 0.0))
        put(side + "ToeBase", (0.0, (BALL_HEIGHT - ANKLE_HEIGHT) * tall, BALL_OF_FOOT * tall))
        put(side + "ToeEnd", (0.0, -BALL_HEIGHT * tall, (TOE_TIP - BALL_OF_FOOT) * tall))
    return offsets


def rest_height(offsets: Array) -> float:
    """Metres from the soles to the top of the head in the rest pose. offsets: (J, 3), as `rest_offsets` gives them."""
    heights = np.zeros(len(offsets))
    for joint, parent in enumerate(PARENTS[1:], 1):
        heights[joint] = heights[parent] + offsets[joint, 1]
    return float(np.ptp(heights))


def parents() -> NDArray[np.int64]:
    """(J,) Motion.parents."""
    return np.array(PARENTS, dtype=np.int64)
