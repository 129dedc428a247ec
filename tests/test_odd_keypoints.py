"""For any keypoint file the command ends with a result, or with one line of error, exit status 2 and no output."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import STANDING, film, lift_standing
from stpose_cli.main import run

import stpose_core.lift
from stpose_core.detect import KeypointFile
from stpose_core.detect.boxes import box_overlap, extent
from stpose_core.errors import FormatError
from stpose_core.skeletons import convert, get_skeleton
from stpose_core.track.linker import _similarity
from stpose_core.track.similarity import joint_similarity

FRAMES = 20
# Joints of the standing figure that stand for COCO's; all of the face is at the nose.
_FROM = {"nose": 9, "l_eye": 9, "r_eye": 9, "l_ear": 9, "r_ear": 9}
_ALIKE = {"shoulder": 11, "elbow": 12, "wrist": 13, "hip": 4, "knee": 5, "ankle": 6}
_RIGHT = {11: 14, 12: 15, 13: 16, 4: 1, 5: 2, 6: 3}


def body(frame: int, joints: int = 17, score: float = 0.9, x: float = 0.0) -> list[float]:
    """x, y, confidence of a standing person who moves to the right."""
    places = []
    for name in get_skeleton("coco17").joints:
        joint = _FROM.get(name) or _ALIKE[name[2:]]
        places.append(STANDING[_RIGHT.get(joint, joint) if name.startswith("r_") else joint, :2])
    xy = np.resize(np.array(places) * 45 + (60 + frame + x, 60), (joints, 2))
    return [float(value) for value in np.column_stack([xy, np.full(joints, score)]).ravel()]


def entry(frame: int, **changed: object) -> dict[str, Any]:
    return {"image_id": frame, "category_id": 1, "keypoints": body(frame), "score": 0.9, **changed}


def text(*frames: int, **changed: object) -> str:
    return json.dumps([entry(frame, **changed) for frame in frames or range(FRAMES)])


def value(new: str) -> str:
    """A file with one number replaced."""
    return text().replace(str(body(3)[0]), new, 1)


def openpose(folder: Path, content: Callable[[int], object], frames: int = FRAMES, name: str = "a_{:06d}_keypoints.json") -> Path:
    folder.mkdir()
    for frame in range(frames):
        (folder / name.format(frame)).write_text(json.dumps(content(frame)))
    return folder


def people(*bodies: object) -> dict[str, object]:
    return {"people": [{"pose_keypoints_2d": body} for body in bodies]}


def npz(path: Path, **changed: object) -> Path:
    rows = np.array([body(frame) for frame in range(FRAMES)]).reshape(FRAMES, 17, 3)
    content: dict[str, object] = {
        "xy": rows[..., :2],
        "score": rows[..., 2],
        "fps": 25.0,
        "image_size": (160, 120),
        "skeleton": "coco17",
    }
    content |= changed
    np.savez(path, **{name: np.asarray(value) for name, value in content.items() if value is not None})
    return path


# Content of a .json, and words of the error, or None if there is a result.
JSON: dict[str, tuple[str | bytes, str | None]] = {
    "whole": (text(), None),
    "more frames than the video": (text(*range(99)), None),
    "a few frames": (text(0, 1, 2), None),
    "one frame": (text(7), None),
    "frames beyond the video": (text(500, 501), "too few frames"),
    "frames twice": (text(*range(FRAMES), *range(FRAMES)), None),
    "frames in reverse": (text(*range(FRAMES - 1, -1, -1)), None),
    "leaves and returns": (text(*range(6), *range(14, 20)), None),
    "every second frame": (text(*range(0, 20, 2)), None),
    "frames far apart": (text(*(50_000 * frame for frame in range(5))), None),
    "18 joints": (text(keypoints=body(0, 18)), "54, expected 51 or 78"),
    "no joints": (text(keypoints=[]), "0, expected"),
    "numbers of joints that change": (json.dumps([entry(0), entry(1, keypoints=body(1, 26))]), "different numbers"),
    "NaN": (value("NaN"), "not a number"),
    "infinite": (value("1e999"), "not a number"),
    "huge": (value("1e8"), "not a number"),
    "a truth": (value("true"), "not a number"),
    "text": (value('"1"'), "not a number"),
    "negative": (text(keypoints=[-number if place % 3 != 2 else number for place, number in enumerate(body(0))]), None),
    "far away": (text(keypoints=[1e6 if place % 3 != 2 else 0.9 for place in range(51)]), None),
    "all joints in one place": (text(keypoints=[50.0 if place % 3 != 2 else 0.9 for place in range(51)]), None),
    "to and fro": (json.dumps([entry(frame, keypoints=body(frame, x=1e5 * (frame % 2))) for frame in range(FRAMES)]), None),
    "scores above one": (text(keypoints=body(0, score=5)), None),
    "scores below zero": (text(keypoints=body(0, score=-1)), "no person|too few"),
    "scores of zero": (text(keypoints=body(0, score=0)), "no person|too few"),
    "two joints seen": (text(keypoints=[*body(0)[:6], *[0.0] * 45]), "no person|too few"),
    "a joint never seen": (text(keypoints=[*body(0)[:15], 0.0, 0.0, 0.0, *body(0)[18:]]), None),
    "no ids": (json.dumps([{"keypoints": body(0)}]), "no image_id"),
    "ids with a fraction": (text(image_id=0.5), "not a frame number"),
    "names as ids": (json.dumps([entry(0, image_id=f"img{frame:05d}.png") for frame in range(FRAMES)]), None),
    "names without a number": (text(image_id="abc"), "not a frame number"),
    "an id of thousands of digits": (text().replace('"image_id": 1,', f'"image_id": {"9" * 9999},'), "not a readable JSON file"),
    "an empty list": ("[]", "no person"),
    "an object": ("{}", "not COCO"),
    "null": ("null", "not COCO"),
    "nothing": ("", "not a readable JSON file"),
    "no text": (bytes(500), "not a readable JSON file"),
    "nested deeply": ("[" * 100_000, "nested too deeply"),
    "objects nested deeply": ('{"a":' * 100_000, "nested too deeply"),
    "another category": (text(category_id=[1]), "no person"),
    "a mark of the byte order": (b"\xef\xbb\xbf" + text().encode(), None),
    "UTF-16": (text().encode("utf-16"), None),
}
FOLDERS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "OpenPose, 25": (lambda path: openpose(path, lambda frame: people(body(frame, 25))), None),
    "OpenPose, 18": (lambda path: openpose(path, lambda frame: people(body(frame, 18))), None),
    "OpenPose, 135": (lambda path: openpose(path, lambda frame: people(body(frame, 135))), "405, expected"),
    "OpenPose, 25 and 17": (
        lambda path: openpose(path, lambda frame: people(body(frame, 25 - frame % 2 * 8))),
        "different numbers",
    ),
    "few files": (lambda path: openpose(path, lambda frame: people(body(frame)), 3), None),
    "names with huge numbers": (lambda path: openpose(path, lambda frame: people(body(frame)), name="1{:030d}.json"), None),
    "nobody": (lambda path: openpose(path, lambda frame: people()), "no person"),
    "people without joints": (lambda path: openpose(path, lambda frame: people([])), "no person"),
    "no people": (lambda path: openpose(path, lambda frame: {"people": None}), "not OpenPose"),
    "no files": (lambda path: path.mkdir(), "contains no .json"),
    "npz": (npz, None),
    "npz of another size": (lambda path: npz(path, image_size=(64, 48)), "64 x 48"),
    "npz of another skeleton": (lambda path: npz(path, skeleton="dog"), "unknown skeleton 'dog'"),
    "npz of another number of joints": (lambda path: npz(path, skeleton="openpose25"), "shape"),
    "npz with scores above one": (lambda path: npz(path, score=np.full((FRAMES, 17), 2.0)), "score"),
    "npz with scores of NaN": (lambda path: npz(path, score=np.full((FRAMES, 17), np.nan)), "score"),
    "npz of nobody": (lambda path: npz(path, xy=np.full((FRAMES, 17, 2), np.nan)), "no person"),
    "npz far away": (lambda path: npz(path, xy=np.full((FRAMES, 17, 2), 1e9)), "pixels"),
    "npz without frames": (lambda path: npz(path, xy=np.zeros((0, 17, 2)), score=np.zeros((0, 17))), "no person"),
    "npz with no rate": (lambda path: npz(path, fps=1e-300), "not a frame rate"),
    "npz with a rate beyond all": (lambda path: npz(path, fps=1e18, start=10.0), "not a frame rate"),
    "npz that begins too late": (lambda path: npz(path, start=1e300), "not a time"),
    "npz of complex numbers": (lambda path: npz(path, xy=np.zeros((FRAMES, 17, 2), complex)), "type 'complex128'"),
    "npz without a skeleton": (lambda path: npz(path, skeleton=None), "skeleton missing"),
}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path, str | None], None]:
    """Run the command with a keypoint file, and check how it ends."""
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda *_, **__: lambda keypoints: lift_standing(convert(keypoints)))
    film(tmp_path / "video.mp4", 25, FRAMES)

    def check(file: Path, words: str | None) -> None:
        out = tmp_path / "out"
        out.mkdir()
        arguments = ["--detector", str(file), "--preview", str(out / "a.mp4"), "--progress", "none", "--device", "cpu"]
        status = run(["mocap", str(tmp_path / "video.mp4"), "-o", str(out / "a.bvh"), *arguments])
        said = capsys.readouterr()
        made = sorted(path.name for path in out.iterdir())
        if words is None:
            assert (status, said.err, made) == (0, "", ["a.bvh", "a.mp4"])
            assert f"{FRAMES} frames" in said.out
        else:
            assert re.search(words, said.err), said.err
            assert (status, said.out, made, said.err.count("\n")) == (2, "", [], 1)

    return check


@pytest.mark.parametrize("kind", JSON)
def test_coco_results(kind: str, tmp_path: Path, told: Callable[[Path, str | None], None]) -> None:
    content, words = JSON[kind]
    file = tmp_path / "a.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    told(file, words)


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_and_npz(kind: str, tmp_path: Path, told: Callable[[Path, str | None], None]) -> None:
    make, words = FOLDERS[kind]
    file = tmp_path / ("a.npz" if kind.startswith("npz") else "json")
    make(file)
    told(file, words)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in folders")
@pytest.mark.parametrize("name", ["a.json", "a.npz", "folder"])
def test_pipes_and_devices_are_not_read(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    if name == "folder":
        place.mkdir()
        os.mkfifo(place / "a.json")
        (place / "b.json").symlink_to("/dev/zero")
    else:
        os.mkfifo(place)
    with pytest.raises(FormatError, match=r"not a regular file|no \.json file"):
        KeypointFile(place)


def crowd(file: Path) -> KeypointFile:
    entries = [entry(frame, keypoints=body(frame, x=5.0 * person)) for frame in range(10) for person in range(100)]
    file.write_text(json.dumps(entries))
    return KeypointFile(file)


def test_a_crowd_is_linked(tmp_path: Path) -> None:
    tracks = crowd(tmp_path / "a.json").people(25.0)
    assert len(tracks) == 100
    assert all(len(track) == 10 for track in tracks)


@pytest.mark.timing
def test_a_crowd_is_linked_quickly(tmp_path: Path) -> None:
    keypoints = crowd(tmp_path / "a.json")
    began = time.process_time()
    keypoints.people(25.0)
    assert time.process_time() - began < 10, "one pair at a time takes a minute"


def test_all_pairs_at_once_are_as_similar_as_one_at_a_time() -> None:
    random = np.random.default_rng(0)
    people = []
    for _ in range(12):
        xy, score = random.uniform(0, 300, (17, 2)), random.uniform(0, 1, 17)
        missing = random.uniform(size=17) < random.choice([0.1, 0.5, 0.9])
        xy[missing], score[missing] = np.nan, 0.0
        people.append((xy, score))
    moved = [(xy + random.normal(0, 10, xy.shape), score) for xy, score in people]
    single = [[0.5 * joint_similarity(*a, *b) + 0.5 * box_overlap(extent(*a), extent(*b)) for b in moved] for a in people]
    np.testing.assert_allclose(_similarity(people, moved), single, atol=1e-12)
    assert _similarity(people, []).shape == (12, 0)
    assert _similarity([], moved).shape == (0, 12)
