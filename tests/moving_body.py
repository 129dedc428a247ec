"""A body that walks and swings its arms, made by forward kinematics, and what a camera's lifter would say of it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate import MOTION_FROM_H36M, forward_kinematics
from stpose_core.animate.body import INDEX, NAMES, Rest, ankle_height, parents, rest_offsets
from stpose_core.data import Array, Camera, Motion, Pose3D
from stpose_core.skeletons import H36M17

LENGTHS = np.array([0, 0.1, 0.42, 0.41, 0.1, 0.42, 0.41, 0.25, 0.26, 0.16, 0.12, 0.16, 0.29, 0.25, 0.16, 0.29, 0.25])
REST = Rest(np.array([0.96, 0.28, 0.0]), np.array([0.0, 0.99498744, 0.1]), np.array([0.0, 1.0, 0.0]))
ROOT_HEIGHT = 0.91
CAMERA = Camera(1000.0, (640.0, 360.0))


def body(turns: dict[str, Array], root: Array, fps: float) -> Motion:
    """A motion from rotation vectors (T, 3) in rad by joint name and a root (T, 3) in metres."""
    rotations = np.zeros((len(root), len(NAMES), 4))
    rotations[..., 0] = 1.0
    for name, vectors in turns.items():
        rotations[:, INDEX[name]] = Rotation.from_rotvec(vectors).as_quat()[:, [3, 0, 1, 2]]
    frames = len(root)
    return Motion(
        NAMES, parents(), rest_offsets(LENGTHS, REST), rotations, root, np.zeros((frames, 4)), np.zeros(frames, bool), fps
    )  # fmt: skip


def still(frames: int = 30, fps: float = 30.0) -> Motion:
    """A T-pose."""
    return body({}, np.tile([0.0, ROOT_HEIGHT, 0.0], (frames, 1)), fps)


def walk(seconds: float = 3.0, fps: float = 30.0, bend: float = 0.5) -> Motion:
    """A stride a second towards +z, arms hanging and swinging, elbows and knees bent by at least about `bend` rad.

    The lower foot stands on the floor: the root goes where that takes it.
    """
    time = np.arange(round(seconds * fps)) / fps
    swing = np.sin(2 * np.pi * time)

    def thigh(after: float) -> tuple[Array, Array]:
        """Its swing in -1 (ahead) .. 1, even for the 0.6 s that the foot stands, and how far the knee is raised meanwhile."""
        phase = (time + after) % 1.0
        back = np.clip((phase - 0.6) / 0.4, 0.0, 1.0)
        return np.where(phase < 0.6, phase / 0.3 - 1, np.cos(np.pi * back)), np.sin(np.pi * back) ** 2

    def about(axis: int, angle: Array) -> Array:
        vectors = np.zeros((len(time), 3))
        vectors[:, axis] = angle
        return vectors

    turns = {"Hips": about(1, 0.1 * swing), "UpperChest": about(1, -0.15 * swing)}
    for side, out, after in (("Left", 1.0, 0.0), ("Right", -1.0, 0.5)):
        phase, raised = thigh(after)
        hang = Rotation.from_rotvec([0.0, 0.0, -1.3 * out])
        turns[side + "Arm"] = (Rotation.from_rotvec(about(0, 0.5 * phase)) * hang).as_rotvec()
        turns[side + "ForeArm"] = about(1, -out * (bend + 0.3 * (1 - phase)))
        turns[side + "UpLeg"] = about(0, 0.45 * phase - bend / 2 - 0.3 * raised)
        turns[side + "Leg"] = about(0, bend + 0.8 * raised)
    hanging = body(turns, np.zeros((len(time), 3)), fps)
    ankles = forward_kinematics(hanging)[:, [INDEX["LeftFoot"], INDEX["RightFoot"]]]
    share = 1 / (1 + np.exp(np.clip((ankles[:, :1, 1] - ankles[:, 1:, 1]) / 0.004, -50, 50)))  # of the left foot in standing
    steps = share[1:] * np.diff(ankles[:, 0], axis=0) + (1 - share[1:]) * np.diff(ankles[:, 1], axis=0)
    root = np.concatenate([np.zeros((1, 3)), -np.cumsum(steps, axis=0)])
    root[:, 1] = ankle_height(LENGTHS) - (share * ankles[:, 0] + (1 - share) * ankles[:, 1])[:, 1]
    return body(turns, root, fps)


def h36m(motion: Motion) -> Array:
    """(T, 17, 3) the joints of Human3.6M on a motion."""
    return forward_kinematics(motion)[:, [INDEX[MOTION_FROM_H36M[joint]] for joint in H36M17.joints]]


def seen(joints: Array, fps: float, distance: float = 6.0, height: float = 1.2, tilt: float = 0.0) -> Pose3D:
    """What a lifter would say of joints (T, 17, 3) in the room, from a camera that looks along -z, tilted down by `tilt` rad."""
    camera = (joints - np.array([0.0, height, distance])) * np.array([1.0, -1.0, -1.0])
    lean = Rotation.from_rotvec([tilt, 0.0, 0.0])
    camera = lean.apply(camera.reshape(-1, 3)).reshape(camera.shape)
    return pose3d(camera - camera[:, :1], camera[:, 0], fps, up=lean.apply([0.0, -1.0, 0.0]))


def pose3d(xyz: Array, root: Array, fps: float, hidden: Array | None = None, up: Array | None = None) -> Pose3D:
    """A Pose3D with an even error of 3 cm."""
    shape = xyz.shape[:2]
    return Pose3D(
        xyz=xyz, root=root, hidden=np.zeros(shape, bool) if hidden is None else hidden, sigma=np.full(shape, 0.03),
        up=np.array([0.0, -1.0, 0.0]) if up is None else up, fps=fps, skeleton="h36m17", camera=CAMERA,
    )  # fmt: skip


def without(pose: Pose3D, frames: slice) -> Pose3D:
    """The pose with nothing known in some frames."""
    xyz, root = pose.xyz.copy(), pose.root.copy()
    xyz[frames], root[frames] = np.nan, np.nan
    return pose3d(xyz, root, pose.fps, pose.hidden, pose.up)


def noisy(pose: Pose3D, joints: float, depth: float = 0.0, seed: int = 0) -> Pose3D:
    """The pose with white error, metres: of each joint on each axis, and of the root along the ray."""
    random = np.random.default_rng(seed)
    error = random.normal(size=pose.xyz.shape) * joints
    error[:, 0] = 0.0
    ray = pose.root / np.linalg.norm(pose.root, axis=1, keepdims=True)
    along = random.normal(size=(len(pose), 1)) * depth
    return pose3d(pose.xyz + error, pose.root + along * ray, pose.fps, pose.hidden, pose.up)


def turn_speeds(motion: Motion) -> Array:
    """(T - 1, J) rad/s that each joint turns in its parent."""
    dots = np.abs((motion.rotations[1:] * motion.rotations[:-1]).sum(-1))
    return 2 * np.arccos(np.clip(dots, 0.0, 1.0)) * motion.fps
