"""Files of keypoints: read as they are written by others, people linked, and nothing in them trusted."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stpose_core.detect import KeypointFile, load_detector
from stpose_core.errors import FormatError

FRAMES = 20


def person(x: float, joints: int = 17, height: float = 200) -> list[float]:
    """x, y, confidence of a made-up body of any number of joints, around x."""
    angle = np.linspace(0, 2 * np.pi, joints, endpoint=False)
    rows = np.column_stack([x + 0.2 * height * np.cos(angle), 300 + 0.5 * height * np.sin(angle), np.full(joints, 0.8)])
    return [round(float(value), 3) for value in rows.ravel()]


def openpose(folder: Path, joints: int = 25, first: int = 0) -> Path:
    """Two people who cross, the order in the file changing with every frame; nobody in frame 5."""
    folder.mkdir()
    for frame in range(FRAMES):
        people = [
            {"pose_keypoints_2d": person(100 + 20 * frame, joints)},
            {"pose_keypoints_2d": person(500 - 20 * frame, joints, 300)},
        ]
        content = {"version": 1.3, "people": [] if frame == 5 else people[:: 1 if frame % 2 else -1]}
        (folder / f"walk_{frame + first:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def coco(path: Path, joints: int = 17, name: str | None = None) -> Path:
    entries: list[dict[str, Any]] = []
    for frame in range(FRAMES):
        for x, height in ((100 + 20 * frame, 200), (500 - 20 * frame, 300)):
            image_id: object = frame if name is None else name.format(frame)
            entries.append({"image_id": image_id, "category_id": 1, "keypoints": person(x, joints, height), "score": 0.9})
    entries.append({"image_id": 0, "category_id": 3, "keypoints": person(10, joints), "score": 0.9})
    path.write_text(json.dumps(entries))
    return path


def check_two_who_cross(file: KeypointFile, frames: int, first: int = 0) -> None:
    tracks = file.people(25.0)
    assert [len(track) for track in tracks] == [frames, frames]
    for track in tracks:
        middle = np.nanmean(track.xy[:, :, 0], axis=1)
        start = 100.0 if middle[0] < 300 else 500.0
        step = 20.0 if start == 100 else -20.0
        np.testing.assert_allclose(middle, start + step * (track.frames - first), atol=0.01)
        np.testing.assert_allclose(track.times, track.frames / 25.0)
        np.testing.assert_allclose(track.score, 0.8, atol=1e-6)


@pytest.mark.parametrize(("joints", "skeleton"), [(25, "openpose25"), (17, "coco17")])
def test_openpose_folder(tmp_path: Path, joints: int, skeleton: str) -> None:
    file = load_detector(openpose(tmp_path / "json", joints, first=7))
    assert isinstance(file, KeypointFile)
    assert file.skeleton == skeleton
    check_two_who_cross(file, FRAMES - 1, first=7)


def test_openpose_coco_18_loses_its_neck(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    rows = np.column_stack([np.arange(18), np.arange(18), np.ones(18)])
    rows[4, 2] = 0  # right wrist
    for frame in range(3):
        content = {"people": [{"pose_keypoints_2d": rows.ravel().tolist()}]}
        (tmp_path / "json" / f"{frame}.json").write_text(json.dumps(content))
    file = KeypointFile(tmp_path / "json")
    assert file.skeleton == "coco17"
    (track,) = file.people(25)
    # COCO-17: nose, eyes, ears, shoulders, elbows, wrists, ... left first; OpenPose's 18: nose, neck, right arm, left arm, ...
    np.testing.assert_array_equal(track.xy[0, [0, 1, 2, 5, 6, 11, 12, 15, 16], 0], [0, 15, 14, 5, 2, 11, 8, 13, 10])
    assert np.isnan(track.xy[0, 10]).all()
    assert track.score[0, 10] == 0


@pytest.mark.parametrize(("joints", "name", "skeleton"), [(17, None, "coco17"), (26, "clip7_{:06d}.jpg", "halpe26")])
def test_coco_results(tmp_path: Path, joints: int, name: str | None, skeleton: str) -> None:
    file = KeypointFile(coco(tmp_path / "results.json", joints, name))
    assert file.skeleton == skeleton
    check_two_who_cross(file, FRAMES)


def test_our_own_file(tmp_path: Path) -> None:
    xy = np.random.default_rng(0).uniform(0, 100, (10, 17, 2))
    xy[3] = np.nan
    score = np.where(np.isnan(xy[..., 0]), 0, 0.7)
    for prefix in ("", "keypoints_"):
        content = {"xy": xy, "score": score, "fps": 50.0, "image_size": (640, 480), "skeleton": "h36m17"}
        np.savez(tmp_path / "own.npz", **{prefix + name: np.asarray(value) for name, value in content.items()})
        file = KeypointFile(tmp_path / "own.npz")
        (track,) = file.people(25)
        assert (file.fps, file.image_size, file.skeleton) == (50.0, (640, 480), "h36m17")
        assert list(track.frames) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        np.testing.assert_allclose(track.times, track.frames / 50)
        np.testing.assert_allclose(track.xy[3], xy[4], rtol=1e-6)


GOOD = person(100)
BAD_COCO = {
    "no list": {"a": 1},
    "no keypoints": [{"image_id": 1}],
    "too few": [{"image_id": 1, "keypoints": GOOD[:-1]}],
    "text": [{"image_id": 1, "keypoints": ["1"] * 51}],
    "nested": [{"image_id": 1, "keypoints": [[0, 0, 0]] * 51}],
    "huge": [{"image_id": 1, "keypoints": [1e300, *GOOD[1:]]}],
    "not finite": [{"image_id": 1, "keypoints": [float("nan"), *GOOD[1:]]}],
    "negative frame": [{"image_id": -1, "keypoints": GOOD}],
    "far frame": [{"image_id": 10**15, "keypoints": GOOD}],
    "frame of another type": [{"image_id": [1], "keypoints": GOOD}],
    "a crowd": [{"image_id": 1, "keypoints": GOOD}] * 101,
    "mixed": [{"image_id": 1, "keypoints": GOOD}, {"image_id": 2, "keypoints": person(1, 26)}],
}


@pytest.mark.parametrize("content", BAD_COCO.values(), ids=BAD_COCO.keys())
def test_damaged_coco_results(tmp_path: Path, content: object) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"bad\.json") as caught:
        KeypointFile(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [[], {"people": 3}, {"people": [3]}, {"people": [{}]}, {"people": [{"pose_keypoints_2d": [1, 2]}]}]
)
def test_damaged_openpose_folder(tmp_path: Path, content: object) -> None:
    folder = openpose(tmp_path / "json")
    (folder / "walk_000000000003_keypoints.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="000003"):
        KeypointFile(folder)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 nothing")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "shape.npz", xy=np.zeros((3, 2)), score=np.zeros(3), fps=30, image_size=[1, 2], skeleton="coco17")
    np.savez(tmp_path / "pickle.npz", xy=np.array([{}], dtype=object), score=0, fps=30, image_size=[1, 2], skeleton="coco17")
    (tmp_path / "a.txt").write_text("hello")
    for name in ("empty", "a.json", "deep.json", "a.npz", "other.npz", "shape.npz", "pickle.npz", "a.txt"):
        with pytest.raises(FormatError, match=name):
            KeypointFile(tmp_path / name)


def test_damage_anywhere_in_our_own_file(tmp_path: Path) -> None:
    content: dict[str, Any] = {"score": np.full((300, 17), 0.5), "fps": 30.0, "image_size": (640, 480), "skeleton": "coco17"}
    content["xy"] = np.random.default_rng(0).uniform(0, 100, (300, 17, 2))
    path = tmp_path / "own.npz"
    np.savez_compressed(path, **content)
    good = path.read_bytes()
    assert KeypointFile(path).skeleton == "coco17"
    refused = 0
    for at in range(0, len(good), len(good) // 150):
        path.write_bytes(good[:at] + bytes(40) + good[at + 40 :])
        with suppress(FormatError):
            KeypointFile(path)
            continue
        refused += 1
    assert refused > 100
    for changed in ({"image_size": (np.inf, 3)}, {"image_size": (1, 2, 3)}, {"fps": "fast"}, {"xy": np.zeros((0, 17, 2), bool)}):
        np.savez(path, **{**content, **changed})
        with pytest.raises(FormatError):
            KeypointFile(path)


def test_a_file_that_unpacks_to_more_than_any_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, xy=np.zeros((10_000, 17, 2)))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr("stpose_core.arrays.MOST_BYTES", 2_000_000)
    with pytest.raises(FormatError, match="unpacks to 3 MB"):
        KeypointFile(path)


def test_an_empty_list_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    assert KeypointFile(tmp_path / "none.json").people(30) == []
