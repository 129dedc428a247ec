"""`stpose pose`: which pictures are looked at, what is written of them, and that nothing is written if one cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import SIZE, STANDING, BarDetector
from stpose_cli.main import run as stpose

from stpose_core import stills
from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.stills import list_pictures, people_in, read_picture


def bars(*lefts: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A dark picture with bright bars from row 20 to 100."""
    image = np.full((size[1], size[0], 3), 30, np.uint8)
    for left in lefts:
        image[20:100, left : left + 24] = 220
    return image


class BarsDetector(Detector):
    """Finds every bar, also on the second look; of `ghosts` it says that somebody is there on the first look only."""

    name, skeleton = "bars", "h36m17"

    def __init__(self, ghosts: bool = False) -> None:
        self._one, self._ghosts = BarDetector(), ghosts

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        columns = np.flatnonzero(np.concatenate([[0], np.diff((image[50, :, 1] > 120).astype(int))]))
        found = [Box(left, 20, left + 24, 100) for left in columns[::2]]
        return [*found, *found[:1], *([Box(0, 0, 20, 20)] if self._ghosts else [])]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        alone = np.full_like(image, 30)
        left, right = max(0, int(box.x0)), int(box.x1) + 1
        alone[:, left:right] = image[:, left:right]
        pose = self._one.pose(alone, box)
        if self._ghosts and not pose.presence:
            return Pose2D(np.tile(box.centre, (17, 1)), np.full(17, 0.9), 0.6, box.moved(np.array([300.0, 0])))
        return pose


