"""False positives of the search, mostly furniture. Rejected places are not examined again for some time."""

from __future__ import annotations

import cv2
import numpy as np

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.types import Box, Floats, Image

REJECTED = 0.2  # a pose of less presence is not a person; above, the next detection may find one
AGAIN_SECONDS = 4.0  # a rejected place is always examined again after this time
_CELLS = 8  # rows and columns of mean colours that describe a place
# A place has changed if this share of its cells differs by this share of the brightness, plus a margin for noise.
_SHARE, _OF_BRIGHTNESS, _LEAST, _MOST = 0.1, 0.12, 0.012, 0.04
_SAME_PLACE, _SAME_ANGLE = 0.6, 0.4  # overlap and radians within which two boxes are the same place


class RejectedPlaces:
    """Boxes without a person, the time at which they were examined, and the picture in them at that time."""

    def __init__(self) -> None:
        self._places: list[tuple[Box, float, Floats]] = []

    def clear(self) -> None:
        """Remove all places, after a shot cut."""
        self._places.clear()

    def add(self, image: Image, box: Box, time: float) -> None:
        """Add a place without a person, replacing earlier entries of the same place. time: of the frame, seconds."""
        self._places = [known for known in self._places if not _same(known[0], box) and time - known[1] < AGAIN_SECONDS]
        self._places.append((box, time, _look(image, box)))

    def holds(self, image: Image, box: Box, time: float) -> bool:
        """Whether the box was rejected recently and the picture in it has not changed since."""
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
    # Averages over a sparse sample of pixels suffice.
    step = max(1, min(right - left, bottom - top) // (4 * _CELLS))
    part = np.ascontiguousarray(image[top:bottom:step, left:right:step])
    return np.asarray(cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float64) / 255
