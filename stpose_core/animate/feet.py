"""Feet, which 17 joints do not show: at right angles to the shin in the air, flat or on the toes on the ground."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from stpose_core.animate.frames import about, across, frame, ramp, turn, unit
from stpose_core.animate.smooth import held, whittaker
from stpose_core.data import Array

_UP = np.array([0.0, 1.0, 0.0])
_LEFT = np.array([1.0, 0.0, 0.0])
_PITCHES = np.radians(np.arange(-45.0, 71.0, 5.0))  # toes up .. toes down, of a foot against its shin
_FOOT_HERTZ = 6.0
_BLEND_HERTZ = 5.0
_DEEP, _AROUND = 0.003, 0.07  # m that toes may be below the floor; s before and after in which they are raised as well


def foot_frames(
    shin: Array, ankle: Array, toe: Array, height: float, contacts: Array, fps: float, down: Array | None = None
) -> Array:
    """World frames (T, 3, 3) of a foot.

    shin: (T, 3, 3) frame of the lower leg. ankle: (T, 3) metres, y above the floor. toe: (3,) from ankle to toe tip at rest.
    height: of the ankle above the floor when the foot stands flat. contacts: (T, 2) in 0..1, heel and toe on the ground. down: (T,)
    radians by which the toes of a foot in the air were seen to point down from a right angle to the shin; 0 where not given.
    """
    # A foot that is slow and near the floor is not turned into it, though nothing says that it stands.
    speed = np.linalg.norm(np.gradient(ankle, axis=0), axis=1) * fps if len(ankle) > 1 else np.zeros(len(ankle))
    near = ramp(ankle[:, 1], height + 0.14, height + 0.05) * ramp(speed, 1.8, 0.6) * ramp(shin[:, 1, 1], 0.2, 0.5)
    grounded = np.maximum(ramp(contacts.max(axis=1), 0.2, 0.8), near)
    grounded = np.clip(whittaker(grounded[:, None], np.ones(len(ankle)), _BLEND_HERTZ, fps, order=2)[:, 0], 0.0, 1.0)
    air = _above_floor(shin, ankle, toe, fps, np.zeros(len(ankle)) if down is None else down)
    ground = _on_floor(shin, ankle, toe, height, contacts, fps)
    pitch = grounded * _pitch(shin, ground) + (1 - grounded) * air
    level = ground @ about(_LEFT, -_pitch(shin, ground))  # the heading and roll of a standing foot, the pitch of the shin
    blend = _mix(shin, level, grounded)
    foot = blend @ about(_LEFT, pitch)
    return np.asarray(foot @ about(_LEFT, -_sunk(foot, ankle, toe, fps)))


def _sunk(foot: Array, ankle: Array, toe: Array, fps: float) -> Array:
    """(T,) rad by which toes are to be raised that are below the floor: on the way between two poses above it, shins that lie take
    them through it."""
    tip = turn(foot, toe)
    flat, reach = np.hypot(tip[:, 0], tip[:, 2]), float(np.linalg.norm(toe))
    lowest = np.arcsin(np.clip((np.maximum(ankle[:, 1], 0.0) + _DEEP) / reach, -1.0, 1.0))
    around = maximum_filter1d(np.maximum(np.arctan2(-tip[:, 1], flat) - lowest, 0.0), 2 * round(_AROUND * fps) + 1, mode="nearest")
    return np.asarray(whittaker(around[:, None], np.ones(len(ankle)), _FOOT_HERTZ, fps, order=2)[:, 0])


def _mix(first: Array, second: Array, part: Array) -> Array:
    """Frames (T, 3, 3) `part` (T,) of the way between two that are not far apart."""
    mixed = (1 - part)[:, None, None] * first + part[:, None, None] * second
    return frame(mixed[..., 0], mixed[..., 1], keep="y")


def _pitch(shin: Array, foot: Array) -> Array:
    """(T,) rad by which the foot's toes point down from a right angle to the shin."""
    forward = foot[..., 2]
    return np.arctan2(-(forward * shin[..., 1]).sum(-1), (forward * shin[..., 2]).sum(-1))


def _on_floor(shin: Array, ankle: Array, toe: Array, height: float, contacts: Array, fps: float) -> Array:
    """(T, 3, 3) frames of a foot whose toe tip is on the floor: flat where the ankle is at its height, heel up where above.

    It keeps its heading for as long as it stands.
    """
    heading = unit(across(shin[..., 2] + 1e-6 * np.array([0.0, 0.0, 1.0]), _UP))
    heading = unit(held(heading, contacts.max(axis=1), fps))
    flat = frame(np.cross(_UP, heading), np.broadcast_to(_UP, heading.shape), keep="y")
    reach = float(np.linalg.norm(toe))
    down = np.arcsin(np.clip(ankle[:, 1] / reach, -0.3, 0.85)) - np.arcsin(np.clip(height / reach, -1.0, 1.0))
    return flat @ about(_LEFT, np.clip(down, -np.radians(20.0), np.radians(50.0)))


def _above_floor(shin: Array, ankle: Array, toe: Array, fps: float, down: Array) -> Array:
    """(T,) pitch of a foot in the air: as it was seen (T,), or as little off it as keeps the toes above the floor."""
    tips = turn(about(_LEFT, _PITCHES), toe)  # (P, 3) in the shin's frame
    under = np.maximum(-(shin[:, 1] @ tips.T + ankle[:, 1:2]), 0.0)
    pitches = _PITCHES[(100.0 * under + np.abs(_PITCHES - down[:, None])).argmin(axis=1)]
    best = np.where(under[np.arange(len(down)), np.abs(_PITCHES - down[:, None]).argmin(axis=1)] > 0, pitches, down)
    return np.asarray(whittaker(best[:, None], np.ones(len(best)), _FOOT_HERTZ, fps, order=2)[:, 0])
