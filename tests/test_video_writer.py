"""Preview videos: whole or not at all, and readable."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from test_video import number_of, numbered

from stpose_core.errors import OutputError
from stpose_core.video import probe, read_frames
from stpose_core.video_writer import PreviewWriter


def test_a_preview_can_be_read_again(tmp_path: Path) -> None:
    with PreviewWriter(tmp_path / "p.mp4", 29.97, (97, 63)) as preview:
        for number in range(12):
            preview.write(numbered(number, (97, 63)))
    info = probe(tmp_path / "p.mp4")
    assert (info.width, info.height, info.frames) == (98, 64, 12)
    assert info.fps == pytest.approx(29.97, rel=1e-4)
    assert [number_of(frame.image[:63, :97]) for frame in read_frames(tmp_path / "p.mp4")] == list(range(12))
    with av.open(str(tmp_path / "p.mp4")) as muxer:
        stream = muxer.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_an_aborted_preview_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "p.mp4"
    path.write_text("the one before")

    def abort(error: BaseException) -> None:
        with PreviewWriter(path, 30, (96, 64)) as preview:
            preview.write(numbered(0))
            raise error

    for error in (RuntimeError("stop"), OSError("the reader's own"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            abort(error)
        assert caught.value is error
    assert [p.name for p in tmp_path.iterdir()] == ["p.mp4"]
    assert path.read_text() == "the one before"
    with pytest.raises(OutputError, match="no picture"), PreviewWriter(tmp_path / "q.mp4", 30, (96, 64)):
        pass
    with pytest.raises(OutputError, match="no folder"), PreviewWriter(tmp_path / "no" / "q.mp4", 30, (96, 64)):
        pass
    with pytest.raises(ValueError, match="expected a"), PreviewWriter(tmp_path / "q.mp4", 30, (96, 64)) as preview:
        preview.write(numbered(0, (64, 96)))
    assert [p.name for p in tmp_path.iterdir()] == ["p.mp4"]
