"""A motion from points of a body over time: joint centres of this package's own files, or keypoints named as Halpe or OpenPose do.

Limbs and trunk point as the points do; rotations about a limb's own axis follow from how elbows and knees bend. Head, hands and
feet are turned as their points show, or follow the neck, the forearm and the shin. Bone lengths are medians over the clip.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpose_core.animate.frames import across, minimal_rotation, turn, unit
from stpose_core.animate.kinematics import world_frames
from stpose_core.animate.motion import animate
from stpose_core.animate.rotations import continuous_quaternions
from stpose_core.data import Array, Camera, Motion, Pose3D
from stpose_core.errors import FormatError
from stpose_core.formats.markers import MARKERS, Points, fixed_points, joints_of
from stpose_core.skeletons import H36M17

_TO_CAMERA = np.array([1.0, -1.0, -1.0])  # from y up to the axes of a pose
_SIGMA = 0.02  # metres: all joints alike


def motion_of_points(path: object, points: Points) -> Motion:
    """The motion of a body. Frames without all needed points are filled. Raises FormatError if the points are those of no body."""
    joints = joints_of(path, points)
    places = joints[:, 0]
    seen = np.isfinite(joints).all(axis=(1, 2))
    if not seen.any():
        raise FormatError(f"{path}: no frame has all points of a body")
    shape = joints.shape[:2]
    pose = Pose3D(
        xyz=np.where(seen[:, None, None], (joints - places[:, None]) * _TO_CAMERA, np.nan),
        root=np.where(seen[:, None], places * _TO_CAMERA, np.nan),
        hidden=np.zeros(shape, bool),
        sigma=np.full(shape, _SIGMA),
        up=np.array([0.0, -1.0, 0.0]),
        fps=points.fps,
        skeleton=H36M17.name,
        camera=Camera.assumed((1920, 1080)),
    )
    motion = animate(pose, smooth=0.0)
    frames = np.arange(len(motion))
    root = np.stack([np.interp(frames, frames[seen], places[seen, axis]) for axis in range(3)], axis=1)
    return _with_ends(replace(motion, root=root), points, joints[:, H36M17.joints.index("head")])


def _with_ends(motion: Motion, points: Points, head: Array) -> Motion:
    """The motion with head, hands and feet turned as their points show them, where they are seen. head: (T, 3) the head's joint."""
    at = {"HeadBase": head, **{label: points.places[:, index] for index, label in enumerate(points.labels)}}
    motion = _with_crown(motion, at)
    rotations, names = motion.rotations.copy(), motion.names
    frames, _ = world_frames(motion)
    rest = _points_of(motion)
    for end in (name for name in names if name == "Head" or name.endswith(("Hand", "Foot"))):
        origin = MARKERS[end]
        labels = [label for label in rest[end] if label in at]
        if origin not in at or not labels or (len(labels) == 1 and end.endswith("Foot")):
            continue
        seen = np.stack([at[label] - at[origin] for label in labels], axis=1)
        known = np.isfinite(seen).all(axis=(1, 2))
        shape = np.stack([rest[end][label] for label in labels])
        joint = names.index(end)
        turned = _turned(np.where(known[:, None, None], seen, shape), shape, frames[:, joint])
        above = np.swapaxes(frames[:, motion.parents[joint]], 1, 2)
        rotations[:, joint] = continuous_quaternions(above @ np.where(known[:, None, None], turned, frames[:, joint]))
        if end.endswith("Foot"):
            toes = names.index(end.replace("Foot", "ToeBase"))
            rotations[:, toes] = np.where(known[:, None], [1.0, 0.0, 0.0, 0.0], rotations[:, toes])
    return replace(motion, rotations=rotations)


def _with_crown(motion: Motion, at: dict[str, Array]) -> Motion:
    """The motion with the angle between nose and crown that the points have: where a head's joint lies differs between files."""
    if not {"HeadBase", "Head", "Nose"} <= set(at) or "Nose" not in fixed_points(motion):
        return motion
    nose, crown = unit(at["Nose"] - at["HeadBase"]), unit(at["Head"] - at["HeadBase"])
    cosines = (nose * crown).sum(-1)
    if np.isnan(cosines).all():
        return motion
    angle = np.arccos(np.clip(np.nanmedian(cosines), -1.0, 1.0))
    ahead = unit(fixed_points(motion)["Nose"][1])
    offsets = motion.offsets.copy()
    end = motion.names.index("HeadEnd")
    above = unit(across(np.array([0.0, 1.0, 0.0]), ahead))
    offsets[end] = np.linalg.norm(offsets[end]) * (np.cos(angle) * ahead + np.sin(angle) * above)
    return replace(motion, offsets=offsets)


def _points_of(motion: Motion) -> dict[str, dict[str, Array]]:
    """For head, hands and feet the points that move with them: their offsets (3,) from its joint at rest."""
    names = motion.names
    own = dict(zip(names, motion.offsets))
    found: dict[str, dict[str, Array]] = {"Head": {"Head": own["HeadEnd"]}}
    for side in ("Left", "Right"):
        ball = own[f"{side}ToeBase"]
        found[f"{side}Hand"] = {f"{side[0]}HandTip": own[f"{side}HandEnd"]}
        found[f"{side}Foot"] = {f"{side[0]}MTP": ball, f"{side[0]}BigToe": ball + own[f"{side}ToeEnd"]}
    for label, (joint, offset) in fixed_points(motion).items():
        if joint.endswith("ToeBase"):
            joint, offset = joint.replace("ToeBase", "Foot"), offset + own[joint]
        found[joint][label] = offset
    return found


def _turned(seen: Array, shape: Array, usual: Array) -> Array:
    """The rotations (T, 3, 3) about the origin that bring a shape (N, 3) nearest to points (T, N, 3): Kabsch's solution.

    usual: (T, 3, 3) from which as little as possible is turned where there is one point, which leaves the rest open.
    """
    if len(shape) == 1:
        return minimal_rotation(turn(usual, unit(shape[0])), unit(seen[:, 0])) @ usual
    left, _, other = np.linalg.svd(np.swapaxes(seen, 1, 2) @ shape)
    flip = np.ones((len(seen), 3))
    flip[:, 2] = np.linalg.det(left @ other)
    return np.asarray((left * flip[:, None]) @ other)
