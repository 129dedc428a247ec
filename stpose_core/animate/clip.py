"""Parts of a motion: a range of its frames, and a loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Motion
from stpose_core.errors import OptionError

_BLEND = 0.3  # s before the end of a loop, over which its pose turns into the first
_SHORTEST_LOOP = 0.5  # s
_FACING = np.radians(45.0)  # a loop ends where the body faces at most so far from where it faces in the first frame
_SPEED = 0.1  # s: how much a difference in speed counts against one in pose


def cut(motion: Motion, start: float | None = None, end: float | None = None) -> Motion:
    """The frames with start <= time < end, in seconds from the first frame. Raises OptionError if there are none."""
    times = np.arange(len(motion)) / motion.fps
    slack = 1e-6
    inside = (times >= (start or 0.0) - slack) & (times < (np.inf if end is None else end) - slack)
    if not inside.any():
        until = "the end" if end is None else f"{end:g} s"
        raise OptionError(f"no frames from {start or 0:g} s to {until}; the motion lasts {len(motion) / motion.fps:.2f} s")
    return _frames(motion, np.flatnonzero(inside))


def looped(motion: Motion) -> Motion:
    """The motion cut and blended so that its first frame follows its last one smoothly.

    It ends where pose and speed are nearest to those of the first frame and the body faces as it does there: in the second half of
    the clip, or before if the body faces elsewhere in all of that. Over the last 0.3 s the
    rotations and the height of the root turn into those of the first frame; the path along the floor is kept, so that steps
    still travel. Raises OptionError if the motion is too short, or turns away for good within 0.5 s.
    """
    shortest = max(2, round(_SHORTEST_LOOP * motion.fps))
    if len(motion) < shortest + 1:
        raise OptionError(f"a loop needs {_SHORTEST_LOOP:g} s at least; the motion lasts {len(motion) / motion.fps:.2f} s")
    ends = np.flatnonzero(_facing(motion) <= _FACING)
    ends = ends[ends >= shortest]
    if not len(ends):
        raise OptionError("after the start, the body never faces as in the first frame; choose a range that can be repeated")
    late = ends[ends >= len(motion) // 2]
    ends = late if len(late) else ends
    end = int(ends[np.argmin(_distance(motion)[ends])])
    count = min(end, round(_BLEND * motion.fps))
    steps = np.arange(1, count + 1) / (count + 1)
    weights = np.concatenate([np.zeros(end - count), steps * steps * (3 - 2 * steps)])
    result = _frames(motion, np.arange(end))
    rotations, root = result.rotations.copy(), result.root.copy()
    for joint in range(len(motion.names)):
        first, last = (Rotation.from_quat(motion.rotations[frame, joint][[1, 2, 3, 0]]) for frame in (0, end))
        turn = (last.inv() * first).as_rotvec()
        own = Rotation.from_quat(rotations[:, joint][:, [1, 2, 3, 0]])
        rotations[:, joint] = (own * Rotation.from_rotvec(weights[:, None] * turn)).as_quat()[:, [3, 0, 1, 2]]
    root[:, 1] += weights * (motion.root[0, 1] - motion.root[end, 1])
    # Where the face is not seen at one of the ends, there is nothing to turn into.
    apart = {name: np.nan_to_num(values[0] - values[end]) for name, values in motion.curves.items()}
    curves = {name: np.clip(values + weights * apart[name], 0.0, 1.0) for name, values in result.curves.items()}
    return replace(result, rotations=rotations, root=root, curves=curves)


def _facing(motion: Motion) -> Array:
    """(T,) radians about the vertical by which the root is turned from the first frame."""
    turns = Rotation.from_quat(motion.rotations[:, 0][:, [1, 2, 3, 0]])
    apart = (turns * turns[0].inv()).as_quat()
    return np.asarray(2 * np.arctan2(np.abs(apart[:, 1]), np.abs(apart[:, 3])))


def _distance(motion: Motion) -> Array:
    """(T,) how far pose and speed of each frame are from those of the first, in radians."""
    turned = Rotation.from_quat(motion.rotations[..., [1, 2, 3, 0]].reshape(-1, 4)).as_matrix().reshape(len(motion), -1, 9)
    speed = np.gradient(turned, axis=0) * motion.fps * _SPEED
    pose = np.linalg.norm(turned - turned[0], axis=-1)
    return np.asarray((pose + np.linalg.norm(speed - speed[0], axis=-1)).mean(axis=1))


def _frames(motion: Motion, chosen: NDArray[np.int64]) -> Motion:
    changed: dict[str, Any] = {name: getattr(motion, name)[chosen] for name in ("rotations", "root", "contacts", "filled")}
    return replace(motion, **changed, curves={name: values[chosen] for name, values in motion.curves.items()})
