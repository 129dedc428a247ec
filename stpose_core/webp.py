"""Animated WebP pictures as a source of frames, which FFmpeg does not decode; OpenCV 4.11 or later does.

Sizes and durations are read from the container. Source: RFC 9649, WebP Image Format, section 2.7 (extended file format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.container import MOST_PIXELS
from stpose_core.errors import FormatError, VideoError
from stpose_core.frames import Frame, VideoInfo, checked_range, empty_range
from stpose_core.reading import read_bytes
from stpose_core.stamps import STAMP_ERROR
from stpose_core.watchdog import step

_ANIMATED = 0x02  # flag of the VP8X header
_AT_ONCE = 2**28  # bytes of decoded frames that are held
_LEAST, _UNSTATED = 0.011, 0.1  # s: browsers show shorter frames for 0.1 s


def is_animated_webp(path: str | Path) -> bool:
    """Whether a file begins as an animated WebP does: its VP8X header has the animation flag. Pipes and devices are not opened."""
    try:
        if not Path(path).is_file():  # opening a pipe would wait for a writer
            return False
        with Path(path).open("rb") as file:
            head = file.read(21)
    except (OSError, ValueError):
        return False
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & _ANIMATED)


class AnimatedWebp:
    """The frames of an animated WebP as a FrameSource, at the times that the file states.

    Raises VideoError if the file is damaged or holds a single picture, or if OpenCV cannot decode it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not hasattr(cv2, "imreadanimation"):
            raise VideoError(f"{path}: an animated WebP needs OpenCV 4.11 or later, and this is {cv2.__version__}")
        try:
            width, height, durations = _head(read_bytes(path))
        except FormatError as error:
            raise VideoError(str(error)) from error
        except struct.error as error:
            raise VideoError(f"{path} is damaged: it ends too early") from error
        if width * height > MOST_PIXELS:
            raise VideoError(f"{path} has pictures of {width} x {height} pixels; the limit is {MOST_PIXELS // 10**6} million")
        if len(durations) < 2:
            raise VideoError(f"{path} holds a single picture, not a video")
        seconds = np.where(durations < 1000 * _LEAST, _UNSTATED, durations / 1000)
        self._times = np.concatenate([[0.0], np.cumsum(seconds[:-1])])
        fps = (len(seconds) - 1) / float(self._times[-1])
        self.info = VideoInfo(self._path, width, height, fps, float(seconds.sum()), len(seconds))
        self._picture(0, 1)

    def times(self) -> NDArray[np.float64]:
        """(N,) seconds from the first frame."""
        return self._times.copy()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """As `FrameSource.frames`."""
        first, last = checked_range(self._path, start, end)
        chosen = np.flatnonzero((self._times >= first - STAMP_ERROR) & (self._times < last - STAMP_ERROR))
        if not len(chosen):
            raise empty_range(self.info, first, last)
        count = max(1, _AT_ONCE // (4 * self.info.width * self.info.height))
        for begin in range(int(chosen[0]), int(chosen[-1]) + 1, count):
            wanted = min(count, int(chosen[-1]) + 1 - begin)
            for index, image in enumerate(self._picture(begin, wanted), begin):
                yield Frame(index, float(self._times[index]), image)

    def _picture(self, begin: int, count: int) -> list[NDArray[np.uint8]]:
        """`count` frames from a number on, RGB. Memory: those frames."""
        try:
            with step(self._path):
                good, animation = cv2.imreadanimation(str(self._path), begin, count)
        except cv2.error as error:
            raise VideoError(f"{self._path} cannot be decoded: {' '.join(str(error).split())[:200]}") from error
        pictures = list(animation.frames) if good else []
        if len(pictures) != count or any(one.shape[:2] != (self.info.height, self.info.width) for one in pictures):
            raise VideoError(f"{self._path} is damaged: frame {begin + len(pictures)} cannot be decoded")
        return [np.ascontiguousarray(one[..., 2::-1]) for one in pictures]

    def close(self) -> None:
        """Nothing is held open between frames."""

    def __enter__(self) -> AnimatedWebp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _head(data: bytes) -> tuple[int, int, NDArray[np.int64]]:
    """Width and height of the canvas in pixels, and the duration of each frame in milliseconds."""
    width = height = 0
    durations = []
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"VP8X":
            width, height = _number(data, at + 12) + 1, _number(data, at + 15) + 1
        elif name == b"ANMF":
            durations.append(_number(data, at + 20))
        at += 8 + size + size % 2
    return width, height, np.array(durations, dtype=np.int64)


def _number(data: bytes, at: int) -> int:
    """The 24 bits at a place."""
    low, high = struct.unpack_from("<HB", data, at)
    return int(low + (high << 16))
