"""The first two looks at a person whose orientation is not known yet: people lie, hang and stand on their hands.

Networks that find joints are trained on people who stand. The search tells which way up a person is, but hardly for those who lie.
So a pose that stays uncertain is also looked for with the view turned by one, two and three quarters, and the most certain of the
four answers counts. Once a person is followed, the view turns with the trunk.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpose_core.detect.types import Box, Detector, Image, Pose2D

CERTAIN = 0.7  # mean score of the joints from which a pose is not looked for in turned views
_BETTER = 0.05  # by which a turned view must be more certain
UNLIKELY = 0.1  # presence in the first look up to which nobody is there, whichever way up


def two_looks(detector: Detector, image: Image, box: Box, first: Pose2D | None = None) -> tuple[Pose2D, Pose2D]:
    """The pose of the person in a box, and that in the box which this pose gives; of turned views, those that are most certain.

    first: the pose in the box as it stands, if that is known.
    """
    pair = _looks(detector, image, box, first)
    if certainty(pair) >= CERTAIN or pair[0].presence <= UNLIKELY:
        return pair
    best = max((_looks(detector, image, turned(box, quarters)) for quarters in (1, 2, 3)), key=certainty)
    return best if certainty(best) > certainty(pair) + _BETTER else pair


def certainty(looks: tuple[Pose2D, Pose2D]) -> float:
    """Mean score of the joints in the second look, 0..1."""
    return float(np.mean(looks[1].score))


def turned(box: Box, quarters: int) -> Box:
    """The same place with the view turned clockwise by quarters of a turn: boxes have the axes of their view."""
    half_w, half_h = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    if quarters % 2:
        half_w, half_h = half_h, half_w
    x, y = (float(value) for value in box.centre)
    angle = (box.angle + quarters * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
    return replace(box, x0=x - half_w, y0=y - half_h, x1=x + half_w, y1=y + half_h, angle=float(angle))


def _looks(detector: Detector, image: Image, box: Box, first: Pose2D | None = None) -> tuple[Pose2D, Pose2D]:
    first = first or detector.pose(image, box)
    return first, detector.pose(image, first.box)
