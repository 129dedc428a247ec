"""Writing of videos: pictures at a constant rate, as H.264 in an mp4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from stpose_core.errors import OutputError
from stpose_core.files import written_whole
from stpose_core.frames import Image

_LONGEST_SIDE = 16384  # pixels, the limit of H.264 encoders


class PreviewWriter:
    """Writes pictures to an H.264 mp4 that common players support. A context manager; the file appears whole or not at all.

    path: the output; fps: frames per second; size: (width, height) of the pictures. Odd sizes are padded with a copy of the
    last row or column, because yuv420p requires even sizes. most_bits: bits a second that are not exceeded; else quality alone
    decides. If the block fails, no file remains. An existing file is replaced. Raises OutputError if the file cannot be written
    or the block ends without a picture.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int], most_bits: int | None = None) -> None:
        self.path, self.size = Path(path), (int(size[0]), int(size[1]))
        self._rate = Fraction(fps).limit_denominator(1001)
        if self._rate <= 0 or min(self.size) < 1:
            raise ValueError(f"fps and size must be positive, got {fps} and {size}")
        if max(self.size) > _LONGEST_SIDE:
            raise OutputError(f"cannot write {path}: H.264 allows at most {_LONGEST_SIDE} pixels per side, not {max(size)}")
        self._count, self._most_bits = 0, most_bits

    def __enter__(self) -> PreviewWriter:
        self._encoding = _encoding(self.path, self._rate, self.size, self._most_bits)
        self._container, self._stream = self._encoding.__enter__()
        return self

    def write(self, image: Image) -> None:
        """Appends a picture. image: (H, W, 3) uint8 RGB of the size given at the start."""
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"expected a ({height}, {width}, 3) uint8 image, got {image.shape} {image.dtype}")
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame.pts, frame.time_base = self._count, 1 / self._rate
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is None and self._count:
            self._encoding.__exit__(None, None, None)
            return
        abandoned = OutputError(f"{self.path}: no picture was written")
        self._encoding.__exit__(OutputError, abandoned, None)
        if error is None:
            raise abandoned


@contextmanager
def _encoding(path: Path, rate: Fraction, size: tuple[int, int], most_bits: int | None) -> Iterator[tuple[Any, Any]]:
    """The container and stream to encode into; ends the file properly unless the block fails."""
    with written_whole(path, overwrite=True) as temporary:
        options = {"movflags": "faststart"}
        with av.open(str(temporary.absolute()), "w", format="mp4", options=options) as container:
            coding = {"preset": "veryfast", "crf": "20"}
            if most_bits is not None:
                coding |= {"maxrate": str(most_bits), "bufsize": str(2 * most_bits)}
            stream = container.add_stream("libx264", rate=rate, options=coding)
            stream.width, stream.height = (side + side % 2 for side in size)
            stream.pix_fmt = "yuv420p"
            yield container, stream
            container.mux(stream.encode(None))
