"""Walking speed from the movement of the legs alone, and the path of a camera that is carried along.

A camera of unknown position may be carried beside a person, who then stays in the picture while walking. The legs show the speed:
a standing foot moves back under the pelvis as fast as the body moves forward.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from stpose_core.animate.frames import ramp, unit
from stpose_core.animate.smooth import whittaker
from stpose_core.data import Array

_HERTZ = 0.5  # walking speed changes slowly
_SPREAD = 0.3  # m/s by which a standing foot may seem to move
_LIFT = 0.05  # m by which the other foot is higher, for it to be the one that swings
_ROUNDS = 12
_ROLLS, _DEEP = 1.2, 1.5  # factors to the true speed across and along the ray: feet roll on, and lifted strides lack depth
_WALKS = (0.3, 0.5)  # m/s of the legs from which on a person walks
_MISSING = (0.3, 0.5)  # share of that speed that the picture lacks, from which on the camera is carried along
_MEMORY = 2.0  # s before and after over which that is judged
_TURNING = 0.15  # s, over which the direction of the body is smoothed
_LEVEL = np.array([1.0, 0.0, 1.0])


def gait_velocity(ankles: Array, hips: Array, fps: float) -> Array:
    """(T, 3) level velocity of the pelvis in m/s, from where the feet are to it.

    ankles: (T, 2, 3) metres relative to the pelvis, left and right, y up. hips: (T, 3) from the right hip to the left one.
    """
    if len(ankles) < 3:
        return np.zeros_like(hips)
    speed = _ankle_speed(ankles, fps)
    lower = np.exp(-(ankles[..., 1] - ankles[..., 1].min(axis=1, keepdims=True)) / _LIFT)
    stands = 0.05 + 0.9 * lower / lower.sum(axis=1, keepdims=True)
    ahead = unit(np.cross(hips, [0.0, 1.0, 0.0]))
    backward = (speed * ahead[:, None]).sum(axis=-1).argmin(axis=1)
    found, best = np.zeros_like(hips), -np.inf
    # Two initial guesses: standing still, and the speed of the foot that moves back most.
    for start in (np.zeros_like(hips), _slow(-speed[np.arange(len(speed)), backward], np.ones(len(speed)), hips, fps)):
        velocity = start
        for _ in range(_ROUNDS):
            off = ((speed + velocity[:, None]) ** 2).sum(axis=-1)
            near = stands * np.exp(-off / 2 / _SPREAD**2) / (2 * np.pi * _SPREAD**2)
            far = (1 - stands) / (np.pi * 3.0**2)  # a foot that swings has any speed up to some 3 m/s
            share = near / (near + far)
            weight = share.sum(axis=1) + 1e-3
            velocity = _slow(-(share[..., None] * speed).sum(axis=1) / weight[:, None], weight, hips, fps)
        likelihood = float(np.log(near.sum(axis=1) + far.sum(axis=1)).mean())
        if likelihood > best:
            found, best = velocity, likelihood
    return found


def stance_velocity(ankles: Array, hips: Array, stands: Array, fps: float) -> Array:
    """As `gait_velocity`, where it is known how likely each foot stands. stands: (T, 2) in 0..1."""
    if len(ankles) < 3:
        return np.zeros_like(hips)
    weight = stands.sum(axis=1) + 1e-3
    return _slow(-(stands[..., None] * _ankle_speed(ankles, fps)).sum(axis=1) / weight[:, None], weight, hips, fps)


def carried(root: Array, gait: Array, hips: Array, ray: Array, fps: float) -> tuple[Array, Array]:
    """(T, 3) metres that the camera was carried along, and (T,) in 0..1, where it was: the person walks but stays in the picture.

    root: (T, 3) metres of the pelvis for a camera that stays where it is. gait: (T, 3) m/s from `gait_velocity`. hips: as there.
    ray: (T, 3) unit vectors from the camera.
    """
    if len(root) < 3:
        return np.zeros_like(root), np.zeros(len(root))
    away = unit(ray * _LEVEL)
    gait = _ROLLS * gait + (_DEEP - _ROLLS) * (gait * away).sum(axis=1, keepdims=True) * away
    seen = _slow(np.gradient(root, axis=0) * fps * _LEVEL, np.ones(len(root)), hips, fps)
    walks = ramp(np.linalg.norm(gait, axis=1), *_WALKS)

    def around(values: Array) -> Array:
        return np.asarray(gaussian_filter1d(walks * values, _MEMORY * fps, mode="nearest"))

    missing = around((gait * (gait - seen)).sum(axis=1)) / np.maximum(around((gait**2).sum(axis=1)), 1e-3)
    share = ramp(missing, *_MISSING) * np.clip(gaussian_filter1d(walks, 0.5 * fps, mode="nearest"), 0.0, 1.0)
    return np.cumsum(share[:, None] * (gait - seen), axis=0) / fps, share


def _ankle_speed(ankles: Array, fps: float) -> Array:
    """(T, 2, 3) level velocities in m/s."""
    return np.asarray(np.gradient(gaussian_filter1d(ankles, 0.033 * fps, axis=0, mode="nearest"), axis=0) * fps * _LEVEL)


def _slow(values: Array, weights: Array, hips: Array, fps: float) -> Array:
    """Level velocities (T, 3) smoothed in the directions of the body, so that they turn with it."""
    across = gaussian_filter1d(hips, _TURNING * fps, axis=0, mode="nearest")
    heading = across[:, 0] + 1j * across[:, 2]
    heading = heading / np.maximum(np.abs(heading), 1e-9)
    local = (values[:, 0] + 1j * values[:, 2]) * heading.conj()
    smooth = whittaker(local[:, None], weights, _HERTZ, fps, order=1)[:, 0] * heading
    return np.stack([smooth.real, np.zeros(len(smooth)), smooth.imag], axis=1)
