"""The container of a video file, read with FFmpeg: its video stream, packets, decoded pictures, and verified seeks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av

from stpose_core.errors import VideoError
from stpose_core.stamps import STAMP_ERROR
from stpose_core.watchdog import step

# FFmpeg opens these although they contain text: terminal art, and lists of other files.
_TEXT_FORMATS = {"tty", "hls", "dash", "concat"}
# Per picture; twice the size of 8K. A small file can contain pictures that need gigabytes each.
MOST_PIXELS = 2**26


def open_container(path: Path) -> tuple[Any, Any]:
    """The container and its video stream. Raises VideoError."""
    try:
        if not path.is_file():
            raise VideoError(f"{path} is {_what(path)}" if path.exists() else f"there is no file {path}")
        # An absolute path cannot be mistaken for one of FFmpeg's protocols.
        with step(path):
            container = av.open(str(path.absolute()), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error
    try:
        return container, _stream(path, container)
    except BaseException:
        container.close()
        raise


def _stream(path: Path, container: Any) -> Any:
    """The largest video stream, ready to decode."""
    if _TEXT_FORMATS & set(container.format.name.split(",")):
        raise VideoError(f"{path} is not a video")
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        raise VideoError(f"{path} has no video stream")
    # A stream without a codec has no size either.
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise VideoError(f"{path} has a video stream in an unknown format")
    stream = max(streams, key=lambda stream: stream.width * stream.height)
    if stream.width * stream.height > MOST_PIXELS:
        size = f"{stream.width} x {stream.height}"
        raise VideoError(f"{path} has pictures of {size} pixels; the limit is {MOST_PIXELS // 10**6} million")
    stream.thread_type = "AUTO"
    # Later pictures may be larger than the header states.
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def _what(path: Path) -> str:
    return "a folder, not a video" if path.is_dir() else "not a regular file"


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the cover picture of an audio file. Versions of PyAV before 13 do not report it."""
    disposition = getattr(stream, "disposition", None)
    return disposition is not None and bool(disposition & disposition.__class__.attached_pic)


def read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets with data, up to the point where the file is truncated; none if PyAV cannot read the container again."""
    path = Path(container.name)
    try:
        packets = container.demux(stream)
        while True:
            with step(path):
                packet = next(packets, None)
            if packet is None:
                return
            if packet.size:
                yield packet
    except (av.error.FFmpegError, IndexError):
        # IndexError: the first pass found a stream that is not in the header. PyAV then refuses the next pass.
        return


def decode(container: Any, stream: Any, packets: Iterable[Any] | None = None) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """(stamp in time_base units or None, frame) in display order. packets: by default, the remaining packets of the stream."""
    by_dts, path = stores_only_dts(container), Path(container.name)
    for packet in chain(read_packets(container, stream) if packets is None else packets, [None]):
        try:
            with step(path):
                frames = stream.decode(packet)
        except av.error.FFmpegError:
            continue  # a damaged packet, which has several names in FFmpeg: the decoder continues with the next one
        for frame in frames:
            yield (frame.dts if by_dts else frame.pts), frame


def stores_only_dts(container: Any) -> bool:
    """AVI has no presentation stamps. Guessed ones are wrong if pictures are reordered; decoding stamps are correct."""
    return bool(container.format.name == "avi")


def seek_exactly(container: Any, stream: Any, target: int, origin: int, start: float) -> Any:
    """((stamp, frame), the rest) from the first frame at or after `start`, or None if the seek may be inexact.

    A seek is exact if a key frame was decoded at or before `start`: all that follows a key frame in display order is decodable.
    """
    try:
        container.seek(target, stream=stream, backward=True)
    except av.error.FFmpegError:
        return None
    decoded = decode(container, stream)
    keyed = False
    for stamp, frame in decoded:
        if stamp is None:
            return None
        ahead = float((stamp - origin) * stream.time_base) - start
        keyed = keyed or (bool(frame.key_frame) and ahead <= STAMP_ERROR)
        if ahead >= -STAMP_ERROR:
            return ((stamp, frame), decoded) if keyed else None
    return None
