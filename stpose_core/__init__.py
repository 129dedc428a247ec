"""Markerless 3D motion capture: video in, animated skeleton out.

    import stpose_core as sp
    capture = sp.capture("walk.mp4")              # .keypoints .pose3d .motion, at the video's frame rate
    sp.save(capture.motion, "walk.bvh")           # the suffix chooses the format

Everything is loaded on first use: importing this package loads neither torch nor OpenCV.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stpose_core.data import Camera, Capture, Keypoints, Motion, Pose3D
    from stpose_core.detect import load_detector
    from stpose_core.errors import StposeError
    from stpose_core.formats import load_capture, load_motion, load_people, save
    from stpose_core.lift import load_lifter
    from stpose_core.pipeline import capture, capture_people

# ONNX Runtime's builds report to Microsoft unless this is set before the package is imported. A value of the user's own counts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "Capture",
    "Keypoints",
    "Motion",
    "Pose3D",
    "StposeError",
    "capture",
    "capture_people",
    "load_capture",
    "load_detector",
    "load_lifter",
    "load_motion",
    "load_people",
    "save",
]

_HOMES = {
    "Camera": "data",
    "Capture": "data",
    "Keypoints": "data",
    "Motion": "data",
    "Pose3D": "data",
    "StposeError": "errors",
    "capture": "pipeline",
    "capture_people": "pipeline",
    "load_capture": "formats",
    "load_detector": "detect",
    "load_lifter": "lift",
    "load_motion": "formats",
    "load_people": "formats",
    "save": "formats",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stpose_core' has no attribute '{name}'")
    return getattr(import_module(f"stpose_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
