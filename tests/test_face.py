"""A face: landmarks become curves named as ARKit's blend shapes, motions carry them, and files that can hold them do.

fixtures/rendered_face.npz holds what MediaPipe's face network sees in pictures of a rendered head that was not used to measure
lift/face.json: `python benchmarks/face_responses.py --folder FOLDER --people 2 --landmarks FILE`.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from fakes import BarDetector, film, lift_standing
from moving_body import CAMERA, h36m, seen, walk
from stpose_cli.main import run
from test_formats_glb import body_motion, values_of
from test_glb_character import write_hero

import stpose_core as sp
from stpose_core.animate.clip import cut, looped
from stpose_core.data import Array, Keypoints, Motion, Pose3D
from stpose_core.detect.faces import FaceView, box_around, find_faces
from stpose_core.detect.types import Box
from stpose_core.errors import FormatError
from stpose_core.formats import glb_character
from stpose_core.formats.gltf import GltfBuilder, GltfFile
from stpose_core.lift import face
from stpose_core.retarget.curves import ARKIT, matched, without_gaps
from stpose_core.skeletons import H36M17

FPS = 30.0
HEAD = H36M17.joints.index("head")


def rendered() -> dict[tuple[str, int, int], Array]:
    """Landmarks (N, 3) by action at full strength, yaw and pitch of the head in degrees."""
    with np.load(Path(__file__).parent / "fixtures" / "rendered_face.npz") as data:
        keys = [str(name).split("|") for name in data["names"]]
        return {(key[0], int(key[1]), int(key[2])): points / 100 for key, points in zip(keys, data["hundredths"])}


FACES = rendered()
REST = FACES["", 0, 0]


def curves_of(*faces: Array, rest: int = 9, smooth: float = 0.0) -> list[dict[str, float]]:
    """The curves of each face in a clip that is at rest before and after it, `rest` frames each."""
    clip = [points for one in faces for points in [REST] * rest + [one] + [REST] * rest]
    found = face.face_curves(np.array(clip, dtype=np.float32), FPS, smooth)
    return [{name: float(values[rest + number * (2 * rest + 1)]) for name, values in found.items()} for number in range(len(faces))]


def moved(points: Array, by: dict[int, tuple[float, float, float]]) -> Array:
    """Landmarks of the mesh moved, in distances of the eyes: right in the picture, down, away."""
    size = np.linalg.norm(points[face.LANDMARKS.index(33)] - points[face.LANDMARKS.index(263)])
    result = points.copy()
    for index, way in by.items():
        result[face.LANDMARKS.index(index)] += size * np.array(way)
    return result


def test_all_52_names_are_there_and_a_face_at_rest_moves_none() -> None:
    (found,) = curves_of(REST)
    assert tuple(found) == ARKIT
    assert len(ARKIT) == len(set(ARKIT)) == 52
    assert set(face.shown()) < set(ARKIT)
    assert max(found.values()) < 0.02


def test_a_mouth_that_opens_moves_the_jaw_and_little_else() -> None:
    lower = (14, 17, 84, 314, 181, 405, 87, 317, 178, 402)
    opened = moved(REST, {**dict.fromkeys(lower, (0.0, 0.24, 0.0)), **dict.fromkeys((152, 148, 377, 199, 200), (0, 0.1, 0.05))})
    half = (REST + opened) / 2
    whole, part = curves_of(opened, half)
    assert whole["jawOpen"] > 0.5
    assert 0.2 < part["jawOpen"] < whole["jawOpen"] - 0.2
    others = {name: value for name, value in whole.items() if not name.startswith(("jaw", "mouth"))}
    assert max(others.values()) < 0.05
    assert whole["mouthClose"] < 0.1


APART = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "jawOpen", "jawLeft", "jawRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPucker",
    "mouthRollLower", "mouthRollUpper", "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
)  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_a_rendered_expression_moves_its_own_curve_most(name: str) -> None:
    (found,) = curves_of(FACES[name, 0, 0])
    assert max(found, key=lambda one: found[one]) == name
    assert found[name] > 0.2


def test_left_and_right_are_the_persons_own() -> None:
    """The mirrored picture of a smile on the left is a smile on the right."""
    other = {**{left: right for right, left in face.PAIRS}, **dict(face.PAIRS)}
    order = [face.LANDMARKS.index(other.get(index, index)) for index in face.LANDMARKS]
    for name in ("mouthSmile", "eyeBlink", "browDown"):
        left = FACES[f"{name}Left", 0, 0]
        mirrored = left[order] * [-1.0, 1.0, 1.0]
        (found,), (swapped,) = curves_of(left), curves_of(mirrored)
        assert found[f"{name}Left"] > 0.3 > 0.1 > found[f"{name}Right"]
        assert swapped[f"{name}Right"] > 0.3
        # In the person's picture, the left is at the right.
    smile = moved(REST, dict.fromkeys((291, 308), (0.03, -0.09, 0.03)))
    (found,) = curves_of(smile)
    assert found["mouthSmileLeft"] > 0.3 > 0.05 > found["mouthSmileRight"]


def test_a_turned_head_moves_hardly_anything() -> None:
    turned = [points for (name, yaw, pitch), points in FACES.items() if not name and (yaw, pitch) != (0, 0)]
    assert len(turned) == 16
    found = curves_of(*turned)
    assert np.mean([list(one.values()) for one in found]) < 0.01
    assert max(max(one.values()) for one in found) < 0.35
    # Without the alignment, the same turns would move it: the control.
    apart = [np.abs(points[:, :2] - REST[:, :2]).max() / np.ptp(REST[:, 0]) for points in turned]
    assert min(apart) > 0.03


def turned_left(points: Array, degrees: float) -> Array:
    """The landmarks with the head turned to the person's left."""
    yaw = np.radians(degrees)
    return points @ np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])


