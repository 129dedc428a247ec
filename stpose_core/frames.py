"""The interface of a source of frames: a video file, a folder of pictures, or a source of your own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import VideoError
from stpose_core.options import PICTURE_FPS

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video. width, height: pixels after rotation; fps: mean rate by the time stamps; duration: seconds.

    path: the file, or the folder of pictures. frames: number of frames, or None if the file does not state it.
    """

    path: Path
    width: int
    height: int
    fps: float
    duration: float
    frames: int | None


@dataclass(frozen=True)
class Frame:
    """One picture. index: its number in the whole video, from 0; time: seconds from the video's first frame.

    image: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time: float
    image: Image


class FrameSource(Protocol):
    """A sequence of frames with times. It is opened once and may be read several times, one pass after the other; `with` closes it.

    info: size, rate and length, available as soon as the source is open.
    """

    @property
    def info(self) -> VideoInfo: ...

    def times(self) -> NDArray[np.float64]:
        """(N,) the times of all frames, as in `frames`: seconds from the first frame, increasing."""
        ...

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """The frames with start <= time < end (seconds from the first frame), in order, decoded on demand.

        A new pass ends the previous one. Raises VideoError if the range contains no frame.
        """
        ...

    def close(self) -> None:
        """Release the source. Closing it again has no effect."""
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None: ...


def open_source(path: str | Path, picture_fps: float = PICTURE_FPS) -> FrameSource:
    """A video file, an animated .gif or .webp, a folder of pictures, or "-" for standard input.

    picture_fps: rate of the pictures of a folder, which have no time stamps.

    Raises VideoError if it cannot be read.
    """
    if Path(path).is_dir():
        from stpose_core.pictures import PictureFolder

        return PictureFolder(path, picture_fps)
    if str(path) == "-":
        from stpose_core.stdin import PipedVideo

        return PipedVideo()
    from stpose_core.webp import AnimatedWebp, is_animated_webp

    if is_animated_webp(path):
        return AnimatedWebp(path)
    from stpose_core.video import VideoFile

    return VideoFile(path)


def checked_range(path: Path, start: float | None, end: float | None) -> tuple[float, float]:
    """(start, end) in seconds; end is infinite if not given. Raises VideoError if the range is empty or invalid."""
    first = 0.0 if start is None else float(start)
    last = np.inf if end is None else float(end)
    if not (np.isfinite(first) and first >= 0 and last > first):
        raise VideoError(f"{path}: cannot read {_range(first, last)}; the end must come after the start")
    return first, last


def empty_range(info: VideoInfo, start: float, end: float) -> VideoError:
    """The error for a range without a frame."""
    return VideoError(f"{info.path}: no frames {_range(start, end)}; the video lasts {info.duration:.2f} s")


def _range(first: float, last: float) -> str:
    return f"from {first:g} s {f'to {last:g} s' if np.isfinite(last) else 'on'}"
