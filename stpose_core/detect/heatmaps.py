"""Places of joints from their heat maps, finer than the maps' pixels.

Source: Zhang et al., Distribution-aware coordinate representation for human pose estimation (CVPR 2020): the logarithm of a
Gaussian is a parabola, so one step of Newton's method from the highest pixel leads to its centre, without bias to the pixel grid.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stpose_core.skeletons import H36M17

Maps = NDArray[np.float32]
_BLUR = (0.06136, 0.24477, 0.38774, 0.24477, 0.06136)  # Gaussian of sigma 1: the curvature of raw maps is noisy
_NEAR = 3  # cells to each side of the peak within which mass counts


def mass_of(maps: Maps) -> Maps:
    """Logits (..., h, w) -> shares (..., h, w) of each map; their sum is 1."""
    powers = np.exp(maps - maps.max((-2, -1), keepdims=True))
    return np.asarray(powers / powers.sum((-2, -1), keepdims=True))


def with_mirrored(maps: Maps, hidden: Maps, other_maps: Maps, other_hidden: Maps) -> tuple[Maps, Maps]:
    """The mean of the outputs for a picture and for its mirror image: log of maps' mass (J, h, w), and hidden logits (J,)."""
    order = list(H36M17.mirror)
    both = np.log(mass_of(maps) + mass_of(other_maps[order, :, ::-1]) + np.finfo(np.float32).tiny)
    return np.asarray(both), np.asarray((hidden + other_hidden[order]) / 2)


def decode(maps: Maps, stride: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits of maps (J, h, w) -> places (J, 2) in pixels of the picture, and the share (J,) of each map's mass that lies
    within three cells of the highest."""
    count, height, width = maps.shape
    mass = mass_of(np.asarray(maps, np.float32))
    smooth = _blur(height) @ mass @ _blur(width).T
    row, column = np.divmod(smooth.reshape(count, -1).argmax(1), width)
    joint, near = np.arange(count), np.arange(-1, 2)
    rows, columns = (np.clip(peak[:, None] + near, 0, side - 1) for peak, side in ((row, height), (column, width)))
    heights = np.log(np.maximum(smooth[joint[:, None, None], rows[:, :, None], columns[:, None]], 1e-12)).astype(np.float64)

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        return heights[:, 1 + dy, 1 + dx]

    slope_x, slope_y = (at(0, 1) - at(0, -1)) / 2, (at(1, 0) - at(-1, 0)) / 2
    xx, yy = at(0, 1) - 2 * at(0, 0) + at(0, -1), at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    area = xx * yy - xy * xy
    # Only where the map curves downwards in every direction is there a peak to step to.
    peaked = (xx < 0) & (area > 1e-6)
    step = -np.stack([yy * slope_x - xy * slope_y, xx * slope_y - xy * slope_x], -1) / np.where(peaked, area, 1.0)[:, None]
    places = (np.stack([column, row], -1) + 0.5 + np.where(peaked[:, None], np.clip(step, -1, 1), 0.0)) * stride
    reach = np.arange(2 * _NEAR + 1)
    padded = np.zeros((count, height + 2 * _NEAR, width + 2 * _NEAR), np.float32)
    padded[:, _NEAR:-_NEAR, _NEAR:-_NEAR] = mass
    around = padded[joint[:, None, None], row[:, None, None] + reach[:, None], column[:, None, None] + reach]
    return places, np.minimum(around.sum((1, 2), dtype=np.float64), 1.0)


@lru_cache(maxsize=16)
def _blur(length: int) -> Maps:
    """(length, length): the smoothing of a line as a matrix; beyond its ends a line continues with its last value."""
    rows, matrix = np.arange(length), np.zeros((length, length), np.float32)
    for step, share in enumerate(_BLUR):
        np.add.at(matrix, (rows, np.clip(rows + step - len(_BLUR) // 2, 0, length - 1)), share)
    return matrix
