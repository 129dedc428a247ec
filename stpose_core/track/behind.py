"""A search for people behind others: in the surroundings of people who are followed, with these people painted out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stpose_core.detect.types import Box, Detector, Image, Pose2D
from stpose_core.track.painting import Painted
from stpose_core.track.person import SAME, Person, explains, seen_box, similarity, verified
from stpose_core.track.rejected import REJECTED, RejectedPlaces

if TYPE_CHECKING:
    from stpose_core.video import Frame

_AROUND = 0.3  # of the largest box of a group: margin of the part of the picture that is searched for people behind them
_SMALLEST = 0.4  # of that box: a smaller find behind them is no person near them, but mostly a remnant of a painted body
# Pixels of the longer side of that part, which the built-in finder searches in one pass; more where the largest person would have
# fewer than _LARGEST of them, and the smallest who is looked for fewer than 48.
_COARSE, _LARGEST = 400, 120


def find_behind(
    detector: Detector, group: Sequence[Person], frame: Frame, followed: Sequence[Person], rejected: RejectedPlaces
) -> Iterator[Pose2D]:
    """Poses of people whom a search finds if those of the group are painted out, other than those who are `followed`.

    rejected: places without a person in such pictures. They are not examined, and further ones are added.
    """
    boxes = [seen_box(person.pose) for person in group]
    size = max(box.size for box in boxes)
    margin = _AROUND * size
    (x0, y0), (x1, y1) = (min(b.x0 for b in boxes), min(b.y0 for b in boxes)), (max(b.x1 for b in boxes), max(b.y1 for b in boxes))
    painted = Painted(frame.image, [person.pose for person in group], detector.skeleton)
    for box in _searched(detector, painted.image, Box(x0 - margin, y0 - margin, x1 + margin, y1 + margin), size):
        known = any(explains(person.pose, box) for person in followed if person not in group)
        if known or box.size < _SMALLEST * size or rejected.holds(painted.image, box, frame.time):
            continue
        first = detector.pose(painted.image, box)
        if first.presence < REJECTED:
            rejected.add(painted.image, box, frame.time)
        # It shows what is left of the painted people, or a followed person: no second look is needed.
        if painted.covers(first) or any(similarity(person.pose, first) >= SAME for person in followed):
            continue
        pose = verified(detector, painted.image, box, first=first)
        if pose is not None and not painted.covers(pose):
            yield pose


def _searched(detector: Detector, image: Image, part: Box, largest: float) -> Iterator[Box]:
    """What a search finds in a part of a picture. largest: size of the largest person there, pixels.

    The detector gets a window of the picture's shape, because networks are loaded for each shape, and it is no finer than needed.
    """
    sides = np.array(image.shape[1::-1])
    share = min(1.0, float(max((part.x1 - part.x0) / sides[0], (part.y1 - part.y0) / sides[1])))
    window = np.maximum(np.round(share * sides), 1).astype(int)
    corner = np.clip(part.centre - window / 2, 0, sides - window).astype(int)
    scale = min(1.0, max(_COARSE / window.max(), _LARGEST / max(largest, 1.0)))
    seen = image[corner[1] : corner[1] + window[1], corner[0] : corner[0] + window[0]]
    width, height = (max(1, round(scale * int(side))) for side in window)
    small = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)
    for box in detector.find(np.asarray(small, np.uint8)):
        low, high = np.array([box.x0, box.y0]) / scale + corner, np.array([box.x1, box.y1]) / scale + corner
        x, y = (low + high) / 2
        if part.x0 <= x <= part.x1 and part.y0 <= y <= part.y1:
            yield Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]), box.score, box.angle)
