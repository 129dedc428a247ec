"""What the targets of tools/fuzz.py share: how a reader is called, and a small capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stpose_core.animate.body import NAMES, Rest, parents, rest_offsets
from stpose_core.data import Camera, Capture, Keypoints, Motion, Pose3D
from stpose_core.errors import StposeError
from stpose_core.frames import VideoInfo

CUT = b"\n%%%\n"
"""Separates two parts of one input."""


@dataclass(frozen=True)
class Reader:
    """read: runs the reader on an input, which it writes to a folder. seeds: valid inputs. words: tokens of the format."""

    read: Callable[[bytes, Path], None]
    seeds: Callable[[Path], list[bytes]]
    words: tuple[bytes, ...] = ()


def attempt(*readers: Callable[[], object]) -> None:
    """Call each reader. StposeError is a valid result, other exceptions are not."""
    for reader in readers:
        try:
            reader()
        except StposeError as error:
            if len(str(error)) > 1000 or "\n" in str(error):
                raise AssertionError(f"an error of several lines, or of {len(str(error))} characters") from error


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def small_capture(frames: int = 5) -> Capture:
    """A short capture of a rig with known joint names."""
    random = np.random.default_rng(0)
    sides = [(f"{side}{name}", parent) for side in ("Left", "Right") for name, parent in
             (("UpLeg", 0), ("Leg", -1), ("Foot", -1), ("Arm", 1), ("ForeArm", -1), ("Hand", -1))]  # fmt: skip
    names, parents = ["Hips", "Neck", "Head"], [-1, 0, 1]
    for name, parent in sides:
        parents.append(parent if parent >= 0 else len(names) - 1)
        names.append(name)
    rotations = random.normal(size=(frames, len(names), 4))
    motion = Motion(
        tuple(names), np.array(parents), np.where(np.arange(len(names))[:, None] > 0, 0.2, 0.0) * np.ones(3),
        rotations / np.linalg.norm(rotations, axis=-1, keepdims=True), np.ones((frames, 3)), np.zeros((frames, 4)),
        np.zeros(frames, bool), 30.0,
    )  # fmt: skip
    pose = Pose3D(
        random.normal(size=(frames, 17, 3)), np.ones((frames, 3)), np.zeros((frames, 17), bool), np.ones((frames, 17)),
        np.array([0.0, -1, 0]), 30.0, "h36m17", Camera(900.0, (320.0, 240.0)),
    )  # fmt: skip
    keypoints = Keypoints(random.uniform(0, 400, (frames, 17, 2)), np.full((frames, 17), 0.9), 30.0, (640, 480), "h36m17")
    return Capture(VideoInfo(Path("a.mp4"), 640, 480, 30.0, frames / 30, frames), "builtin", keypoints, pose, motion)


def body_motion(frames: int = 5) -> Motion:
    """A short motion of a body with the joints of a captured one."""
    lengths = np.array([0, 0.1, 0.42, 0.41, 0.1, 0.42, 0.41, 0.25, 0.26, 0.16, 0.12, 0.16, 0.29, 0.25, 0.16, 0.29, 0.25])
    up = np.array([0.0, 1.0, 0.0])
    rotations = np.random.default_rng(1).normal(size=(frames, len(NAMES), 4)) * 0.1 + [1.0, 0.0, 0.0, 0.0]
    rotations[:, [name.endswith("End") for name in NAMES]] = [1.0, 0.0, 0.0, 0.0]
    return Motion(
        NAMES, parents(), rest_offsets(lengths, Rest(np.array([1.0, 0.0, 0.0]), up, up)),
        rotations / np.linalg.norm(rotations, axis=-1, keepdims=True), np.full((frames, 3), 0.9), np.zeros((frames, 4)),
        np.zeros(frames, bool), 30.0,
    )  # fmt: skip
