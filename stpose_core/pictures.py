"""A folder of numbered pictures as a source of frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import VideoError
from stpose_core.frames import Frame, VideoInfo, checked_range, empty_range
from stpose_core.options import PICTURE_FPS
from stpose_core.stamps import STAMP_ERROR
from stpose_core.stills import read_picture

SUFFIXES = (".png", ".jpg", ".jpeg")


class PictureFolder:
    """The .png and .jpg pictures of a folder as a FrameSource, at a constant rate, in the order of the numbers in their names.

    fps: pictures per second. Sub-folders are not read. Numbers may lack leading zeros: frame2.png comes before frame10.png.
    Raises VideoError if the folder cannot be listed, holds no picture, or its first picture cannot be read.
    """

    def __init__(self, path: str | Path, fps: float = PICTURE_FPS) -> None:
        if not (np.isfinite(fps) and fps > 0):
            raise VideoError(f"{path}: pictures per second must be a positive number, not {fps:g}")
        folder = Path(path)
        try:
            found = [entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file()]
        except OSError as error:
            raise VideoError(f"{folder} cannot be read: {error.strerror or error}") from error
        # Hidden files are previews that some systems add.
        self._files = sorted((entry for entry in found if not entry.name.startswith(".")), key=_natural)
        if not self._files:
            raise VideoError(f"{folder} is a folder without {' or '.join(SUFFIXES)} pictures, not a video")
        height, width = read_picture(self._files[0]).shape[:2]
        count = len(self._files)
        self.info = VideoInfo(folder, width, height, float(fps), count / fps, count)

    def times(self) -> NDArray[np.float64]:
        """(N,) seconds from the first picture."""
        return np.arange(len(self._files)) / self.info.fps

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """As `FrameSource.frames`. Raises FormatError for a picture that cannot be read, VideoError for one of another size."""
        first, last = checked_range(self.info.path, start, end)
        times = self.times()
        chosen = np.flatnonzero((times >= first - STAMP_ERROR) & (times < last - STAMP_ERROR))
        if not len(chosen):
            raise empty_range(self.info, first, last)
        for index in chosen:
            image = read_picture(self._files[index])
            height, width = image.shape[:2]
            if (width, height) != (self.info.width, self.info.height):
                size = f"{self.info.width} x {self.info.height}"
                raise VideoError(f"{self._files[index]} has {width} x {height} pixels, but the first picture has {size}")
            yield Frame(int(index), float(times[index]), image)

    def close(self) -> None:
        """Has no effect: no file stays open between pictures."""

    def __enter__(self) -> PictureFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that orders numbers by value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.lower())
    return [*((0, int(part)) if part.isdigit() else (1, part) for part in parts), (2, path.name)]
