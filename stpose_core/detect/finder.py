"""The built-in finder: the network that searches whole pictures for people. Any detector without its own search can use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.detect.networks import read_finder
from stpose_core.detect.runtime import make_runner
from stpose_core.detect.search import FOUND, FOUND_AT_ALL, Outputs, find_people, shown_as
from stpose_core.detect.types import Box, Image

UPRIGHT = 0.6  # radians; up to this tilt the view is not rotated, because the network was trained with tilted people


class Finder:
    """weights: a finder.safetensors. device: runs the network. Raises WeightsError if the file is missing or damaged."""

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        network = read_finder(weights)
        self._side = network.config.side
        self._run = make_runner(network, device)

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Search the whole picture, and larger pictures a second time for small people.

        The width and height of a rotated box are those of the person along its own axes, about the box's centre.
        """
        threshold = FOUND_AT_ALL if thorough else FOUND
        return [turned(box) for box in find_people(image, self._look, self._side, threshold)]

    def _look(self, picture: Image) -> Outputs:
        outputs = self._run(shown_as(picture))
        return outputs["centre"][0], outputs["sides"][0], outputs["up"][0]


def turned(box: Box) -> Box:
    """Convert an upright box to one along the axes of the person in it."""
    angle = steadied(box.angle)
    x, y = (float(value) for value in box.centre)
    half_w, half_h = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    if np.pi / 4 < abs(angle) < 3 * np.pi / 4:
        half_w, half_h = half_h, half_w
    return Box(x - half_w, y - half_h, x + half_w, y + half_h, box.score, angle)


def steadied(angle: float) -> float:
    """The angle of a view, radians; 0 if the person is nearly upright."""
    return 0.0 if abs(angle) < UPRIGHT else angle
