"""Boxes around joints, and the overlap of two boxes."""

from __future__ import annotations

import numpy as np

from stpose_core.detect.types import Box, Floats

SEEN = 0.2  # joints below this calibrated score do not count as visible


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
