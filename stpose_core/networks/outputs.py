"""What a lifting network says of each frame, and how it follows from the network's last layer.

The functions take numpy arrays or torch tensors and use only what both libraries name alike, so that training (torch) and lifting
(numpy) share them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Values = Any
"""An array of numpy or a tensor of torch."""


def library_of(values: Values) -> Any:
    """numpy or torch, whichever the values belong to."""
    return np if isinstance(values, np.ndarray) else sys.modules["torch"]


def constant(numbers: tuple[float, ...] | list[float], like: Values) -> Values:
    """Numbers as an array of the same library, type and device."""
    if isinstance(like, np.ndarray):
        return np.asarray(numbers, like.dtype)
    return like.new_tensor(numbers)


@dataclass
class TemporalOutput:
    """The outputs for each frame, in the axes of the person's own camera (see lift/normalise.py).

    pose: (B, T, J, 3) metres relative to joint 0. root: (B, T, 3): pelvis (u, v) in person-box units, and log of its depth in
    person sizes. log_sigma: (B, T, J) log of the expected error in metres. hidden: (B, T, J) logit that a joint's input was
    missing or wrong. up: (B, T, 3) direction against gravity, not normalised. contacts: (B, T, 4) logit that the left heel, left
    toe, right heel and right toe are on the ground; (B, T, 0) for a network without that head.
    """

    pose: Values
    root: Values
    log_sigma: Values
    hidden: Values
    up: Values
    contacts: Values


def head_sizes(joints: int, contacts: int, projective: bool) -> tuple[int, ...]:
    """Channels of the last layer: pose, root, log_sigma, hidden, up, trust in the input positions, contacts."""
    return joints * 3, 3, joints, joints, 3, joints if projective else 0, contacts


def metric_output(values: Values, sizes: tuple[int, ...]) -> TemporalOutput:
    """(B, T, sum of sizes) of the last layer -> outputs, whose pose is in metres."""
    pose, root, log_sigma, hidden, up, _, contacts = _parts(values, sizes)
    return TemporalOutput(pose - pose[..., :1, :], root, log_sigma, hidden, up, contacts)


def projective_output(values: Values, sizes: tuple[int, ...], seen: Values, size: Values) -> TemporalOutput:
    """Outputs whose pose comes from corrected input positions and depths; the pinhole camera model converts them to metres.

    Input positions reach the pose directly, so that postures that are missing in training still agree with the picture, and the
    strong perspective of a person near the camera need not be learned. With joint 0 at depth Z, the person's metric size S = Z *
    size, the joint's position p (person-box units) and its depth d behind joint 0 in sizes: joint = S * (p * (1 + d * size), d).

    seen: (B, T, J, 2) positions of the joints, arbitrary for hidden ones; size: (B, T) angular size of the person.
    """
    xp = library_of(values)
    raw, root, log_sigma, hidden, up, trust, contacts = _parts(values, sizes)
    # Trust in the positions starts high (0.95), because most of them are right. The logistic function as tanh never overflows.
    trusted = 0.5 + 0.5 * xp.tanh(0.5 * (trust + 3))
    place = trusted[..., None] * seen + raw[..., :2]
    depth = raw[..., 2:] - raw[..., :1, 2:]
    metric = xp.exp(root[..., 2].clip(-3, 2))[..., None, None]
    ahead = (1 + depth * size[..., None, None]).clip(0.05, None)
    pose = xp.concatenate((place * ahead, depth), -1) * metric
    root = xp.concatenate((place[..., 0, :], root[..., 2:]), -1)
    return TemporalOutput(pose - pose[..., :1, :], root, log_sigma, hidden, up, contacts)


def _parts(values: Values, sizes: tuple[int, ...]) -> list[Values]:
    edges = np.cumsum((0, *sizes)).tolist()
    pose, *others = (values[..., start:end] for start, end in zip(edges, edges[1:]))
    return [pose.reshape(*pose.shape[:-1], -1, 3), *others]


def hann(window: int) -> list[float]:
    """Weights of the frames up to `window` away, none of them zero: 2 * window + 1 numbers."""
    weights: list[float] = np.hanning(2 * window + 3)[1:-1].tolist()
    return weights


def over_time(values: Values, taps: list[float]) -> Values:
    """(B, T, ...) -> the same shape: sums over the neighbouring frames, weighted by an odd number of taps, the first of them for
    the earliest frame. There is nothing before the first frame and after the last."""
    xp, reach, frames = library_of(values), len(taps) // 2, values.shape[1]
    blank = xp.zeros_like(values[:, :1])
    padded = xp.concatenate((*[blank] * reach, values, *[blank] * reach), 1)
    total = xp.zeros_like(values)
    for first, weight in enumerate(taps):
        if weight:
            total = total + weight * padded[:, first : first + frames]
    return total


def averaged(output: TemporalOutput, window: int) -> TemporalOutput:
    """The frames that have `window` frames on each side, with pose and root averaged over them (Hann weights)."""
    if window == 0:
        return output
    taps = [weight / sum(hann(window)) for weight in hann(window)]
    inner = slice(window, output.pose.shape[1] - window)
    smooth = {name: over_time(getattr(output, name), taps) for name in ("pose", "root")}
    parts = {entry.name: smooth.get(entry.name, getattr(output, entry.name))[:, inner] for entry in fields(TemporalOutput)}
    return TemporalOutput(**parts)


def places(joints: Values, window: int) -> Values:
    """(B, T, J, 4) inputs -> (B, T, J, 2): mean position (Hann weights) over the frames up to `window` away in which the joint is
    visible; zero if there are none."""
    place, visible = joints[..., :2], joints[..., 3:]
    total = over_time(library_of(joints).concatenate((place * visible, visible), -1), hann(window))
    return total[..., :2] / total[..., 2:].clip(1e-3, None)
