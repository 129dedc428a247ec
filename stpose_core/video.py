"""Video: frames with their time stamps, one after the other in constant memory; and writing a preview video.

Time comes from the stamps in the file, never from counting, so that a variable frame rate keeps its tempo (see `stamps.py`).
The rotation tag (ISO/IEC 14496-12, `tkhd` matrix; FFmpeg's display matrix) and pixels that are not square are
applied to the picture.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import OutputError, VideoError
from stpose_core.files import written_whole
from stpose_core.stamps import STAMP_ERROR, Clock, Stamps, read_stamps

Image = NDArray[np.uint8]

# FFmpeg opens these although they hold text: terminal art, and lists of other files.
_TEXT_FORMATS = {"tty", "hls", "dash", "concat"}
# A seek that lands too late is tried again so many seconds earlier; the last resort is to decode from the beginning.
_SEEK_MARGINS = (0.0, 10.0)
# Of one picture: twice that of 8K. A small file can claim, and hold, pictures that need gigabytes each.
_MOST_PIXELS = 2**26
_LONGEST_SIDE = 16384  # of a picture in H.264


@dataclass(frozen=True)
class VideoInfo:
    """What a video is. width, height: pixels after rotation; fps: mean rate by the time stamps; duration: seconds.

    frames: number of frames, or None where the file does not tell.
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


@dataclass(frozen=True)
class _Layout:
    """How a decoded picture becomes upright with square pixels: scale to `size` (w, h), transpose, flip."""

    size: tuple[int, int]
    transpose: bool
    flip_x: bool
    flip_y: bool

    def __call__(self, frame: av.VideoFrame) -> Image:
        image = frame.reformat(width=self.size[0], height=self.size[1], format="rgb24").to_ndarray()
        if self.transpose:
            image = image.swapaxes(0, 1)
        return np.ascontiguousarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    @property
    def upright_size(self) -> tuple[int, int]:
        return self.size[::-1] if self.transpose else self.size


def probe(path: str | Path) -> VideoInfo:
    """Size, rate and length of a video. Reads through the file once (its packets; it decodes one picture only).

    Raises VideoError if the file is missing, is no video, or has no picture that can be decoded.
    """
    _, layout = _first_frame(Path(path))
    stamps = _read_stamps(Path(path))
    width, height = layout.upright_size
    return VideoInfo(Path(path), width, height, stamps.fps, stamps.seconds, stamps.count or None)


