"""Detectors for batches in processes of their own: --detector batch_kit:Once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from fakes import BarDetector

from stpose_core.detect.types import Box, Pose2D

# Where the detectors of a test leave notes.
NOTES = "STPOSE_TEST_NOTES"


def note(name: str) -> Path:
    return Path(os.environ[NOTES]) / name


class Once(BarDetector):
    """Kills its process in the middle of a video, once for a folder of notes."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if self.looked == 5:
            try:
                note("killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().pose(image, box)


class Always(BarDetector):
    """Kills its process in every bright-bar video that is filmed at 30 pixels' height or more from the left edge."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Slow(BarDetector):
    """Takes a twentieth of a second for a picture, and notes its process."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        note(str(os.getpid())).touch()
        time.sleep(0.05)
        return super().pose(image, box)
