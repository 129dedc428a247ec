"""Videos are read by their time stamps, upright, exactly from where they are asked, in constant memory."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpose_core import container
from stpose_core.errors import VideoError
from stpose_core.picture_memory import PictureMemory
from stpose_core.video import frame_times, probe, read_frames

BITS = 8  # a picture carries its number in so many blocks along its upper half, black or white


def numbered(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A picture that carries its number; its lower half is red at the left, blue at the right."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2 :, : width // 2] = (220, 20, 20)
    image[height // 2 :, width // 2 :] = (20, 20, 220)
    for bit in range(BITS):
        image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 235 * (number >> bit & 1)
    return image


def number_of(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(int(image[height // 4, x].mean() > 110) << bit for bit, x in enumerate(centres))


def colour_at(image: np.ndarray, x: float, y: float) -> str:
    """ "red", "blue" or "other" at a place given as shares of the width and height."""
    red, _, blue = (int(v) for v in image[int(y * image.shape[0]), int(x * image.shape[1])])
    return "red" if red > blue + 80 else "blue" if blue > red + 80 else "other"


def make_video(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: float = 30,
    stamps: Iterable[int] | int = 30,
    size: tuple[int, int] = (96, 64),
    **options: str,
) -> Path:
    """A video of numbered pictures. stamps: in units of 1/fps, or how many at a constant rate."""
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as muxer:
        stream = muxer.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = 1 / rate
        for number, stamp in enumerate(range(stamps) if isinstance(stamps, int) else stamps):
            frame = av.VideoFrame.from_ndarray(numbered(number, size), format="rgb24")
            frame.pts, frame.time_base = stamp, 1 / rate
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
    return path


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes the rotation tag of an mp4 as ISO/IEC 14496-12 8.3.2 lays it out: a, b, u, c, d, v, x, y, w in `tkhd`."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 4 * 5 + 8 + 2 * 4  # version and flags; times, id, duration; reserved; layer...
    assert struct.unpack(">9i", data[at : at + 36]) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    "mp4": lambda d: make_video(d / "a.mp4", bf="3"),
    "mov": lambda d: make_video(d / "a.mov"),
    "mkv": lambda d: make_video(d / "a.mkv", bf="3"),
    "avi": lambda d: make_video(d / "a.avi", "mpeg4", b="2M"),
    "avi with reordered pictures": lambda d: make_video(d / "b.avi", bf="3"),
    "webm vp8": lambda d: make_video(d / "a.webm", "libvpx", b="2M"),
    "webm vp9": lambda d: make_video(d / "b.webm", "libvpx-vp9", b="2M", deadline="realtime"),
    "gif": lambda d: make_video(d / "a.gif", "gif", "rgb8", fps=25),
    "mpegts, whose stamps begin late": lambda d: make_video(d / "a.ts"),
    "10 bit h265": lambda d: make_video(d / "c.mp4", "libx265", "yuv420p10le", **{"x265-params": "log-level=none"}),
    "10 bit ffv1": lambda d: make_video(d / "d.mkv", "ffv1", "yuv420p10le"),
    "odd size": lambda d: make_video(d / "e.mkv", "ffv1", "yuv444p", size=(97, 63)),
    "odd size 4:2:0": lambda d: make_video(d / "f.webm", "libvpx-vp9", size=(95, 65), b="2M", deadline="realtime"),
    "5 fps": lambda d: make_video(d / "g.mp4", fps=5),
    "240 fps": lambda d: make_video(d / "h.mp4", fps=240),
    "29.97 fps": lambda d: make_video(d / "i.mkv", fps=30000 / 1001),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_arrives_once_in_order_and_at_its_time(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    info, frames = probe(path), list(read_frames(path))
    fps = {"5 fps": 5, "240 fps": 240, "gif": 25, "29.97 fps": 30000 / 1001}.get(kind, 30)
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / fps, atol=1.1e-3)
    assert info.fps == pytest.approx(fps, rel=1e-6)
    assert info.duration == pytest.approx(30 / fps, rel=1e-6)
    assert info.frames == 30
    assert frames[0].image.shape == (info.height, info.width, 3)
    assert frames[0].image.dtype == np.uint8
    assert colour_at(frames[0].image, 0.2, 0.8) == "red"
    assert colour_at(frames[0].image, 0.8, 0.8) == "blue"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_frame_rate_keeps_its_time_stamps(suffix: str, tmp_path: Path) -> None:
    stamps = [0, 1, 2, 10, 11, 30, 31, 32, 60, 90]
    path = make_video(tmp_path / f"vfr.{suffix}", stamps=stamps)
    times = [frame.time for frame in read_frames(path)]
    np.testing.assert_allclose(times, np.array(stamps) / 30, atol=1e-3)
    info = probe(path)
    assert info.fps == pytest.approx(9 / 3.0)
    assert info.frames == 10
    # Counting frames instead would be seconds off.
    assert np.abs(np.arange(10) / info.fps - times).max() > 0.5
    assert [frame.index for frame in read_frames(path, 1.0, 2.5)] == [5, 6, 7, 8]


# (a, b, c, d), and where the red and the blue lower corners of the picture are shown: (x, y) as shares.
ROTATIONS = {
    "quarter turn clockwise": ((0, 1, -1, 0), (0.2, 0.2), (0.2, 0.8)),
    "half turn": ((-1, 0, 0, -1), (0.8, 0.2), (0.2, 0.2)),
    "quarter turn anticlockwise": ((0, -1, 1, 0), (0.8, 0.8), (0.8, 0.2)),
    "mirrored": ((-1, 0, 0, 1), (0.8, 0.8), (0.2, 0.8)),
}


@pytest.mark.parametrize("turn", ROTATIONS)
def test_the_rotation_tag_turns_the_picture_upright(turn: str, tmp_path: Path) -> None:
    matrix, red, blue = ROTATIONS[turn]
    path = set_matrix(make_video(tmp_path / "r.mp4", stamps=10), *matrix)
    info = probe(path)
    assert (info.width, info.height) == ((64, 96) if "quarter" in turn else (96, 64))
    for image in (next(read_frames(path)).image, next(read_frames(path, start=0.2)).image):
        assert image.shape == (info.height, info.width, 3)
        assert image.flags.c_contiguous
        assert colour_at(image, *red) == "red"
        assert colour_at(image, *blue) == "blue"


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as muxer:
        stream = muxer.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        muxer.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(0), format="rgb24")))
        muxer.mux(stream.encode(None))
    assert (probe(path).width, probe(path).height) == (128, 64)
    assert next(read_frames(path)).image.shape == (64, 128, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: make_video(d / "a.mp4", stamps=120, g="30", bf="3"),
        lambda d: make_video(d / "open.mp4", stamps=120, g="30", bf="3", **{"x264-params": "open-gop=1"}),
        lambda d: make_video(d / "a.mkv", stamps=120, g="30", bf="3"),
        lambda d: make_video(d / "a.avi", stamps=120, g="30", bf="3"),
        lambda d: make_video(d / "a.ts", stamps=120, g="30", bf="3"),
        lambda d: make_video(d / "a.webm", "libvpx", stamps=120, g="30", b="2M"),
        lambda d: make_video(d / "one-key.mp4", stamps=120, g="1000"),
        lambda d: make_video(d / "a.gif", "gif", "rgb8", stamps=120, fps=25),
    ],
    ids=["mp4", "mp4 open groups", "mkv", "avi", "mpegts", "webm", "one key frame", "gif"],
)
def test_start_and_end_give_exactly_the_frames_in_between(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    everything = list(read_frames(path))
    assert len(everything) == 120
    for first, last in [(0, 3), (1, 2), (28, 33), (30, 31), (59, 62), (89, 120), (119, 120)]:
        start = everything[first].time
        end = everything[last].time if last < 120 else None
        part = list(read_frames(path, start, end))
        assert [number_of(frame.image) for frame in part] == list(range(first, last))
        assert [frame.index for frame in part] == list(range(first, last))
        assert [frame.time for frame in part] == [frame.time for frame in everything[first:last]]
        for mine, whole in zip(part, everything[first:last], strict=True):
            np.testing.assert_array_equal(mine.image, whole.image)


def test_seeking_decodes_only_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "long.mp4", stamps=240, g="30")
    decoded = 0
    original = container.decode

    def counted(*arguments: object) -> Iterable[object]:
        nonlocal decoded
        for item in original(*arguments):
            decoded += 1
            yield item

    monkeypatch.setattr(container, "decode", counted)
    monkeypatch.setattr("stpose_core.video.decode", counted)
    assert len(list(read_frames(path, 7.0, 7.5))) == 15
    assert decoded < 60


def test_frames_without_stamps_follow_at_the_mean_rate(tmp_path: Path) -> None:
    make_video(tmp_path / "raw.h264", stamps=20)  # a bare stream: no container, no stamps
    frames = list(read_frames(tmp_path / "raw.h264"))
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    steps = np.diff([frame.time for frame in frames])
    assert (steps > 0).all()
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert next(read_frames(tmp_path / "raw.h264", start=5 * steps[0])).index == 5


def test_a_single_frame_is_a_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "one.mp4", stamps=1)
    assert probe(path).frames == 1
    assert [frame.time for frame in read_frames(path)] == [0.0]


def test_a_file_that_breaks_off_gives_the_frames_before(tmp_path: Path) -> None:
    path = make_video(tmp_path / "whole.mkv", stamps=60, g="5")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    numbers = [number_of(frame.image) for frame in read_frames(cut)]
    assert numbers == list(range(len(numbers)))
    assert 20 < len(numbers) < 60


HELD = """
import re, sys
from stpose_core.video import read_frames
kept = []
for frame in read_frames(sys.argv[1]):
    if sys.argv[2] == "keep":
        kept.append(frame.image)
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
"""


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    # Not getrusage: its figure is never below the size of the process that started this one.
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of a process is read from Linux's /proc")
    few, many = (make_video(tmp_path / f"{count}.mp4", stamps=count, size=(480, 320)) for count in (40, 400))

    def peak(path: Path, what: str) -> int:
        ran = subprocess.run([sys.executable, "-c", HELD, str(path), what], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    grown_by_keeping = peak(many, "keep") - peak(few, "keep")
    assert grown_by_keeping > 0, "the measure must see the pictures"
    assert peak(many, "drop") - peak(few, "drop") < 0.1 * grown_by_keeping


def sound_file(path: Path) -> None:
    with av.open(str(path), "w") as muxer:
        stream = muxer.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))


def damaged_video(path: Path) -> None:
    data = make_video(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def unknown_codec(path: Path) -> None:
    data = make_video(path).read_bytes()
    assert data.count(b"avc1") >= 1
    # The last one is the sample's format; the first may be a brand of the file.
    path.write_bytes(b"zzzz".join(data.rsplit(b"avc1", 1)))


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("none.mp4", lambda path: None, "no file"),
    "a folder": ("folder.mp4", lambda path: path.mkdir(), "folder"),
    "empty": ("empty.mp4", lambda path: path.touch(), "cannot be read"),
    "text": ("text.mp4", lambda path: path.write_text("hello\n" * 500), "cannot be read"),
    "text that FFmpeg plays as terminal art": ("a.txt", lambda path: path.write_text("hello\n" * 500), "not a video"),
    "sound only": ("sound.m4a", sound_file, "no video stream"),
    "cut before its index": ("cut.mp4", damaged_video, "cannot be read"),
    "a codec that nobody knows": ("codec.mp4", unknown_codec, "unknown format"),
    "a name that is too long": ("a" * 300 + ".mp4", lambda path: None, "cannot be read"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_video_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    name, make, words = BROKEN[kind]
    path = tmp_path / name
    make(path)
    for call in (probe, lambda path: next(read_frames(path))):
        with pytest.raises(VideoError, match=words) as caught:
            call(path)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


class Refusing:
    """A stream whose decoder fails at chosen packets with chosen errors."""

    def __init__(self, stream: object, errors: dict[int, Exception], always: bool) -> None:
        self._stream, self._errors, self._always, self._count = stream, errors, always, -1

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def decode(self, packet: object) -> object:
        self._count += 1
        if self._always or self._count in self._errors:
            raise self._errors.get(self._count, self._errors[0])
        return self._stream.decode(packet)  # type: ignore[attr-defined]


@pytest.mark.parametrize("always", [False, True])
def test_a_packet_that_cannot_be_decoded_is_skipped(always: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.avi", "mjpeg", "yuvj420p", stamps=10)
    kinds = (av.error.PatchWelcomeError, av.error.UnknownError, av.error.ArgumentError, av.error.InvalidDataError)
    errors = {2 * number: kind(1, "refused") for number, kind in enumerate(kinds)}
    decode, packets = container.decode, container.read_packets

    def refusing(opened: object, stream: object, *given: object) -> object:
        return decode(opened, Refusing(stream, errors, always), *given)

    monkeypatch.setattr("stpose_core.video.decode", refusing)
    monkeypatch.setattr(container, "read_packets", lambda opened, stream: packets(opened, getattr(stream, "_stream", stream)))
    if always:
        with pytest.raises(VideoError, match="no frame of it can be decoded"):
            list(read_frames(path))
    else:
        assert [number_of(frame.image) for frame in read_frames(path)] == [1, 3, 5, 7, 8, 9]


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (1.0, 1.0), (-1.0, None), (50.0, None), (float("nan"), None)])
def test_an_empty_range_is_refused(start: float, end: float | None, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(VideoError) as caught:
        list(read_frames(path, start, end))
    assert "inf" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("pictures", ["0", "2"])
def test_the_times_of_all_frames_are_known_without_decoding_them(tmp_path: Path, suffix: str, pictures: str) -> None:
    uneven = range(40) if suffix == ".avi" else [*range(5, 25), *range(25, 85, 3)]
    path = make_video(tmp_path / f"a{suffix}", stamps=uneven, bf=pictures)
    times = frame_times(path)
    np.testing.assert_allclose(times, [frame.time for frame in read_frames(path)], atol=1e-9)
    assert times[0] == 0
    if suffix != ".avi":
        assert np.abs(times - np.arange(len(times)) / probe(path).fps).max() > 0.2, "control: an even grid is elsewhere"
    with pytest.raises(VideoError):
        frame_times(tmp_path / "missing.mp4")


def test_the_memory_of_a_picture_is_used_again_only_when_nobody_holds_it() -> None:
    memory = PictureMemory()
    image = np.random.default_rng(0).integers(0, 255, (700, 800, 3), dtype=np.uint8)
    first = memory.copied(image)
    part = first[100:200, 5:]  # a view keeps the whole picture
    place = first.__array_interface__["data"][0]
    del first
    second = memory.copied(255 - image[::-1])
    assert second.__array_interface__["data"][0] != place
    assert (part == image[100:200, 5:]).all()
    assert (second == 255 - image[::-1]).all()
    assert second.flags.c_contiguous
    assert second.flags.writeable
    del part
    third = memory.copied(image)
    assert third.__array_interface__["data"][0] == place
    del memory
    assert (third == image).all(), "pictures outlive their memory's owner"
    assert (second == 255 - image[::-1]).all()
