"""Motion and captures come back from files as they went, and outputs appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from test_bvh import NAMES, joints_by_name, make_motion

from stpose_core import formats
from stpose_core.data import Camera, Capture, Keypoints, Pose3D
from stpose_core.errors import FormatError, OutputError
from stpose_core.formats import load_capture, load_motion, save
from stpose_core.video import VideoInfo


def test_csv_has_a_header_then_time_and_positions_in_metres(tmp_path: Path) -> None:
    motion = make_motion(frames=7, fps=50)
    save(motion, tmp_path / "a.csv", units="cm")
    header, *rows = (tmp_path / "a.csv").read_text().splitlines()
    columns = header.split(",")
    assert columns[:4] == ["time", "Hips_x", "Hips_y", "Hips_z"]
    assert len(columns) == 1 + 3 * len(NAMES)
    assert len(rows) == 7
    for frame, row in enumerate(rows):
        values = dict(zip(columns, map(float, row.split(",")), strict=True))
        assert values["time"] == pytest.approx(frame / 50)
        for name, place in joints_by_name(motion, frame).items():
            assert [values[f"{name}_{axis}"] for axis in "xyz"] == pytest.approx(list(place), abs=2e-6)


def make_capture(frames: int = 9) -> Capture:
    random = np.random.default_rng(3)
    xy, score = random.uniform(0, 500, (frames, 17, 2)), random.uniform(0.1, 1, (frames, 17))
    xy[2, 3], score[2, 3] = np.nan, 0
    xyz = random.normal(size=(frames, 17, 3))
    xyz[4] = np.nan
    return Capture(
        video=VideoInfo(Path("clips/läuft.mp4"), 1280, 720, 30.0, 0.3, None),
        detector="mediapipe",
        keypoints=Keypoints(xy, score, 30, (1280, 720), "h36m17"),
        pose3d=Pose3D(
            xyz=xyz,
            root=random.normal(size=(frames, 3)),
            hidden=random.uniform(size=(frames, 17)) > 0.5,
            sigma=random.uniform(size=(frames, 17)),
            up=np.array([0.0, -1.0, 0.0]),
            fps=30,
            skeleton="h36m17",
            camera=Camera(1100.5, (640.0, 360.0)),
            contacts=random.uniform(size=(frames, 4)),
        ),
        motion=make_motion(frames, fps=30),
    )


def assert_same(one: object, other: object) -> None:
    for entry in fields(one):  # type: ignore[arg-type]
        mine, theirs = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        elif hasattr(mine, "__dataclass_fields__"):
            assert_same(mine, theirs)
        else:
            assert mine == theirs
            assert type(mine) is type(theirs)


def test_npz_keeps_a_whole_capture_without_loss(tmp_path: Path) -> None:
    capture = make_capture()
    save(capture, tmp_path / "a.npz")
    assert_same(capture, load_capture(tmp_path / "a.npz"))
    assert_same(capture.motion, load_motion(tmp_path / "a.npz"))
    counted = replace(capture, video=replace(capture.video, frames=9))
    save(counted, tmp_path / "b.npz")
    assert load_capture(tmp_path / "b.npz").video.frames == 9


def test_npz_keeps_the_start_of_a_range_and_older_files_have_none(tmp_path: Path) -> None:
    save(replace(make_capture(), start=12.5), tmp_path / "a.npz")
    assert load_capture(tmp_path / "a.npz").start == 12.5
    with np.load(tmp_path / "a.npz") as file:
        content = {name: file[name] for name in file.files}
    older = {name: value for name, value in content.items() if name != "start"}
    np.savez(tmp_path / "old.npz", **older)
    assert load_capture(tmp_path / "old.npz").start == 0.0
    np.savez(tmp_path / "odd.npz", **{**older, "start": np.array(-1.0)})
    with pytest.raises(FormatError, match="start"):
        load_capture(tmp_path / "odd.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_npz_of_a_motion_alone(tmp_path: Path) -> None:
    save(make_motion(), tmp_path / "a.npz")
    assert_same(make_motion(), load_motion(tmp_path / "a.npz"))
    with pytest.raises(FormatError, match="no whole capture"):
        load_capture(tmp_path / "a.npz")


def test_a_damaged_or_foreign_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(make_capture(), path)
    good = path.read_bytes()
    with np.load(path) as file:
        content = dict(file)
    damaged = bytearray(good)
    damaged[len(good) // 2 : len(good) // 2 + 400] = bytes(400)

    def arrays(**changed: object) -> Callable[[], None]:
        kept = {name: value for name, value in {**content, **changed}.items() if value is not None}
        return lambda: np.savez(path, **kept)

    cases: list[Callable[[], object]] = [
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"hello" * 100),
        lambda: path.write_bytes(good[: len(good) // 2]),
        lambda: path.write_bytes(damaged),
        lambda: np.savez(path, xy=np.zeros(3)),
        lambda: np.savez(path, format=np.array([object()], dtype=object)),
        lambda: np.save(path.open("wb"), np.zeros(3)),
        arrays(version=np.array(99)),
        arrays(**{"motion.names": None}),
        arrays(**{"motion.root": np.zeros((2, 3))}),
        arrays(**{"motion.fps": np.array("fast")}),
        path.unlink,
    ]
    for make in cases:
        make()
        for load in (load_capture, load_motion):
            with pytest.raises(FormatError) as caught:
                load(path)
            assert "\n" not in str(caught.value)


def test_save_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    motion = make_motion(frames=2)
    with pytest.raises(FormatError, match=r"\.bvh, \.glb, .*\.npz"):
        save(motion, tmp_path / "a.xyz")
    save(motion, tmp_path / "a.bvh")
    before = (tmp_path / "a.bvh").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        save(make_motion(frames=3), tmp_path / "a.bvh")
    assert (tmp_path / "a.bvh").read_bytes() == before
    save(make_motion(frames=3), tmp_path / "a.bvh", overwrite=True)
    assert len(load_motion(tmp_path / "a.bvh")) == 3
    for path in (tmp_path / "no" / "a.bvh", tmp_path / "a.bvh" / "b.bvh"):
        with pytest.raises(OutputError, match="no folder"):
            save(motion, path)
    (tmp_path / "folder.bvh").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        save(motion, tmp_path / "folder.bvh", overwrite=True)
    with pytest.raises(ValueError, match="units"):
        save(motion, tmp_path / "b.bvh", units="mm")
    with pytest.raises(FormatError, match="only written"):
        load_motion(tmp_path / "a.fbx")


@pytest.mark.parametrize("suffix", [".bvh", ".csv", ".npz"])
def test_an_output_appears_whole_or_not_at_all(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("the one before")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            save(make_motion(frames=2), path, overwrite=True)
    missing = replace(make_motion(frames=2), root=np.full((2, 3), np.nan))
    if suffix == ".bvh":
        with pytest.raises(OutputError, match="missing values"):
            save(missing, path, overwrite=True)
    assert path.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_while_an_npz_is_written_is_one_error_and_nothing_more(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    save(make_capture(), tmp_path / "a.npz")
    code = """
import resource, signal, sys
from stpose_core.errors import OutputError
from stpose_core.formats import load_capture, save
capture = load_capture(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save(capture, sys.argv[2])
except OutputError as error:
    print(type(error).__name__)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("OutputError", "")
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("stpose_core.files.TemporaryFile", refused)
    with pytest.raises(OutputError, match="no permission"):
        save(make_motion(frames=2), tmp_path / "a.bvh")


def test_a_new_format_is_one_module_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "frame_count.py").write_text(
        "def write(thing, path, units):\n    path.write_text(f'{len(thing)} frames in {units}')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    count = formats.Format(".count", "number of frames", "frame_count", readable=False)
    with pytest.raises(FormatError, match=r"unknown format '\.count'"):
        save(make_motion(4, 30), tmp_path / "a.count")
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, count))
    save(make_motion(4, 30), tmp_path / "a.count", units="m")
    assert (tmp_path / "a.count").read_text() == f"{len(make_motion(4, 30))} frames in m"
    with pytest.raises(FormatError, match=r"a \.count is only written"):
        load_motion(tmp_path / "a.count")
