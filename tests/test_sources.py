"""Sources of frames: opened once, read as often as needed, with the same frames in every pass."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fakes import BarDetector, film
from stpose_cli.main import run
from test_cli import ARGUMENTS, bar
from test_pipeline import run as captured
from test_video import KINDS, ROTATIONS, make_video, number_of, numbered, set_matrix

from stpose_core.data import Capture
from stpose_core.detect.types import Box
from stpose_core.errors import FormatError, VideoError
from stpose_core.frames import Frame, FrameSource, open_source
from stpose_core.pictures import PictureFolder
from stpose_core.preview import write_preview
from stpose_core.video import VideoFile, probe, read_frames

__all__ = ["bar"]  # a fixture


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that FFmpeg has opened to read."""
    names: list[str] = []
    original = av.open

    def counted(file: str, mode: str | None = None, **options: object) -> object:
        if mode in (None, "r"):
            names.append(Path(file).name)
        return original(file, mode, **options)

    monkeypatch.setattr(av, "open", counted)
    return names


def contents(frames: list[Frame]) -> list[tuple[int, float, bytes]]:
    return [(frame.index, frame.time, frame.image.tobytes()) for frame in frames]


def decoded(path: Path) -> list[np.ndarray]:
    """All pictures, read in the simplest way."""
    with av.open(str(path)) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]


def with_wrong_index(path: Path) -> Path:
    """A Matroska file whose index says that the first frame is in the second cluster."""
    make_video(path, stamps=120, fps=10, g="10")
    data = bytearray(path.read_bytes())
    cues = data.rindex(bytes.fromhex("1C53BB6B"))
    # CueClusterPosition: F1, a length of one byte, the position.
    places = [(cues + found.start(2), cues + found.end(2)) for found in re.finditer(rb"\xf1(\x82)(..)", bytes(data[cues:]), re.S)]
    positions = [int.from_bytes(data[a:b], "big") for a, b in places]
    later = next(place for place, position in zip(places, positions) if position > positions[0])
    data[slice(*places[0])] = data[slice(*later)]
    path.write_bytes(data)
    return path


