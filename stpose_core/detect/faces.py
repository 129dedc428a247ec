"""The face of a person who was followed: where it is looked for, and its landmarks on the grid of the person's keypoints.

A face is looked for around the head of the body's joints. Where the frame before showed it, that place counts: the box around the
landmarks that were found, moved along with the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Keypoints, Pose3D
from stpose_core.detect.types import Box, Floats, Image
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.skeletons import H36M17, convert
from stpose_core.track.resample import neighbours

FOUND = 0.5  # how likely there is a face, from which on its landmarks count
# Metres at the person: side of the box around a head, and from the body's head joint to the middle of another person's face.
_BOX, _APART = 0.30, 0.15
_AROUND = 1.5  # side of the box against the landmarks' extent, as MediaPipe's own graph takes it
_EYES = (33, 263)  # outer corners of the right and the left eye
_SMALLEST = 20.0  # pixels from forehead to chin; below, the landmarks say nothing of expressions


@dataclass(frozen=True)
class FaceView:
    """The face in a box. xyz: (478, 3) MediaPipe's face mesh and irises: x, y in pixels of the picture, z in pixels away from the
    camera, from the middle of the head. presence: 0..1, how likely there is a face."""

    xyz: Floats
    presence: float


Look = Callable[[Image, Box], FaceView]


def find_faces(
    look: Look, keypoints: Keypoints, pose: Pose3D, times: Floats, pictures: Iterable[Image], kept: list[int]
) -> NDArray[np.float32]:
    """The kept landmarks of a person's face in the frames of the keypoints: (T, len(kept), 3), as in `FaceView`; NaN where no face
    is seen.

    pose: lifted from the keypoints. times: (N,) seconds of the clip's frames, the first of which is that of the keypoints;
    pictures: these frames. A landmark of a frame takes 12 bytes; pictures are dropped one by one.
    """
    grid = times[0] + np.arange(len(keypoints)) / keypoints.fps
    head = _Head(convert(keypoints) if keypoints.skeleton != H36M17.name else keypoints, pose)
    seen: list[float] = []
    found: list[NDArray[np.float32]] = []
    for time, picture in zip(times, pictures):
        view = head.look(look, picture, int(np.abs(grid - time).argmin()))
        if view is not None:
            seen.append(float(time))
            found.append(view.xyz[kept].astype(np.float32))
    points = np.full((len(grid), len(kept), 3), np.nan, np.float32)
    if found:
        places = np.stack(found)
        low, high, share, close = neighbours(np.array(seen), grid, keypoints.fps)
        part = share[close, None, None].astype(np.float32)
        points[close] = places[low[close]] * (1 - part) + places[high[close]] * part
    return points


class _Head:
    """One head while it is followed. last: the landmarks (478, 2) of the frame before relative to the head's joint, None where the
    face was lost."""

    def __init__(self, points: Keypoints, pose: Pose3D) -> None:
        neck, head, top = H36M17.index("neck", "head", "head_top")
        self.head, self.score = points.xy[:, head], points.score[:, head]
        places = pose.xyz + pose.root[:, None]
        self.pixels = pose.camera.focal / np.maximum(places[:, head, 2], 0.2)  # in a metre
        self.up = points.xy[:, top] - points.xy[:, neck]
        self.last: Floats | None = None

    def look(self, look: Look, picture: Image, row: int) -> FaceView | None:
        """The face in one frame; None where it was not found."""
        if self.score[row] < VISIBLE_SCORE or not np.isfinite(self.pixels[row]):
            self.last = None
            return None
        if self.last is not None:
            view = self._checked(look(picture, box_around(self.last + self.head[row])), row)
            if view is not None:
                return view
        (x, y), half = self.head[row], _BOX * self.pixels[row] / 2
        right, down = self.up[row]
        angle = float(np.arctan2(right, -down)) if np.isfinite(right + down) else 0.0  # the neck may be unknown
        first = look(picture, Box(x - half, y - half, x + half, y + half, 1.0, angle))
        # The joints of the body say roughly where the face is; what is found there, says it well.
        return self._checked(look(picture, box_around(first.xyz[:, :2])), row) if first.presence > 0.1 else None

    def _checked(self, view: FaceView, row: int) -> FaceView | None:
        xy = view.xyz[:468, :2]
        off = np.hypot(*(xy.mean(axis=0) - self.head[row]))
        small = np.hypot(*(view.xyz[10, :2] - view.xyz[152, :2])) < _SMALLEST
        self.last = None
        if view.presence < FOUND or small or off > _APART * self.pixels[row]:
            return None
        self.last = xy - self.head[row]
        return view


def box_around(xy: Floats) -> Box:
    """The box around the landmarks (N, 2) of a face, turned so that its eyes are level."""
    right, down = xy[_EYES[1]] - xy[_EYES[0]]
    angle = float(np.arctan2(down, right))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = xy @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    (x, y), half = turn @ (low + high) / 2, max(_AROUND * float((high - low).max()), 1.0) / 2
    return Box(x - half, y - half, x + half, y + half, 1.0, angle)
