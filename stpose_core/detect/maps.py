"""The heat maps of a tracked person from the built-in detector, for a lifter that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from stpose_core.data import Keypoints
from stpose_core.detect.heatmaps import decode, mass_of
from stpose_core.detect.types import Box, Floats, Image, JointMaps
from stpose_core.detect.views import seen_at, seen_from
from stpose_core.networks.configs import STRIDE
from stpose_core.skeletons import H36M17
from stpose_core.track.track import Track

CELLS = 32
"""Rows and columns of a map: a cell is eight pixels of the view, and the maps of a person take 35 kB per frame."""

_SPREAD = 2.0  # in cells of the network's maps: widens their peaks to those that lifters are trained with
Maps = tuple[NDArray[np.float16], Floats, Floats]


def person_maps(
    look: Callable[[Image, Box], JointMaps], track: Track, points: Keypoints, times: Floats, pictures: Iterable[Image]
) -> Maps:
    """Maps whose peaks are the joints in `points` -> values (T, 17, CELLS, CELLS) 0..1, corner (T, 2), cell (T,), pixels of the
    picture, as in `stpose_core.lift.heatmaps.HeatMaps`; empty in frames without a detection.

    look: gives the detector's maps in a box. track: the person. points: the track on a uniform grid of T times. times: of the
    clip's frames, seconds. pictures: the same frames. The highest value of a map is the joint's score. Between frames, the maps of
    the nearest one are used.
    """
    if points.skeleton != H36M17.name:
        raise ValueError(f"heat maps are of the joints of {H36M17.name}, not of {points.skeleton}")
    grid = times[0] + np.arange(len(points)) / points.fps
    frame, row = _nearest(times, grid), _nearest(track.times, grid)
    values = np.zeros((len(points), len(H36M17.joints), CELLS, CELLS), np.float16)
    corner, cell = np.zeros((len(points), 2)), np.ones(len(points))
    for number, picture in enumerate(pictures):
        for at in np.flatnonzero((frame == number) & points.seen):
            seen = look(picture, track.pose(int(row[at])).box)
            shares, corner[at], cell[at] = _in_picture(seen, points.xy[at])
            values[at] = shares * points.score[at][:, None, None]
    return values, corner, cell


def _in_picture(seen: JointMaps, xy: Floats) -> tuple[Floats, Floats, float]:
    """Maps (17, CELLS, CELLS) with a maximum of 1 in an upright square of the picture; its outer corner and the side of its cells,
    pixels. xy: (17, 2) positions of the joints; sides that were swapped by a correction are swapped here as well."""
    height, width = seen.maps.shape[1:]
    middle = seen_from(seen.matrix, np.array([width, height]) * STRIDE / 2)
    cell = max(width, height) * STRIDE / np.sqrt(abs(np.linalg.det(seen.matrix[:, :2]))) / CELLS
    corner = middle - cell * CELLS / 2
    axis = (np.arange(CELLS) + 0.5) * cell
    places = corner + np.stack(np.meshgrid(axis, axis), -1)
    column, row = np.moveaxis(seen_at(seen.matrix, places) / STRIDE - 0.5, -1, 0)
    mass = mass_of(seen.maps).transpose(1, 2, 0)
    # The cells are wider than the peaks, which must not fall between two cells.
    wide = cv2.GaussianBlur(np.ascontiguousarray(mass), (0, 0), _SPREAD, borderType=cv2.BORDER_CONSTANT).transpose(2, 0, 1)
    read = np.stack([map_coordinates(each, (row, column), np.float64, order=1, mode="grid-constant") for each in wide])
    read = read / read.max((1, 2), keepdims=True).clip(1e-9)
    peaks = seen_from(seen.matrix, decode(seen.maps, STRIDE)[0])
    mirror = np.array(H36M17.mirror)
    near, far = (np.linalg.norm(peaks[order] - xy, axis=1) for order in (np.arange(len(xy)), mirror))
    exchanged = far + far[mirror] < near + near[mirror]
    return read[np.where(exchanged, mirror, np.arange(len(xy)))], corner, float(cell)


def _nearest(times: Floats, wanted: Floats) -> NDArray[np.intp]:
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    return np.where(np.abs(times[before] - wanted) <= np.abs(times[after] - wanted), before, after)