UNEVEN = [0, 1, 2, 10, 11, 30, 31, 32, 60, 90]
FILES: dict[str, Callable[[Path], Path]] = {
    **{kind: KINDS[kind] for kind in ("mp4", "mkv", "avi", "avi with reordered pictures", "webm vp8", "gif", "10 bit h265")},
    "mpegts": KINDS["mpegts, whose stamps begin late"],
    "variable rate": lambda d: make_video(d / "vfr.mp4", stamps=UNEVEN, bf="2"),
    "variable rate mkv": lambda d: make_video(d / "vfr.mkv", stamps=UNEVEN, bf="2"),
    "repeated stamps": lambda d: make_video(d / "twice.mkv", fps=2000, stamps=[0, 1, *range(60, 1600, 60)]),
    "many key frames": lambda d: make_video(d / "keys.mp4", stamps=60, g="10", bf="3"),
    "open groups": lambda d: make_video(d / "open.mp4", stamps=60, g="10", bf="3", **{"x264-params": "open-gop=1"}),
    "one picture": lambda d: make_video(d / "one.mp4", stamps=1),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_pass_gives_the_same_frames_from_one_open_file(kind: str, tmp_path: Path, opens: list[str]) -> None:
    path = FILES[kind](tmp_path)
    expected = decoded(path)
    opens.clear()
    with VideoFile(path) as video:
        whole = list(video.frames())
        times = [frame.time for frame in whole]
        np.testing.assert_allclose(video.times(), times, atol=1e-9)
        part = contents(list(video.frames(times[len(times) // 3], None)))
        next(video.frames())  # a pass that is abandoned
        again = contents(list(video.frames()))
    assert opens == [path.name]
    assert [frame.index for frame in whole] == list(range(len(expected)))
    for mine, theirs in zip(whole, expected, strict=True):
        np.testing.assert_array_equal(mine.image, theirs)
    assert again == contents(whole)
    assert part == contents(whole[len(whole) // 3 :])


@pytest.mark.parametrize("turn", ROTATIONS)
def test_a_rotated_video_is_upright_in_every_pass(turn: str, tmp_path: Path, opens: list[str]) -> None:
    path = set_matrix(make_video(tmp_path / "r.mp4", stamps=10), *ROTATIONS[turn][0])
    plain = decoded(path)
    with VideoFile(path) as video:
        first, second = ([frame.image for frame in video.frames()] for _ in range(2))
    assert opens == ["r.mp4"] * 2  # one of them by this test
    assert first[0].shape[:2] == (video.info.height, video.info.width)
    turned = {"quarter turn clockwise": -1, "half turn": 2, "quarter turn anticlockwise": 1}
    for one, two, flat in zip(first, second, plain, strict=True):
        np.testing.assert_array_equal(one, np.rot90(flat, turned[turn]) if turn in turned else flat[:, ::-1])
        np.testing.assert_array_equal(one, two)


def test_a_file_whose_index_is_wrong_is_opened_again(tmp_path: Path, opens: list[str]) -> None:
    path = with_wrong_index(tmp_path / "wrong.mkv")
    with av.open(str(path)) as opened:
        opened.seek(0, stream=opened.streams.video[0])
        landed = number_of(next(opened.decode(video=0)).to_ndarray(format="rgb24"))
    assert landed > 0, "control: seeking back in this file leads elsewhere"
    opens.clear()
    with VideoFile(path) as video:
        for _ in range(2):
            frames = list(video.frames())
            assert [number_of(frame.image) for frame in frames] == list(range(120))
            np.testing.assert_allclose([frame.time for frame in frames], np.arange(120) / 10, atol=1e-3)
        assert [number_of(frame.image) for frame in video.frames(0.5, 1.0)] == list(range(5, 10))
    assert len(opens) > 1


def test_a_stream_without_stamps_is_opened_again(tmp_path: Path, opens: list[str]) -> None:
    path = make_video(tmp_path / "raw.h264", stamps=20)
    opens.clear()
    with VideoFile(path) as video:
        for _ in range(3):
            assert [number_of(frame.image) for frame in video.frames()] == list(range(20))
    assert len(opens) == 4


@pytest.mark.parametrize("change", ["shorter", "replaced", "deleted"])
def test_a_file_that_changes_between_passes_is_an_error(change: str, tmp_path: Path) -> None:
    path, other = make_video(tmp_path / "a.mp4", stamps=30), make_video(tmp_path / "b.mp4", stamps=20)
    with VideoFile(path) as video:
        assert len(list(video.frames())) == 30
        if change == "shorter":
            path.write_bytes(path.read_bytes()[:2000])
        elif change == "replaced":
            os.replace(other, path)
        else:
            path.unlink()
        with pytest.raises(VideoError, match=r"a\.mp4 has changed since it was opened"):
            next(video.frames())


def test_a_new_pass_and_closing_end_the_pass_before(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", stamps=30)
    video = VideoFile(path)
    first = video.frames()
    next(first)
    second = video.frames()
    assert next(second).index == 0
    with pytest.raises(RuntimeError, match="later pass"):
        next(first)
    assert next(second).index == 1
    video.close()
    video.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(second)
    assert len(list(video.frames())) == 30, "it can be opened again"
    video.close()


def test_a_source_can_be_closed_while_another_thread_reads(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", stamps=200, size=(320, 240))
    for _ in range(5):
        video = VideoFile(path)
        began = threading.Event()
        ended: list[BaseException] = []

        def work(video: VideoFile = video, began: threading.Event = began, ended: list[BaseException] = ended) -> None:
            try:
                while True:
                    for _ in video.frames():
                        began.set()
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert began.wait(20)
        video.close()
        thread.join(0.01)
        # The loop opens the file anew unless it was in the middle of a pass: close until it was.
        while thread.is_alive():
            video.close()
            thread.join(0.05)
        assert isinstance(ended[0], RuntimeError)


@pytest.mark.usefixtures("bar")
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_one_capture_with_a_preview_opens_the_video_once(tmp_path: Path, suffix: str, opens: list[str]) -> None:
    path = film(tmp_path / f"walk.{suffix}", 25, 30)
    out, preview = tmp_path / "walk.bvh", tmp_path / "joints.mp4"
    assert run(["mocap", str(path), "-o", str(out), "--preview", str(preview), *ARGUMENTS]) == 0
    assert opens == [path.name]
    assert probe(preview).frames == 30
    opens.clear()
    write_preview([captured(path)], preview)  # with the captures alone the file is opened once more
    assert opens == [path.name] * 2


class Failing(BarDetector):
    """Fails at the tenth picture."""

    def find(self, image: np.ndarray) -> list[Box]:
        if self.looked > 9:
            raise RuntimeError("the detector fails")
        return super().find(image)


def test_a_detector_that_fails_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 100)
    before = threading.active_count()
    with VideoFile(path) as video:
        with pytest.raises(RuntimeError, match="detector") as caught:
            captured(video, detector=Failing())  # type: ignore[arg-type]
        assert threading.active_count() == before
        assert caught.value.__traceback__ is not None
        assert len(list(video.frames())) == 100, "the source that was given stays open"


def picture_folder(folder: Path, frames: list[np.ndarray], name: str = "frame{}.png") -> Path:
    folder.mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / name.format(number)), np.ascontiguousarray(image[..., ::-1]))
    return folder


def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "p", [numbered(number) for number in range(12)])
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "sub.png").mkdir()
    with open_source(folder, 10) as source:
        assert (source.info.width, source.info.height, source.info.frames, source.info.fps) == (96, 64, 12, 10)
        assert source.info.duration == pytest.approx(1.2)
        for _ in range(2):
            frames = list(source.frames())
            assert [number_of(frame.image) for frame in frames] == list(range(12))
            np.testing.assert_allclose([frame.time for frame in frames], source.times())
        assert [number_of(frame.image) for frame in source.frames(0.3, 0.6)] == [3, 4, 5]
        assert [frame.index for frame in source.frames(0.3, 0.6)] == [3, 4, 5]
        for start, end in [(2.0, None), (0.5, 0.5), (-1.0, None)]:
            with pytest.raises(VideoError):
                next(source.frames(start, end))
    assert open_source(folder).info.fps == 30
    assert sorted(path.name for path in folder.iterdir())[3] == "frame10.png", "control: names alone are in another order"


def test_pictures_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match=r"without \.png or \.jpg"):
        open_source(tmp_path / "empty")
    folder = picture_folder(tmp_path / "p", [numbered(0), numbered(1), numbered(2, (64, 96))])
    with pytest.raises(VideoError, match=r"frame2\.png has 64 x 96 pixels"):
        list(PictureFolder(folder).frames())
    (folder / "frame1.png").write_bytes(b"damaged")
    with pytest.raises(FormatError, match=r"frame1\.png"):
        list(PictureFolder(folder).frames())
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(VideoError, match="positive"):
            PictureFolder(folder, fps)


@pytest.mark.usefixtures("bar")
def test_a_folder_of_pictures_is_captured_like_its_video(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 25, 30)
    folder = picture_folder(tmp_path / "a", [frame.image for frame in read_frames(path)])
    sources: list[FrameSource] = [VideoFile(path), PictureFolder(folder, 25)]
    results: list[Capture] = []
    for source in sources:
        with source:
            results.append(captured(source))  # type: ignore[arg-type]
    assert results[1].video.path == folder
    np.testing.assert_array_equal(results[0].keypoints.xy, results[1].keypoints.xy)
    np.testing.assert_array_equal(results[0].motion.root, results[1].motion.root)
    preview, out = tmp_path / "joints.mp4", tmp_path / "a.bvh"
    command = ["mocap", str(folder), "-o", str(out), "--preview", str(preview), "--picture-fps", "25", *ARGUMENTS]
    assert run(command) == 0
    assert (probe(preview).fps, probe(preview).frames) == (pytest.approx(25), 30)
    assert "Frames: 30" in out.read_text()
    write_preview([results[1]], tmp_path / "alone.mp4")
    alone, beside = ([frame.time for frame in read_frames(tmp_path / name)] for name in ("alone.mp4", "joints.mp4"))
    assert alone == beside, "the rate of the pictures is that of the capture"
