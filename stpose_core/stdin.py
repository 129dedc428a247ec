"""A video from standard input. It is kept in a temporary file, because several stages read the frames one after the other."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from stpose_core.errors import VideoError
from stpose_core.video import VideoFile

NAME = "-"
_MOST = 2**34  # bytes; an endless stream must not fill the disk
_PIECE = 2**20


class PipedVideo(VideoFile):
    """The video on a stream, standard input if none is given, as a FrameSource. `close` removes the temporary file.

    Raises VideoError if the stream is a terminal, is empty, is longer than 16 GiB, or holds no video.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        stream = stream or sys.stdin.buffer
        if stream.isatty():
            raise VideoError("standard input is a terminal; pipe a video into it")
        self._folder = tempfile.mkdtemp(prefix="stpose-stdin-")
        path = Path(self._folder) / "video"
        try:
            _copy(stream, path)
            super().__init__(path)
        except VideoError as error:
            self._remove()
            raise VideoError(str(error).replace(str(path), "standard input")) from error
        except BaseException:
            self._remove()
            raise
        self.info = replace(self.info, path=Path(NAME))

    def close(self) -> None:
        """Release the video and remove the temporary file."""
        super().close()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _copy(stream: BinaryIO, path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > _MOST:
                raise VideoError(f"standard input is longer than {_MOST // 2**30} GiB")
            file.write(piece)
    if not os.path.getsize(path):
        raise VideoError("standard input is empty; pipe a video into it")
