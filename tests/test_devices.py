"""The device of the command reaches every detector, also the one that `auto` chooses; one that is not there is refused."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import film, lift_standing
from stpose_cli.main import run as stpose
from test_builtin import write_detector
from test_detect_models import missing

import stpose_core.lift
from stpose_core import detect
from stpose_core.detect import builtin, finder, load_detector, mediapipe, mediapipe_task, onnx_finder, onnx_pose
from stpose_core.detect.rtmpose import FILES
from stpose_core.errors import DetectorError, StposeError
from stpose_core.pipeline import capture_people, choose_device, open_detector


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the machine had one."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that networks of the built-in detector are made for; what ships is a tiny one."""
    made: list[str] = []

    def make(network: object, device: str = "cpu", shape: object = None) -> Any:
        made.append(device)
        return types.SimpleNamespace(description="nothing")

    folder = write_detector(tmp_path / "weights", passed=True)
    for module in (builtin, finder):
        monkeypatch.setattr(module, "make_runner", make)
    for module in (builtin, detect):
        monkeypatch.setattr(module, "DETECTOR", folder)
    return made


@pytest.fixture
def rtmpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is opened for which device by a model of RTMPose, with the built-in finder beside it."""
    opened: list[tuple[str, str]] = []

    def network(path: Path, device: str) -> Any:
        opened.append(("pose", device))
        return types.SimpleNamespace(size=(192, 256), outputs={"simcc_x": (1, 26, 384), "simcc_y": (1, 26, 512)})

    monkeypatch.setattr(onnx_pose, "OnnxNetwork", network)
    monkeypatch.setattr(onnx_finder, "Finder", lambda weights, device: opened.append(("finder", device)))
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    (tmp_path / f"{FILES['balanced']}.onnx").touch()
    return opened


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(("device", "place"), [("cuda", "cuda"), ("auto", "cuda"), ("cpu", "cpu")])
def test_the_built_in_detector_runs_where_it_is_told_to(networks: list[str], tmp_path: Path, device: str, place: str) -> None:
    for name in ("builtin", "auto", tmp_path / "weights"):
        networks.clear()
        assert open_detector(name, device).name == "builtin"
        assert networks == [place, place], name


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(("device", "pose", "search"), [("cuda", "cuda", "cuda"), ("auto", "auto", "cuda"), ("cpu", "cpu", "cpu")])
@pytest.mark.parametrize("name", ["rtmpose", "auto"])
def test_rtmpose_runs_where_it_is_told_to(
    rtmpose: list[tuple[str, str]], name: str, device: str, pose: str, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(monkeypatch, "mediapipe")
    monkeypatch.setattr(detect, "has_passed", lambda weights: False)
    monkeypatch.setattr("stpose_core.detect.sessions.runtime", lambda: "onnxruntime")
    assert open_detector(name, device).name == "rtmpose"
    assert rtmpose == [("pose", pose), ("finder", search)]


def test_mediapipe_takes_a_device_and_runs_on_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def made(*given: object) -> Any:
        return types.SimpleNamespace(given=given)

    monkeypatch.setattr(mediapipe, "MediaPipeDetector", made)
    monkeypatch.setattr(mediapipe_task, "MediaPipeTaskDetector", made)
    monkeypatch.setattr(mediapipe, "bundled_models", lambda: None)
    monkeypatch.setattr(detect, "has_passed", lambda weights: False)
    for name, before in (("mediapipe", ()), ("auto", ()), (tmp_path / "pose.task", (str(tmp_path / "pose.task"),))):
        detector: Any = open_detector(name, "cpu")
        assert detector.given == (*before, "cpu")


def without_cuda(load: Callable[[], object]) -> None:
    with pytest.raises(StposeError, match="no cuda device on this machine") as caught:
        load()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("networks", "rtmpose")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    without_cuda(lambda: choose_device("cuda"))
    for name in ("builtin", "auto", "rtmpose", "mediapipe", tmp_path / "weights"):
        without_cuda(lambda name=name: load_detector(name, "cuda"))  # type: ignore[misc]
    video = film(tmp_path / "a.mp4")
    without_cuda(lambda: capture_people(video, detector="builtin", device="cuda"))


def test_the_command_hands_the_device_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[object, str]] = []

    def load(name: object, device: str) -> Any:
        asked.append((name, device))
        raise DetectorError("enough")

    monkeypatch.setattr("stpose_core.pipeline.load_detector", load)
    monkeypatch.setattr("stpose_core.load_detector", load)
    monkeypatch.setattr("stpose_core.devices.choose_device", lambda name: name)
    monkeypatch.setattr(stpose_core.lift, "load_lifter", lambda path=None, device="cpu": lift_standing)
    video, picture = film(tmp_path / "a.mp4"), tmp_path / "a.png"
    picture.write_bytes(b"")
    for name in ("auto", "builtin", "rtmpose", "mediapipe"):
        arguments = ["--detector", name, "--device", "cuda"]
        assert stpose(["mocap", str(video), "-o", str(tmp_path / "a.bvh"), "--progress", "none", *arguments]) == 2
        assert stpose(["pose", str(picture), "-o", str(tmp_path / "a.json"), *arguments]) == 2
        assert asked[-2:] == [(name, "cuda")] * 2
    assert set(capsys.readouterr().err.splitlines()) == {"stpose: enough"}


def test_torch_runs_where_it_is_told_to() -> None:
    """On a device that only keeps shapes, as there may be no other here."""
    import torch

    from stpose_core.detect.torch_runner import TorchRunner

    runner = TorchRunner(torch.nn.Conv2d(3, 4, 1), "meta")
    assert {values.device.type for values in runner._network.parameters()} == {"meta"}
    assert "on meta" in runner.description
    on_processor = TorchRunner(torch.nn.Conv2d(3, 4, 1))
    assert {values.device.type for values in on_processor._network.parameters()} == {"cpu"}
