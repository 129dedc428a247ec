"""Small videos with arbitrary time stamps, sizes and pixel formats, made on the fly."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from fakes import SIZE


def picture(number: int, count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A bright bar for fakes.BarDetector, which moves to the right from picture to picture."""
    width, height = size
    image = np.full((height, width, 3), 30, np.uint8)
    left = int(0.3 * width) + round(0.25 * width * number / max(count - 1, 1))
    image[height // 6 : 5 * height // 6, left : left + max(1, width // 7)] = 220
    return image


def video(
    path: Path,
    stamps: Iterable[int] | int = 20,
    fps: int = 25,
    codec: str = "mjpeg",
    pixels: str = "yuvj420p",
    size: tuple[int, int] = SIZE,
    tick: Fraction | None = None,
    **options: str,
) -> Path:
    """A video whose packets have these stamps, in ticks (default 1 / fps); or this number of regular stamps."""
    numbers = list(range(stamps) if isinstance(stamps, int) else stamps)
    tick = tick or Fraction(1, fps)
    with av.open(
        str(path), "w", options={"video_track_timescale": str(tick.denominator)} if path.suffix == ".mp4" else {}
    ) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = tick
        packets = []
        for number in range(len(numbers)):
            frame = av.VideoFrame.from_ndarray(picture(number, len(numbers), size), format="rgb24")
            frame.pts, frame.time_base = number, tick
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number, (stamp, packet) in enumerate(zip(numbers, packets, strict=True)):
            packet.stream, packet.time_base = stream, tick
            # Muxers require only decoding stamps to increase.
            packet.pts, packet.dts = stamp, min(numbers) - len(numbers) + number
            container.mux(packet)
    return path


def joined(path: Path, parts: Iterable[Path]) -> Path:
    """Files appended to each other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def changed(path: Path, source: Path, at: float, content: bytes) -> Path:
    """A copy with bytes replaced from a fraction of its length on."""
    data = bytearray(source.read_bytes())
    start = int(at * len(data))
    data[start : start + len(content)] = content
    path.write_bytes(data)
    return path
