"""Joint centres as markers, for biomechanics: the names that OpenSim's models of markerless capture use.

Names are those of the keypoints of Halpe and OpenPose as OpenSim workflows for markerless capture name them: RHip, RKnee, RAnkle,
RBigToe, RShoulder and so on. They are joint centres, not points on the skin. Joints without such a name keep their own.
"""

from __future__ import annotations

import numpy as np

from stpose_core.animate.rotations import forward_kinematics
from stpose_core.data import Array, Motion
from stpose_core.errors import OutputError
from stpose_core.rigs import recognised

_CENTRE = {"Hips": "Hip", "Neck": "Neck", "HeadEnd": "Head"}
_SIDES = {
    "UpLeg": "Hip", "Leg": "Knee", "Foot": "Ankle", "ToeBase": "MTP", "ToeEnd": "BigToe",
    "Arm": "Shoulder", "ForeArm": "Elbow", "Hand": "Wrist", "HandEnd": "HandTip",
}  # fmt: skip
_OTHERS = {"Head": "HeadBase", "LeftShoulder": "LClavicle", "RightShoulder": "RClavicle"}

MARKERS = {
    **_CENTRE,
    **_OTHERS,
    **{side + joint: side[0] + marker for side in ("Left", "Right") for joint, marker in _SIDES.items()},
}
"""The marker of each joint of a body."""


def markers(motion: Motion, path: object) -> tuple[list[str], Array]:
    """Labels, and positions (T, M, 3) in millimetres, y up. path: for messages.

    Raises OutputError if the motion has missing values or no frames.
    """
    if not len(motion):
        raise OutputError(f"cannot write {path}: the motion has no frames")
    motion = recognised(motion)
    places = forward_kinematics(motion) * 1000.0
    if not np.isfinite(places).all():
        raise OutputError(f"cannot write {path}: the motion has missing values")
    return ["_".join(MARKERS.get(name, name).split()) for name in motion.names], places
