"""The camera that projects known 3D points to known pixels: for data sets with both but without a calibration.

A linear solution (direct linear transform, Hartley and Zisserman 2004, chapter 7) starts a least-squares fit of the pinhole
camera with OpenCV's five distortion terms.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import rq
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_training.data.recording import Calibration

# Points to use, spread over all points. More points do not improve exact projections.
_POINTS = 500
_FEWEST = 50


def solve_calibration(points: Array, pixels: Array, image_size: tuple[int, int], tolerance: float = 1.0) -> Calibration | None:
    """points (..., 3) metres in the world, pixels (..., 2); NaN where unknown. None if no camera explains the median point to
    `tolerance` pixels, or there are fewer than 50 points."""
    points, pixels = np.reshape(points, (-1, 3)).astype(float), np.reshape(pixels, (-1, 2)).astype(float)
    known = np.isfinite(points).all(1) & np.isfinite(pixels).all(1)
    points, pixels = points[known], pixels[known]
    if len(points) < _FEWEST:
        return None
    pick = np.unique(np.linspace(0, len(points) - 1, _POINTS).astype(int))
    try:
        return _fitted(points[pick], pixels[pick], image_size, tolerance)
    except ValueError:  # degenerate or huge values: no solution with finite numbers
        return None


def _fitted(points: Array, pixels: Array, image_size: tuple[int, int], tolerance: float) -> Calibration | None:
    start = _linear(points, pixels)
    if start is None:
        return None
    rotation, translation, matrix = start
    turn = Rotation.from_matrix(rotation).as_rotvec()
    first = np.concatenate([turn, translation, np.diag(matrix)[:2], matrix[:2, 2], np.zeros(5)])

    def error(values: Array) -> Array:
        camera = _camera(values, image_size)
        return (camera.project(camera.to_camera(points[:, None])[:, 0]) - pixels).ravel()

    fit = least_squares(error, first, x_scale="jac", max_nfev=100)
    distance = np.linalg.norm(error(fit.x).reshape(-1, 2), axis=1)
    return _camera(fit.x, image_size) if np.median(distance) <= tolerance else None


def _camera(values: Array, image_size: tuple[int, int]) -> Calibration:
    turn, place, lens = values[:3], values[3:6], [float(value) for value in values[6:]]
    return Calibration(
        rotation=Rotation.from_rotvec(turn).as_matrix(),
        translation=np.array(place),
        focal=(lens[0], lens[1]),
        centre=(lens[2], lens[3]),
        image_size=image_size,
        distortion=(lens[4], lens[5], lens[6], lens[7], lens[8]),
    )


def _linear(points: Array, pixels: Array) -> tuple[Array, Array, Array] | None:
    """Rotation (3, 3), translation (3,) and camera matrix (3, 3) without distortion; None if the points do not determine them."""
    middle, spread = points.mean(0), points.std() + 1e-12
    shift, size = pixels.mean(0), pixels.std() + 1e-12
    world = np.column_stack([(points - middle) / spread, np.ones(len(points))])
    image = (pixels - shift) / size
    zero = np.zeros_like(world)
    rows = np.concatenate([np.hstack([world, zero, -image[:, :1] * world]), np.hstack([zero, world, -image[:, 1:] * world])])
    solution = np.linalg.svd(rows, full_matrices=False)[2][-1].reshape(3, 4)
    world_scale = np.diag([1 / spread] * 3 + [1.0])
    world_scale[:3, 3] = -middle / spread
    image_scale = np.array([[size, 0, shift[0]], [0, size, shift[1]], [0, 0, 1.0]])
    projection = image_scale @ solution @ world_scale
    # The sign that puts the points in front of the camera.
    if (np.column_stack([points, np.ones(len(points))]) @ projection[2]).mean() < 0:
        projection = -projection
    if np.linalg.det(projection[:, :3]) <= 0:
        return None
    matrix, rotation = rq(projection[:, :3])
    signs = np.diag(np.sign(np.diag(matrix)))
    matrix, rotation = matrix @ signs, signs @ rotation
    if not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        return None
    translation = np.linalg.solve(matrix, projection[:, 3])
    return rotation, translation, matrix / matrix[2, 2]
