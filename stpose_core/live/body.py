"""From lifted joints to joint rotations, frame by frame: bone lengths, floor and gravity are learned as the session goes on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import INDEX, NAMES, PARENTS, ankle_height, rest_offsets
from stpose_core.animate.bones import bone_lengths, bone_vectors, rest_directions
from stpose_core.animate.feet import foot_frames
from stpose_core.animate.frames import ramp
from stpose_core.animate.rotations import Body, pose_body, world_positions
from stpose_core.data import Array, Pose3D
from stpose_core.live.one_euro import OneEuro
from stpose_core.world.ground import clearance, room_from_camera

_WINDOW = 8  # past frames that a frame's twists are solved with
_MEASURED = 240  # past frames that bone lengths and the floor are measured by
_MEASURE_EVERY = 15  # frames
_UP_SECONDS = 3.0  # over which the direction of gravity is averaged
_ABSENT_SECONDS = 0.5  # without a pose; then filters start anew
_FLAT, _LIFTED = 0.03, 0.12  # m of the ankle above its height in standing: the foot is flat on the floor, or hangs free


@dataclass(frozen=True)
class LivePose:
    """The skeleton at one time.

    taken: seconds of `time.monotonic` at which the frame was received. frame: its number. present: whether a person is seen; if
    not, the rest is that of the last frame with one. rotations: (J, 4) quaternions w, x, y, z of each joint relative to its
    parent, in the order of `names`; root: (3,) metres, y up, the floor at 0; offsets: (J, 3) metres, the rest pose. Rest pose
    and axes are those of a `Motion`: a T-pose, x to the person's left, y up, z forward.
    """

    taken: float
    frame: int
    present: bool
    rotations: Array
    root: Array
    offsets: Array

    names = NAMES
    parents = PARENTS


class LiveBody:
    """Makes poses of the single frames that a lifter's stream gives. smooth: 0..1, strength of the smoothing."""

    def __init__(self, smooth: float = 0.4) -> None:
        least = 6.0 * (1 - smooth) + 0.5
        self._joints, self._root = OneEuro(least, 8.0), OneEuro(0.5 * least, 4.0)
        self._recent: deque[Array] = deque(maxlen=_WINDOW)
        self._measured: deque[Array] = deque(maxlen=_MEASURED)
        self._lowest: deque[float] = deque(maxlen=_MEASURED)
        self._up = np.array([0.0, -1.0, 0.0])
        self._count, self._known = 0, 0.0
        self._time: float | None = None
        self._origin: Array | None = None
        self._last: tuple[Array, Array] | None = None
        self._lengths = np.zeros(17)
        self._rest = rest_directions(np.zeros((1, 17, 3)), np.ones((1, 17)))

    def update(self, pose: Pose3D, taken: float, frame: int) -> LivePose | None:
        """The skeleton at this frame. pose: one frame of `h36m17`, NaN without a detection. None before the first person.

        taken, frame: see `LivePose`.
        """
        if not pose.posed[0]:
            return self._held(taken, frame)
        seconds = 0.0 if self._time is None else taken - self._time
        if seconds > _ABSENT_SECONDS:
            self._joints.reset()
            self._root.reset()
            self._recent.clear()
        self._time = taken
        self._learn_up(np.asarray(pose.up), seconds)
        turn = room_from_camera(self._up)
        joints = self._joints(pose.xyz[0] @ turn.T, seconds)
        bones = bone_vectors(joints[None])
        self._recent.append(bones[0])
        self._measured.append(bones[0])
        if self._count % _MEASURE_EVERY == 0:
            self._measure()
        self._count += 1
        body = pose_body(np.stack(self._recent), self._lengths, self._rest, 30.0)
        root = self._root(turn @ pose.root[0], seconds)
        root = self._on_floor(joints, root)
        self._put_feet(body, root)
        rotations = _local(body.frames[-1])
        self._last = rotations, root
        return LivePose(taken, frame, True, rotations, root, body.offsets)

    def _held(self, taken: float, frame: int) -> LivePose | None:
        if self._last is None:
            return None
        rotations, root = self._last
        return LivePose(taken, frame, False, rotations, root, rest_offsets(self._lengths, self._rest))

    def _learn_up(self, up: Array, seconds: float) -> None:
        """A mean over all time at first, and over the last seconds from then on."""
        self._known = min(self._known + max(seconds, 1 / 60), _UP_SECONDS)
        self._up = self._up + max(seconds, 1 / 60) / self._known * (up - self._up)

    def _measure(self) -> None:
        bones = np.stack(self._measured)
        weights = np.ones(bones.shape[:2])
        self._lengths, self._rest = bone_lengths(bones, weights), rest_directions(bones, weights)

    def _on_floor(self, joints: Array, root: Array) -> Array:
        lowest, _ = clearance((joints + root)[None], ankle_height(self._lengths))
        self._lowest.append(float(lowest[0]))
        if self._origin is None:
            self._origin = root * np.array([1.0, 0.0, 1.0])
        return root - self._origin - np.array([0.0, np.percentile(self._lowest, 10), 0.0])

    def _put_feet(self, body: Body, root: Array) -> None:
        places, ankle = world_positions(body, np.tile(root, (len(self._recent), 1))), ankle_height(self._lengths)
        for side in ("Left", "Right"):
            end = places[:, INDEX[side + "Foot"]]
            toe = body.offsets[INDEX[side + "ToeBase"]] + body.offsets[INDEX[side + "ToeEnd"]]
            standing = ramp(end[:, 1] - ankle, _LIFTED, _FLAT)
            contacts = np.stack([standing, standing], axis=1)
            foot = foot_frames(body[side + "Leg"], end, toe, ankle, contacts, 30.0)
            for name in ("Foot", "ToeBase", "ToeEnd"):
                body.put(side + name, foot)


def _local(frames: Array) -> Array:
    """(J, 3, 3) world frames -> (J, 4) quaternions w, x, y, z relative to the parents, w >= 0."""
    parents = np.array(PARENTS)
    local = np.einsum("jki,jkl->jil", frames[np.maximum(parents, 0)], frames)
    local[parents < 0] = frames[parents < 0]
    quaternions = Rotation.from_matrix(local).as_quat()[:, [3, 0, 1, 2]]
    return np.asarray(quaternions * np.where(quaternions[:, :1] < 0, -1.0, 1.0))
