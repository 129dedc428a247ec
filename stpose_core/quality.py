"""Quality measures of a capture, computed from the capture alone, and advice on how to improve it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, CameraPath, Capture, Mask, Motion
from stpose_core.metrics import bone_lengths
from stpose_core.rigs import recognised
from stpose_core.skeletons import H36M17

_PARTS = {
    "legs": H36M17.index("l_knee", "l_ankle", "r_knee", "r_ankle"),
    "arms": H36M17.index("l_elbow", "l_wrist", "r_elbow", "r_wrist"),
    "head": H36M17.index("head", "head_top"),
}
_FEET = ("LeftFoot", "LeftToeBase", "RightFoot", "RightToeBase")  # as the columns of Motion.contacts
_LIMBS = ("LeftForeArm", "LeftHand", "RightForeArm", "RightHand", "LeftLeg", "LeftFoot", "RightLeg", "RightFoot")
_NEAR_FLOOR = 0.15  # m: the height of an ankle in standing, with a margin
_PER_FRAME = 30.0  # frame rate that per-frame figures refer to, independent of the clip's rate


@dataclass(frozen=True)
class Quality:
    """Figures of one capture. NaN if there is nothing to measure.

    seen: share of the frames in which the person was detected. hidden: share of those frames in which joints of the "legs", "arms"
    and "head" were not visible, mean over the joints. contact: share of the frames with a foot on the ground. slide: cm that feet
    in contact move along the floor per frame at 30 fps. floor: share of contacts on one level, the floor at y = 0. jitter: m/s^2,
    mean acceleration of limb joints relative to the pelvis. bones: variation of the lifted bone lengths over the clip, mean of
    standard deviation / mean. camera: mean confidence of the camera's path, 1 for a static camera.
    """

    seen: float
    hidden: dict[str, float]
    contact: float
    slide: float
    floor: float
    jitter: float
    bones: float
    camera: float


def quality(capture: Capture, camera: CameraPath | None = None) -> Quality:
    """The figures of a capture. camera: its path, if it was estimated."""
    seen, pose, motion = capture.keypoints.seen, capture.pose3d, capture.motion
    slide, floor, jitter = steadiness(motion)
    lengths = bone_lengths(pose.xyz[pose.posed], H36M17.parents)
    return Quality(
        seen=float(seen.mean()) if len(seen) else float("nan"),
        hidden={part: _mean(pose.hidden[seen][:, joints]) for part, joints in _PARTS.items()},
        contact=_mean((motion.contacts > 0.5).any(axis=1)),
        slide=slide,
        floor=floor,
        jitter=jitter,
        bones=_mean(lengths.std(axis=0) / lengths.mean(axis=0)) if len(lengths) else float("nan"),
        camera=1.0 if camera is None else _mean(camera.confidence),
    )


def steadiness(motion: Motion) -> tuple[float, float, float]:
    """Slide, floor and jitter of a motion, as in `Quality`; NaN without the joints or the contacts that they need."""
    motion = recognised(motion)
    nan = float("nan")
    if not set(_FEET) | set(_LIMBS) <= set(motion.names):
        return nan, nan, nan
    places = forward_kinematics(motion)
    feet, limbs = (places[:, [motion.names.index(name) for name in names]] for names in (_FEET, _LIMBS))
    on = motion.contacts > 0.5
    moving = np.diff(limbs - places[:, motion.names.index("Hips"), None], 2, axis=0)
    return (
        _slide(feet, on, motion.fps),
        _mean(np.abs(feet[..., 1])[on] < _NEAR_FLOOR),
        _mean(np.linalg.norm(moving, axis=-1)) * motion.fps**2,
    )


def _slide(feet: Array, on: Mask, fps: float) -> float:
    both = on[1:] & on[:-1]
    steps = np.linalg.norm(np.diff(feet, axis=0)[..., [0, 2]], axis=-1)
    return 100 * _mean(steps[both]) * fps / _PER_FRAME


def _mean(values: Array | Mask) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def advice(found: Quality) -> str | None:
    """One line about the most severe problem; None if there is none. Problems are checked in order of severity."""
    legs, arms = found.hidden["legs"], found.hidden["arms"]
    off_floor = 100 * (1 - found.floor)
    lines = (
        (found.seen < 0.6, f"the person is detected in {100 * found.seen:.0f} % of the frames; keep the person in the picture"),
        (legs > 0.4, f"legs are out of the picture or hidden in {100 * legs:.0f} % of the frames; film the whole body"),
        (arms > 0.5, f"arms are hidden in {100 * arms:.0f} % of the frames; film from the front or the other side"),
        (found.camera < 0.3, "the camera moves and too little background is visible to follow it; film more of the background"),
        (found.bones > 0.08, f"bone lengths vary by {100 * found.bones:.0f} %, so depth is uncertain; film from further away"),
        (found.floor < 0.7, f"{off_floor:.0f} % of foot contacts are off the floor; if it is level, give --camera-pitch"),
        (found.slide > 0.5, f"feet slide by {found.slide:.1f} cm a frame; film with a static camera"),
        (found.jitter > 25.0, f"the limbs jitter ({found.jitter:.0f} m/s^2); film with more light, or smooth more (--smooth 0.6)"),
    )
    return next((line for poor, line in lines if poor), None)