@pytest.mark.parametrize("degrees", [-32.0, 32.0])
def test_the_depth_of_a_face_is_no_jaw_to_the_side_when_it_turns(degrees: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network takes mouth and chin for further away than they are."""
    low = (0, 13, 14, 17, 152, 199, 200, 61, 291, 78, 308, 148, 377, 37, 267, 84, 314)
    deep = turned_left(moved(REST, dict.fromkeys(low, (0.0, 0.0, 0.09))), degrees)
    aside = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
    (found,) = curves_of(deep)
    assert max(found[name] for name in aside) < 0.1
    monkeypatch.setattr(face, "_DEPTH", 0.0)  # the control
    (found,) = curves_of(deep)
    assert max(found[name] for name in aside) > 0.3


def test_small_and_turned_faces_blink_with_both_eyes() -> None:
    wink = FACES["eyeBlinkLeft", 0, 0]
    clip = np.array([REST] * 9 + [wink], dtype=np.float32)
    large, small = face.face_curves(clip, FPS, 0.0), face.face_curves(0.5 * clip, FPS, 0.0)
    assert large["eyeBlinkLeft"][-1] > 0.6 > 0.1 > large["eyeBlinkRight"][-1]
    assert small["eyeBlinkLeft"][-1] == pytest.approx(small["eyeBlinkRight"][-1], abs=0.1)
    assert 0.2 < small["eyeBlinkRight"][-1] < 0.6
    # The left eye of a head that is turned to its left is the hidden one.
    hidden, shown = (curves_of(turned_left(wink, degrees))[0] for degrees in (32.0, -32.0))
    assert max(hidden["eyeBlinkLeft"], hidden["eyeBlinkRight"]) < 0.1
    assert min(shown["eyeBlinkLeft"], shown["eyeBlinkRight"]) > 0.5


def test_size_place_and_roll_do_not_count() -> None:
    angle = np.radians(25.0)
    roll = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shifted = [1.7 * points @ roll + [300.0, -20.0, 5.0] for points in [REST] * 9 + [FACES["jawOpen", 0, 0]]]
    found = face.face_curves(np.array(shifted, dtype=np.float32), FPS, 0.0)
    (plain,) = curves_of(FACES["jawOpen", 0, 0])
    for name, value in plain.items():
        assert abs(float(found[name][-1]) - value) < 0.02, name


def test_an_open_mouth_all_the_time_is_still_open() -> None:
    always = np.array([FACES["jawOpen", 0, 0]] * 20, dtype=np.float32)
    assert face.face_curves(always, FPS)["jawOpen"].min() > 0.6


def test_a_glance_aside_all_the_time_is_a_glance() -> None:
    aside = moved(REST, dict.fromkeys((468, 473), (0.04, 0.0, 0.0)))
    curves = face.face_curves(np.array([aside] * 20, dtype=np.float32), FPS)
    assert min(curves[name].min() for name in ("eyeLookOutLeft", "eyeLookInRight")) > 0.3
    assert max(curves[name].max() for name in ("eyeLookInLeft", "eyeLookOutRight")) == 0.0


def test_where_no_face_is_seen_there_are_no_values() -> None:
    clip = np.array([REST] * 20 + [FACES["jawOpen", 0, 0]] * 20, dtype=np.float32)
    clip[5:9] = np.nan
    turned = clip[30] * [1.0, -1.0, -1.0]
    yaw = np.radians(75.0)
    clip[30] = turned @ np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]) * [1.0, -1.0, -1.0]
    unseen = [5, 6, 7, 8, 30]  # not seen, and seen from the side
    for values in face.face_curves(clip, FPS).values():
        assert np.flatnonzero(np.isnan(values)).tolist() == unseen
        assert ((values >= 0) & (values <= 1))[~np.isnan(values)].all()
    nothing = face.face_curves(np.full_like(clip, np.nan), FPS)
    assert all(np.isnan(values).all() for values in nothing.values())


def test_smoothing_calms_noise_and_keeps_blinks() -> None:
    random = np.random.default_rng(1)
    clip = np.tile(REST, (90, 1, 1))
    clip[[40, 41, 42]] = FACES["eyeBlinkLeft", 0, 0]
    clip = (clip + random.normal(scale=0.4, size=clip.shape)).astype(np.float32)
    rough, calm = (face.face_curves(clip, FPS, smooth) for smooth in (0.0, 0.4))
    assert calm["eyeBlinkLeft"][41] > 0.6
    assert calm["eyeBlinkLeft"][[30, 52]].max() < 0.1
    noise = [sum(np.abs(np.diff(values)).sum() for name, values in one.items() if "Blink" not in name) for one in (rough, calm)]
    assert noise[1] < 0.6 * noise[0]


# Where the face is looked for.


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


# In a capture.


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


# Carried by motions, and in files.


def with_face(frames: int = 30) -> Motion:
    jaw = np.linspace(0.0, 1.0, frames)
    blink = np.where((np.arange(frames) >= 10) & (np.arange(frames) < 20), np.nan, 0.5)
    return replace(body_motion(frames), curves={"jawOpen": jaw, "eyeBlinkLeft": blink, "mouthPucker": 1 - jaw})


def test_curves_are_cut_and_looped_with_their_motion() -> None:
    motion = with_face(60)
    part = cut(motion, 0.5, 1.0)
    assert np.array_equal(part.curves["jawOpen"], motion.curves["jawOpen"][15:30])
    again = looped(replace(motion, rotations=np.tile(motion.rotations[:1], (60, 1, 1))))
    jaw = again.curves["jawOpen"]
    assert len(jaw) == len(again)
    assert jaw[len(jaw) // 3] == motion.curves["jawOpen"][len(jaw) // 3]
    assert jaw[-1] < 0.3 * motion.curves["jawOpen"][len(jaw) - 1], "the end turns into the beginning"
    assert np.isnan(again.curves["eyeBlinkLeft"][12])


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_files_keep_curves_and_their_gaps(suffix: str, tmp_path: Path) -> None:
    motion = with_face()
    sp.save(motion, tmp_path / f"a.{suffix}")
    again = sp.load_motion(tmp_path / f"a.{suffix}")
    assert list(again.curves) == list(motion.curves)
    for name, values in motion.curves.items():
        np.testing.assert_allclose(again.curves[name], values, atol=6e-4)
    sp.save(replace(motion, curves={}), tmp_path / f"b.{suffix}")
    assert not sp.load_motion(tmp_path / f"b.{suffix}").curves


HOSTILE = {
    "huge values": ("jawOpen", np.full(30, 1e300)),
    "infinite values": ("jawOpen", np.full(30, np.inf)),
    "values below 0": ("jawOpen", np.full(30, -0.1)),
    "too few values": ("jawOpen", np.zeros(29)),
    "a table": ("jawOpen", np.zeros((30, 2))),
    "one value": ("jawOpen", np.array(0.5)),
    "text": ("jawOpen", np.array(["a"] * 30)),
    "a name that is none": ("../jaw\n", np.zeros(30)),
    "no name": ("", np.zeros(30)),
    "a long name": ("j" * 65, np.zeros(30)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_curves_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    name, values = HOSTILE[what]
    sp.save(body_motion(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as data:
        content = {key: data[key] for key in data.files}
    np.savez(tmp_path / "b.npz", **content, **{f"motion.curves.{name}": values})
    sp.save(body_motion(), tmp_path / "a.json")
    described = json.loads((tmp_path / "a.json").read_text())
    described["people"][0]["curves"] = {name: values.tolist()}
    (tmp_path / "b.json").write_text(json.dumps(described))
    for suffix in ("npz", "json"):
        with pytest.raises(FormatError) as error:
            sp.load_motion(tmp_path / f"b.{suffix}")
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 400


def test_too_many_curves_are_refused(tmp_path: Path) -> None:
    motion = body_motion(2)
    curves = {f"curve{number}": np.zeros(2) for number in range(201)}
    with pytest.raises(ValueError, match="201 curves"):
        replace(motion, curves=curves)
    sp.save(replace(motion, curves=dict(list(curves.items())[:200])), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text().replace('"curve0":', '"more":[0,0],"curve0":')
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError, match="201 curves"):
        sp.load_motion(tmp_path / "a.json")


def test_too_many_arrays_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sp.save(body_motion(2), tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        for number in range(1000):
            archive.writestr(f"motion.curves.c{number}.npy", b"")
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("a member was read"))
    with pytest.raises(FormatError, match="arrays; the limit is 1000"):
        sp.load_motion(tmp_path / "a.npz")


ODD_CURVES = [
    "[]",
    "[1]",
    '"jawOpen"',
    "3",
    "null",
    '{"jawOpen": 3}',
    '{"jawOpen": [[1]]}',
    '{"jawOpen": ["0.5"]}',
    '{"jawOpen": [true]}',
]


@pytest.mark.parametrize("curves", ODD_CURVES)
def test_json_of_other_kinds_is_refused(curves: str, tmp_path: Path) -> None:
    sp.save(body_motion(1), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"fps":', f'"curves":{curves},"fps":', 1))
    with pytest.raises(FormatError, match=r"not an object of lists|not a list of numbers"):
        sp.load_motion(tmp_path / "a.json")


def test_what_cannot_hold_a_face_says_so_once_and_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sp.save(with_face(), tmp_path / "a.bvh")
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "left out the face, which a .bvh does not hold; use .vrma, .json, .npz, or .glb with --skeleton and without --rig"
    ]
    assert len(sp.load_motion(tmp_path / "a.bvh")) == 30
    caplog.clear()
    sp.save(body_motion(), tmp_path / "b.bvh")
    for suffix in ("npz", "json", "vrma"):
        sp.save(with_face(), tmp_path / f"c.{suffix}")
    assert not caplog.records


def test_gaps_fade_to_rest() -> None:
    curve = np.array([0.8] * 10 + [np.nan] * 40 + [0.4] * 10)
    filled = without_gaps({"a": curve, "b": np.full(60, np.nan)}, FPS)
    assert np.array_equal(filled["a"][:10], curve[:10])
    assert (np.diff(filled["a"][9:16]) < 0).all()
    assert (filled["a"][16:44] == 0).all()
    assert 0.2 < filled["a"][48] < 0.4
    assert not filled["b"].any()


def test_info_counts_the_frames_in_which_any_curve_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blink = with_face().curves["eyeBlinkLeft"]  # not known in 10 of 30 frames
    for number, curves in enumerate([{"eyeBlinkLeft": blink, "jawOpen": np.zeros(30)}, {"eyeBlinkLeft": blink}]):
        sp.save(replace(body_motion(30), curves=curves), tmp_path / f"{number}.npz")
        assert run(["info", str(tmp_path / f"{number}.npz")]) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "face:" in line]
        assert line.split("face:")[1].strip() == ("100 %", "67 %")[number]


def test_shapes_are_found_under_their_usual_names() -> None:
    names = [
        "eyeBlink_L",
        "EYE_BLINK_RIGHT",
        "face.jawOpen",
        "blendShape1:mouthSmile_R",
        "Mouth Left",
        "jaw",
        "browInnerUpX",
        "smile",
    ]
    assert matched(names, ARKIT) == {
        "eyeBlink_L": "eyeBlinkLeft", "EYE_BLINK_RIGHT": "eyeBlinkRight", "face.jawOpen": "jawOpen",
        "blendShape1:mouthSmile_R": "mouthSmileRight", "Mouth Left": "mouthLeft",
    }  # fmt: skip


def hero_with_shapes(path: Path, names: list[str], targets: int | None = None) -> None:
    """A character whose hat has morph targets of these names."""
    write_hero(path)
    builder = GltfBuilder(GltfFile(path))
    place = builder.array(np.eye(3), "VEC3", bounds=True)
    mesh: dict[str, Any] = builder.content["meshes"][0]
    mesh["primitives"][0]["targets"] = [{"POSITION": place} for _ in range(len(names) if targets is None else targets)]
    mesh["extras"], mesh["weights"] = {"targetNames": names}, [0.25] * len(names)
    builder.write(path)


def test_the_morph_targets_of_a_character_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hero, out = tmp_path / "hero.glb", tmp_path / "talk.glb"
    hero_with_shapes(hero, ["horns", "JawOpen", "eyeBlink_L"])
    sp.save(with_face(), tmp_path / "a.npz")
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(out), "--skeleton", str(hero)]) == 0
    file = pygltflib.GLTF2().load_binary(str(out))
    (channel,) = [one for one in file.animations[0].channels if one.target.path == "weights"]
    assert file.nodes[channel.target.node].name == "hat"
    values = values_of(file, file.animations[0].samplers[channel.sampler].output).reshape(30, 3)
    expected = without_gaps(with_face().curves, FPS)
    np.testing.assert_allclose(values[:, 0], 0.25)
    np.testing.assert_allclose(values[:, 1], expected["jawOpen"], atol=1e-6)
    np.testing.assert_allclose(values[:, 2], expected["eyeBlinkLeft"], atol=1e-6)
    assert not caplog.records
    hero_with_shapes(hero, ["horns"])
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(hero)]) == 0
    assert "no mesh of" in caplog.records[-1].getMessage()
    assert caplog.records[-1].getMessage().startswith(f"{tmp_path / 'b.glb'}: ")


def test_the_weights_of_all_morph_targets_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hero = tmp_path / "hero.glb"
    hero_with_shapes(hero, ["horns", "JawOpen", "eyeBlink_L"])
    sp.save(with_face(), tmp_path / "a.npz")
    words = ["convert", str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(hero)]
    monkeypatch.setattr(glb_character, "_MOST_WEIGHTS", 3 * 30 - 1)
    assert run(words) == 2
    assert "too many morph targets" in capsys.readouterr().err
    assert not (tmp_path / "b.glb").exists()
    monkeypatch.setattr(glb_character, "_MOST_WEIGHTS", 3 * 30)
    assert run(words) == 0, "control"


ODD: dict[str, dict[str, Any]] = {
    "extras that are no object": {"extras": "jawOpen"},
    "names that are no list": {"extras": {"targetNames": "jawOpen"}},
    "more names than targets": {"extras": {"targetNames": ["jawOpen", "eyeBlinkLeft", "horns"]}},
    "fewer weights than targets": {"weights": [0.5]},
    "weights that are no numbers": {"weights": [0.5, "much"]},
}


@pytest.mark.parametrize("what", ODD)
def test_morph_targets_that_do_not_fit_their_names_stay(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hero, out = tmp_path / "hero.glb", tmp_path / "talk.glb"
    hero_with_shapes(hero, ["jawOpen", "eyeBlinkLeft"])
    builder = GltfBuilder(GltfFile(hero))
    builder.content["meshes"][0] |= ODD[what]
    builder.write(hero)
    sp.save(with_face(), tmp_path / "a.npz")
    assert run(["convert", str(tmp_path / "a.npz"), "-o", str(out), "--skeleton", str(hero)]) == 0
    (animation,) = GltfFile(out).content["animations"]
    paths = {channel["target"]["path"] for channel in animation["channels"]}
    assert "rotation" in paths
    assert "weights" not in paths
    assert "no mesh of" in caplog.records[-1].getMessage()


def test_expressions_of_a_vrm_avatar_follow(tmp_path: Path) -> None:
    sp.save(replace(with_face(), curves=dict.fromkeys(ARKIT, np.zeros(30)) | dict(with_face().curves)), tmp_path / "a.vrma")
    file = GltfFile(tmp_path / "a.vrma")
    described = file.content["extensions"]["VRMC_vrm_animation"]
    nodes = {name: one["node"] for name, one in described["expressions"]["preset"].items()}
    assert set(nodes) == {"blinkLeft", "blinkRight", "aa", "oh", "ou"}
    animation = file.content["animations"][0]
    weights = {}
    for name, node in nodes.items():
        (channel,) = [one for one in animation["channels"] if one["target"]["node"] == node]
        assert channel["target"]["path"] == "translation"
        weights[name] = file.array(animation["samplers"][channel["sampler"]]["output"])
        assert file.content["nodes"][node]["name"] == name
        assert (weights[name][:, 1:] == 0).all()
    jaw = np.linspace(0.0, 1.0, 30)
    np.testing.assert_allclose(weights["ou"][:, 0], 1 - jaw, atol=1e-6)
    np.testing.assert_allclose(weights["aa"][:, 0], jaw * jaw, atol=1e-6)
    humanoid = {one["node"] for one in described["humanoid"]["humanBones"].values()}
    assert not humanoid & set(nodes.values())
    assert len(sp.load_motion(tmp_path / "a.vrma")) == 30
    sp.save(body_motion(), tmp_path / "b.vrma")
    assert "expressions" not in GltfFile(tmp_path / "b.vrma").content["extensions"]["VRMC_vrm_animation"]


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
