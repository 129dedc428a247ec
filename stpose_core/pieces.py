"""A long video in pieces: detections are recorded piece by piece, in several processes, and replayed over the whole video.

Detection takes nearly all the time of a capture, and what a detector says depends on the picture and the box alone. So each process
tracks the people in its piece and records every call of the detector. One process then tracks the people through the whole video
and finds the answers in the records. The tracker is the same as without pieces, and sees the whole video: people, choices and
corrections do not depend on the pieces.

A piece begins without knowledge of the people in it, LEAD seconds before its first frame. Within that time the boxes in which it
looks become equal to those of the tracker of the whole video, because boxes lie on a coarse grid (`boxes.snapped`). Where a box has
no record, the detector is called: after a seam until the boxes are equal, or where people were distinguished by what happened
before the piece. So the tracks are those of the whole video, bit by bit, if the detector gives the same answer on every machine.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.types import Box, Detector, Floats, Image, JointMaps, Pose2D
from stpose_core.frames import Frame, FrameSource, VideoInfo
from stpose_core.track.tracker import SEARCH_CALM, SEARCH_FRAMES

LEAD = 2.0  # seconds
SHORTEST = 30.0  # seconds; shorter pieces cost more than they save
_SAME_TIME = 1e-6


@dataclass(frozen=True)
class Recorded:
    """The detector's answers in one piece. frames: (N,) numbers of the pictures, rising. boxes: (N, 6) the boxes that it looked in:
    x0, y0, x1, y1, score, angle. xy: (N, J, 2), score: (N, J), presence: (N,), following: (N, 6): its answers, as in `Pose2D`.
    searches: the people found in each picture that was searched, by its number."""

    frames: NDArray[np.int64]
    boxes: Floats
    xy: Floats
    score: Floats
    presence: Floats
    following: Floats
    searches: dict[int, list[Box]]


def piece_ranges(times: Floats, count: int, start: float | None = None, end: float | None = None) -> list[tuple[float, float]]:
    """The first and last time (exclusive; infinite for the last piece) of each piece of a video; one if it is too short for more.

    times: of all frames. A piece begins at a frame in which the tracker of the whole video searches if nobody was lost so far, so
    that most searches fall on the same frames.
    """
    first = int(np.searchsorted(times, (start or 0.0) - _SAME_TIME))
    last = len(times) if end is None else int(np.searchsorted(times, end - _SAME_TIME))
    if last <= first:
        return [(start or 0.0, np.inf if end is None else end)]
    length = float(times[last - 1] - times[first])
    count = min(count, max(1, int(length / SHORTEST)))
    searched = [first]
    while searched[-1] < last:
        due = int(np.searchsorted(times, times[searched[-1]] + SEARCH_CALM - _SAME_TIME))
        searched.append(min(due, searched[-1] + SEARCH_FRAMES))
    begins = times[searched[:-1]]
    wanted = times[first] + length * np.arange(count) / count
    starts = [float(begins[int(np.searchsorted(begins, time - _SAME_TIME))]) for time in wanted]
    ends = [*starts[1:], np.inf if end is None else float(end)]
    return [(_lead(begins, begin), stop) for begin, stop in zip(starts, ends)]


def _lead(begins: Floats, start: float) -> float:
    return float(begins[max(0, int(np.searchsorted(begins, start - LEAD + _SAME_TIME, side="right")) - 1)])


class _Counting(Detector):
    """A detector that knows the numbers of the frames whose pictures it receives."""

    def __init__(self, detector: Detector) -> None:
        self.name, self.skeleton = detector.name, detector.skeleton
        self._detector = detector
        self._numbers: dict[int, tuple[weakref.ref[Image], int]] = {}  # by the identity of pictures that are alive

    def watched(self, video: FrameSource) -> FrameSource:
        """The video, to be read instead of the given one."""
        return _Watched(video, self._numbers)

    @property
    def maps(self) -> Callable[[Image, Box], JointMaps] | None:
        """Those of the detector."""
        return self._detector.maps

    def number(self, image: Image) -> int:
        """The number of the frame. Of a picture that is none, such as one in which people are painted over: a negative number that
        follows from its content."""
        picture, number = self._numbers.get(id(image), (None, 0))
        if picture is not None and picture() is image:
            return number
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=7, person=str(image.shape).encode()[:16])
        return -1 - int.from_bytes(digest.digest(), "little")


class Recorder(_Counting):
    """Calls a detector and records its answers."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self._poses: list[tuple[int, Box, Pose2D]] = []
        self._searches: dict[int, list[Box]] = {}

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """The detector's answer."""
        found = self._detector.find(image, thorough)
        self._searches[self.number(image)] = found
        return found

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The detector's answer."""
        pose = self._detector.pose(image, box)
        self._poses.append((self.number(image), box, pose))
        return pose

    def recorded(self) -> Recorded | None:
        """All answers so far; None if there are none."""
        if not self._poses:
            return None
        poses = sorted(self._poses, key=lambda entry: entry[0])
        return Recorded(
            np.array([number for number, _, _ in poses]),
            np.array([_numbers(box) for _, box, _ in poses]),
            np.stack([pose.xy for _, _, pose in poses]),
            np.stack([pose.score for _, _, pose in poses]),
            np.array([pose.presence for _, _, pose in poses]),
            np.array([_numbers(pose.box) for _, _, pose in poses]),
            self._searches,
        )


