"""Frames in real time, from a camera or from a file that is played at its own speed. Only the newest frame is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from stpose_core.errors import StposeError, VideoError
from stpose_core.frames import Frame, Image, open_source

SILENT_SECONDS = 5.0
"""A camera that delivers no frame for this long counts as disconnected."""

_LARGEST_INDEX = 99


@dataclass(frozen=True)
class LiveFrame:
    """One picture. image: (H, W, 3) uint8 RGB. taken: seconds of `time.monotonic` at which it was received. index: from 0; the
    numbers of dropped frames are missing."""

    image: Image
    taken: float
    index: int


class NewestFrame:
    """The frames of a camera or a file, read by a thread of its own, so that a slow consumer gets the newest frame and not a queue.

    source: the number of a camera, such as "0", or the path of a video file or of a folder of pictures.
    Raises VideoError if the source cannot be opened. Frames come from where a `with` statement is entered.
    """

    def __init__(self, source: str) -> None:
        self.name = source
        self._pictures = _camera(int(source)) if source.isascii() and source.isdigit() else _file(source)
        self._first = next(self._pictures)
        self.size = (self._first.shape[1], self._first.shape[0])
        """Width and height in pixels."""
        self._changed = threading.Condition()
        self._newest: LiveFrame | None = None
        self._error: StposeError | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="live frames", daemon=True)

    def take(self) -> LiveFrame | None:
        """The newest frame that was not taken yet; waits for one. None after the last. Raises VideoError if the source fails."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._newest is not None or self._ended, SILENT_SECONDS):
                raise VideoError(f"{self.name}: no frame for {SILENT_SECONDS:g} s; is the camera still connected?")
            frame, self._newest = self._newest, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def __enter__(self) -> NewestFrame:
        self._newest = LiveFrame(self._first, time.monotonic(), 0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
        self._thread.join(1.0)  # a camera that hangs is left to the end of the process

    def _read(self) -> None:
        error: StposeError | None = None
        try:
            with closing(self._pictures) as pictures:  # type: ignore[type-var]  # both are generators
                for index, image in enumerate(pictures, 1):
                    with self._changed:
                        if self._ended:
                            return
                        self._newest = LiveFrame(image, time.monotonic(), index)
                        self._changed.notify_all()
        except StposeError as failed:
            error = failed
        except Exception as failed:  # whatever a driver raises has to reach the thread that waits
            error = VideoError(f"{self.name}: {type(failed).__name__}: {failed}")
        finally:
            with self._changed:
                self._ended, self._error = True, error
                self._changed.notify_all()


def _camera(number: int) -> Iterator[Image]:
    import cv2

    if number > _LARGEST_INDEX:
        raise VideoError(f"camera {number}: cameras have numbers from 0 to {_LARGEST_INDEX}")
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise VideoError(f"camera {number} cannot be opened; check that it is connected and that no other program uses it")
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        first = True
        while True:
            there, image = camera.read()
            if not there:
                state = "delivers no frame" if first else "was disconnected"
                raise VideoError(f"camera {number} {state}")
            first = False
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        camera.release()


def _file(path: str) -> Iterator[Image]:
    """The pictures of a file, each at its time; those that are late already are skipped."""
    with open_source(path) as video:
        frames: Iterator[Frame] = video.frames()
        began: float | None = None
        for frame in frames:
            began = time.monotonic() - frame.time if began is None else began
            early = frame.time - (time.monotonic() - began)
            if early > 0:
                time.sleep(early)
            yield frame.image
