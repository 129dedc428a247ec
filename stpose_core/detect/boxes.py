"""Boxes around joints, and the overlap of two boxes."""

from __future__ import annotations

import math

import numpy as np

from stpose_core.detect.types import Box, Floats

SEEN = 0.2  # joints below this calibrated score do not count as visible
_STEPS, _TURN = 128, 1 / 64  # a box is moved by less than its size / _STEPS, and turned by at most half of _TURN radians


def extent(xy: Floats, score: Floats) -> Box:
    """The box around the visible joints (around all joints if fewer than four are visible). xy: (J, 2), score: (J,)."""
    seen = np.isfinite(xy).all(axis=1)
    if (seen & (score >= SEEN)).sum() >= 4:
        seen &= score >= SEEN
    if not seen.any():
        return Box(0.0, 0.0, 0.0, 0.0, 0.0)
    (x0, y0), (x1, y1) = xy[seen].min(axis=0), xy[seen].max(axis=0)
    return Box(float(x0), float(y0), float(x1), float(y1))


def box_overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both))


def snapped(box: Box) -> Box:
    """The box on a coarse grid: corners on multiples of a power of two of pixels, between 1/256 and 1/128 of the size.

    The box of a person in one frame follows from the pose in the frame before, and the noise of a detector never fades from such a
    sequence. On the grid, two sequences that are nearly alike become equal, so that a part of a video gives the same result
    wherever tracking began.
    """
    if not 0 < box.size < math.inf:
        return box
    step = 2.0 ** math.floor(math.log2(box.size / _STEPS))
    x0, y0, x1, y1 = (round(value / step) * step for value in (box.x0, box.y0, box.x1, box.y1))
    return Box(x0, y0, x1, y1, box.score, round(box.angle / _TURN) * _TURN)
