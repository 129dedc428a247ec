"""Joint positions to joint rotations: swing along each bone, twist from the planes of the body; and back by kinematics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.animate import hinge
from stpose_core.animate.body import INDEX, NAMES, PARENTS, Rest, rest_offsets
from stpose_core.animate.bones import joints_from_bones, refit_limb
from stpose_core.animate.frames import (
    chest_frame,
    continuous_quaternions,
    minimal_rotation,
    pelvis_frame,
    supported,
    turn,
    unit,
)
from stpose_core.data import Array

_MAX_CLAVICLE = np.radians(55.0)
_GRIP = 1.5  # weight of hands and feet against elbows and knees as limbs are fitted


@dataclass
class Body:
    """World frames of every joint. frames: (T, J, 3, 3), in single precision, because they are the largest array of a long clip;
    offsets: (J, 3) metres."""

    frames: NDArray[np.float32]
    offsets: Array

    def put(self, name: str, value: Array) -> None:
        self.frames[:, INDEX[name]] = value

    def __getitem__(self, name: str) -> Array:
        return self.frames[:, INDEX[name]].astype(np.float64)


def share(lower: Array, upper: Array, part: float) -> Array:
    """Frames (T, 3, 3) `part` of the way from one to another along the shortest turn."""
    start = Rotation.from_matrix(lower)
    return np.asarray((start * Rotation.from_rotvec((start.inv() * Rotation.from_matrix(upper)).as_rotvec() * part)).as_matrix())


def _aim(base: Array, rest: Array, direction: Array) -> Array:
    """`base` (T, 3, 3) turned as little as takes the bone that points along `rest` (3,) at rest to `direction` (T, 3)."""
    return np.asarray(minimal_rotation(turn(base, unit(rest)), direction) @ base)


def _within(base: Array, turned: Array, most: float) -> Array:
    """`turned` (T, 3, 3), or as near to it as a turn of `most` rad from `base` comes, with a soft approach to that bound."""
    start = Rotation.from_matrix(base)
    turn_by = (start.inv() * Rotation.from_matrix(turned)).as_rotvec()
    angle = np.linalg.norm(turn_by, axis=1, keepdims=True)
    bound = most / 2 * (1 + np.tanh(2 * angle / most - 1))
    part = np.where(angle < most / 2, 1.0, bound / np.maximum(angle, 1e-9))
    return np.asarray((start * Rotation.from_rotvec(turn_by * part)).as_matrix())


def pose_body(bones: Array, lengths: Array, rest: Rest, fps: float) -> Body:
    """World frames of all joints but the feet's, from bone vectors (T, 17, 3) and bone lengths (17,), metres."""
    joints = joints_from_bones(bones)
    offsets = rest_offsets(lengths, rest)
    body = Body(np.tile(np.eye(3, dtype=np.float32), (len(bones), len(NAMES), 1, 1)), offsets)
    hips, chest = pelvis_frame(bones), chest_frame(bones)
    body.put("Hips", hips)
    _pose_spine(body, hips, chest, joints, lengths)
    neck = turn(hips, offsets[INDEX["Spine"]])
    for name in ("Chest", "UpperChest", "Neck"):
        neck = neck + turn(body[NAMES[PARENTS[INDEX[name]]]], offsets[INDEX[name]])
    body.put("Neck", _aim(body["UpperChest"], rest.neck, supported(bones[:, 9], lengths[9], turn(body["UpperChest"], rest.neck))))
    body.put("Head", _aim(body["Neck"], rest.crown, supported(bones[:, 10], lengths[10], turn(body["Neck"], rest.crown))))
    body.put("HeadEnd", body["Head"])
    base = neck - turn(body["UpperChest"], offsets[INDEX["Neck"]])
    for side, limb, shoulder in (("Left", hinge.LEFT_ARM, 11), ("Right", hinge.RIGHT_ARM, 14)):
        collar = base + turn(body["UpperChest"], offsets[INDEX[side + "Shoulder"]])
        # The shoulder is seen from the neck: where the spine's constant lengths moved the neck, it moves along.
        seen = joints[:, [shoulder, shoulder + 1, shoulder + 2]]
        moved = neck - joints[:, 8]
        outward = offsets[INDEX[side + "Arm"]]
        length = float(np.linalg.norm(outward))
        reach = supported(seen[:, 0] + moved - collar, length, turn(body["UpperChest"], outward / length))
        clavicle = _within(body["UpperChest"], _aim(body["UpperChest"], outward, reach), _MAX_CLAVICLE)
        body.put(side + "Shoulder", clavicle)
        start = collar + turn(clavicle, offsets[INDEX[side + "Arm"]])
        first, second = refit_limb(start, seen, (lengths[shoulder + 1], lengths[shoulder + 2]), _GRIP)
        upper, lower = hinge.limb_frames(chest, first, second, limb, fps)
        for name, value in (("Arm", upper), ("ForeArm", lower), ("Hand", lower), ("HandEnd", lower)):
            body.put(side + name, value)
    for side, limb, hip in (("Left", hinge.LEFT_LEG, 4), ("Right", hinge.RIGHT_LEG, 1)):
        start = turn(hips, offsets[INDEX[side + "UpLeg"]])
        first, second = refit_limb(start, joints[:, hip : hip + 3], (lengths[hip + 1], lengths[hip + 2]), _GRIP)
        upper, lower = hinge.limb_frames(hips, first, second, limb, fps)
        for name, value in (("UpLeg", upper), ("Leg", lower), ("Foot", lower), ("ToeBase", lower), ("ToeEnd", lower)):
            body.put(side + name, value)
    return body


def _pose_spine(body: Body, hips: Array, chest: Array, joints: Array, lengths: Array) -> None:
    """Spine, Chest and UpperChest: each points along its bone, and the twist between pelvis and shoulders is shared out."""
    up = np.array([0.0, 1.0, 0.0])
    low = turn(hips, body.offsets[INDEX["Spine"]])
    spine = unit(joints[:, 7] - low)
    # What twist the chest has beyond the turn that bends the pelvis's up to its own, a third to each joint.
    body.put("Spine", _aim(share(hips, chest, 1 / 3), up, spine))
    top = low + turn(body["Spine"], body.offsets[INDEX["Chest"]])
    upward = unit(joints[:, 8] - top)
    body.put("Chest", _aim(share(hips, chest, 2 / 3), up, upward))
    body.put("UpperChest", _aim(chest, up, upward))


def local_rotations(frames: NDArray[np.float32]) -> Array:
    """(T, J, 4) quaternions of each joint relative to its parent from world frames (T, J, 3, 3); end sites get none."""
    rotations = np.zeros((*frames.shape[:2], 4))
    rotations[..., 0] = 1.0
    for joint, (name, parent) in enumerate(zip(NAMES, PARENTS)):
        if name.endswith("End"):
            continue
        local = frames[:, joint].astype(np.float64)
        if parent >= 0:
            local = np.swapaxes(frames[:, parent], -1, -2) @ local
        rotations[:, joint] = continuous_quaternions(local)
    return rotations


def world_positions(body: Body, root: Array) -> Array:
    """(T, J, 3) joint positions in metres from world frames; root: (T, 3)."""
    places = np.empty((len(root), len(NAMES), 3))
    for joint, parent in enumerate(PARENTS):
        places[:, joint] = root if parent < 0 else places[:, parent] + turn(body[NAMES[parent]], body.offsets[joint])
    return places
