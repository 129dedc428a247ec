"""Video files: frames with their time stamps, read sequentially in constant memory.

Times come from the stamps in the file, never from counting, so a variable frame rate keeps its tempo (see `stamps.py`).
The rotation tag (ISO/IEC 14496-12, `tkhd` matrix; FFmpeg's display matrix) and pixels that are not square are
applied to the picture.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stpose_core.container import decode, open_container, read_packets, seek_exactly, stores_only_dts
from stpose_core.errors import VideoError
from stpose_core.frames import Frame, Image, VideoInfo, checked_range, empty_range
from stpose_core.picture_memory import PictureMemory
from stpose_core.stamps import STAMP_ERROR, Clock, read_stamps

# A seek that lands too late is repeated this many seconds earlier; after that, decoding starts at the first frame.
_SEEK_MARGINS = (0.0, 10.0)


@dataclass(frozen=True)
class _Layout:
    """The transformation of a decoded picture to upright with square pixels: scale to `size` (w, h), transpose, flip."""

    size: tuple[int, int]
    transpose: bool
    flip_x: bool
    flip_y: bool

    def __call__(self, frame: av.VideoFrame, scaler: VideoReformatter) -> Image:
        """A view of the decoded picture."""
        # Threads of the scaler would cost more than they save: pictures are decoded ahead of their use anyway.
        image = scaler.reformat(frame, width=self.size[0], height=self.size[1], format="rgb24", threads=1).to_ndarray()
        if self.transpose:
            image = image.swapaxes(0, 1)
        return np.asarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    @property
    def upright_size(self) -> tuple[int, int]:
        return self.size[::-1] if self.transpose else self.size


class VideoFile:
    """A video file as a FrameSource. A new pass seeks back in the open file, or reopens it if a seek is not exact.

    Opening reads the packets of the file and decodes one picture. Memory does not grow with the length of the video, except for 8
    bytes per frame. Threads may share the object; they use the file one at a time.
    Raises VideoError if the file is missing, is not a video, or has no picture that can be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._scaler = VideoReformatter()
        self._latest = 0  # number of the pass that may read
        self._state = _state(self._path)
        self._container, self._stream = open_container(self._path)
        try:
            self._read_head()
        except BaseException:
            self.close()
            raise
        width, height = self._layout.upright_size
        stamps = self._stamps
        self.info = VideoInfo(self._path, width, height, stamps.fps, stamps.seconds, stamps.count or None)

    def _read_head(self) -> None:
        self._tick, self._by_dts = self._stream.time_base, stores_only_dts(self._container)
        notes = _PacketNotes(self._by_dts)
        packets = notes.taken(read_packets(self._container, self._stream))
        first = next(decode(self._container, self._stream, packets), None)
        if first is None:
            raise VideoError(f"{self._path} has a video stream, but no frame of it can be decoded")
        for _ in packets:
            pass  # the rest is not decoded
        self._origin, self._layout = first[0], _layout(first[1], self._stream)
        self._begins = notes.begins
        nominal = [float(rate) for rate in (self._stream.average_rate, self._stream.guessed_rate) if rate]
        found = np.array(notes.stamps, np.int64)
        self._stamps = read_stamps(found, notes.complete, notes.count, float(self._tick or 0), nominal)

    def times(self) -> NDArray[np.float64]:
        """(N,) as `FrameSource.times`. If packets lack stamps, frames are assumed to be evenly spaced."""
        stamps, origin = self._stamps, self._origin
        if stamps.shown is None or origin is None:
            return np.arange(stamps.count) / stamps.fps
        # Pictures before the first that can be decoded are not shown.
        before = np.flatnonzero(stamps.shown == origin)[:1]
        shown = stamps.shown if self._by_dts or not len(before) else stamps.shown[before[0] :]
        clock = Clock(int(shown[0]), self._tick, stamps.fps)
        return np.array([clock(int(stamp)) for stamp in shown])

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """As `FrameSource.frames`. After `close` the file is opened again.

        Times always increase: `stamps.Clock` handles stamps that are missing, repeated or decreasing. Damaged packets are skipped.
        All pictures have the size of the first one. Raises VideoError if no frame is in the range, or the file has changed.
        """
        first, last = checked_range(self._path, start, end)
        with self._lock:
            self._latest += 1
            number = self._latest
        decoded = self._decode_from(first)
        memory, count = PictureMemory(), 0
        while True:
            with self._lock:
                if number != self._latest:
                    raise RuntimeError(f"{self._path} was closed or is read by a later pass")
                found = next(decoded, None)
            if found is None or found[1] >= last - STAMP_ERROR:
                self._check_unchanged()
                break
            count += 1
            yield Frame(found[0], found[1], memory.copied(self._upright(found[2])))
        if not count:
            raise empty_range(self.info, first, last)

    def close(self) -> None:
        """Close the file after the current step of a pass in another thread. That pass ends with RuntimeError."""
        with self._lock:
            self._latest += 1
            self._release()

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _check_unchanged(self) -> None:
        if _state(self._path) != self._state:
            raise VideoError(f"{self._path} has changed since it was opened")

    def _release(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = self._stream = None

    def _reopen(self) -> None:
        self._release()
        self._container, self._stream = open_container(self._path)

    def _upright(self, frame: av.VideoFrame) -> Image:
        try:
            return self._layout(frame, self._scaler)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{self._path} has the pixel format {frame.format.name}, which cannot be converted") from error

    def _decode_from(self, start: float) -> Iterator[tuple[int, float, av.VideoFrame]]:
        """(index, time, frame) from the first frame with time >= start on."""
        self._check_unchanged()
        if self._container is None:
            self._reopen()
        clock = Clock(self._origin if self._stamps.useful else None, self._tick, self._stamps.fps)
        found = self._sought(start)
        if found is not None:
            index, frames = found
        else:
            index, frames = 0, self._rewound()
        for number, (stamp, frame) in enumerate(frames, index):
            time = clock(stamp)
            if time >= start - STAMP_ERROR:
                yield number, time, frame

    def _sought(self, start: float) -> tuple[int, Iterator[tuple[int | None, av.VideoFrame]]] | None:
        """(index, (stamp, frame) from the first at or after `start` on), or None if no seek is certain to be exact."""
        if start <= 0 or self._by_dts or not self._stamps.rising or self._stamps.shown is None or self._origin is None:
            return None
        for margin in _SEEK_MARGINS:
            target = self._origin + round((start - margin) / self._tick)
            if target <= self._origin:
                return None
            found = seek_exactly(self._container, self._stream, target, self._origin, start)
            if found is not None:
                first, rest = found
                index = int(np.subtract(*np.searchsorted(self._stamps.shown, [first[0], self._origin])))
                return index, chain([first], rest)
        return None

    def _rewound(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """All frames. The file is opened again unless seeking back leads to the first packet, and from there to the first frame.

        Some files have a wrong index, which can even assign the right stamp to a wrong picture.
        """
        packets = self._packets_again()
        first_packet = next(packets, None)
        if first_packet is not None and _identity(first_packet) == self._begins:
            frames = decode(self._container, self._stream, chain([first_packet], packets))
            first = next(frames, None)
            if first is not None and first[0] == self._origin:
                return chain([first], frames)
        self._reopen()
        return decode(self._container, self._stream)

    def _packets_again(self) -> Iterator[Any]:
        begins = self._begins
        stamp = None if begins is None else begins.pts if begins.dts is None else begins.dts
        if stamp is None:
            return iter(())
        try:
            self._container.seek(stamp, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return iter(())  # some formats cannot seek
        return read_packets(self._container, self._stream)


def probe(path: str | Path) -> VideoInfo:
    """Size, rate and length of a video file. Reads the packets of the file once and decodes one picture.

    Raises VideoError if the file is missing, is not a video, or has no picture that can be decoded.
    """
    with VideoFile(path) as video:
        return video.info


def read_frames(path: str | Path, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
    """The frames of a video file, as in `VideoFile.frames`. Raises VideoError as `VideoFile` and `VideoFile.frames` do."""
    with VideoFile(path) as video:
        yield from video.frames(start, end)


def frame_times(path: str | Path) -> NDArray[np.float64]:
    """(N,) the times of all frames, as in `read_frames`: seconds from the first frame, increasing, in display order.

    Reads the packets and decodes one picture. If packets lack stamps, frames are assumed to be evenly spaced.
    Raises VideoError as `probe` does.
    """
    with VideoFile(path) as video:
        return video.times()


def _state(path: Path) -> tuple[int, int] | None:
    """A value that changes when the file changes."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None  # opening reports the reason
    return found.st_size, found.st_mtime_ns


class _Identity(NamedTuple):
    """Identifies a packet within a file. pos: its offset in bytes."""

    dts: int | None
    pts: int | None
    pos: int | None
    size: int


def _identity(packet: Any) -> _Identity:
    return _Identity(packet.dts, packet.pts, packet.pos, packet.size)


@dataclass
class _PacketNotes:
    """The data of the packets in file order, see `stamps.read_stamps`. begins: the first packet."""

    by_dts: bool
    stamps: array[int] = field(default_factory=lambda: array("q"))
    count: int = 0
    complete: bool = True
    begins: _Identity | None = None

    def taken(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The same packets, recorded as they are used."""
        for number, packet in enumerate(packets):
            if not number:
                self.begins = _identity(packet)
            if not packet.is_discard:
                self._note(packet)
            yield packet

    def _note(self, packet: Any) -> None:
        self.count += 1
        stamp = packet.dts if self.by_dts or packet.pts is None else packet.pts
        self.complete = self.complete and stamp is not None and (self.by_dts or packet.pts is not None)
        if stamp is not None:
            self.stamps.append(stamp)


def _layout(frame: av.VideoFrame, stream: Any) -> _Layout:
    aspect = float(stream.sample_aspect_ratio or 1)
    # An extreme aspect ratio is an error of the muxer, not a lens.
    width = round(frame.width * aspect) if 0.25 < aspect < 4 else frame.width
    a, b, c, d = _display_matrix(frame)
    size = (width, frame.height)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return _Layout(size, True, c < 0, b < 0)
    return _Layout(size, False, a < 0, d < 0)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d): a pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift; all scaled alike."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV raises it for all side data if FFmpeg attached a kind that PyAV does not know
        quarters = round(frame.rotation / 90) % 4
        return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarters]
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(bytes(data), dtype=np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])
