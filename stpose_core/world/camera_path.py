"""Between the axes of a moving camera and those of its path (`stpose_core.data.CameraPath`), and between frames and a time grid."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, CameraPath


def to_path(path: CameraPath, points: Array) -> Array:
    """Points (T, ..., 3), metres in the camera axes of their frames, in the axes of the path."""
    flat = points.reshape(len(points), -1, 3)
    return np.asarray(flat @ path.rotation.swapaxes(1, 2) + path.position[:, None]).reshape(points.shape)


def to_camera(path: CameraPath, points: Array) -> Array:
    """Points (T, ..., 3), metres in the axes of the path, in the camera axes of their frames: the inverse of `to_path`."""
    flat = points.reshape(len(points), -1, 3) - path.position[:, None]
    return np.asarray(flat @ path.rotation).reshape(points.shape)


def on_grid(path: CameraPath, times: Array, grid: Array) -> CameraPath:
    """The path at other times. times: (T,) seconds of its frames, rising. grid: (N,) seconds.

    Rotations are interpolated on the shortest path, but not across a cut: there the nearest frame counts. Beyond the ends the first
    and the last frame hold. Raises ValueError if times and path differ in length.
    """
    if len(times) != len(path):
        raise ValueError(f"the path has {len(path)} frames, but there are {len(times)} times")
    after = np.clip(np.searchsorted(times, grid), 1, max(len(times) - 1, 1)) if len(times) > 1 else np.zeros(len(grid), int)
    before = np.maximum(after - 1, 0)
    gap = np.where(after > before, times[after] - times[before], 1.0)
    share = np.clip((grid - times[before]) / gap, 0, 1)
    share = np.where(path.shot[before] == path.shot[after], share, np.round(share))
    start, end = Rotation.from_matrix(path.rotation[before]), Rotation.from_matrix(path.rotation[after])
    turned = (start * Rotation.from_rotvec((start.inv() * end).as_rotvec() * share[:, None])).as_matrix()
    rotation = np.tile(np.eye(3), (len(grid), 1, 1)) if path.static else turned

    def mixed(values: Array) -> Array:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[before] * (1 - part) + values[after] * part)

    return CameraPath(
        focal=mixed(path.focal),
        centre=path.centre,
        rotation=rotation,
        position=mixed(path.position),
        confidence=mixed(path.confidence),
        shot=np.where(share > 0.5, path.shot[after], path.shot[before]),
        static=path.static,
    )
