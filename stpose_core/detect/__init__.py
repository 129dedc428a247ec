"""2D joints: detectors that process pictures, and keypoint files of other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from stpose_core.detect.custom import is_class_name, load_class
from stpose_core.detect.keypoint_file import KeypointFile
from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.errors import DetectorError, WeightsError
from stpose_core.extras import how_to_install
from stpose_core.weights import DETECTOR, FINDER_FILE, SPATIAL_FILE, read_config

__all__ = ["Box", "Detector", "KeypointFile", "Pose2D", "load_detector"]

NAMES = ("auto", "builtin", "mediapipe", "rtmpose")


def load_detector(name_or_path: str | Path = "auto", device: str = "auto", **options: Any) -> Detector | KeypointFile:
    """Load a detector by its name, the path of its model, or its class; or a keypoint file or folder by its path.

    auto: the built-in detector if its weights are present and have passed (see `benchmarks/builtin.py`), else mediapipe if it is
    installed, else rtmpose if its model is present, else the built-in detector. builtin: options `weights` (a folder with
    spatial.safetensors and finder.safetensors) and `mirrored`; the path of such a folder has the same effect. mediapipe: option
    `model` (a pose_landmarker .task file, required by versions after 0.10.21, whose wheel has no models). rtmpose: a published
    model (see `stpose_core.detect.rtmpose`); options `mode`, `finder`. An .onnx file: any pose network that
    `stpose_core.detect.onnx_pose` supports; option `finder`. package.module:Class: a `Detector` of your own, created with the
    options. Any other path: keypoints; options `fps`, `image_size`.
    device: "auto", "cpu", "cuda" or "mps". Passed to every detector, and to your own if it accepts the argument. MediaPipe always
    runs on the CPU.
    Raises DetectorError if the detector is unknown, not installed, cannot load its model or cannot run on the device; StposeError
    if this machine does not have the device; FormatError for a damaged keypoint file.
    """
    name = str(name_or_path)
    if name == "auto":
        name = _chosen()
    if name == "builtin":
        return _builtin(device=device, **options)
    if name == "mediapipe":
        return _mediapipe(device=device, **options)
    if name == "rtmpose":
        return _rtmpose(device=device, **options)
    if Path(name).suffix.lower() == ".onnx":
        return _onnx(name, device=device, **options)
    if Path(name).suffix.lower() == ".task":
        return _mediapipe(model=name, device=device, **options)
    if os.path.isfile(os.path.join(name, SPATIAL_FILE)):
        return _builtin(weights=name, device=device, **options)
    if os.path.exists(name):  # also False for an invalid file name
        return KeypointFile(name, **options)
    if is_class_name(name):
        return load_class(name, device=device, **options)
    raise DetectorError(
        f"no detector '{name}', and no file of that name; known: {', '.join(NAMES)}, an .onnx model, package.module:Class, "
        "or a path of keypoints"
    )


def _mediapipe(model: str | Path | None = None, device: str = "auto") -> Detector:
    if model is not None:
        from stpose_core.detect.mediapipe_task import MediaPipeTaskDetector

        return MediaPipeTaskDetector(model, device)
    from stpose_core.detect.mediapipe import MediaPipeDetector

    return MediaPipeDetector(device)


def _rtmpose(mode: str | None = None, **options: Any) -> Detector:
    from stpose_core.detect.rtmpose import find_rtmpose

    return _onnx(find_rtmpose(mode), name="rtmpose", **options)


def _onnx(model: str | Path, **options: Any) -> Detector:
    from stpose_core.detect.onnx_pose import OnnxDetector

    return OnnxDetector(model, **options)


def _builtin(**options: Any) -> Detector:
    from stpose_core.detect.builtin import BuiltinDetector

    return BuiltinDetector(**options)


def _chosen() -> str:
    """The detector that `auto` selects. MediaPipe counts only if its wheel contains the models."""
    if has_passed(DETECTOR):
        return "builtin"
    from stpose_core.detect.mediapipe import bundled_models

    try:
        bundled_models()
        return "mediapipe"
    except DetectorError as error:
        missing = error
    if _has_rtmpose():
        return "rtmpose"
    if all((DETECTOR / name).is_file() for name in (SPATIAL_FILE, FINDER_FILE)):
        return "builtin"
    raise DetectorError(
        "no detector is installed; give an .onnx model or a file of keypoints, or add a detector. "
        f"{missing}. rtmpose: {how_to_install('onnx')}"
    )


def has_passed(weights: Path) -> bool:
    """Whether a folder contains a built-in detector that passed its benchmark: accurate joints on footage with a reference, no
    detection in empty scenes, new people found soon. benchmarks/builtin.py records the result in the weights file."""
    try:
        spatial, _ = read_config(weights / SPATIAL_FILE, "spatial"), read_config(weights / FINDER_FILE, "finder")
    except WeightsError:
        return False
    return spatial.get("passed") is True


def _has_rtmpose() -> bool:
    """Whether there is a model of RTMPose and a package that runs it."""
    from stpose_core.detect.rtmpose import find_rtmpose
    from stpose_core.detect.sessions import runtime

    try:
        find_rtmpose()
    except DetectorError:
        return False
    return runtime() is not None
