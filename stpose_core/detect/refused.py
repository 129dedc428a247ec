"""Places that a search takes for people and that are nobody: furniture, mostly. They are left alone while nothing changes there."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from stpose_core.detect.likeness import box_overlap
from stpose_core.detect.types import Box, Floats, Image

_CELLS = 8  # rows and columns of averages that tell what a place looks like
_CHANGED, _SHARE = 0.04, 0.1  # a place has changed if so great a share of its cells differs by so much of the range of brightness
_SAME_PLACE = 0.6  # overlap of two boxes from which they are the same place
_MOST = 100


class RefusedPlaces:
    """Boxes in which no person was believed, and what the picture showed there then."""

    def __init__(self) -> None:
        self._places: deque[tuple[Box, Floats]] = deque(maxlen=_MOST)

    def clear(self) -> None:
        """Forget all, as the scene changes."""
        self._places.clear()

    def add(self, image: Image, box: Box) -> None:
        """Remember a place in which nobody was, in the place of what was known about it."""
        self._places = deque((known for known in self._places if box_overlap(known[0], box) < _SAME_PLACE), maxlen=_MOST)
        self._places.append((box, _look(image, box)))

    def holds(self, image: Image, box: Box) -> bool:
        """Whether the box is a place in which nobody was, and looks as it did then."""
        return any(
            box_overlap(place, box) >= _SAME_PLACE and np.quantile(np.abs(_look(image, place) - look), 1 - _SHARE) < _CHANGED
            for place, look in self._places
        )


def _look(image: Image, box: Box) -> Floats:
    """(8, 8, 3) mean colours of the part of a picture within a box, 0..1."""
    height, width = image.shape[:2]
    left, top = (int(np.clip(start, 0, length - 1)) for start, length in ((box.x0, width), (box.y0, height)))
    right, bottom = max(left + 1, min(width, round(box.x1))), max(top + 1, min(height, round(box.y1)))
    # Averages of every few pixels tell as much as those of all.
    step = max(1, min(right - left, bottom - top) // (4 * _CELLS))
    part = np.ascontiguousarray(image[top:bottom:step, left:right:step])
    return np.asarray(cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float64) / 255
