"""A picture in which some people are painted grey, so that a detector finds the person behind them."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import SEEN
from stpose_core.detect.types import Floats, Image, Pose2D
from stpose_core.skeletons import get_skeleton

_GREY = 128
# Bones as thick lines: from joint, to joint, how far beyond it (share of the bone), radius in torsos.
_BONES = (
    ("shoulder", "elbow", 0.0, 0.2),
    ("elbow", "wrist", 0.4, 0.18),
    ("hip", "knee", 0.0, 0.27),
    ("knee", "ankle", 0.2, 0.23),
)
_TRUNK, _NECK, _HEAD, _UP = 0.34, 0.2, 0.3, 0.45  # radii; from the shoulders to the middle of the head, in torsos
_LIMBS = tuple(f"{side}_{name}" for side in "lr" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))
_OPEN = 0.5  # share of the visible limb joints that a person behind others shows beside them


class Painted:
    """A picture in which the bodies of some people are grey.

    image: a copy of the picture. bodies: (H, W) 255 on the bodies of those in front, else 0. Of those behind the person `own`, who
    is looked for, only what is beside that person is painted.
    """

    def __init__(
        self, image: Image, front: Iterable[Pose2D], skeleton: str, behind: Iterable[Pose2D] = (), own: Pose2D | None = None
    ) -> None:
        self._skeleton = skeleton
        self.bodies = _drawn(image, front, skeleton)
        self.image: Image = image.copy()
        _paint(self.image, self.bodies)
        if own is not None:
            beside = _drawn(image, behind, skeleton)
            _draw(beside, own.xy.astype(float), skeleton, 0)
            _paint(self.image, beside)

    def covers(self, pose: Pose2D) -> bool:
        """Whether most of the visible arms, legs and trunk of a pose lie on the bodies: it is made of what is left of them."""
        limbs = get_skeleton(self._skeleton).index(*_LIMBS)
        seen = (pose.score[limbs] >= SEEN) & np.isfinite(pose.xy[limbs]).all(1)
        x, y = pose.xy[limbs][seen].round().astype(int).T
        height, width = self.bodies.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return bool((self.bodies[y[inside], x[inside]] > 0).sum() > (1 - _OPEN) * len(x))


def _paint(image: Image, bodies: NDArray[np.uint8]) -> None:
    # Bodies are a small part of the picture, and a mask of all of it takes half as long as a network.
    x, y, width, height = cv2.boundingRect(bodies)
    there = slice(y, y + height), slice(x, x + width)
    image[there][bodies[there] > 0] = _GREY


def _drawn(image: Image, poses: Iterable[Pose2D], skeleton: str) -> NDArray[np.uint8]:
    bodies = np.zeros(image.shape[:2], np.uint8)
    for pose in poses:
        _draw(bodies, pose.xy.astype(float), skeleton, 255)
    return bodies


def _draw(bodies: NDArray[np.uint8], xy: Floats, skeleton: str, value: int) -> None:
    names = get_skeleton(skeleton)
    left, right, l_hip, r_hip = xy[names.index("l_shoulder", "r_shoulder", "l_hip", "r_hip")]
    top, low = (left + right) / 2, (l_hip + r_hip) / 2
    torso = float(np.hypot(*(top - low)))
    if not torso > 0:
        return
    for side in ("l", "r"):
        for start, end, beyond, radius in _BONES:
            a, b = xy[names.index(f"{side}_{start}", f"{side}_{end}")]
            _line(bodies, a, b + beyond * (b - a), radius * torso, value)
    for a, b in ((left, right), (l_hip, r_hip), (left, r_hip), (right, l_hip)):
        _line(bodies, a, b, _NECK * torso, value)
    head = top + _UP * (top - low)
    _line(bodies, top, low, _TRUNK * torso, value)
    _line(bodies, top, head, _NECK * torso, value)
    _line(bodies, head, head, _HEAD * torso, value)


def _line(bodies: NDArray[np.uint8], a: Floats, b: Floats, radius: float, value: int) -> None:
    ends = np.stack([a, b])
    if np.isfinite(ends).all() and np.abs(ends).max() < 1e5:
        (x0, y0), (x1, y1) = ends.round().astype(int).tolist()
        cv2.line(bodies, (x0, y0), (x1, y1), value, max(1, round(2 * radius)))
