"""Key frames: pictures with corners on the background, which are found again in later pictures.

Corners are tracked by pyramidal Lucas-Kanade (Bouguet 2001, OpenCV) from the key frame itself, not from picture to picture: so
errors do not add up, and a corner that a person walks past is found again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array, Mask
from stpose_core.detect.types import Image

Grey = NDArray[np.uint8]

SMALL = 480  # pixels of the longer side that pictures are brought near to
CELLS = 20  # cells along the longer side, with one corner each
MOST = 120  # corners of a key frame
_MARGIN = 0.12  # people's boxes are widened by this share of their longer side: they go around joints, not around hair and hands
_WINDOW, _LEVELS, _GUESSED_LEVELS = 15, 3, 1
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
_RETURN = 0.5  # pixels between a corner and where it comes out when tracked there and back
_PLAIN = 1e-4  # least eigenvalue of a corner's gradients: a patch that changes by less says nothing
_UNLIKE = 0.6  # mean difference of a tracked patch, as a share of the contrast of the corner's own patch
_DARK = 24  # a border row or column with nothing brighter belongs to a black bar


def small_step(width: int, height: int) -> int:
    """By how much pictures of that size are scaled down: a power of two."""
    return int(2 ** max(0, round(np.log2(max(width, height) / SMALL))))


def small_picture(image: Image, step: int) -> Grey:
    """(H // step, W // step) uint8: the green channel, which has most of the detail, averaged over step x step pixels."""
    green = cv2.extractChannel(image, 1)
    height, width = (side // step for side in green.shape)
    while step > 1:
        # Halving twice is several times as fast as scaling to a quarter.
        rows, columns = (side // 2 * 2 for side in green.shape)
        green = cv2.resize(green[:rows, :columns], (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        step //= 2
    return np.asarray(green[:height, :width], np.uint8)


def inside(points: Array, boxes: Array) -> Mask:
    """(N,) whether points (N, 2) lie in one of the boxes (B, 4): x0, y0, x1, y1."""
    if not len(boxes):
        return np.zeros(len(points), bool)
    x, y = points[:, :1], points[:, 1:]
    return np.asarray(((x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= boxes[:, 3])).any(1))


def widened(boxes: Array) -> Array:
    """The boxes (B, 4) with a margin."""
    margin = _MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) if len(boxes) else np.zeros((0, 1))
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A small picture and its corners. points: (N, 2) pixels of the small picture. contrast: (N,) of the patches around them."""

    picture: Grey
    points: NDArray[np.float32]
    contrast: NDArray[np.float32]

    @staticmethod
    def of(picture: Grey, boxes: Array) -> KeyFrame:
        """The best corner of every cell outside the boxes (B, 4, pixels of the small picture) and the black bars."""
        height, width = picture.shape
        cell = max(width, height) // CELLS
        strength = cv2.cornerMinEigenVal(picture, 5)
        rows, columns = height // cell, width // cell
        blocks = (
            strength[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows * columns, -1)
        )
        best = blocks.argmax(1)
        cells = np.arange(rows * columns)
        y, x = cells // columns * cell + best // cell, cells % columns * cell + best % cell
        points = np.stack([x, y], 1).astype(np.float32)
        edge = _WINDOW // 2 + 1
        left, top, right, bottom = _shown(picture)
        usable = (x >= left + edge) & (x < right - edge) & (y >= top + edge) & (y < bottom - edge)
        usable &= (blocks[cells, best] > _PLAIN) & ~inside(points, boxes)
        chosen = np.flatnonzero(usable)
        chosen = chosen[np.argsort(-blocks[chosen, best[chosen]])[:MOST]]
        window = (_WINDOW, _WINDOW)
        mean = cv2.blur(picture, window)
        contrast = cv2.blur(cv2.absdiff(picture, mean), window)
        return KeyFrame(picture, points[chosen], contrast[y[chosen], x[chosen]].astype(np.float32))

    def only(self, corners: Mask) -> KeyFrame:
        """The key frame with some of its corners (N,)."""
        return KeyFrame(self.picture, self.points[corners], self.contrast[corners])

    def aligned(self, picture: Grey, homography: Array) -> KeyFrame:
        """The key frame as it would look in another picture of that size: patches that have turned with the camera are found only
        then. homography: (3, 3) from this picture to the other one, pixels."""
        height, width = picture.shape
        warped = cv2.warpPerspective(
            self.picture, homography, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        points = cv2.perspectiveTransform(self.points[None].astype(np.float64), homography)[0]
        return KeyFrame(np.asarray(warped, np.uint8), points.astype(np.float32), self.contrast)

    def track(self, picture: Grey, guess: Array, far: bool) -> tuple[Array, Mask]:
        """(N, 2) where the corners are in another picture, and (N,) whether each was found.

        guess: (N, 2) where they are expected. far: look further around, some 40 pixels instead of 10.
        """
        if not len(self.points):
            return np.zeros((0, 2)), np.zeros(0, bool)
        options = {"winSize": (_WINDOW, _WINDOW), "maxLevel": _LEVELS if far else _GUESSED_LEVELS, "criteria": _CRITERIA}
        options["flags"] = cv2.OPTFLOW_USE_INITIAL_FLOW
        start = guess.astype(np.float32)
        found, there, unlike = cv2.calcOpticalFlowPyrLK(self.picture, picture, self.points, start.copy(), **options)
        back, again, _ = cv2.calcOpticalFlowPyrLK(picture, self.picture, found, self.points.copy(), **options)
        height, width = picture.shape
        seen = (there[:, 0] > 0) & (again[:, 0] > 0) & (np.abs(back - self.points).max(1) < _RETURN)
        seen &= (found > 2).all(1) & (found < (width - 3, height - 3)).all(1)
        seen &= unlike[:, 0] < _UNLIKE * self.contrast
        return found.astype(float), seen


def _shown(picture: Grey) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the picture without black bars."""
    lit = [np.flatnonzero(picture.max(axis) > _DARK) for axis in (0, 1)]
    if not len(lit[0]):
        return 0, 0, picture.shape[1], picture.shape[0]
    return int(lit[0][0]), int(lit[1][0]), int(lit[0][-1]) + 1, int(lit[1][-1]) + 1
