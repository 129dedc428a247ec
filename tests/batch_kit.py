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


def die_once() -> None:
    """Kill this process, once for a folder of notes."""
    try:
        note("killed").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class Once(BarDetector):
    """Kills its process in the middle of a video, once for a folder of notes."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if self.looked == 5:
            die_once()
        return super().pose(image, box)


class Feedback(BarDetector):
    """Its joints and its next box depend on the box that it looks in, with noise that does not fade, as those of networks do."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        pose = super().pose(image, box)
        if not pose.presence:
            return pose
        rough = 1e4 * np.array([box.x0, box.y0, box.x1, box.y1])
        noise = 0.25 * np.sin(rough[:2] + rough[2:])
        off = np.array([box.x0 - pose.box.x0, box.y0 - pose.box.y0])
        return Pose2D(pose.xy + noise, pose.score, pose.presence, pose.box.moved(0.2 * off + noise))


class FeedbackOnce(Feedback):
    """The same; kills its process in the middle of a video, once for a folder of notes."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if self.looked == 100:
            die_once()
        return super().pose(image, box)


class Always(BarDetector):
    """Kills its process in every bright-bar video that is filmed at 30 pixels' height or more from the left edge."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Slow(BarDetector):
    """Takes a twentieth of a second for a picture, and notes its process."""

    pause = 0.05

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        note(str(os.getpid())).touch()
        time.sleep(self.pause)
        return super().pose(image, box)


class SlowOnce(Slow):
    """Slow, and kills its process in the middle of a video, once for a folder of notes."""

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        if self.looked == 5:
            die_once()
        return super().pose(image, box)


class LessSlow(Slow):
    """Takes a few thousandths of a second."""

    pause = 0.003