class Replayed(_Counting):
    """Gives the recorded answers of a detector, and calls it for the others.

    asked, known: how many poses and searches were asked for, and how many of them were recorded.
    """

    def __init__(self, detector: Detector, recorded: Sequence[Recorded]) -> None:
        super().__init__(detector)
        self._recorded = recorded
        self._places = {
            (int(number), *box): (piece, row)
            for piece in recorded
            for row, (number, box) in enumerate(zip(piece.frames, piece.boxes.tolist()))
        }
        self.asked = self.known = 0

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """The people in a picture, from the records of this frame, or by the detector."""
        self.asked += 1
        number = self.number(image)
        for piece in self._recorded:
            if number in piece.searches:
                self.known += 1
                return piece.searches[number]
        return self._detector.find(image, thorough)

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The pose in a box, from the records of this frame, or by the detector."""
        self.asked += 1
        found = self._places.get((self.number(image), *_numbers(box)))
        if found is None:
            return self._detector.pose(image, box)
        self.known += 1
        piece, row = found
        following = Box(*(float(value) for value in piece.following[row]))
        return Pose2D(piece.xy[row], piece.score[row], float(piece.presence[row]), following)


def record_piece(
    video: FrameSource, detector: Detector, within: tuple[float, float], largest: bool, progress: Callable[..., None]
) -> Recorded | None:
    """Track the people in a part of a video and record the detector's answers. within: an entry of `piece_ranges`. largest,
    progress: as for `stpose_core.pipeline.observe`. Raises VideoError."""
    from stpose_core.pipeline import observe

    recorder = Recorder(detector)
    start, end = within
    observe(recorder.watched(video), recorder, start, None if np.isinf(end) else end, progress, largest)
    return recorder.recorded()


class _Watched:
    """A FrameSource that notes the number of each frame it delivers."""

    def __init__(self, video: FrameSource, numbers: dict[int, tuple[weakref.ref[Image], int]]) -> None:
        self._video, self._numbers = video, numbers

    @property
    def info(self) -> VideoInfo:
        return self._video.info

    def times(self) -> NDArray[np.float64]:
        return self._video.times()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        for frame in self._video.frames(start, end):
            self._numbers[id(frame.image)] = weakref.ref(frame.image), frame.index
            yield frame

    def close(self) -> None:
        self._video.close()

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _numbers(box: Box) -> tuple[Any, ...]:
    return box.x0, box.y0, box.x1, box.y1, box.score, box.angle
