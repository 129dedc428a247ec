"""The options of a capture: one home, checked, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stpose_core.errors import OptionError, StposeError
from stpose_core.options import CaptureOptions, read_options


def test_options_come_back_from_json() -> None:
    options = CaptureOptions(person="2", start=1.5, end=3, fov=60.0, refine=False, weights=Path("a.safetensors"))  # type: ignore[arg-type]
    again = CaptureOptions.from_json(options.to_json())
    assert again == options
    assert again.weights == "a.safetensors"
    assert CaptureOptions.from_json("{}") == CaptureOptions()
    assert CaptureOptions.from_json('{"smooth": 0.1}') != CaptureOptions()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"smooth": 1.5}, "smooth must be from 0 to 1"),
        ({"smooth": float("nan")}, "smooth"),
        ({"smooth": "0.4"}, "smooth must be of type float"),
        ({"smooth": True}, "smooth must be of type float"),
        ({"refine": 1}, "refine must be of type bool"),
        ({"hands": "yes"}, "hands must be of type bool"),
        ({"person": "0"}, "person"),
        ({"person": "tallest"}, "person"),
        ({"person": 1}, "person must be of type str"),
        ({"device": "gpu"}, "device"),
        ({"camera": "drone"}, "camera"),
        ({"units": "inch"}, "units"),
        ({"start": -1.0}, "start must be 0 or more"),
        ({"start": 4.0, "end": 2.0}, "is empty"),
        ({"end": 0.0}, "is empty"),
        ({"fps": 0.2}, "fps"),
        ({"focal": 0.0}, "focal"),
        ({"fov": 180.0}, "fov"),
        ({"focal": 900.0, "fov": 60.0}, "one of them"),
        ({"camera_height": 0.0}, "camera_height must be from 0.05 to 100"),
        ({"camera_pitch": 90.0}, "camera_pitch must be from -89 to 89"),
        ({"actor_height": 18.0}, "actor_height must be from 0.3 to 3"),
        ({"camera_height": 1.5, "actor_height": 1.8}, "one of them"),
        ({"colour": "red"}, "unknown option colour"),
    ],
)
def test_wrong_options_are_refused_with_their_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        CaptureOptions.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"smooth": 1e999}', "[" * 100_000, " " * 2_000_000])
def test_text_that_is_no_options_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        CaptureOptions.from_json(text)


def test_a_file_of_options_names_itself_in_errors(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with pytest.raises(StposeError, match=r"options\.json"):
        read_options(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(StposeError, match=r"options\.json"):
        read_options(file)
    file.write_text('{"smooth": 7}')
    with pytest.raises(StposeError, match=r"options\.json: smooth"):
        read_options(file)
    file.write_text('{"smooth": 0.7}')
    assert read_options(file).smooth == 0.7


def test_a_known_field_of_view_gives_the_camera() -> None:
    assert CaptureOptions().camera_of((1920, 1080)) is None
    camera = CaptureOptions(fov=90.0).camera_of((1080, 1920))
    assert camera is not None
    assert camera.focal == pytest.approx(960)
    assert camera.centre == (540, 960)
    known = CaptureOptions(focal=1400.0).camera_of((1920, 1080))
    assert known is not None
    assert known.focal == 1400


def test_a_file_of_options_may_not_name_code(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text('{"detector": "package.module:Class"}')
    with pytest.raises(OptionError, match=r"options\.json: detector: a file may not name a class"):
        read_options(file)
    # The command line and the library may; and other detectors may stand in a file.
    assert CaptureOptions(detector="package.module:Class").detector == "package.module:Class"
    for detector in ("builtin", "models/pose.onnx", "joints.json"):
        file.write_text(json.dumps({"detector": detector}))
        assert read_options(file).detector == detector
