"""Contact probabilities of heels and toes, from the movement of the legs.

The 17 joints do not include toes, so both parts of a foot are judged by the movement of its leg and of the other one. A small
temporal convolutional network reads features of both legs (`features`) over 0.4 s before and after a frame. Speeds are split into
a part across the camera's ray and one along it, because the distance of a person is known badly. Ankles are read twice: as the
smoothed body has them, and as the picture shows them (seen.py), which tells better when a foot stops. The weights,
`stpose_core/weights/contacts.safetensors`, are trained on marker mocap by `python -m stpose_training.contacts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from stpose_core.animate.frames import ramp, unit
from stpose_core.data import Array, Mask
from stpose_core.weights import CONTACTS, read_arrays

Single = NDArray[np.float32]

NETWORK_FPS = 30.0  # frames per second that networks for contacts and for flexion work at
FEATURES = 38
ALONG = (1, 3, 21)  # features that are the log of a speed along the ray, + SLOWEST
SLOWEST = 0.05  # m/s, added to speeds before their log
FARTHEST = 4.0  # standard deviations from the mean to which features are limited
BLOCK = 1024  # frames a pass
_ON, _OFF = 0.5, 0.3
_AROUND = 0.5  # s before and after in which a foot's lowest height counts as the ground under it
_HIGHEST = 0.3  # m above the ground; greater heights are cut to this
_VELOCITY, _CALM = 0.012, 0.04  # s, standard deviations of the filters before speeds are taken
_HELD_UP = 0.28  # m above the ground from which on no foot is in contact
_USUAL_LEG = 0.85  # m from hip to ankle: all bodies are scaled to it


@dataclass(frozen=True)
class Legs:
    """The legs of a person, left and right. All in metres, y up.

    pelvis: (T, 3). hips, knees, ankles: (T, 2, 3); the height of an ankle is 0 where the foot stands flat on the floor.
    ray: (T, 3) unit vectors from the camera to the person. length: from hip to ankle.
    off: (T, 2, 3) from each ankle to where the picture shows it. score: (T, 2) of its detection, 0 where there is none. None for
    both: no picture is known.
    """

    pelvis: Array
    hips: Array
    knees: Array
    ankles: Array
    ray: Array
    length: float
    off: Array | None = None
    score: Array | None = None

    def at(self, root: Array) -> Legs:
        """The same legs moved by (T, 3) metres."""
        shift = root[:, None]
        hips, knees, ankles = self.hips + shift, self.knees + shift, self.ankles + shift
        return replace(self, pelvis=self.pelvis + root, hips=hips, knees=knees, ankles=ankles)

    def __getitem__(self, frames: slice) -> Legs:
        pelvis, hips, knees, ankles, ray = self.pelvis, self.hips, self.knees, self.ankles, self.ray
        off, score = (None if values is None else values[frames] for values in (self.off, self.score))
        return Legs(pelvis[frames], hips[frames], knees[frames], ankles[frames], ray[frames], self.length, off, score)


def foot_probabilities(legs: Legs, fps: float) -> Array:
    """(T, 4) probabilities of contact: left heel, left toe, right heel, right toe."""
    frames, margin = len(legs.pelvis), round(_AROUND * fps) + round(5 * _CALM * fps) + 2
    reach = sum(len(kernel) // 2 for kernel, _ in _layers()[2])
    found = []
    for chosen, at, kept in network_blocks(frames, fps, reach):
        first = max(0, chosen.start - margin)  # the features of a frame tell of its neighbours, too
        values = features(legs[first : chosen.stop + margin], fps)[chosen.start - first : chosen.stop - first]
        found.append(_probabilities(resampled(values, at))[kept])
    raw = resampled(np.concatenate(found), np.arange(frames) * NETWORK_FPS / fps)
    # A foot may be held still in the air for longer than in any recording: then its height alone decides.
    low = ramp(_above_ground(legs.ankles[..., 1] * (_USUAL_LEG / legs.length), fps), _HELD_UP, 0.5 * _HELD_UP)
    return np.asarray((raw * low[..., None]).reshape(frames, 4))


def features(legs: Legs, fps: float) -> Array:
    """(T, 2, 38) input of the network for the left and the right foot; independent of the size of the body and of the side.

    The last 16 tell of the ankles as the picture shows them; where no picture is known, as the body has them, with a score of 0.
    """
    scale = _USUAL_LEG / legs.length
    pelvis, hips, knees, ankles = (part * scale for part in (legs.pelvis[:, None], legs.hips, legs.knees, legs.ankles))
    left = unit((hips[:, 0] - hips[:, 1]) * np.array([1.0, 0.0, 1.0]) + 1e-9)[:, None]
    forward = np.cross(left, [0.0, 1.0, 0.0])
    outward = left * np.array([1.0, -1.0])[:, None]
    across, along, rising = _speeds(ankles, legs.ray, fps)
    body_across, body_along, _ = _speeds(pelvis, legs.ray, fps)
    height = ankles[..., 1]
    above = _above_ground(height, fps)
    place = ankles - pelvis
    ahead = (place * forward).sum(-1)
    passing = (_velocity(place, fps) * forward).sum(-1)
    knee_speed = np.linalg.norm(_velocity(knees, fps), axis=-1)
    shin, thigh = knees - ankles, hips - knees
    other = [1, 0]
    columns = [
        np.log(across + SLOWEST),
        np.log(along + SLOWEST),
        np.log(across[:, other] + SLOWEST),
        np.log(along[:, other] + SLOWEST),
        rising,
        rising[:, other],
        height,
        height[:, other],
        above,
        above[:, other],
        np.log(knee_speed + 0.1),
        ahead,
        ahead[:, other],
        (place * outward).sum(-1),
        place[..., 1],
        passing,
        passing[:, other],
        np.linalg.norm(hips - ankles, axis=-1),
        (shin * forward).sum(-1),
        (thigh * forward).sum(-1),
        np.repeat(np.log(body_across + SLOWEST), 2, axis=1),
        np.repeat(np.log(body_along + SLOWEST), 2, axis=1),
    ]
    seen = ankles if legs.off is None else ankles + scale * legs.off
    score = np.zeros(height.shape) if legs.score is None else legs.score
    return np.stack(columns + _of_seen(seen, score, legs.ray, forward, outward, fps), axis=-1)


def _of_seen(ankles: Array, score: Array, ray: Array, forward: Array, outward: Array, fps: float) -> list[Array]:
    """The features (T, 2) of ankles as the picture shows them (T, 2, 3). forward, outward: (T, F, 3) axes of the body."""
    across, _, rising = _speeds(ankles, ray, fps)
    calm, _, calm_rising = _speeds(ankles, ray, fps, _CALM)
    velocity = _velocity(ankles, fps)
    velocity = velocity - (velocity * ray[:, None]).sum(-1, keepdims=True) * ray[:, None]
    height = ankles[..., 1]
    ahead = (velocity * forward).sum(-1)
    own = [np.log(across + SLOWEST), rising, height, _above_ground(height, fps), score, ahead]
    alone = [np.log(calm + SLOWEST), np.log(calm[:, ::-1] + SLOWEST), calm_rising, (velocity * outward).sum(-1)]
    return own + [values[:, ::-1] for values in own] + alone


def _above_ground(height: Array, fps: float) -> Array:
    """(T, 2) metres of the feet above the lowest place near in time, from their heights (T, 2)."""
    ground = minimum_filter1d(height.min(axis=1), 2 * round(_AROUND * fps) + 1, mode="nearest")[:, None]
    return np.minimum(height - ground, _HIGHEST)


@lru_cache(maxsize=1)
def _layers() -> tuple[Single, Single, list[tuple[Single, Single]]]:
    """Mean and standard deviation of the features, and kernel (taps, inputs, outputs) and bias of each layer."""
    arrays, _ = read_arrays(CONTACTS, "contacts")
    count = sum(name.endswith("weight") for name in arrays)
    layers = [(arrays[f"layer{n}.weight"].transpose(2, 1, 0), arrays[f"layer{n}.bias"]) for n in range(count)]
    return arrays["mean"], arrays["spread"], layers


def _probabilities(values: Array) -> Array:
    """(T, 2, 2) of heel and toe of both feet, from features (T, 2, 38) at 30 frames per second."""
    mean, spread, layers = _layers()
    signal = np.clip((values - mean) / spread, -FARTHEST, FARTHEST).astype(np.float32)
    for number, (kernel, bias) in enumerate(layers):
        signal = np.maximum(signal, 0.0) if number else signal
        reach = len(kernel) // 2
        padded = np.pad(signal, ((reach, reach), (0, 0), (0, 0)), mode="edge")
        signal = bias + sum(padded[tap : tap + len(values)] @ kernel[tap] for tap in range(len(kernel)))
    return np.asarray(1 / (1 + np.exp(-np.clip(signal, -30.0, 30.0))), dtype=np.float64)


def network_blocks(frames: int, fps: float, reach: int) -> Iterator[tuple[slice, Array, slice]]:
    """A clip in blocks for a network that works at NETWORK_FPS, so that memory does not grow with its length.

    For each block: the frames of the clip that it needs; where in them the network's frames are (N,), for `resampled`; and which of
    the N are to be kept, the others being the `reach` frames on each side that the network reads.
    """
    grid = np.arange(0, max(1, round((frames - 1) * NETWORK_FPS / fps)) + 1) * fps / NETWORK_FPS
    for start in range(0, len(grid), BLOCK):
        first, stop = max(0, start - reach), min(start + BLOCK + reach, len(grid))
        low = min(int(grid[first]), frames - 1)
        high = min(int(grid[stop - 1]) + 2, frames)
        yield slice(low, high), grid[first:stop] - low, slice(start - first, start - first + BLOCK)


def resampled(values: Array, at: Array) -> Array:
    """`values` (T, ...) at fractional frames (N,), linearly interpolated."""
    if len(at) == len(values) and np.array_equal(at, np.arange(len(values))):
        return values
    at = np.clip(at, 0, len(values) - 1)
    low = np.minimum(at.astype(int), max(len(values) - 2, 0))
    part = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - part) + values[np.minimum(low + 1, len(values) - 1)] * part)


def _velocity(points: Array, fps: float, smooth: float = _VELOCITY) -> Array:
    """(T, ..., 3) m/s of points (T, ..., 3), over two frames at 30 fps and as long a time at any rate. smooth: seconds."""
    if len(points) < 2:
        return np.zeros_like(points)
    return np.asarray(np.gradient(gaussian_filter1d(points, smooth * fps, axis=0, mode="nearest"), axis=0) * fps)


def _speeds(points: Array, ray: Array, fps: float, smooth: float = _VELOCITY) -> tuple[Array, Array, Array]:
    """(T, F) speeds of points (T, F, 3) across the ray, along it, and upwards."""
    velocity = _velocity(points, fps, smooth)
    along = (velocity * ray[:, None]).sum(-1)
    across = np.linalg.norm(velocity - along[..., None] * ray[:, None], axis=-1)
    return across, np.abs(along), velocity[..., 1]


def decided(probability: Array, on_above: float = _ON, off_below: float = _OFF) -> Mask:
    """(T, P) contacts with hysteresis: one begins above 0.5 and ends below 0.3, or at other thresholds."""
    state = np.where(probability > on_above, 1, np.where(probability < off_below, 0, -1))
    frames = np.arange(len(state))[:, None]
    last = np.maximum.accumulate(np.where(state >= 0, frames, -1), axis=0)
    on = np.take_along_axis(state, np.maximum(last, 0), axis=0)
    # Before the first frame that decides, the more probable state.
    return np.asarray(np.where(last >= 0, on == 1, probability > on_above))


def shown(probability: Array) -> Array:
    """(T, P) probabilities as a motion stores them: above 0.5 within a contact, below 0.5 outside."""
    on = decided(probability)
    return np.where(on, np.maximum(probability, 0.51), np.minimum(probability, 0.49))
