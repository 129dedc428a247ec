"""Places that a search takes for people although nobody is there: furniture, mostly. They are not looked at again for a while."""

from __future__ import annotations

import cv2
import numpy as np

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.types import Box, Floats, Image

REJECTED = 0.2  # a pose of less presence is nobody; above, the next look may find a person
AGAIN_SECONDS = 4.0  # a rejected place is looked at again after this time in any case
_CELLS = 8  # rows and columns of averages that tell what a place looks like
# A place has changed if so great a share of its cells differs by so much of its brightness, and by what noise leaves of averages.
_SHARE, _OF_BRIGHTNESS, _LEAST, _MOST = 0.1, 0.12, 0.012, 0.04
_SAME_PLACE, _SAME_ANGLE = 0.6, 0.4  # overlap and radians to which two boxes are the same place


class RejectedPlaces:
    """Boxes in which nobody was, when they were looked at, and the picture in them at that time."""

    def __init__(self) -> None:
        self._places: list[tuple[Box, float, Floats]] = []

    def clear(self) -> None:
        """Forget all places, at a shot cut."""
        self._places.clear()

    def add(self, image: Image, box: Box, time: float) -> None:
        """Remember a place in which nobody was, and forget what was known about it. time: of the frame, seconds."""
        self._places = [known for known in self._places if not _same(known[0], box) and time - known[1] < AGAIN_SECONDS]
        self._places.append((box, time, _look(image, box)))

    def holds(self, image: Image, box: Box, time: float) -> bool:
        """Whether nobody was in the box a while ago, and the picture there has not changed since."""
        return any(
            time - when < AGAIN_SECONDS and _same(place, box) and not _changed(look, _look(image, place))
            for place, when, look in self._places
        )


def _same(a: Box, b: Box) -> bool:
    turn = (a.angle - b.angle + np.pi) % (2 * np.pi) - np.pi
    return abs(turn) < _SAME_ANGLE and box_overlap(a, b) >= _SAME_PLACE


def _changed(before: Floats, after: Floats) -> bool:
    least = np.clip(_OF_BRIGHTNESS * before.mean(), _LEAST, _MOST)
    return bool(np.quantile(np.abs(after - before), 1 - _SHARE) >= least)


def _look(image: Image, box: Box) -> Floats:
    """(8, 8, 3) mean colours of the part of a picture around a box, which may be turned; 0..1."""
    height, width = image.shape[:2]
    cos, sin = abs(np.cos(box.angle)), abs(np.sin(box.angle))
    half_w, half_h = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    x, y = (float(value) for value in box.centre)
    across, down = cos * half_w + sin * half_h, sin * half_w + cos * half_h
    left, top = int(np.clip(x - across, 0, width - 1)), int(np.clip(y - down, 0, height - 1))
    right, bottom = max(left + 1, min(width, round(x + across))), max(top + 1, min(height, round(y + down)))
    # Averages of every few pixels tell as much as those of all.
    step = max(1, min(right - left, bottom - top) // (4 * _CELLS))
    part = np.ascontiguousarray(image[top:bottom:step, left:right:step])
    return np.asarray(cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float64) / 255
