"""Views of people who are not upright, where the search does not tell which way up they are: they lie, or stand on their hands.

Networks that find joints are trained on people who stand. The search estimates which way up a person is, but is often wrong for
people who lie. So a pose that stays uncertain is also looked for with the view turned by one, two and three quarters, and the most
certain pose counts. Once a person is followed, the view turns with the trunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stpose_core.detect.types import Box, Detector, Image, Pose2D

CERTAIN = 0.7  # mean score of the joints from which a pose is not looked for in turned views
UNLIKELY = 0.1  # presence in the first look up to which it is not either: there is no person
BETTER = 0.05  # by which a turned view must be more certain

Looks = tuple[Pose2D, Pose2D]
"""The pose in a box, and that in the box which this pose gives."""


def best_turned(detector: Detector, image: Image, box: Box, sound: Callable[[Looks], bool]) -> Looks | None:
    """The most certain looks at the place of a box in turned views, of those that are sound; None if there are none."""
    views = (quarter_turned(box, quarters) for quarters in (1, 2, 3))
    looks = (second(detector, image, detector.pose(image, view)) for view in views)
    return max(filter(sound, looks), key=certainty, default=None)


def second(detector: Detector, image: Image, first: Pose2D) -> Looks:
    """A first look, and the second one that it leads to."""
    return first, detector.pose(image, first.box)


def certainty(looks: Looks) -> float:
    """Mean score of the joints in the second look, 0..1."""
    return float(np.mean(np.nan_to_num(looks[1].score)))


def quarter_turned(box: Box, quarters: int) -> Box:
    """The same place with the view turned clockwise by quarters of a turn: boxes have the axes of their view."""
    half_w, half_h = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    if quarters % 2:
        half_w, half_h = half_h, half_w
    x, y = (float(value) for value in box.centre)
    angle = (box.angle + quarters * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
    return replace(box, x0=x - half_w, y0=y - half_h, x1=x + half_w, y1=y + half_h, angle=float(angle))
