"""Forward kinematics of a Motion with numpy alone: reading a file and describing it loads nothing heavier."""

from __future__ import annotations

import numpy as np

from stpose_core.data import Array, Motion

_BLOCK = 4096  # frames at a time: the rotations of a long motion are larger than the motion


def forward_kinematics(motion: Motion) -> Array:
    """(T, J, 3) joint positions of a motion in metres, world axes, y up."""
    places = np.empty((len(motion), len(motion.names), 3))
    for start in range(0, len(motion), _BLOCK):
        some = slice(start, start + _BLOCK)
        places[some] = world_frames(motion, some)[1]
    return places


def world_frames(motion: Motion, some: slice = slice(None)) -> tuple[Array, Array]:
    """(T, J, 3, 3) rotations of the joints of a motion in the world, and (T, J, 3) their positions in metres; of some frames."""
    rotations, root = motion.rotations[some], motion.root[some]
    frames = np.empty((len(root), len(motion.names), 3, 3))
    places = np.empty((len(root), len(motion.names), 3))
    if not len(root):
        return frames, places
    for joint, parent in enumerate(motion.parents):
        local = matrices(rotations[:, joint])
        if parent < 0:
            frames[:, joint], places[:, joint] = local, root + motion.offsets[joint]
        else:
            frames[:, joint] = frames[:, parent] @ local
            places[:, joint] = places[:, parent] + frames[:, parent] @ motion.offsets[joint]
    return frames, places


def matrices(quaternions: Array) -> Array:
    """(..., 3, 3) rotation matrices of quaternions (..., 4), w first, of any length but nought."""
    w, x, y, z = np.moveaxis(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
