"""For any input the command ends with a result, or with one line of error, exit status 2 and no output."""

from __future__ import annotations

import os
import re
import socket
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from struct import pack

import av
import cv2
import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from odd_videos import changed, joined, picture, video
from stpose_cli.main import run
from test_video import set_matrix, sound_file

import stpose_core.container
import stpose_core.lift
import stpose_core.pipeline
import stpose_core.video
from stpose_core.errors import OutputError, VideoError
from stpose_core.video import probe, read_frames
from stpose_core.video_writer import PreviewWriter


@pytest.fixture(autouse=True)
def bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with the stand-in detector and lifter."""
    monkeypatch.setattr(stpose_core.pipeline, "load_detector", lambda *_: BarDetector())
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda *_, **__: lift_standing)


def without_frames(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        container.start_encoding()
    return path


def with_cover(path: Path) -> Path:
    """A sound file with a cover picture."""
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("libmp3lame", rate=44100), container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 160, 120, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in cover.encode(av.VideoFrame.from_ndarray(picture(0, 1), format="rgb24")) + cover.encode(None):
            container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for packet in sound.encode(frame) + sound.encode(None):
            container.mux(packet)
    return path


def still(path: Path) -> Path:
    assert cv2.imwrite(str(path), picture(0, 1)[..., ::-1])
    return path


def huge_picture(path: Path) -> Path:
    """A PNG of 20000 x 20000 pixels in 50 KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(2501)) for _ in range(20_000)) + packer.flush()
    head = chunk(b"IHDR", pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def wide(path: Path, size: tuple[int, int]) -> Path:
    """Very wide or tall pictures with a bar of the usual size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        for number in range(3):
            image = np.full((size[1], size[0], 3), 30, np.uint8)
            image[20:100, 60:84] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def of_sizes(path: Path) -> Path:
    options = {"codec": "mpeg2video", "pixels": "yuv420p", "g": "1"}
    sizes = ((160, 120), (320, 240), (96, 200))
    parts = [video(path.with_name(f"{size[0]}.ts"), size=size, **options) for size in sizes]  # type: ignore[arg-type]
    return joined(path, parts)


PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n%s\n#EXT-X-ENDLIST\n"
# Name of the file, how it is made, and words of the error, or None if there is a result.
KINDS: dict[str, tuple[str, Callable[[Path], object], str | None]] = {
    "one frame": ("a.mp4", lambda path: film(path, 25, 1), None),
    "three frames": ("a.mp4", lambda path: film(path, 25, 3), None),
    "no frames": ("a.mkv", without_frames, "cannot be read|no frame"),
    "sound": ("a.m4a", sound_file, "no video stream"),
    "sound with a cover": ("a.mp3", with_cover, "no video stream"),
    "cut off": ("a.mkv", lambda path: raw(path, video(path).read_bytes()[:20_000]), None),
    "cut before its index": ("a.mp4", lambda path: raw(path, video(path).read_bytes()[:9000]), "cannot be read"),
    "bytes lost in the middle": ("a.mkv", lambda path: changed(path, video(path), 0.5, os.urandom(300)), None),
    "all pictures overwritten": ("a.mkv", lambda path: changed(path, video(path), 0.02, bytes(99_000)), "cannot|no frame|no video"),
    "empty": ("a.mp4", lambda path: raw(path, b""), "cannot be read"),
    "text": ("a.mp4", lambda path: raw(path, b"hello\n" * 99), "cannot be read"),
    "a folder": ("a.mp4", lambda path: path.mkdir(), "is a folder"),
    "a pipe": ("a.mp4", pipe, "not a regular file"),
    "a playlist of an address": (
        "a.mp4",
        lambda path: raw(path, PLAYLIST % b"http://127.0.0.1:9/a.ts"),
        "cannot be read|not a video",
    ),
    "turned": ("a.mp4", lambda path: set_matrix(film(path, 25, 12), -1, 0, 0, -1), None),
    "uneven": ("a.mkv", lambda path: video(path, [0, 1, 2, 9, 10, 11, 12, 30, 31, 40]), None),
    "1 fps": ("a.mp4", lambda path: film(path, 1, 10), None),
    "a frame every two seconds": ("a.mp4", lambda path: film(path, 0.5, 10), "0.5 frames per second"),
    "1000 fps": ("a.mp4", lambda path: film(path, 1000, 60), None),
    "90000 fps": ("a.mp4", lambda path: video(path, tick=Fraction(1, 90_000)), "limit is 2000"),
    "2 x 2": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="yuv444p", size=(2, 2)), "no person"),
    "1 x 1": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="yuv444p", size=(1, 1)), "no person"),
    "one row": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="yuv444p", size=(64, 1)), "no person"),
    "very wide": ("a.mkv", lambda path: wide(path, (8192, 120)), None),
    "very tall": ("a.mkv", lambda path: wide(path, (160, 8192)), None),
    "a picture of gigabytes": ("a.png", huge_picture, "no frame|million"),
    "sizes that change": ("a.ts", of_sizes, None),
    "grey": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="gray"), None),
    "grey of 16 bits": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="gray16le"), None),
    "with transparency": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="bgra"), None),
    "10 bits": ("a.mkv", lambda path: video(path, codec="ffv1", pixels="yuv420p10le"), None),
    "black and white": ("a.nut", lambda path: video(path, codec="rawvideo", pixels="monow"), None),
    "GIF": ("a.gif", lambda path: video(path, codec="gif", pixels="rgb8"), None),
    "JPEG": ("a.jpg", still, None),
    "PNG": ("a.png", still, None),
    "WebP": ("a.webp", still, None),
    "TIFF": ("a.tiff", still, None),
    "spaces and accents": ("ünï çø  dé 視頻.mp4", lambda path: film(path, 25, 6), None),
    "a name of an option": ("--out", lambda path: raw(path, film(path.with_suffix(".mp4"), 25, 6).read_bytes()), None),
    "a name of a protocol": ("concat:a|b.mp4", lambda path: film(path, 25, 6), None),
    "a name with a pattern": ("%03d.png", still, None),
    "a name with a line break": ("a\nb.mp4", lambda path: raw(path, b"x"), "cannot be read"),
    "a person at the end": ("a.mp4", lambda path: film(path, 25, 60, there=range(50, 60)), None),
    "nobody": ("a.mp4", lambda path: film(path, 25, 10, there=[]), "no person"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_or_one_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, make, words = KINDS[kind]
    if sys.platform == "win32" and (make is pipe or set(name) & set("|:\n")):
        pytest.skip("there are no such files on Windows")
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    make(source / name)
    arguments = ["--preview", str(out / "a.mp4"), "--progress", "none", "--device", "cpu"]
    status = run(["mocap", "-o", str(out / "a.bvh"), *arguments, "--", str(source / name)])
    told = capsys.readouterr()
    made = sorted(path.name for path in out.iterdir())
    if words is None:
        assert (status, told.err, made) == (0, "", ["a.bvh", "a.mp4"])
    else:
        assert re.search(words, told.err)
        assert (status, told.out, made) == (2, "", [])
        assert told.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
def test_a_playlist_does_not_open_addresses(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        with pytest.raises(VideoError):
            probe(raw(tmp_path / name, PLAYLIST % address.encode()))
        with pytest.raises(TimeoutError):
            server.accept()


def test_all_pictures_have_the_size_of_the_first(tmp_path: Path) -> None:
    shapes = {frame.image.shape for frame in read_frames(of_sizes(tmp_path / "a.ts"))}
    assert shapes == {(120, 160, 3)}


def test_pictures_above_the_limit_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = of_sizes(tmp_path / "a.ts")
    monkeypatch.setattr(stpose_core.container, "MOST_PIXELS", 200 * 150)
    assert 38 <= len(list(read_frames(path))) <= 40, "larger pictures are skipped like damaged ones"
    monkeypatch.setattr(stpose_core.container, "MOST_PIXELS", 100 * 100)
    with pytest.raises(VideoError, match="160 x 120 pixels"):
        probe(path)


class Unknown:
    """A frame with side data of a kind that PyAV does not know."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._frame = frame

    def __getattr__(self, name: str) -> object:
        if name == "side_data":
            raise ValueError("31 is not a valid Type")
        return getattr(self._frame, name)


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_the_rotation_is_known_despite_unknown_side_data(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    path = set_matrix(film(tmp_path / "a.mp4", 25, 2), *matrix)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        stream = container.streams.video[0]
        assert stpose_core.video._layout(Unknown(frame), stream) == stpose_core.video._layout(frame, stream)  # type: ignore[arg-type]


def test_a_pixel_format_that_cannot_be_converted_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise av.error.FFmpegError(95, "Operation not supported")

    monkeypatch.setattr(stpose_core.video._Layout, "__call__", refuse)
    with pytest.raises(VideoError, match="pixel format yuv420p"):
        list(read_frames(film(tmp_path / "a.mp4", 25, 2)))


def test_a_preview_can_be_too_large_for_its_codec(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="16384"):
        PreviewWriter(tmp_path / "a.mp4", 25, (16_386, 100))
