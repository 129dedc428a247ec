"""Flexion of knees and elbows as a distribution, from a lifted pose and the 2D joints it was lifted from.

The lifter predicts the mean of all places a joint may have. A knee bends to one side only, so the mean of a leg that may be
straight is bent, and the mean of a leg that is bent far is bent less. A small temporal convolutional network reads the lifted
pose, its distance from the 2D joints and the lengths that a limb shows, over 0.4 s before and after a frame. Its output is a
distribution over angles that counts each range of flexion alike, so that it is hardly drawn towards the usual angle. The fit to
the 2D joints (`stpose_core.lift.refine`) bends limbs to its peak. The weights, `stpose_core/weights/flexion.safetensors`, are
trained on marker mocap by `python -m stpose_training.flexion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from stpose_core.animate.frames import minimal_rotation, ramp, turn, unit
from stpose_core.data import Array, Keypoints, Pose3D
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, convert
from stpose_core.weights import FLEXION, read_arrays
from stpose_core.world.contacts import BLOCK, NETWORK_FPS, network_blocks, resampled

Single = NDArray[np.float32]

FEATURES = 130
FARTHEST = 4.0  # standard deviations from the mean to which features are limited
CENTRES = np.array([0, 5, 10, 15, 20, 25, 30, 36, 43, 50, 58, 67, 77, 88, 100, 114, 130, 150], np.float64)
"""Degrees of flexion that the distribution is over."""

LIMBS = tuple(
    tuple(H36M17.index(*(f"{side}_{joint}" for joint in joints)))
    for joints in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
    for side in "rl"
)
"""(start, hinge, end) of the right leg, left leg, right arm and left arm."""

PARTS = {"knee": [0, 1], "elbow": [2, 3]}
"""The limbs that share a network."""

_SHARPNESS = 2.0  # power of the distribution whose mean is the angle: 1 is the mean, very much is the peak
_CERTAIN, _UNSURE = 24.0, 36.0  # degrees: standard deviation up to which the distribution decides, and from which on the lifter
_BLUR = 0.1  # s, over which a joint that is lost takes its limb back to the lifter's angle
# The lifter errs away from straight: below so many radians, and from there less and less, limbs are not bent further than it says.
_STRAIGHT = (np.radians(50.0), np.radians(30.0))
_MIRROR = list(H36M17.mirror)
_FLIP = np.array([-1.0, 1.0, 1.0])
_NEAREST = 0.2  # m
_LONGEST = 95  # percentile of the lengths that a limb shows
_LAYERS = (("near", 1), ("far", 3))  # with frames between their taps
_LEG_OF_ARM = 1 / 0.7  # both limbs give the size of the body: an arm is shorter by this


def flexion(pose: Pose3D, keypoints: Keypoints) -> tuple[Array, Array]:
    """(T, 4) radians by which the limbs of LIMBS are bent, and (T, 4) radians of uncertainty; 0 in frames without a pose.

    pose: h36m17, lifted from `keypoints`. Where the network does not know, the angle is that of the pose.
    """
    posed = np.flatnonzero(pose.posed)
    angles, spread = np.zeros((len(pose), len(LIMBS))), np.zeros((len(pose), len(LIMBS)))
    if not len(posed):
        return angles, spread
    frames, reach = len(pose), sum(_reach(name, apart) for name, apart in _LAYERS)
    readings = []
    source = _Source.of(pose, keypoints)
    for chosen, at, kept in network_blocks(frames, pose.fps, reach):
        readings.append([part[kept] for part in reading(distribution(resampled(source.features(chosen), at)))])
    found, unsure = (np.concatenate(parts) for parts in zip(*readings))
    for part, limbs in PARTS.items():
        found[:, limbs] = corrected(found[:, limbs], _weights()[f"{part}.curve"].astype(np.float64))
    back = np.arange(frames) * NETWORK_FPS / pose.fps
    found, unsure = resampled(found, back), resampled(unsure, back)
    lifted = bend(pose.xyz[posed])
    said = np.radians(found[posed])
    said += ramp(said, *_STRAIGHT) * (np.minimum(said, lifted) - said)
    said = lifted + ramp(unsure[posed], _UNSURE, _CERTAIN) * _seen(pose, keypoints)[posed] * (said - lifted)
    angles[posed], spread[posed] = said, np.radians(unsure[posed])
    return angles, spread


def _seen(pose: Pose3D, keypoints: Keypoints) -> Array:
    """(T, 4) from 0 to 1, whether all joints of a limb were detected; without steps in time."""
    points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
    whole = np.stack([(points.score[:, limb] >= VISIBLE_SCORE).all(axis=1) for limb in LIMBS], axis=1).astype(np.float64)
    return np.asarray(gaussian_filter1d(whole, _BLUR * pose.fps, axis=0, mode="nearest"))


def bend(joints: Array) -> Array:
    """(T, 17, 3) -> (T, 4) radians by which the limbs of LIMBS are bent."""
    found = []
    for start, middle, end in LIMBS:
        upper, lower = joints[:, middle] - joints[:, start], joints[:, end] - joints[:, middle]
        found.append(np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=-1), (upper * lower).sum(-1)))
    return np.stack(found, axis=1)


def features(pose: Pose3D, keypoints: Keypoints) -> Array:
    """(T, 4, 130) input of the network for each limb; independent of the size of the body, the place in the picture and the side.

    Frames without a pose have the values of the last one with a pose, or of the first.
    """
    return _Source.of(pose, keypoints).features(slice(0, len(pose)))


@dataclass(frozen=True)
class _View:
    """N frames, as a camera sees them that looks straight at the pelvis.

    joints: (N, 17, 3) metres. off: (N, 17, 2) metres from there to where they are seen, 0 for joints that are not. score: (N, 17).
    sigma: (N, 17) metres. up: (N, 3) against gravity. depth: (N,) metres to the pelvis.
    """

    joints: Array
    off: Array
    score: Array
    sigma: Array
    up: Array
    depth: Array

    def lengths(self) -> Array:
        """(N, 4, 6) metres that each limb shows: first bone, second bone and both, in space and then in the picture."""
        picture = self.joints[..., :2] + self.off
        found = [
            np.linalg.norm(points[:, limb[start]] - points[:, limb[end]], axis=-1)
            for limb in LIMBS
            for points in (self.joints, picture)
            for start, end in ((0, 1), (1, 2), (0, 2))
        ]
        return np.stack(found, axis=1).reshape(len(picture), len(LIMBS), 6)


@dataclass(frozen=True)
class _Source:
    """A clip whose features are made some frames at a time: those of a long clip would be its largest array by far.

    posed: (N,) frames with a pose. usual: (4, 6) metres, the usual length of what `_View.lengths` gives. longest: (4, 2) the
    longest that the clip shows of a limb, in space and in the picture, as a share of the usual length.
    """

    pose: Pose3D
    points: Keypoints
    posed: NDArray[np.int64]
    usual: Array
    longest: Array

    @staticmethod
    def of(pose: Pose3D, keypoints: Keypoints) -> _Source:
        points = keypoints if keypoints.skeleton == H36M17.name else convert(keypoints, H36M17.name)
        posed = np.flatnonzero(pose.posed)
        blocks = [posed[start : start + BLOCK] for start in range(0, len(posed), BLOCK)]
        lengths = np.concatenate([_view(pose, points, rows).lengths() for rows in blocks])
        usual, longest = np.empty((len(LIMBS), 6)), np.empty((len(LIMBS), 2))
        for limb in range(len(LIMBS)):
            both = lengths[:, [limb, limb ^ 1]]
            upper, lower = (max(float(np.median(both[..., bone])), 1e-3) for bone in (0, 1))
            usual[limb] = [upper, lower, upper + lower] * 2
            longest[limb] = [np.percentile(both[..., whole] / (upper + lower), _LONGEST) for whole in (2, 5)]
        return _Source(pose, points, posed, usual, longest)

    def features(self, frames: slice) -> Array:
        """(N, 4, 130) those of some frames, see `features`."""
        rows = np.maximum(np.searchsorted(self.posed, np.arange(frames.start, frames.stop), side="right") - 1, 0)
        view = _view(self.pose, self.points, self.posed[rows[0] : rows[-1] + 1])
        lengths, bent = view.lengths(), bend(view.joints)
        columns = []
        for number in range(len(LIMBS)):
            whole = self.usual[number, 2]
            scale = whole if number in PARTS["knee"] else _LEG_OF_ARM * whole
            sides, towards = [view.joints, view.off, view.score, view.sigma], view.up
            if number % 2 == 0:  # right limbs are seen in the mirror
                sides = [part[:, _MIRROR] for part in sides]
                sides[0], sides[1], towards = sides[0] * _FLIP, sides[1] * _FLIP[:2], towards * _FLIP
            body, error, sure, sigma = sides
            columns.append(
                np.concatenate(
                    [
                        body[:, 1:].reshape(len(body), -1) / scale,
                        np.clip(error.reshape(len(error), -1) / scale, -0.5, 0.5),
                        sure,
                        np.log(np.clip(sigma / scale, 1e-3, 1.0)),
                        towards,
                        bent[:, [number, number ^ 1]],
                        lengths[:, number] / self.usual[number],
                        np.tile(self.longest[number], (len(body), 1)),
                        np.log(view.depth / scale)[:, None],
                    ],
                    axis=1,
                )
            )
        return np.stack(columns, axis=1)[rows - rows[0]]


def _view(pose: Pose3D, points: Keypoints, rows: NDArray[np.int64]) -> _View:
    """Frames with a pose. points: h36m17."""
    score = np.where(points.score[rows] >= VISIBLE_SCORE, points.score[rows], 0.0)
    root = pose.root[rows]
    root[:, 2] = np.maximum(root[:, 2], _NEAREST)
    axes = minimal_rotation(unit(root), np.array([0.0, 0.0, 1.0]))
    depth = np.linalg.norm(root, axis=1)
    joints = np.einsum("tij,tkj->tki", axes, pose.xyz[rows])
    rays = (np.nan_to_num(points.xy[rows]) - np.asarray(pose.camera.centre)) / pose.camera.focal
    seen = np.einsum("tij,tkj->tki", axes, np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1))
    place = seen[..., :2] / np.maximum(seen[..., 2:], 0.05) * (joints[..., 2:] + depth[:, None, None])
    off = np.where(score[..., None] > 0, place - joints[..., :2], 0.0)
    return _View(joints, off, score, pose.sigma[rows], turn(axes, np.broadcast_to(pose.up, root.shape)), depth)


@lru_cache(maxsize=1)
def _weights() -> dict[str, Single]:
    return {name: np.asarray(values, np.float32) for name, values in read_arrays(FLEXION, "flexion")[0].items()}


def distribution(values: Array) -> Array:
    """(T, 4, K) probabilities of the angles of CENTRES, from features (T, 4, 130) at 30 frames per second."""
    weights, found = _weights(), np.empty((*values.shape[:2], len(CENTRES)))
    for part, limbs in PARTS.items():
        own = {name.removeprefix(f"{part}."): array for name, array in weights.items() if name.startswith(f"{part}.")}
        signal = np.clip((values[:, limbs] - own["mean"]) / own["spread"], -FARTHEST, FARTHEST).astype(np.float32)
        signal = np.maximum(_convolved(signal, own, "first", 1), 0.0)
        for name, apart in _LAYERS:
            signal = signal + np.maximum(_convolved(signal, own, name, apart), 0.0)
        logits = _convolved(signal, own, "last", 1).astype(np.float64)
        raised = np.exp(logits - logits.max(-1, keepdims=True))
        found[:, limbs] = raised / raised.sum(-1, keepdims=True)
    return found


def _convolved(signal: Single, weights: dict[str, Single], name: str, apart: int) -> Single:
    """A convolution over time of (T, L, inputs); its taps lie `apart` frames from each other."""
    kernel = weights[f"{name}.weight"].transpose(2, 1, 0)
    reach = len(kernel) // 2 * apart
    padded = np.pad(signal, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    taps = (padded[tap * apart : tap * apart + len(signal)] @ kernel[tap] for tap in range(len(kernel)))
    return np.asarray(weights[f"{name}.bias"] + sum(taps), np.float32)


def _reach(name: str, apart: int) -> int:
    """Frames on each side that a layer reads."""
    return max(len(_weights()[f"{part}.{name}.weight"].T) // 2 * apart for part in PARTS)


def reading(chances: Array) -> tuple[Array, Array]:
    """(..., K) probabilities -> degrees of flexion (...), about at the peak, and their standard deviation (...) in degrees."""
    sharp = chances**_SHARPNESS
    peak = (sharp * CENTRES).sum(-1) / np.maximum(sharp.sum(-1), 1e-30)
    mean = (chances * CENTRES).sum(-1)
    return peak, np.sqrt((chances * (CENTRES - mean[..., None]) ** 2).sum(-1))


def corrected(angles: Array, curve: Array | Single) -> Array:
    """Degrees without the bias, or a part of it, that the network has for people it was not trained on.

    curve: (2, N) readings, rising, and the angles that they stand for; beyond it the difference is constant.
    """
    said, meant = curve
    return np.maximum(angles + np.interp(angles, said, meant - said), 0.0)
