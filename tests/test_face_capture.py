"""The face of a person who is followed: where it is looked for, and its curves in a capture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from moving_body import CAMERA, h36m, seen, walk
from stpose_cli.main import run
from test_face import REST
from test_pipeline import write_people

import stpose_core as sp
from stpose_core.data import Array, Keypoints, Pose3D
from stpose_core.detect.faces import FaceView, box_around, find_faces
from stpose_core.detect.types import Box
from stpose_core.lift import face
from stpose_core.retarget.curves import ARKIT
from stpose_core.skeletons import H36M17

FPS = 30.0
HEAD = H36M17.joints.index("head")


def mesh(places: Array, right: float = 0.0) -> Array:
    """A face mesh of 478 landmarks around a place, 0.2 of a metre high at 160 pixels a metre."""
    random = np.random.default_rng(0)
    points = np.column_stack([random.uniform(-12, 12, 478), random.uniform(-16, 16, 478), np.zeros(478)])
    points[10], points[152], points[33], points[263] = (0, -16, 0), (0, 16, 0), (-8, -4, 0), (8, -4, 0)
    return points + [places[0] + right, places[1], 0.0]


class Network:
    """Finds the face at the head's joint, or to its right, if the box is near."""

    def __init__(self, points: Keypoints, presence: float = 0.9, right: float = 0.0) -> None:
        self.points, self.presence, self.right, self.boxes = points, presence, right, list[Box]()

    def __call__(self, image: np.ndarray, box: Box) -> FaceView:
        self.boxes.append(box)
        head = self.points.xy[int(image[0, 0, 0]), HEAD]
        near = float(np.abs(head + [self.right, 0.0] - box.centre).max()) < box.size
        return FaceView(mesh(head, self.right), self.presence if near else 0.0)


def walker() -> tuple[Pose3D, Keypoints]:
    pose = seen(h36m(walk(0.5)), FPS)
    camera = pose.xyz + pose.root[:, None]
    xy = camera[..., :2] / camera[..., 2:] * CAMERA.focal + CAMERA.centre
    return pose, Keypoints(xy, np.full(xy.shape[:2], 0.8), FPS, (1280, 720), "h36m17")


def found(network: Network, pose: Pose3D, points: Keypoints) -> np.ndarray:
    pictures = [np.full((4, 4, 3), frame, np.uint8) for frame in range(len(points))]
    return find_faces(network, points, pose, np.arange(len(points)) / FPS, pictures, [33, 263])


def test_the_face_is_found_at_the_head_and_then_followed() -> None:
    pose, points = walker()
    network = Network(points)
    places = found(network, pose, points)
    assert places.shape == (len(points), 2, 3)
    assert places.dtype == np.float32
    assert np.allclose(places[:, 0, :2], points.xy[:, HEAD] + [-8, -4], atol=0.01)
    assert len(network.boxes) == len(points) + 1, "two looks in the first frame, one in each that follows"


def test_where_the_neck_is_unknown_the_head_is_taken_for_upright() -> None:
    pose, points = walker()
    xy = points.xy.copy()
    xy[:, H36M17.index("neck")[0]] = np.nan
    network = Network(points)
    found(network, pose, replace(points, xy=xy))
    assert network.boxes[0].angle == 0


def test_no_face_where_the_network_doubts_or_sees_that_of_another_or_the_head_is_hidden() -> None:
    pose, points = walker()
    assert np.isnan(found(Network(points, presence=0.4), pose, points)).all()
    pixels = float(np.median(pose.camera.focal / (pose.xyz[:, HEAD, 2] + pose.root[:, 2])))
    assert np.isnan(found(Network(points, right=0.2 * pixels), pose, points)).all()
    assert np.isfinite(found(Network(points, right=0.05 * pixels), pose, points)).all()
    score = points.score.copy()
    score[4, HEAD] = 0.0
    hidden = replace(points, score=score)
    places = found(Network(points), pose, hidden)
    # A single frame is between two that are seen.
    assert np.isfinite(places).all()
    score[:, HEAD] = 0.0
    assert np.isnan(found(Network(points), pose, replace(points, score=score))).all()


