"""Markers of a body, for biomechanics: joint centres and points of the feet, with the names of OpenSim's markerless workflows.

Names are those of the keypoints of Halpe and OpenPose as OpenSim workflows for markerless capture name them: RHip, RKnee, RAnkle,
RHeel, RBigToe, RSmallToe, RShoulder and so on. Joints without such a name keep their own. Heels, small toes, the nose and the
knuckles of index and small finger are fixed to a bone, and show how it is turned; no marker is a measured point of the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpose_core.animate.kinematics import world_frames
from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError, OutputError
from stpose_core.formats.figure import rest_positions
from stpose_core.lift.shapes import FACE, MIRROR, PALM, STATURE
from stpose_core.retarget.rotation import unit
from stpose_core.rigs import recognised
from stpose_core.skeletons import H36M17, HALPE26, convert_points

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

# The 17 joints of Human3.6M among the labels of this package's own files.
_OWN = {
    "pelvis": "Hip", "spine": "Chest", "neck": "Neck", "head": "HeadBase", "head_top": "Head",
    **{f"{side}_{joint}": side.upper() + joint.capitalize()
       for side in "lr" for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")},
}  # fmt: skip
# What files call joints of Halpe otherwise than by its side's letter and its name.
_HALPE = {"head_top": "Head", "pelvis": "Hip"}
_HEAD = 0.57  # of the way from neck to the top of the head: its joint

# In lengths from the ankle to the tip of the toes along the floor, which are 0.115 of the stature; the foot is 0.152 long and 0.055
# wide (Drillis & Contini 1966, as printed in Winter, Biomechanics and Motor Control of Human Movement).
_HEEL = (0.152 - 0.115) / 0.115  # behind the ankle
_SMALL_TOE = 0.8  # ahead of the ankle
_WIDTH = 0.055 / 0.115 / 2  # from the middle of the foot to the small toe
_HEAD_HEIGHT = 0.93  # of the stature: the joint of the head, at the height of the nose
_T_POSE = np.cos(np.radians(15.0))
_FARTHEST = 1e4  # metres; larger values are errors


@dataclass(frozen=True)
class Points:
    """Points over time, as files of markers hold them. places: (T, M, 3) metres, y up; NaN where a marker was not seen."""

    labels: tuple[str, ...]
    places: Array
    fps: float

    @staticmethod
    def checked(path: object, labels: list[str], places: Array, fps: float) -> Points:
        """The points of a file. Raises FormatError if there are none, or if they are too far away or infinite."""
        if not places.size:
            raise FormatError(f"{path} holds no markers")
        if np.isinf(places).any() or np.nanmax(np.abs(places), initial=0.0) > _FARTHEST:
            raise FormatError(f"{path} is damaged: it has markers at more than {_FARTHEST:g} m")
        if not 1e-3 <= fps <= 1e5:
            raise FormatError(f"{path} is damaged: its frame rate is {fps:g}")
        return Points(tuple(labels), places, fps)


def markers(motion: Motion, path: object) -> Points:
    """The markers of a motion. path: for messages. Raises OutputError if the motion has missing values or no frames."""
    if not len(motion):
        raise OutputError(f"cannot write {path}: the motion has no frames")
    motion = recognised(motion)
    frames, places = world_frames(motion)
    if not np.isfinite(places).all():
        raise OutputError(f"cannot write {path}: the motion has missing values")
    labels = ["_".join(MARKERS.get(name, name).split()) for name in motion.names]
    for label, (joint, offset) in fixed_points(motion).items():
        index = motion.names.index(joint)
        labels.append(label)
        places = np.concatenate([places, (places[:, index] + frames[:, index] @ offset)[:, None]], axis=1)
    return Points(tuple(labels), places, motion.fps)


def fixed_points(motion: Motion) -> dict[str, tuple[str, Array]]:
    """The points that are fixed to a joint and are no joints: the joint that carries each, and its offset (3,) from it at rest.

    Heels and small toes of feet with toes; nose and knuckles of skeletons in a T-pose that faces +z, as captured bodies are.
    """
    found = {**_sole(motion, "Left"), **_sole(motion, "Right")}
    places = dict(zip(motion.names, rest_positions(motion)))
    if not {"Head", "LeftHand", "RightHand", "LeftForeArm", "RightForeArm", "LeftUpLeg", "RightUpLeg"} <= set(places):
        return found
    scale = _stature(places) / STATURE
    lines = [places["LeftHand"] - places["LeftForeArm"], places["RightForeArm"] - places["RightHand"]]
    if min(unit(line)[0] for line in [*lines, places["LeftUpLeg"] - places["RightUpLeg"]]) > _T_POSE:
        found["Nose"] = ("Head", scale * FACE[0])
        for side, mirror in (("Left", 1.0), ("Right", MIRROR)):
            for label, point in (("Index", 2), ("Pinky", 3)):
                found[side[0] + label] = (f"{side}Hand", scale * (PALM[point] - PALM[0]) * mirror)
    return found


def _stature(places: dict[str, Array]) -> float:
    """Metres, from head to the lower foot."""
    return float(places["Head"][1] - min(place[1] for place in places.values())) / _HEAD_HEIGHT


def _sole(motion: Motion, side: str) -> dict[str, tuple[str, Array]]:
    names = motion.names
    chain = [side + name for name in ("Foot", "ToeBase", "ToeEnd") if side + name in names]
    if len(chain) < 3:
        return {}
    places = rest_positions(motion)
    ankle, ball, tip = (places[names.index(name)] for name in chain)
    level = np.array([1.0, 0.0, 1.0])
    reach = float(np.linalg.norm((tip - ankle) * level))
    if reach < 1e-6:
        return {}
    ahead = unit((tip - ankle) * level)
    out = np.cross([0.0, 1.0, 0.0], ahead) * (1.0 if side == "Left" else -1.0)  # away from the other foot
    floor = min(ball[1], tip[1])
    points = {"Heel": (chain[0], -_HEEL * ahead), "SmallToe": (chain[1], _SMALL_TOE * ahead + _WIDTH * out)}
    return {
        side[0] + label: (carrier, (ankle + reach * shift) * level + [0.0, floor, 0.0] - places[names.index(carrier)])
        for label, (carrier, shift) in points.items()
    }


def joints_of(path: object, points: Points) -> Array:
    """(T, 17, 3) the joints of Human3.6M. Raises FormatError, naming what is missing."""
    at = {label: index for index, label in reversed(list(enumerate(points.labels)))}
    if set(_OWN.values()) <= set(at):
        return points.places[:, [at[_OWN[joint]] for joint in H36M17.joints]]
    halpe = np.full((len(points.places), len(HALPE26.joints), 3), np.nan)
    for joint, name in enumerate(HALPE26.joints):
        side, _, part = name.partition("_")
        label = side.upper() + part.title().replace("_", "") if side in ("l", "r") else name.title()
        label = _HALPE.get(name, label)
        if label in at:
            halpe[:, joint] = points.places[:, at[label]]
    found = convert_points(halpe, HALPE26.name)
    if "Head" in at and "LEar" not in at:
        # Without ears, the conversion knows little of a head: its joint is between the neck and the top.
        neck, top = (H36M17.joints.index(name) for name in ("neck", "head_top"))
        found[:, top] = points.places[:, at["Head"]]
        found[:, H36M17.joints.index("head")] = found[:, neck] + _HEAD * (found[:, top] - found[:, neck])
    lacking = [name for name in _OWN.values() if name[:1] in "LR" and name not in at]
    if lacking:
        raise FormatError(
            f"{path}: its markers are not the joints of a body; there is no {', '.join(lacking[:4])}. Markers on the skin need a"
            " model of the body, as OpenSim has"
        )
    return found
