"""RTMPose through rtmlib and onnxruntime: Halpe-26 joints, a person search by YOLOX. Its weights are downloaded on first use.

https://github.com/Tau-J/rtmlib (Apache-2.0); Jiang et al., RTMPose, arXiv 2303.07399.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from stpose_core.detect.likeness import extent
from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D
from stpose_core.errors import DetectorError

MODES = ("lightweight", "balanced", "performance")
NEAR_EDGE = 0.08  # joints end inside the body's outline: the next box is larger than their extent by this share on each side


class RTMPoseDetector(Detector):
    """mode: lightweight, balanced or performance, as rtmlib names its models. device: cpu, cuda or mps.

    Raises DetectorError if rtmlib is missing or its weights cannot be loaded.
    """

    name = "rtmpose"
    skeleton = "halpe26"

    def __init__(self, mode: str = "balanced", device: str = "cpu") -> None:
        if mode not in MODES:
            raise DetectorError(f"unknown rtmpose mode '{mode}'; choose one of {', '.join(MODES)}")
        try:
            rtmlib = importlib.import_module("rtmlib")
            importlib.import_module("onnxruntime")
        except ImportError as error:
            raise DetectorError(
                f"rtmpose cannot be imported ({error}); install it with: pip install '.[rtmpose]' (in the repository)"
            ) from error
        try:
            with redirect_stdout(sys.stderr):  # rtmlib prints what it loads; standard output is the command's
                model = rtmlib.BodyWithFeet(mode=mode, backend="onnxruntime", device=device)
        except Exception as error:  # whatever its download or onnxruntime raise: there is no common class
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise DetectorError(
                f"rtmpose cannot load its weights ({reason}); it downloads them on first use, so connect once, "
                "or use --detector mediapipe or a keypoint file"
            ) from error
        self._search: Any = model.det_model
        self._pose: Any = model.pose_model

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """The people in the whole picture. YOLOX keeps those it scores 0.7 and more, and does not tell the scores."""
        boxes = np.asarray(self._search(image[:, :, ::-1]), dtype=float).reshape(-1, 4)
        return [Box(*(float(v) for v in box)) for box in boxes]

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The 26 joints of the person in the box."""
        xy, raw = self._pose(image[:, :, ::-1], bboxes=[[box.x0, box.y0, box.x1, box.y1]])
        xy, score = np.asarray(xy, dtype=float)[0], calibrate(np.asarray(raw, dtype=float)[0])
        around = extent(xy, score)
        grow = NEAR_EDGE * around.size
        following = Box(around.x0 - grow, around.y0 - grow, around.x1 + grow, around.y1 + grow)
        # The top-down network gives a pose for anything; on furniture most of its peaks are low.
        return Pose2D(xy, score, presence(score), following)


def calibrate(raw: Floats) -> Floats:
    """Heights of the SimCC peaks (0 to about 1) as scores.

    Not measured: the peak is passed on, cut to 0..1. rtmlib itself draws the joints from 0.43 on.
    """
    return np.clip(raw, 0.0, 1.0)


def presence(score: Floats) -> float:
    """0..1 how likely there is a person: the mean of the better half of the joints, 0.25 as none and 0.55 as sure.

    A rule, not a measurement: half of the joints may be hidden or outside of the picture.
    """
    better = np.sort(score)[len(score) // 2 :].mean()
    return float(np.clip((better - 0.25) / 0.3, 0.0, 1.0))
