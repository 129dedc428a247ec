"""When heels and toes are on the ground, from how the ankles move.

17 joints hold no toes, so both parts of a foot are judged by its ankle: a heel stands while the ankle is low and still, toes stand
while it turns about them as well. Whether a foot is still is judged across the camera's ray before along it, for the distance of a
person is known badly, and against the other foot: of two feet the slower one stands.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from stpose_core.animate.frames import ramp
from stpose_core.data import Array, Mask

_ON, _OFF = 0.5, 0.3
_AROUND = 0.5  # s before and after in which a foot's lowest place counts as the ground under it
_HIGHEST = 0.3  # m above the ground at which all is said
_HELD_UP = 0.28  # m above the ground at which no foot stands
_ABOVE_GROUND = 7  # its place among the features
_USUAL_LEG = 0.85  # m from hip to ankle: of the bodies that the weights were fitted to
# Logistic regression of heel and toe on `features`, fitted to the true contacts of the training part of marker mocap: through
# virtual cameras, with a detector's noise, lifted and smoothed.
_WEIGHTS = np.array(
    [
        [-1.79, -0.11, 0.26, 0.20, -0.09, -1.48, -0.95, -7.17, -1.09],
        [-1.74, -0.28, 0.39, 0.31, 0.76, -2.23, -1.37, -3.86, -0.97],
    ]
)
_CONSTANT = np.array([-0.83, -0.16])


def foot_probabilities(ankles: Array, knees: Array, ray: Array, leg: float, fps: float) -> Array:
    """(T, 4) in 0..1 that left heel, left toe, right heel, right toe are on the ground.

    ankles, knees: (T, 2, 3) metres, left and right, y up; ankles at height 0 where they stand. ray: (T, 3) unit vectors from the
    camera to the person. leg: metres from hip to ankle.
    """
    values = features(ankles, knees, ray, leg, fps)
    raw = 1 / (1 + np.exp(-np.clip(_CONSTANT + values @ _WEIGHTS.T, -30, 30)))
    # A foot may be held still in the air for longer than in any take: then its height alone tells.
    low = ramp(values[..., _ABOVE_GROUND], _HELD_UP, 0.5 * _HELD_UP)
    return np.asarray((raw * low[..., None]).reshape(len(ankles), 4))


def features(ankles: Array, knees: Array, ray: Array, leg: float, fps: float) -> Array:
    """(T, 2, 9) what is known of each foot in a frame; bodies of all sizes alike."""
    ankles, knees = ankles * (_USUAL_LEG / leg), knees * (_USUAL_LEG / leg)
    across, along, rising = _speeds(ankles, ray, fps)
    knee_speed = np.linalg.norm(_velocity(knees, fps), axis=-1)
    height = ankles[..., 1]
    reach = 2 * round(_AROUND * fps) + 1
    ground = minimum_filter1d(height.min(axis=1), reach, mode="nearest")[:, None]
    other = [1, 0]
    return np.stack(
        [
            np.log(across + 0.05),
            np.log(along + 0.05),
            np.log(across[:, other] + 0.05),
            np.log(along[:, other] + 0.05),
            rising,
            height,
            height - height[:, other],
            np.minimum(height - ground, _HIGHEST),
            np.log(knee_speed + 0.1),
        ],
        axis=-1,
    )


def _velocity(points: Array, fps: float) -> Array:
    """(T, ..., 3) metres a second of points (T, ..., 3), over two frames at 30 fps and as long a time at any rate."""
    if len(points) < 2:
        return np.zeros_like(points)
    return np.asarray(np.gradient(gaussian_filter1d(points, 0.012 * fps, axis=0, mode="nearest"), axis=0) * fps)


def _speeds(points: Array, ray: Array, fps: float) -> tuple[Array, Array, Array]:
    """(T, F) speeds of points (T, F, 3) across the ray, along it, and upwards."""
    velocity = _velocity(points, fps)
    along = (velocity * ray[:, None]).sum(-1)
    across = np.linalg.norm(velocity - along[..., None] * ray[:, None], axis=-1)
    return across, np.abs(along), velocity[..., 1]


def decided(probability: Array) -> Mask:
    """(T, P) contacts with hysteresis: one begins above 0.5 and ends below 0.3."""
    said = np.where(probability > _ON, 1, np.where(probability < _OFF, 0, -1))
    frames = np.arange(len(said))[:, None]
    last = np.maximum.accumulate(np.where(said >= 0, frames, -1), axis=0)
    on = np.take_along_axis(said, np.maximum(last, 0), axis=0)
    # Before the first frame that decides, the likelier of both.
    return np.asarray(np.where(last >= 0, on == 1, probability > 0.5))


def shown(probability: Array) -> Array:
    """(T, P) in 0..1 as a motion carries them: above 0.5 within a contact, below it outside."""
    on = decided(probability)
    return np.where(on, np.maximum(probability, 0.51), np.minimum(probability, 0.49))
