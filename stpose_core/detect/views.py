"""What the spatial network is shown of a picture: the surroundings of a box, turned and scaled to the network's input.

Matrices (2, 3) map places in the picture to places in the view. Places are in pixels from the top left corner: the centre of the
first pixel is at (0.5, 0.5).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

ROOM = 1.25
"""How much larger than the person's box a view is."""
EMPTY = 127
"""Value of what lies outside of the picture."""


def view_of(box: Floats, size: tuple[int, int], room: float = ROOM, angle: float = 0.0, mirrored: bool = False) -> Floats:
    """The matrix (2, 3) of a view of `size` (width, height) that holds box (left, top, right, bottom) with room around it.

    angle: radians by which the view is turned clockwise in the picture. mirrored: left and right exchanged.
    """
    left, top, right, bottom = (float(value) for value in box)
    reach = max((right - left) / size[0], (bottom - top) / size[1], 1e-6) * room
    scale = 1 / reach
    turn = scale * turn_by(angle)
    if mirrored:
        turn[0] = -turn[0]
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([turn, np.array(size) / 2 - turn @ middle])


def turn_by(angle: float) -> Floats:
    """(2, 2): directions of the picture as a view sees them that is turned clockwise by radians."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def seen_at(matrix: Floats, points: Floats) -> Floats:
    """Places (..., 2) of the picture in the view."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def seen_from(matrix: Floats, points: Floats) -> Floats:
    """Places (..., 2) of the view in the picture: the inverse of `seen_at`."""
    back = cv2.invertAffineTransform(matrix)
    return np.asarray(points @ back[:, :2].T + back[:, 2])


def cut(picture: Picture, matrix: Floats, size: tuple[int, int], exact: bool = False, outside: int = EMPTY) -> Picture:
    """(height, width, 3): the view of a picture (H, W, 3), with `outside` beyond the picture's edges. Large pictures are averaged,
    not sampled, when they are made smaller: by halves, or (exact) over as many pixels as come to one of the view, which takes five
    times as long."""
    ratio = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # Three and a half pixels to one are rather averaged four by four than two by two.
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