def test_the_box_around_a_face_is_level_with_its_eyes() -> None:
    angle = np.radians(20.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    xy = mesh(np.zeros(2))[:, :2] @ turn.T + [100.0, 50.0]
    box = box_around(xy)
    assert np.isclose(box.angle, angle)
    assert np.allclose(box.centre, [100.0, 50.0], atol=0.5)
    assert np.isclose(box.size, 1.5 * 32, atol=0.5)


def test_a_capture_has_curves_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def __call__(self, image: np.ndarray, box: Box) -> FaceView:
            assert image.shape == (120, 160, 3)
            points = np.zeros((478, 3))
            points[face.LANDMARKS] = REST - REST.mean(axis=0) + [*box.centre, 0.0]
            points[[index for index in range(478) if index not in face.LANDMARKS]] = [*box.centre, 0.0]
            return FaceView(points, 0.9)

    video = film(tmp_path / "walk.mp4", 25, 20)
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", lambda: pytest.fail("no face was asked for"))
    plain = sp.capture(video, detector=BarDetector(), lifter=lift_standing)
    assert not plain.motion.curves
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", Found)
    capture = sp.capture(video, detector=BarDetector(), lifter=lift_standing, face=True)
    assert tuple(capture.motion.curves) == ARKIT
    assert any(np.isfinite(values).any() for values in capture.motion.curves.values())
    assert capture.keypoints.parts.keys() == plain.keypoints.parts.keys()
    sp.save(capture, tmp_path / "walk.npz")
    again = sp.load_capture(tmp_path / "walk.npz").motion
    for name, values in capture.motion.curves.items():
        assert np.array_equal(again.curves[name], values, equal_nan=True)


def test_without_mediapipe_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    real = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == "mediapipe":
            raise ImportError("No module named 'mediapipe'")
        return real(name, *rest)

    monkeypatch.setattr("stpose_core.detect.mediapipe.importlib.import_module", missing)
    video = film(tmp_path / "walk.mp4", 5, 20)
    assert run(["mocap", str(video), "-o", str(tmp_path / "a.npz"), "--face", "--detector", "builtin", "--progress", "none"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "faces need mediapipe" in lines[0]
    assert not (tmp_path / "a.npz").exists()


class Nothing:
    """A network that sees a face in the first of so many looks, and none later."""

    def __init__(self, looks: int = 0) -> None:
        self.looks = looks

    def __call__(self, image: np.ndarray, box: Box) -> FaceView:
        self.looks -= 1
        points = np.zeros((478, 3))
        points[face.LANDMARKS] = REST - REST.mean(axis=0)
        return FaceView(points + [*box.centre, 0.0], 0.9 if self.looks >= 0 else 0.0)


@pytest.mark.parametrize(
    ("looks", "said"), [(0, "no face was seen in any frame"), (8, "a face was seen only in"), (1000, None)], ids=str
)
def test_a_face_that_is_seldom_seen_gives_a_warning(
    looks: int, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", lambda: Nothing(looks))
    sp.capture(film(tmp_path / "walk.mp4", 25, 20), detector=BarDetector(), lifter=lift_standing, face=True)
    lines = [record.getMessage() for record in caplog.records if "face was seen" in record.getMessage()]
    assert len(lines) == (said is not None)
    assert all(str(said) in line and "film closer" in line for line in lines)


def test_progress_counts_the_frames_in_which_a_face_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", Nothing)
    told: list[tuple[str, float, float | None]] = []
    video = film(tmp_path / "walk.mp4", 25, 20)
    capture = sp.capture(video, detector=BarDetector(), lifter=lift_standing, face=True, progress=lambda *event: told.append(event))
    done = [(frames, total) for stage, frames, total in told if stage == "lift"]
    frames = len(capture.keypoints)
    assert {total for _, total in done} == {2 * frames}, "a pass for the body, one for the face"
    assert [count for count, _ in done] == [0, *range(frames + 1, 2 * frames + 1)]


def test_progress_of_several_people_counts_who_has_no_pose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", Nothing)
    fragment, *others = (40.0, 0.05, range(30)), (100.0, 0.9, range(30)), (140.0, 0.8, range(30))
    joints = write_people(tmp_path / "a.json", fragment, *others)
    told: list[tuple[float, float | None]] = []
    say = lambda stage, *event: told.append(event) if stage == "lift" else None  # noqa: E731
    assert len(sp.capture_people(film(tmp_path / "a.mp4", 25, 30), detector=joints, face=True, device="cpu", progress=say)) == 2
    assert "left out 1 of 3 people (by size: 1)" in caplog.text, "the first one"
    assert {total for _, total in told} == {180}, "three people, two passes of 30 frames"
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told.count((180, 180)) == 1
    assert {0, 60, 120, 180} <= {done for done, _ in told}, "where each person begins, and the end"


@pytest.mark.parametrize(("name", "kept"), [("a.bvh", False), ("a.glb", False), ("a.json", True)])
def test_a_face_that_no_file_would_hold_is_not_looked_for(
    name: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = {"detector": BarDetector(), "lifter": lift_standing}
    monkeypatch.setattr("stpose_cli.mocap.load", lambda *_: loaded)
    looked: list[int] = []
    monkeypatch.setattr("stpose_core.detect.mediapipe_face.MediaPipeFace", lambda: looked.append(1) or Nothing())
    assert run(["mocap", str(film(tmp_path / "walk.mp4", 25, 20)), "-o", str(tmp_path / name), "--face", "--progress", "none"]) == 0
    assert bool(looked) == kept
    assert capsys.readouterr().err.count("left out the face") == (not kept)


def test_mediapipes_network_sees_a_rendered_face() -> None:
    pytest.importorskip("mediapipe")
    import cv2

    from stpose_core.detect.mediapipe_face import MediaPipeFace

    picture = cv2.imread(str(Path(__file__).parents[1] / "docs" / "images" / "face.jpg"))[..., ::-1]
    look = MediaPipeFace()
    side = picture.shape[1] // 4
    view = look(picture, Box(0.15 * side, 0.15 * side, 0.85 * side, 0.85 * side))
    view = look(picture, box_around(view.xyz[:468, :2]))
    assert view.presence > 0.9
    right, left = (view.xyz[[outer, inner]].mean(axis=0) for outer, inner in ((33, 133), (263, 362)))
    assert 0 < right[0] < left[0] < side
    empty = look(np.full((200, 200, 3), 90, np.uint8), Box(0, 0, 200, 200))
    assert empty.presence < 0.1
