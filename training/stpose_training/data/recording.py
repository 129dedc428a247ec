"""The result of every data set loader: one person's 3D joints over time, and the cameras that filmed them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array, Keypoints, Mask
from stpose_training.data.mocap import MOCAP_FPS, Clip

JOINTS = 17
Z_UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Calibration:
    """A camera as a data set's owner measured it: camera point = rotation @ world point + translation.

    rotation: (3, 3), or (T, 3, 3) for a moving camera. translation: (3,) or (T, 3) metres. Camera axes: x right, y down, z forward.
    focal, centre: (x, y) in pixels. distortion: k1, k2, p1, p2, k3 in OpenCV's order and meaning. image_size: (width, height).
    """

    rotation: Array
    translation: Array
    focal: tuple[float, float]
    centre: tuple[float, float]
    image_size: tuple[int, int]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def to_camera(self, points: Array) -> Array:
        """World points (T, J, 3) in camera axes."""
        return points @ np.swapaxes(self.rotation, -1, -2) + np.asarray(self.translation)[..., None, :]

    def project(self, points: Array) -> Array:
        """Pixels (..., 2) of points (..., 3) in camera axes."""
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
        k1, k2, p1, p2, k3 = self.distortion
        square = x * x + y * y
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        across = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        down = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return np.stack([across, down], axis=-1) * self.focal + self.centre

    def rays(self, pixels: Array) -> Array:
        """(x / z, y / z) in camera axes of pixels (..., 2), without lens distortion. NaN stays NaN."""
        matrix = np.array([[self.focal[0], 0, self.centre[0]], [0, self.focal[1], self.centre[1]], [0, 0, 1.0]])
        flat = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
        if not len(flat):
            return flat.reshape(np.shape(pixels))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)
        straight = cv2.undistortPointsIter(flat, matrix, np.array(self.distortion), np.eye(3), np.eye(3), stop)
        return np.asarray(straight, np.float64).reshape(np.shape(pixels))


@dataclass(frozen=True)
class View:
    """The data of one camera. camera: None if its calibration is not known. keypoints: 2D joints that come with the set, T frames;
    None if there are none. valid: (T,) frames that the set's protocol measures."""

    name: str
    camera: Calibration | None
    keypoints: Keypoints | None
    valid: Mask


@dataclass(frozen=True)
class Recording:
    """One take of one person.

    positions: (T, 17, 3) metres, Human3.6M order; NaN in frames without a pose. Axes: the world of the set's cameras.
    up: (3,) unit vector against gravity in those axes; None if unknown.
    measured: (17,) joints that the set contains; the others are computed from them, and protocols leave them out.
    """

    name: str
    subject: str
    action: str
    fps: float
    positions: Array
    up: tuple[float, float, float] | None = Z_UP
    measured: NDArray[np.bool_] = field(default_factory=lambda: np.ones(JOINTS, dtype=bool))
    views: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        positions = np.array(self.positions, dtype=np.float64)
        if positions.ndim != 3 or positions.shape[1:] != (JOINTS, 3):
            raise ValueError(f"positions has shape {positions.shape}, expected (T, {JOINTS}, 3)")
        object.__setattr__(self, "positions", positions)
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a positive number, got {self.fps}")

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def posed(self) -> Mask:
        """(T,) whether a frame has a pose."""
        return np.isfinite(self.positions).all(axis=(1, 2))

    def seen_by(self, view: View) -> Array:
        """(T, 17, 3) metres in the axes of a view's camera; ValueError if its calibration is not known."""
        if view.camera is None:
            raise ValueError(f"{self.name}: the calibration of camera {view.name} is not known")
        return view.camera.to_camera(self.positions)

    def clips(self, fps: float = MOCAP_FPS) -> list[Clip]:
        """The takes between gaps as training material: z up, at `fps` frames a second.

        Frames in between are interpolated linearly, so a rate that divides the set's takes every n-th frame as it is.
        Raises ValueError if the up direction is not known.
        """
        if self.up is None:
            raise ValueError(f"{self.name}: the up direction of this data set is not known")
        upright = self.positions @ _turn_up(np.asarray(self.up)).T
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.posed, [False]]).astype(int)))
        runs = [(start, end) for start, end in zip(edges[::2], edges[1::2]) if end - start > 1]
        clips = []
        for number, (start, end) in enumerate(runs):
            name = self.name if len(runs) == 1 else f"{self.name} part{number}"
            clips.append(Clip(name, self.subject, self.action, _resample(upright[start:end], self.fps, fps).astype(np.float32)))
        return clips


def _turn_up(up: Array) -> Array:
    """The rotation (3, 3) by the smallest angle that takes `up` to z."""
    up = up / np.linalg.norm(up)
    axis = np.cross(up, Z_UP)
    if up[2] < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + up[2])


def _resample(positions: Array, have: float, want: float) -> Array:
    """positions (T, J, 3) at `have` frames a second, at `want`; the first frame stays the first."""
    when = np.arange(int(np.floor((len(positions) - 1) * want / have + 1e-6)) + 1) * have / want
    before = np.minimum(np.floor(when + 1e-9).astype(int), len(positions) - 1)
    after = np.minimum(before + 1, len(positions) - 1)
    part = np.clip(when - before, 0, 1)[:, None, None]
    return positions[before] * (1 - part) + positions[after] * part


def given_keypoints(xy: Array, fps: float, image_size: tuple[int, int], skeleton: str, score: Array | None = None) -> Keypoints:
    """Keypoints of a set without scores: 1 for joints that are given, 0 for NaN."""
    if score is None:
        score = np.isfinite(xy).all(-1).astype(np.float64)
    return Keypoints(xy, score, fps, image_size, skeleton)
