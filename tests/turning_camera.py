"""A camera that turns and zooms: where corners go, and the matches that a tracker would make of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_core.world.turning import Lens, Link, Turns

SIZE = (480, 270)
FOCAL = 400.0
LENS = Lens(FOCAL, np.array([240.0, 135.0]), SIZE)


def turned(degrees: Array | list[float], axis: str = "y") -> Array:
    """(M, 3, 3)."""
    return Rotation.from_euler(axis, np.asarray(degrees, float)[:, None], degrees=True).as_matrix()


def pixels(points: Array, rotation: Array, before: float, after: float) -> Array:
    """Where points (N, 2) from the principal point are after a turn (3, 3), by the homography of the two cameras."""
    homography = np.diag([after, after, 1]) @ rotation @ np.diag([1 / before, 1 / before, 1])
    there = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(there[:, :2] / there[:, 2:])


def corners(count: int = 60, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 2)) * SIZE


def link(frame: int, key: int, rotation: Array, focal: tuple[float, float], count: int = 60) -> Link:
    """A frame whose corners have moved by the turn from its key frame's camera to its own."""
    points = corners(count, seed=frame)
    targets = pixels(points, rotation, *focal)
    turn = Turns(rotation[None], np.log([focal[1] / focal[0]]))
    return Link(frame, key, points.astype(np.float32), targets.astype(np.float32), turn, float(np.log(focal[0] / FOCAL)), 1.0, 0.0)


def pan(frames: list[int], zoom: float = 0.0, start: int = 0) -> list[Link]:
    """Matches of a camera that pans by 0.5 degrees a frame and zooms by `zoom` (logarithm). Each tenth frame is a key frame."""
    found = []
    for frame in frames:
        key = start + (frame - 1 - start) // 10 * 10
        poses = turned([0.5 * (key - start), 0.5 * (frame - start)])
        focal = FOCAL * np.exp(zoom * (key - start)), FOCAL * np.exp(zoom * (frame - start))
        found.append(link(frame, key, poses[1].T @ poses[0], focal, 60 - frame % 3))
    return found


def wall(seed: int = 0, size: tuple[int, int] = (400, 300)) -> NDArray[np.uint8]:
    """A picture (H, W) full of soft blobs of all sizes. size: (width, height)."""
    random = np.random.default_rng(seed)
    picture = np.zeros(size[::-1], np.float32)
    for blur in (2, 4, 8):
        picture += blur * cv2.GaussianBlur(random.normal(0, 40, picture.shape).astype(np.float32), (0, 0), blur)
    return np.clip(128 + 1.2 * picture, 0, 255).astype(np.uint8)
