"""What a detector takes and gives: boxes around people, and the 2D pose inside one box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """Where a person may be: corners in pixels, origin top left (they may lie outside the image).

    score: 0..1, how sure the search was. angle: radians clockwise from the image's up to the person's up, 0 for an upright one.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float = 1.0
    angle: float = 0.0

    @property
    def centre(self) -> Floats:
        """(2,) pixels."""
        return np.array([(self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2])

    @property
    def size(self) -> float:
        """The longer side in pixels."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    def moved(self, by: Floats, scale: float = 1.0) -> Box:
        """The box moved by (x, y) pixels and scaled about its centre."""
        (x, y), half_w, half_h = self.centre + by, (self.x1 - self.x0) / 2 * scale, (self.y1 - self.y0) / 2 * scale
        return Box(x - half_w, y - half_h, x + half_w, y + half_h, self.score, self.angle)


@dataclass(frozen=True)
class Pose2D:
    """The pose found in one box.

    xy: (J, 2) pixels. score: (J,) calibrated, 0..1. presence: 0..1, how likely there is a person in the box at all.
    box: where to look for this person in the next frame.
    """

    xy: Floats
    score: Floats
    presence: float
    box: Box


class Detector(Protocol):
    """Finds people in a picture, and the joints of one person in a box. Images are (H, W, 3) uint8 RGB."""

    name: str
    skeleton: str

    def find(self, image: Image) -> list[Box]:
        """Search the whole picture for people; the surest first."""

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The pose of the person in the box."""
