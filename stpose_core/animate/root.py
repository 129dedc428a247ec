"""The path of the pelvis as its camera sees it, made smooth and free of jumps.

A camera tells the direction to a person well and the distance badly. So the track is smoothed as a unit vector and a log
distance, the distance the more strongly. The axes are those of the first frame's camera: in them, a camera that turns after a
person does not turn the person.
"""

from __future__ import annotations

import numpy as np

from stpose_core.animate.frames import unit
from stpose_core.animate.smooth import bridge, cutoff, find_spikes, speed_of, whittaker
from stpose_core.data import Array, Mask

_TOP_SPEED = 10.0  # m/s, about what a sprinter reaches
_NEAREST = 0.2  # m
_WINDOW = 0.1  # s on each side of a step over which its height is taken


def to_ray(track: Array) -> Array:
    """Positions (T, 3) from the camera as (T, 4): unit direction and log distance."""
    distance = np.maximum(np.linalg.norm(track, axis=1, keepdims=True), _NEAREST)
    return np.concatenate([track / distance, np.log(distance)], axis=1)


def from_ray(ray: Array) -> Array:
    """The inverse of `to_ray`; the direction need not be of unit length."""
    return np.asarray(unit(ray[:, :3]) * np.exp(ray[:, 3:]))


def remove_steps(track: Array, fps: float) -> Array:
    """A track (T, 3) metres without impossible steps: the part after such a step is moved back to join it."""
    window = max(1, round(_WINDOW * fps))
    track = track.copy()
    if len(track) < 2:
        return track
    padded = np.concatenate([np.repeat(track[:1], window - 1, 0), track, np.repeat(track[-1:], window, 0)])
    medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, window, axis=0), axis=-1)
    jump = medians[window : window + len(track) - 1] - medians[: len(track) - 1]  # across t | t + 1
    height = np.linalg.norm(jump, axis=1)
    too_high = height > _TOP_SPEED * window / fps
    edges = np.flatnonzero(np.diff(np.concatenate([[0], too_high.astype(int), [0]])))
    for first, last in zip(edges[::2], edges[1::2]):
        step = first + int(height[first:last].argmax())
        track[step + 1 :] -= jump[step]
    return track


def smooth_root(track: Array, weights: Array, strength: float, fps: float) -> Array:
    """Smooth positions (T, 3), metres from the camera; weights (T,). A strength of 0 removes impossible steps alone."""
    if (np.linalg.norm(track, axis=1) <= _NEAREST).any():
        # Not a place in front of a camera: nothing is known about a ray, all axes are alike.
        track = remove_steps(track, fps)
        return whittaker(track, weights, cutoff(strength), fps) if strength > 0 and len(track) > 2 else track
    if strength <= 0 or len(track) < 3:
        return remove_steps(track, fps)
    spikes: Mask = find_spikes(track[:, None], fps)[:, 0]
    ray = to_ray(remove_steps(bridge(track, spikes), fps))
    weights = np.where(spikes, 0.1, weights)
    return from_ray(np.concatenate([_direction(ray, weights, strength, fps), _distance(ray, weights, strength, fps)], axis=1))


def _direction(ray: Array, weights: Array, strength: float, fps: float) -> Array:
    """(T, 3) the direction, smoothed the less the faster the person crosses the view."""
    speed = speed_of(ray[:, :3] * np.exp(np.median(ray[:, 3])), weights, fps)  # m/s
    return whittaker(ray[:, :3], weights, cutoff(strength) * (1 + speed), fps)


def _distance(ray: Array, weights: Array, strength: float, fps: float) -> Array:
    """(T, 1) log distance, smoothed strongly, with little weight for what lies far from the smooth path."""
    smooth, trust = ray[:, 3:], weights
    for _ in range(3):
        smooth = whittaker(ray[:, 3:], trust, cutoff(strength) / 4, fps)
        off = np.abs(ray[:, 3] - smooth[:, 0])
        usual = 1.5 * np.median(off) + 1e-6
        trust = weights / (1 + (off / (3 * usual)) ** 2)
    return smooth
