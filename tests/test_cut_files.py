"""Files that were cut off: read whole or not at all, never as shorter motions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzz_kit import CUT, body_motion
from fuzz_readers import amc_seeds

from stpose_core.errors import FormatError
from stpose_core.formats import FORMATS, format_of, load_people, save
from stpose_core.formats.asf import read_amc, read_asf

FRAMES = 5
# USD is read by another library, in a process of its own for each file.
FILES = [entry.suffix for entry in FORMATS if entry.readable and not entry.suffix.startswith(".usd")]


def length(path: Path) -> int:
    """The number of frames in a file."""
    chosen = format_of(path)
    return len(chosen.read_points(path).places) if chosen.points else len(load_people(path)[0])


@pytest.mark.parametrize("suffix", FILES)
def test_a_file_that_was_cut_off_is_not_read_as_shorter(suffix: str, tmp_path: Path) -> None:
    save(body_motion(FRAMES), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    part = tmp_path / f"b{suffix}"
    refused = 0
    for size in {*np.linspace(1, len(data) - 1, 60).astype(int).tolist(), *range(len(data) - 12, len(data))}:
        part.write_bytes(data[:size])
        if suffix == ".csv" and data[size - 1 : size] == b"\n":
            continue  # says nowhere how many rows it has
        try:
            assert length(part) == FRAMES, f"the first {size} bytes"
        except FormatError:
            refused += 1
    assert refused >= 50


def test_a_trc_says_how_many_frames_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.trc"
    save(body_motion(FRAMES), path)
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    path.write_text("".join(lines[:-2]))
    with pytest.raises(FormatError, match="line 3: 5 frames are announced, but 3 follow"):
        length(path)
    path.write_text(text.rstrip("\n").rpartition("\t")[0])
    with pytest.raises(FormatError, match=f"line {len(lines)}: the file ends in the middle of a frame"):
        length(path)
    path.write_text(text.replace("\t5\t", "\tmany\t", 1))
    with pytest.raises(FormatError, match="'many' is no number of frames"):
        length(path)
    # Control: programs leave out empty fields at the end of a line, and some leave out the number of frames.
    path.write_text(text.rstrip("\n").rpartition("\t")[0] + "\n")
    assert length(path) == FRAMES
    path.write_text(text.replace("NumFrames", "Frames", 1))
    assert length(path) == FRAMES


def test_an_amc_that_ends_within_a_frame_is_refused(tmp_path: Path) -> None:
    skeleton, _, motion = amc_seeds(tmp_path)[0].partition(CUT)
    (tmp_path / "a.asf").write_bytes(skeleton)
    asf, amc = read_asf(tmp_path / "a.asf"), tmp_path / "a.amc"
    amc.write_bytes(motion)
    assert len(read_amc(asf, amc)) == 2
    amc.write_bytes(motion[: motion.rindex(b"rhumerus")])
    with pytest.raises(FormatError, match="ends in the middle of frame 2, before rhumerus"):
        read_amc(asf, amc)
    # Control: bones that no frame names do not move.
    amc.write_bytes(motion.replace(b"rhumerus 1 2 3\n", b""))
    assert len(read_amc(asf, amc)) == 2


def test_a_c3d_of_more_frames_than_its_header_can_say(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    motion, path = body_motion(1), tmp_path / "a.c3d"
    frames = 66_000
    still = np.repeat(motion.rotations, frames, axis=0)
    zero = np.zeros((frames, 4))
    save(replace(motion, rotations=still, root=zero[:, :3], contacts=zero, filled=zero[:, 0] > 0), path)
    assert length(path) == frames
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(FormatError, match="66000 frames of 36 points do not fit"):
        length(path)