def read_frames(path: str | Path, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
    """The frames with start <= time < end (seconds from the first frame), in order, decoded as they are asked for.

    Memory does not grow with the length of the video, but for 8 bytes a frame. Times always rise: `stamps.Clock` says what becomes
    of stamps that are missing, repeated or go back. Damaged packets are skipped. All pictures have the size of the first one.
    Raises VideoError if the file is missing, is no video, or holds no frame in the range.
    """
    path = Path(path)
    first = 0.0 if start is None else float(start)
    last = np.inf if end is None else float(end)
    if not (np.isfinite(first) and first >= 0 and last > first):
        raise VideoError(f"{path}: cannot read {_range(first, last)}; the end must come after the start")
    origin, layout = _first_frame(path)
    stamps = _read_stamps(path)
    count = 0
    for index, time, frame in _decode_from(path, first, origin, stamps):
        if time >= last - STAMP_ERROR:
            break
        count += 1
        try:
            image = layout(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{path} has pictures of the pixel format {frame.format.name}, which cannot be read") from error
        yield Frame(index, time, image)
    if not count:
        raise VideoError(f"{path}: no frames {_range(first, last)}; the video lasts {stamps.seconds:.2f} s")


def _range(first: float, last: float) -> str:
    return f"from {first:g} s {f'to {last:g} s' if np.isfinite(last) else 'on'}"


def frame_times(path: str | Path) -> NDArray[np.float64]:
    """(N,) the times of all frames, as `read_frames` gives them: seconds from the first frame, rising, in order of display.

    Reads through the packets and decodes one picture only. Where packets lack stamps the frames are taken as evenly spaced.
    Raises VideoError as `probe` does.
    """
    path = Path(path)
    origin, _ = _first_frame(path)
    with _opened(path) as (container, stream):
        stamps, tick, by_dts = _read_stamps(path), stream.time_base, _stores_only_dts(container)
    if stamps.shown is None or origin is None:
        return np.arange(stamps.count) / stamps.fps
    # Pictures before the first that can be decoded are not shown.
    before = np.flatnonzero(stamps.shown == origin)[:1]
    shown = stamps.shown if by_dts or not len(before) else stamps.shown[before[0] :]
    clock = Clock(int(shown[0]), tick, stamps.fps)
    return np.array([clock(int(stamp)) for stamp in shown])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream. Raises VideoError."""
    try:
        if not path.is_file():
            raise VideoError(f"{path} is {_what(path)}, not a video" if path.exists() else f"there is no file {path}")
        # An absolute path, so that no name can be taken for one of FFmpeg's protocols; nor may a playlist in the file name others.
        options = {"protocol_whitelist": "file"}
        container = av.open(str(path.absolute()), metadata_errors="replace", options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error
    with container:
        if _TEXT_FORMATS & set(container.format.name.split(",")):
            raise VideoError(f"{path} is not a video")
        streams = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not streams:
            raise VideoError(f"{path} has no video stream")
        # A stream without a codec has no size either.
        streams = [stream for stream in streams if stream.codec_context is not None]
        if not streams:
            raise VideoError(f"{path} has a video stream in a format that is not known here")
        stream = max(streams, key=lambda stream: stream.width * stream.height)
        if stream.width * stream.height > _MOST_PIXELS:
            size = f"{stream.width} x {stream.height}"
            raise VideoError(f"{path} has pictures of {size} pixels; more than {_MOST_PIXELS // 10**6} million are not read")
        stream.thread_type = "AUTO"
        # Pictures may be larger than the file's header says.
        stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
        yield container, stream


def _what(path: Path) -> str:
    return "a folder" if path.is_dir() else "no regular file"


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the cover picture of a sound file. Versions of PyAV before 13 cannot tell."""
    disposition = getattr(stream, "disposition", None)
    return disposition is not None and bool(disposition & disposition.__class__.attached_pic)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets with data. A file that breaks off ends where it breaks off."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return


def _decoded(container: Any, stream: Any) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """(stamp in time_base units or None, frame) in the order of display."""
    by_dts = _stores_only_dts(container)
    for packet in chain(_packets(container, stream), [None]):
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            continue  # a damaged packet, by whichever of FFmpeg's names: the decoder goes on with the next one
        for frame in frames:
            yield (frame.dts if by_dts else frame.pts), frame


def _stores_only_dts(container: Any) -> bool:
    """AVI has no presentation stamps; guesses at them are wrong once pictures are reordered. Decoding ones are not."""
    return bool(container.format.name == "avi")


def _first_frame(path: Path) -> tuple[int | None, _Layout]:
    """The stamp of the first frame that can be decoded, and how to turn the video's pictures upright."""
    with _opened(path) as (container, stream):
        for stamp, frame in _decoded(container, stream):
            return stamp, _layout(frame, stream)
    raise VideoError(f"{path} has a video stream, but no frame of it can be decoded")


def _layout(frame: av.VideoFrame, stream: Any) -> _Layout:
    aspect = float(stream.sample_aspect_ratio or 1)
    # Far from square is a mistake of the muxer, not a lens.
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
    except ValueError:  # PyAV does not know a kind of data that this FFmpeg adds to pictures, and then gives none of them
        quarters = round(frame.rotation / 90) % 4
        return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarters]
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(bytes(data), dtype=np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def _read_stamps(path: Path) -> Stamps:
    found, count, complete = array("q"), 0, True
    with _opened(path) as (container, stream):
        by_dts = _stores_only_dts(container)
        for packet in _packets(container, stream):
            if packet.is_discard:
                continue
            count += 1
            stamp = packet.dts if by_dts or packet.pts is None else packet.pts
            complete = complete and stamp is not None and (by_dts or packet.pts is not None)
            if stamp is not None:
                found.append(stamp)
        nominal = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        return read_stamps(np.array(found, np.int64), complete, count, float(stream.time_base or 0), nominal)


def _decode_from(path: Path, start: float, origin: int | None, stamps: Stamps) -> Iterator[tuple[int, float, av.VideoFrame]]:
    """(index, time, frame) from the first frame with time >= start on."""
    if start > 0 and stamps.rising and stamps.shown is not None and origin is not None:
        for margin in _SEEK_MARGINS:
            with _opened(path) as (container, stream):
                target = origin + round((start - margin) / stream.time_base)
                if target <= origin or _stores_only_dts(container):
                    break
                found = _sought(container, stream, target, origin, start)
                if found is None:
                    continue
                first, rest = found
                index = int(np.subtract(*np.searchsorted(stamps.shown, [first[0], origin])))
                clock = Clock(origin, stream.time_base, stamps.fps)
                for number, (stamp, frame) in enumerate(chain([first], rest), index):
                    yield number, clock(stamp), frame
                return
    with _opened(path) as (container, stream):
        clock = Clock(origin if stamps.told else None, stream.time_base, stamps.fps)
        for number, (stamp, frame) in enumerate(_decoded(container, stream)):
            time = clock(stamp)
            if time >= start - STAMP_ERROR:
                yield number, time, frame


def _sought(container: Any, stream: Any, target: int, origin: int, start: float) -> Any:
    """((stamp, frame), the rest) from the first frame at or after `start`, or None if the seek is not sure to be exact.

    It is once a key frame has come out at or before `start`: what follows a key frame in display order is decodable.
    """
    try:
        container.seek(target, stream=stream, backward=True)
    except av.error.FFmpegError:
        return None
    decoded = _decoded(container, stream)
    keyed = False
    for stamp, frame in decoded:
        if stamp is None:
            return None
        ahead = float((stamp - origin) * stream.time_base) - start
        keyed = keyed or (bool(frame.key_frame) and ahead <= STAMP_ERROR)
        if ahead >= -STAMP_ERROR:
            return ((stamp, frame), decoded) if keyed else None
    return None


class PreviewWriter:
    """Writes pictures to an H.264 mp4 that any player shows; a context manager; the file appears whole or not at all.

    path: the output; fps: frames per second; size: (width, height) of the pictures. Odd sizes gain a copy of the last
    row or column, as yuv420p needs even ones. If the block fails, nothing is left behind. An existing file is replaced.
    Raises OutputError if the file cannot be written or the block ends without a picture.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self.path, self.size = Path(path), (int(size[0]), int(size[1]))
        self._rate = Fraction(fps).limit_denominator(1001)
        if self._rate <= 0 or min(self.size) < 1:
            raise ValueError(f"fps and size must be positive, got {fps} and {size}")
        if max(self.size) > _LONGEST_SIDE:
            raise OutputError(f"cannot write {path}: sides of H.264 pictures have at most {_LONGEST_SIDE} pixels, not {max(size)}")
        self._count = 0

    def __enter__(self) -> PreviewWriter:
        self._encoding = _encoding(self.path, self._rate, self.size)
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
def _encoding(path: Path, rate: Fraction, size: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """The container and stream to encode into; ends the file properly unless the block fails."""
    with written_whole(path, overwrite=True) as temporary:
        options = {"movflags": "faststart"}
        with av.open(str(temporary.absolute()), "w", format="mp4", options=options) as container:
            stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
            stream.width, stream.height = (side + side % 2 for side in size)
            stream.pix_fmt = "yuv420p"
            yield container, stream
            container.mux(stream.encode(None))
