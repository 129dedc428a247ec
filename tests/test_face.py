"""A face: landmarks become curves named as ARKit's blend shapes.

fixtures/rendered_face.npz holds what MediaPipe's face network sees in pictures of a rendered head that was not used to measure
lift/face.json: `python benchmarks/face_responses.py --folder FOLDER --people 2 --landmarks FILE`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpose_core.data import Array
from stpose_core.lift import face
from stpose_core.retarget.curves import ARKIT

FPS = 30.0


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


def test_a_turned_head_moves_hardly_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = [points for (name, yaw, pitch), points in FACES.items() if not name and (yaw, pitch) != (0, 0)]
    assert len(turned) == 16
    found = curves_of(*turned)
    assert np.mean([list(one.values()) for one in found]) < 0.01
    assert max(max(one.values()) for one in found) < 0.35
    monkeypatch.setattr(face, "face_shapes", unaligned)  # the control
    assert max(max(one.values()) for one in curves_of(*turned)) > 0.6


def unaligned(points: Array) -> tuple[Array, Array]:
    """As `face.face_shapes` of heads that it takes for unturned."""
    size = np.linalg.norm(points[:, face.LANDMARKS.index(33)] - points[:, face.LANDMARKS.index(263)], axis=-1)
    return points * np.array([1.0, -1.0, -1.0]) / size[:, None, None], np.tile(np.eye(3), (len(points), 1, 1))


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
