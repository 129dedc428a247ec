"""Detection of shot cuts by thumbnails of the pictures."""

from __future__ import annotations

import cv2
import numpy as np

from stpose_core.detect.types import Floats, Image


def thumbnail(image: Image) -> Floats:
    """(18, 32) grey picture, 0..1, for the detection of cuts."""
    # A sparse sample of pixels suffices and is much faster than averaging a whole 4K frame.
    step = max(1, min(image.shape[:2]) // 90)
    small = cv2.resize(image[::step, ::step], (32, 18), interpolation=cv2.INTER_AREA)
    return small.mean(axis=2) / 255


def is_cut(before: Floats, after: Floats) -> bool:
    """Whether two thumbnails show different scenes: they differ in brightness nearly everywhere, and in structure.

    A flash or a change of exposure keeps the structure (correlation); a large moving person keeps the rest of the picture.
    """
    if np.abs(before - after).mean() < 0.08:
        return False
    a, b = before - before.mean(), after - after.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9)) < 0.5
