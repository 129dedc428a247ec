"""Animated pictures and standard input as sources of frames."""

from __future__ import annotations

import io
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import BarDetector
from stpose_cli.main import run
from test_cli import ARGUMENTS, bar, video
from test_video import colour_at, make_video, number_of, numbered

from stpose_core.errors import VideoError
from stpose_core.frames import FrameSource, open_source
from stpose_core.stdin import PipedVideo
from stpose_core.webp import AnimatedWebp

__all__ = ["bar", "video"]  # fixtures

DURATIONS = (100, 100, 50, 50, 200, 100)  # ms
TIMES = (0.0, 0.1, 0.2, 0.25, 0.3, 0.5)


@pytest.fixture
def webp(tmp_path: Path) -> Path:
    if not hasattr(cv2, "imreadanimation"):
        pytest.skip("this OpenCV has no animations")
    pil = pytest.importorskip("PIL.Image")
    first, *others = [pil.fromarray(numbered(number)) for number in range(6)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=list(DURATIONS), lossless=True)
    return tmp_path / "a.webp"


def test_an_animated_webp_keeps_its_frames_and_times(webp: Path) -> None:
    with open_source(webp) as source:
        assert isinstance(source, AnimatedWebp)
        assert (source.info.width, source.info.height, source.info.frames) == (96, 64, 6)
        assert source.info.duration == pytest.approx(0.6)
        for _ in range(2):
            frames = list(source.frames())
            assert [number_of(frame.image) for frame in frames] == list(range(6))
            assert {(colour_at(frame.image, 0.25, 0.75), colour_at(frame.image, 0.75, 0.75)) for frame in frames} == {
                ("red", "blue")
            }
            np.testing.assert_allclose([frame.time for frame in frames], TIMES)
            np.testing.assert_allclose(source.times(), TIMES)
        part = list(source.frames(0.2, 0.3))
        assert [(frame.index, number_of(frame.image)) for frame in part] == [(2, 2), (3, 3)]
        with pytest.raises(VideoError, match="no frames"):
            list(source.frames(5.0))


def test_frames_are_decoded_a_few_at_a_time(webp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_core.webp._AT_ONCE", 4 * 96 * 64 * 2)
    assert [number_of(frame.image) for frame in AnimatedWebp(webp).frames(0.1)] == [1, 2, 3, 4, 5]


def canvas(data: bytes, size: int) -> bytes:
    at = data.index(b"VP8X") + 12
    return data[:at] + struct.pack("<I", size)[:3] * 2 + data[at + 6 :]


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "cut in its head": lambda data: data[:25],
    "a huge canvas": lambda data: canvas(data, 2**24 - 1),
    "another canvas": lambda data: canvas(data, 40),
    "without content": lambda data: data[:12],
    "zeros": lambda data: data[:12] + bytes(5000),
    "frames without data": lambda data: data[:30] + (b"ANMF" + struct.pack("<I", 16) + bytes(16)) * 1000,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_webp_is_refused(kind: str, webp: Path) -> None:
    webp.write_bytes(DAMAGED[kind](webp.read_bytes()))
    with pytest.raises(VideoError, match=r"a\.webp") as caught, open_source(webp) as source:
        list(source.frames())
    assert "\n" not in str(caught.value)


def test_a_still_webp_is_a_video_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.webp"), np.zeros((32, 32, 3), np.uint8))
    with open_source(tmp_path / "a.webp") as source:
        assert len(list(source.frames())) == 1


def test_a_gif_keeps_its_times(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    first, *others = [pil.fromarray(numbered(number)) for number in range(6)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=list(DURATIONS))
    with open_source(tmp_path / "a.gif") as source:
        np.testing.assert_allclose([frame.time for frame in source.frames()], TIMES, atol=1e-6)


def piped(data: bytes) -> FrameSource:
    return PipedVideo(io.BytesIO(data))


def test_a_piped_video_is_read_as_often_as_needed_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_video(tmp_path / "a.mp4", stamps=12, fps=10)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with piped(film.read_bytes()) as source:
        assert str(source.info.path) == "-"
        for _ in range(2):
            assert [number_of(frame.image) for frame in source.frames()] == list(range(12))
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []
    for data, message in ((b"", "empty"), (b"no video" * 100, "standard input")):
        with pytest.raises(VideoError, match=message) as caught:
            piped(data)
        assert str(folder) not in str(caught.value)
    monkeypatch.setattr("stpose_core.stdin._MOST", 1000)
    with pytest.raises(VideoError, match="longer than"):
        piped(bytes(2000))
    assert list(folder.iterdir()) == []


def test_mocap_reads_standard_input(
    bar: BarDetector, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(video.open("rb")))
    assert run(["mocap", "-", "-o", f"{tmp_path}/out/", *ARGUMENTS]) == 0, capsys.readouterr().err
    assert run(["mocap", str(video), "-o", str(tmp_path / "b.bvh"), *ARGUMENTS]) == 0
    assert (tmp_path / "out" / "stdin.bvh").read_bytes() == (tmp_path / "b.bvh").read_bytes()
