"""How similar two detections of a person are: joints and colours."""

from __future__ import annotations

import cv2
import numpy as np

from stpose_core.detect.boxes import SEEN, extent
from stpose_core.detect.types import Box, Floats, Image
from stpose_core.skeletons import get_skeleton

# A joint this share of the person's size away counts exp(-1/2), as the widest joint constant of COCO's object keypoint
# similarity (hips, 0.107; its "s" is the root of the person's area).
JOINT_SPREAD = 0.1


def joint_similarity(xy_a: Floats, score_a: Floats, xy_b: Floats, score_b: Floats) -> float:
    """Object keypoint similarity of two poses, 0..1: mean over the joints detected in both of exp(-d^2 / 2 (k s)^2)."""
    both = np.isfinite(xy_a).all(axis=1) & np.isfinite(xy_b).all(axis=1) & (np.minimum(score_a, score_b) >= SEEN)
    if both.sum() < 3:
        return 0.0
    scale = np.sqrt(area(extent(xy_a, score_a)) * area(extent(xy_b, score_b))) ** 0.5
    distance = np.linalg.norm(xy_a[both] - xy_b[both], axis=1)
    return float(np.exp(-0.5 * (distance / (JOINT_SPREAD * scale + 1e-9)) ** 2).mean())


def area(box: Box) -> float:
    """Square pixels. A person in side view is narrow, so the body is assumed to be at least 0.4 as wide as tall."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    return max(width, 0.4 * height, 1.0) * max(height, 0.4 * width, 1.0)


def torso_colours(image: Image, xy: Floats, score: Floats, skeleton: str) -> Floats | None:
    """(104,) histogram of the torso's colours that sums to 1; None if the torso is outside the image or was not detected.

    Hue x saturation (12 x 8) is weighted by colourfulness, which reduces the influence of shading; grey pixels are counted in 8
    bins of brightness.
    """
    corners = get_skeleton(skeleton).index("l_shoulder", "r_shoulder", "r_hip", "l_hip")
    quad = xy[corners]
    if not np.isfinite(quad).all() or score[corners].min() < SEEN:
        return None
    centre = quad.mean(axis=0)
    # In side view the four joints lie on a line. The patch is as long as the torso and at least 0.3 times as wide.
    spine = quad[2:].mean(axis=0) - quad[:2].mean(axis=0)
    length = float(np.hypot(*spine))
    if length < 4:
        return None
    along, across = spine / length, np.array([-spine[1], spine[0]]) / length
    half_width = max(0.3 * length, 0.8 * float(np.ptp((quad - centre) @ across))) / 2
    to_image = np.column_stack([across * half_width / 8, along * 0.45 * length / 12, centre])
    to_image[:, 2] -= to_image[:, :2] @ np.array([8.0, 12.0])
    inside = to_image @ np.array([[0, 16, 0, 16], [0, 0, 24, 24], [1, 1, 1, 1]])
    height, width = image.shape[:2]
    if (inside.mean(axis=1) < 0).any() or (inside.mean(axis=1) >= (width, height)).any():
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(image, to_image, (16, 24), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    hue, saturation, value = (plane.ravel().astype(np.int64) for plane in cv2.split(cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)))
    coloured = np.bincount((hue // 15) * 8 + saturation // 32, weights=saturation / 255, minlength=96)
    grey = np.bincount(value // 32, weights=1 - saturation / 255, minlength=8)
    return np.concatenate([coloured, grey]) / len(hue)


def colour_similarity(a: Floats | None, b: Floats | None) -> float | None:
    """Bhattacharyya coefficient of two histograms, 0..1; None if one is missing."""
    return None if a is None or b is None else float(np.sqrt(a * b).sum())