@pytest.fixture(autouse=True)
def detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_core.load_detector", lambda name, device: BarsDetector())


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def exif_turned(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation (TIFF 6.0, tag 274)."""
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def test_everybody_in_every_picture_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two, none = write(tmp_path / "in" / "two.png", bars(20, 90)), write(tmp_path / "in" / "none.png", bars())
    out = tmp_path / "joints.json"
    assert stpose(["pose", str(two), str(none), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"2 pictures, 2 people, detected by bars -> {out}\n"
    written = json.loads(out.read_text())
    assert list(written) == ["skeleton", "images"]
    assert written["skeleton"] == "h36m17"
    first, second = written["images"]
    assert (first["file"], first["width"], first["height"]) == (str(two), *SIZE)
    assert (second["file"], second["people"]) == (str(none), [])
    assert len(first["people"]) == 2
    for person in first["people"]:
        assert list(person) == ["box", "score", "keypoints"]
        assert 0 < person["score"] <= 1
        joints = np.array(person["keypoints"])
        assert joints.shape == (17, 3)
        x, y, w, h = person["box"]
        assert x <= joints[:, 0].min()
        assert joints[:, 0].max() <= x + w <= SIZE[0]
        assert y <= joints[:, 1].min()
        assert joints[:, 1].max() <= y + h <= SIZE[1]
    pelvis = sorted(person["keypoints"][0][0] for person in first["people"])
    assert pelvis == pytest.approx([32, 102], abs=1)


def test_folders_lists_and_names_are_put_together_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    for name in ("b.PNG", "a.jpg", "c.webp"):
        write(folder / name, bars())
    (folder / "notes.txt").write_text("no picture")
    (folder / "._a.jpg").write_bytes(b"what a Mac leaves behind")
    other = write(tmp_path / "other.png", bars())
    listed = tmp_path / "list.txt"
    listed.write_text(f"\n{other}\n  in/a.jpg  \n\n")
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in list_pictures(["in"])] == ["a.jpg", "b.PNG", "c.webp"]
    names = [path.name for path in list_pictures(["@list.txt", "in", str(folder / "a.jpg"), "other.png"])]
    assert names == ["other.png", "a.jpg", "b.PNG", "c.webp"]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_are_turned_as_their_camera_says(tmp_path: Path, orientation: int) -> None:
    image = bars(size=(160, 120))
    image[:30, :40] = 250  # the top left corner as it is meant to be seen
    stored = np.rot90(image, {1: 0, 3: 2, 6: 1, 8: 3}[orientation])
    path = tmp_path / "turned.jpg"
    path.write_bytes(exif_turned(cv2.imencode(".jpg", np.ascontiguousarray(stored))[1].tobytes(), orientation))
    seen = read_picture(path)
    assert seen.shape == (120, 160, 3)
    assert seen[10, 10].min() > 200
    assert seen[-10, -10].max() < 60


def test_colours_are_read_as_red_green_blue(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200
    assert read_picture(write(tmp_path / "red.png", image))[4, 4].tolist() == [200, 0, 0]
    assert cv2.imwrite(str(tmp_path / "grey.png"), np.full((8, 8), 77, np.uint8))
    assert read_picture(tmp_path / "grey.png").shape == (8, 8, 3)


def test_who_is_found_twice_counts_once_and_who_is_not_there_again_not_at_all() -> None:
    assert len(people_in(bars(20, 90), BarsDetector())) == 2
    assert len(people_in(bars(20), BarsDetector(ghosts=True))) == 1


class Scripted(Detector):
    """Says of each box what it is told to: the scale of a standing person around the box's centre, their presence and scores."""

    name, skeleton = "scripted", "h36m17"

    def __init__(self, *sights: tuple[float, float, float, float]) -> None:
        """sights: (x, scale, score, score of the box) of those who are found; a box is as wide as x is large, to know it again."""
        self.sights = sights

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        return [self._box(sight) for sight in self.sights if sight[3] >= (0.05 if thorough else 0.12)]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        sight = min(self.sights, key=lambda sight: abs(self._box(sight).size - box.size) + abs(self._box(sight).x0 - box.x0))
        x, scale, score, _ = sight
        return Pose2D(np.array([x, 60]) + scale * STANDING[:, :2], np.full(17, score), 1.0, self._box(sight))

    def _box(self, sight: tuple[float, float, float, float]) -> Box:
        x, scale, _, found = sight
        return Box(x - scale / 2, 60 - scale / 2, x + scale / 2, 60 + scale / 2, found)


def test_of_two_sights_of_somebody_the_surer_one_counts_and_parts_do_not() -> None:
    image = bars()
    right, blurred = (40.0, 50.0, 0.9, 0.3), (41.0, 51.0, 0.5, 0.6)
    (person,) = people_in(image, Scripted(blurred, right))
    assert person.score == pytest.approx(0.9)
    part = (42.0, 20.0, 0.3, 0.5)
    assert [round(p.score, 2) for p in people_in(image, Scripted(part, right))] == [0.9]
    # Negative controls: who is as sure is a person, a child before somebody; who is elsewhere is one as well.
    assert len(people_in(image, Scripted((42.0, 20.0, 0.8, 0.5), right))) == 2
    assert len(people_in(image, Scripted((120.0, 20.0, 0.3, 0.5), right))) == 2


def test_pictures_are_searched_thoroughly() -> None:
    detector = Scripted((40.0, 50.0, 0.9, 0.3), (120.0, 40.0, 0.8, 0.06))
    assert len(detector.find(bars())) == 1, "a search of a video leaves the second one out"
    assert len(people_in(bars(), detector)) == 2


def test_joints_of_other_skeletons_are_converted_and_unseen_ones_are_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Coco(BarsDetector):
        skeleton = "coco17"

        def pose(self, image: np.ndarray, box: Box) -> Pose2D:
            line = np.linspace(0, 1, 17)
            xy = np.column_stack([box.x0 + 24 * line, box.y0 + 80 * line])
            score = np.where(np.arange(17) == 15, 0.0, 0.8)  # the left ankle was not seen
            return Pose2D(np.where(score[:, None] > 0, xy, np.nan), score, 1.0, box)

    monkeypatch.setattr("stpose_core.load_detector", lambda name, device: Coco())
    out = tmp_path / "joints.json"
    assert stpose(["pose", str(write(tmp_path / "one.png", bars(40))), "-o", str(out)]) == 0
    assert "NaN" not in out.read_text()
    (person,) = json.loads(out.read_text())["images"][0]["people"]
    joints = np.array(person["keypoints"])
    assert joints[6].tolist() == [0, 0, 0], "the left ankle of h36m17"
    assert joints[3, 2] > 0.5
    np.testing.assert_allclose(joints[13, :2], (40 + 24 * 9 / 16, 20 + 80 * 9 / 16), atol=0.02)


def test_errors_are_a_line_and_leave_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.png", bars(40))
    broken, empty, text = tmp_path / "broken.png", tmp_path / "empty.jpg", tmp_path / "text.png"
    broken.write_bytes(good.read_bytes()[:60])
    empty.write_bytes(b"")
    text.write_text("no picture")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "blank.txt").write_text("\n\n")
    (tmp_path / "nested.txt").write_text("@blank.txt\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x80\x00")
    out = tmp_path / "joints.json"
    for arguments, message in (
        ([good, broken], "broken.png"),
        ([good, empty], "empty.jpg"),
        ([text, good], "text.png is not a picture"),
        ([tmp_path / "none.png"], "there is no file"),
        ([tmp_path / "nothing"], "no picture in the folder"),
        ([f"@{tmp_path / 'none.txt'}"], "cannot read"),
        ([f"@{tmp_path / 'blank.txt'}"], "names no file"),
        ([f"@{tmp_path / 'nested.txt'}"], "names another list"),
        ([f"@{tmp_path / 'bytes.txt'}"], "not text"),
    ):
        assert stpose(["pose", *map(str, arguments), "-o", str(out)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert message in told.err
        assert told.err.count("\n") == 1
        assert not out.exists()
    assert stpose(["pose", str(good), "-o", str(tmp_path / "joints.txt")]) == 2
    assert "end in .json" in capsys.readouterr().err
    out.write_text("mine")
    assert stpose(["pose", str(good), "-o", str(out)]) == 2
    assert out.read_text() == "mine"
    assert "exists already" in capsys.readouterr().err
    assert stpose(["pose", str(good), "-o", str(out), "--overwrite"]) == 0
    assert out.read_text() != "mine"


def test_a_file_of_keypoints_is_no_detector_for_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stpose_core.detect import KeypointFile

    monkeypatch.setattr("stpose_core.load_detector", lambda name, device: KeypointFile.__new__(KeypointFile))
    good = write(tmp_path / "good.png", bars(40))
    assert stpose(["pose", str(good), "-o", str(tmp_path / "a.json"), "--detector", "keypoints.npz"]) == 2
    assert "needs a detector" in capsys.readouterr().err


def test_suffixes_are_those_that_are_read(tmp_path: Path) -> None:
    for suffix in stills.SUFFIXES:
        assert read_picture(write(tmp_path / f"a{suffix}", bars(40))).shape == (120, 160, 3)
