"""Search for people in a whole picture: preparation of the input of a finder, and decoding of its output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.types import Box
from stpose_core.detect.views import Picture, cut
from stpose_core.networks.configs import CELL, MULTIPLE

FOUND = 0.12
"""Score from which a peak counts as a person; low, because the spatial network makes the final decision."""
FOUND_AT_ALL = 0.05
"""The same if there is time to examine every peak, as in still pictures."""
_SAME = 0.55  # overlap from which two boxes show the same person
_MOST = 50  # maximum number of people in one picture
_FINER = 2.0  # resolution of the second pass, for small people, relative to the first
_WORTH = 1.3  # resolution, relative to the first pass, from which a picture gets a second pass

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
Look = Callable[[Picture], Outputs]
"""A picture (H, W, 3) whose sides are multiples of 64 -> centre (h, w), sides (4, h, w), up (2, h, w) of `FinderOutput`."""


def letterbox(picture: Picture, side: int) -> tuple[Picture, float]:
    """The input of a finder for a picture (H, W, 3), and its scale: the longer side is `side` pixels, and grey padding on the right
    and below makes the sides multiples of 64."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = tuple(-(-max(1, round(length * scale)) // MULTIPLE) * MULTIPLE for length in (width, height))
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    return cut(picture, matrix, (size[0], size[1]), exact=True), scale


def find_people(picture: Picture, look: Look, side: int, threshold: float = FOUND) -> list[Box]:
    """Boxes around the people in a picture (H, W, 3), by falling score.

    side: longer side of the first pass, pixels. Larger pictures get a second pass at a higher resolution, for small people.
    """
    found: list[Box] = []
    sides = [side]
    if max(picture.shape[:2]) >= _WORTH * side:
        sides.append(int(_FINER * side))
    for at in sides:
        shown, scale = letterbox(picture, at)
        for box in peaks(look(shown), threshold):
            x0, y0, x1, y1 = (corner / scale for corner in (box.x0, box.y0, box.x1, box.y1))
            found.append(Box(x0, y0, x1, y1, box.score, box.angle))
    height, width = picture.shape[:2]
    return _without_repeats([_within(box, width, height) for box in found])


def peaks(outputs: Outputs, threshold: float) -> list[Box]:
    """A box for each peak of the map of centres, in pixels of the network's input."""
    centre, sides, up = outputs
    score = 1 / (1 + np.exp(-np.clip(centre.astype(np.float64), -30, 30)))
    padded = np.pad(score, 1)
    height, width = score.shape
    around = np.max([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    rows, columns = np.nonzero((score >= threshold) & (score == around))
    boxes = []
    for row, column in zip(rows, columns):
        x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
        left, top, right, bottom = (float(value) for value in sides[:, row, column])
        across, down = (float(value) for value in up[:, row, column])
        boxes.append(Box(x - left, y - top, x + right, y + bottom, float(score[row, column]), float(np.arctan2(across, -down))))
    return sorted(boxes, key=lambda box: -box.score)[:_MOST]


def _within(box: Box, width: int, height: int) -> Box:
    """The part of a box inside a picture (at least one pixel)."""
    x0, y0 = min(max(box.x0, 0.0), width - 1.0), min(max(box.y0, 0.0), height - 1.0)
    return Box(x0, y0, max(min(box.x1, width), x0 + 1), max(min(box.y1, height), y0 + 1), box.score, box.angle)


def _without_repeats(boxes: list[Box]) -> list[Box]:
    """Non-maximum suppression: of overlapping boxes, the one with the highest score."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(box_overlap(box, other) < _SAME for other in kept):
            kept.append(box)
    return kept[:_MOST]


def shown_as(picture: Picture) -> NDArray[np.float32]:
    """A picture (H, W, 3) as input of a network: (1, 3, H, W), 0..1 minus 0.5."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255 - 0.5
