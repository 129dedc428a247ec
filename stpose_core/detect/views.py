"""Views: crops around a box, rotated and scaled to the input of the spatial network.

Matrices (2, 3) map points in the picture to points in the view. Points are in pixels from the top left corner: the centre of the
first pixel is at (0.5, 0.5).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

MARGIN = 1.25
"""Size of a view relative to the person's box."""
EMPTY = 127
"""Value of pixels outside the picture."""


def view_of(box: Floats, size: tuple[int, int], margin: float = MARGIN, angle: float = 0.0, mirrored: bool = False) -> Floats:
    """The matrix (2, 3) of a view of `size` (width, height) that contains box (left, top, right, bottom), enlarged by `margin`.

    angle: radians by which the view is rotated clockwise in the picture. mirrored: flip left and right.
    """
    left, top, right, bottom = (float(value) for value in box)
    reach = max((right - left) / size[0], (bottom - top) / size[1], 1e-6) * margin
    scale = 1 / reach
    turn = scale * turn_by(angle)
    if mirrored:
        turn[0] = -turn[0]
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([turn, np.array(size) / 2 - turn @ middle])


def turn_by(angle: float) -> Floats:
    """(2, 2) matrix from directions in the picture to directions in a view that is rotated clockwise by radians."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def seen_at(matrix: Floats, points: Floats) -> Floats:
    """Points (..., 2) of the picture in the view."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def seen_from(matrix: Floats, points: Floats) -> Floats:
    """Points (..., 2) of the view in the picture: the inverse of `seen_at`."""
    back = cv2.invertAffineTransform(matrix)
    return np.asarray(points @ back[:, :2].T + back[:, 2])


def cut(picture: Picture, matrix: Floats, size: tuple[int, int], exact: bool = False, outside: int = EMPTY) -> Picture:
    """(height, width, 3): the view of a picture (H, W, 3), with the value `outside` beyond its edges. Pixels are averaged, not
    sampled, in downscaling: by repeated halving, or (exact) over all pixels of a view pixel, which takes five times as long."""
    ratio = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # From 3.5 pixels per view pixel, pixels are averaged four by four rather than two by two.
    halvings = 0 if exact else int(np.log2(max(ratio * 8 / 7, 1)))
    smaller = int(ratio + 0.25) if exact else 2**halvings
    if smaller > 1:
        corners = seen_from(matrix, np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float64))
        height, width = picture.shape[:2]
        first = np.clip(np.floor(corners.min(0) / smaller).astype(int) - 1, 0, None) * smaller
        last = np.minimum(np.ceil(corners.max(0)).astype(int) + smaller, (width, height))
        whole = (last - first) // smaller * smaller
        if (whole >= smaller).all():
            picture = picture[first[1] : first[1] + whole[1], first[0] : first[0] + whole[0]]
            for factor in (smaller,) if exact else (2,) * halvings:
                near = (picture.shape[1] // factor, picture.shape[0] // factor)
                picture = np.asarray(cv2.resize(picture, near, interpolation=cv2.INTER_AREA), np.uint8)
            matrix = np.column_stack([matrix[:, :2] * smaller, matrix[:, :2] @ first + matrix[:, 2]])
    # OpenCV counts from the centre of the first pixel.
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    edge = (outside, outside, outside)
    return np.asarray(cv2.warpAffine(picture, shifted, size, flags=cv2.INTER_LINEAR, borderValue=edge), np.uint8)
