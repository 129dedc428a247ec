"""Inputs and outputs of a detector: boxes around people, the 2D pose in a box, and heat maps if it has any."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """A possible place of a person: corners in pixels, origin top left. They may lie outside the image.

    score: 0..1, confidence of the search. angle: radians clockwise from the image's up to the person's up; 0 for an upright person.
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

    xy: (J, 2) pixels. score: (J,) calibrated, 0..1. presence: 0..1, probability that the box contains a person.
    box: the box in which to look for this person in the next frame.
    """

    xy: Floats
    score: Floats
    presence: float
    box: Box


@dataclass(frozen=True)
class JointMaps:
    """Heat maps of one person's joints. matrix: (2, 3), maps pixels of the picture to pixels of the network's input view.
    maps: (J, h, w) logits of the position of each joint; a cell is four pixels of the view wide. hidden: (J,) logits that a joint
    is not visible."""

    matrix: Floats
    maps: NDArray[np.float32]
    hidden: NDArray[np.float32]


class Detector(Protocol):
    """Finds people in a picture, and the joints of one person in a box. Images are (H, W, 3) uint8 RGB.

    A detector of your own is a subclass with `name`, `skeleton`, `find` and `pose`; `--detector package.module:Class` loads it.
    name: its name in results. skeleton: the joints of its poses, a skeleton that `stpose_core.skeletons.convert` supports.
    """

    name: str
    skeleton: str

    @abstractmethod
    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Search the whole picture for people, the most likely first. thorough: include boxes that are unlikely to contain a
        person, for still pictures, where there is time to examine each box."""

    @abstractmethod
    def pose(self, image: Image, box: Box) -> Pose2D:
        """The pose of the person in the box, who is turned by the box's angle."""

    @property
    def maps(self) -> Callable[[Image, Box], JointMaps] | None:
        """The function that computes the h36m17 heat maps of the person in a box; None if the detector has no such maps."""
        return None
