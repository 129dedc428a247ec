"""One person's detections, frame by frame."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.boxes import extent
from stpose_core.detect.types import Box, Floats, Pose2D
from stpose_core.skeletons import get_skeleton

LONGEST_GAP = 0.25  # seconds bridged by interpolation; longer gaps remain
# Seconds after which people in the background are detected again if only the largest is needed: every third frame at 30 a second.
SELDOM_SECONDS = 0.095


class Track:
    """One person over time, in arrays of single precision that grow at both ends.

    seldom: whether detection was skipped in some frames because the person was in the background.
    id: number of the person, from 1. times: (N,) seconds from the video's first frame. frames: (N,) indices of the video's frames.
    xy: (N, J, 2) pixels, NaN for joints that were not detected. score: (N, J) calibrated, 0..1. presence: (N,) 0..1.
    """

    def __init__(self, id: int, skeleton: str) -> None:
        self.id, self.skeleton, self.seldom = id, skeleton, False
        self._joints = len(get_skeleton(skeleton).joints)
        self._count = 0
        self._times = np.empty(64)
        self._frames = np.empty(64, np.int64)
        self._rows = np.empty((64, self._joints * 3 + 7), np.float32)

    @staticmethod
    def of(id: int, skeleton: str, times: Floats, frames: NDArray[np.int64], xy: Floats, score: Floats) -> Track:
        """A track with the given arrays."""
        track = Track(id, skeleton)
        for time, frame, joints, scores in zip(times, frames, xy, score):
            track.add(float(time), int(frame), Pose2D(joints, scores, float(scores.max(initial=0)), extent(joints, scores)))
        return track

    def copied(self) -> Track:
        """A copy of the track with its own arrays."""
        return copy.deepcopy(self)

    def __len__(self) -> int:
        return self._count

    @property
    def times(self) -> Floats:
        return self._times[: self._count]

    @property
    def frames(self) -> NDArray[np.int64]:
        return self._frames[: self._count]

    @property
    def xy(self) -> Floats:
        return self._rows[: self._count, : self._joints * 2].reshape(-1, self._joints, 2)

    @property
    def score(self) -> Floats:
        return self._rows[: self._count, self._joints * 2 : self._joints * 3]

    @property
    def presence(self) -> Floats:
        return self._rows[: self._count, -1]

    def pose(self, row: int) -> Pose2D:
        """The detection in one row."""
        box = Box(*(float(v) for v in self._rows[: self._count][row, -7:-1]))
        return Pose2D(self.xy[row].astype(float), self.score[row].astype(float), float(self.presence[row]), box)

    def sizes(self) -> Floats:
        """(N,) the longer side of the box around the detected joints, pixels."""
        return np.array([extent(xy, score).size for xy, score in zip(self.xy, self.score)])

    def shown(self) -> float:
        """The size summed over the frames in which the person was detected, or skipped between two detections."""
        sizes = self.sizes()
        if self.seldom and len(self):
            passed = np.diff(self.frames, append=self.frames[-1] + 1)
            skipped = np.diff(self.times, append=self.times[-1]) < 2 * SELDOM_SECONDS
            sizes = sizes * np.where(skipped, passed, 1)
        return float(sizes.sum())

    def stretches(self) -> list[NDArray[np.int64]]:
        """The rows of each stretch without gaps that are too long to bridge."""
        rows = np.arange(self._count)
        return np.split(rows, np.flatnonzero(np.diff(self.times) > LONGEST_GAP) + 1) if self._count else []

    def torso(self, rows: NDArray[np.int64]) -> float:
        """Pixels from the middle of the shoulders to the middle of the hips in these rows: the 90th percentile, because perspective
        usually shortens the torso; 0 if it was never detected."""
        corners = self.xy[rows][:, get_skeleton(self.skeleton).index("l_shoulder", "r_shoulder", "l_hip", "r_hip")].astype(float)
        length = np.linalg.norm(corners[:, :2].mean(1) - corners[:, 2:].mean(1), axis=-1)
        return float(np.nanquantile(length, 0.9)) if np.isfinite(length).any() else 0.0

    def add(self, time: float, frame: int, pose: Pose2D) -> None:
        """Append a detection. Raises ValueError if it is not later than the last one."""
        if self._count and time <= self._times[self._count - 1]:
            raise ValueError(f"a detection at {time} s cannot follow one at {self._times[self._count - 1]} s")
        if self._count == len(self._times):
            self._times, self._frames, self._rows = (
                np.concatenate([array, np.empty_like(array)]) for array in (self._times, self._frames, self._rows)
            )
        box = pose.box
        self._times[self._count], self._frames[self._count] = time, frame
        self._rows[self._count] = np.concatenate(
            [pose.xy.ravel(), pose.score, (box.x0, box.y0, box.x1, box.y1, box.score, box.angle, pose.presence)]
        )
        self._count += 1

    def cut(self, rows: int) -> None:
        """Keep only the first `rows` detections."""
        self._count = min(self._count, rows)

    def taken(self, rows: int) -> list[tuple[float, int, Pose2D]]:
        """Cut the track to its first `rows` detections, and return the others as (time, frame, pose)."""
        rest = [(float(self.times[row]), int(self.frames[row]), self.pose(row)) for row in range(rows, len(self))]
        self.cut(rows)
        return rest

    def swap_sides(self, rows: slice, joints: Sequence[int] | None = None) -> None:
        """Swap left and right in these detections: all joints, or the given ones and their counterparts."""
        skeleton = get_skeleton(self.skeleton)
        chosen = range(len(skeleton.joints)) if joints is None else {*joints, *(skeleton.mirror[joint] for joint in joints)}
        mirror = [skeleton.mirror[joint] if joint in chosen else joint for joint in range(len(skeleton.joints))]
        self.xy[rows], self.score[rows] = self.xy[rows][:, mirror], self.score[rows][:, mirror]
