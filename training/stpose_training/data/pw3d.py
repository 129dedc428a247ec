"""3DPW (von Marcard et al. 2018): people outdoors, filmed by a hand-held phone, 3D from inertial sensors; 30 frames a second.

The owners' `sequenceFiles/test/*.pkl` (also train and validation) are pickles of Python 2, read as plain data only. Joints are
the 24 of the SMPL body model, in metres, in the world of each sequence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array, Keypoints
from stpose_core.errors import FormatError
from stpose_core.reading import expected
from stpose_core.skeletons import COCO17
from stpose_training.data.pickles import read_pickle
from stpose_training.data.recording import Calibration, Recording, View, given_keypoints

FPS = 30.0
SPLITS = ("train", "validation", "test")
# SMPL's joint for each of Human3.6M's; SMPL has no head top, which is computed.
_PELVIS_TO_HEAD = (0, 2, 5, 8, 1, 4, 7, 6, 12, 15)
_ARMS = (16, 18, 20, 17, 19, 21)
MEASURED = np.arange(17) != 10
# From the base of the head to its top, in lengths of the neck (SMPL's mean body).
_HEAD = 2.0
# `poses2d` is OpenPose's COCO-18: a neck after the nose, right before left.
_OPENPOSE18 = (
    "nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee", "r_ankle",
    "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear",
)  # fmt: skip


def load_pw3d(path: str | Path, split: str = "test") -> list[Recording]:
    """A recording for each person of each sequence of a split, with one moving view and the owners' 2D detections.

    path: the folder that holds `sequenceFiles`, or `sequenceFiles` itself. Frames are valid where the owners' camera pose is.
    Raises FormatError if the files are not in this layout or hold more than data, ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}'; 3DPW has {', '.join(SPLITS)}")
    path = Path(path)
    inner = path / "sequenceFiles"
    files = sorted(((inner if inner.is_dir() else path) / split).glob("*.pkl"))
    if not files:
        raise FormatError(f"no 3DPW {split} set at {path}: expected sequenceFiles/{split}/*.pkl")
    recordings = []
    for file in files:
        with expected(str(file)):
            recordings += _sequence(file)
    return recordings


def _sequence(file: Path) -> list[Recording]:
    data = read_pickle(file)
    needed = ("jointPositions", "cam_poses", "cam_intrinsics", "campose_valid")
    missing = [key for key in needed if not isinstance(data, dict) or key not in data]
    if missing:
        raise FormatError(f"{file} is not a sequence of 3DPW: no {', '.join(missing)} in it")
    matrix, poses = _numbers(data["cam_intrinsics"], file, "cam_intrinsics"), _numbers(data["cam_poses"], file, "cam_poses")
    if matrix.shape != (3, 3) or poses.ndim != 3 or poses.shape[1:] != (4, 4):
        shapes = f"cam_intrinsics {matrix.shape} or cam_poses {poses.shape}"
        raise FormatError(f"{file}: {shapes} where (3, 3) and (T, 4, 4) are expected")
    size = (round(2 * float(matrix[0, 2])), round(2 * float(matrix[1, 2])))
    focal, centre = (float(matrix[0, 0]), float(matrix[1, 1])), (float(matrix[0, 2]), float(matrix[1, 2]))
    camera = Calibration(poses[:, :3, :3], poses[:, :3, 3], focal, centre, size)
    recordings = []
    for person in range(len(data["jointPositions"])):
        joints = _numbers(data["jointPositions"][person], file, "jointPositions")
        if joints.shape != (len(poses), 72) or person >= len(data["campose_valid"]):
            raise FormatError(f"{file}: jointPositions of shape {joints.shape} where ({len(poses)}, 72) is expected")
        valid = _numbers(data["campose_valid"][person], file, "campose_valid").reshape(-1) > 0.5
        if len(valid) != len(poses):
            raise FormatError(f"{file}: campose_valid of {len(valid)} frames where there are {len(poses)}")
        keypoints = _seen(data.get("poses2d"), person, len(poses), size, file)
        name = f"{file.stem} person{person}"
        view = View("phone", camera, keypoints, valid)
        positions = smpl_to_h36m(joints.reshape(-1, 24, 3))
        recordings.append(Recording(name, name, file.stem, FPS, positions, up=None, measured=MEASURED, views=(view,)))
    return recordings


def _numbers(value: Any, file: Path, what: str) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise FormatError(f"{file}: {what} is not an array of numbers") from None


def smpl_to_h36m(joints: Array) -> Array:
    """(T, 17, 3) from SMPL's (T, 24, 3). The head top, which SMPL lacks, continues the neck."""
    placed = np.empty((len(joints), 17, 3))
    placed[:, :10] = joints[:, list(_PELVIS_TO_HEAD)]
    placed[:, 10] = placed[:, 9] + _HEAD * (placed[:, 9] - placed[:, 8])
    placed[:, 11:] = joints[:, list(_ARMS)]
    return placed


def _seen(poses2d: Any, person: int, frames: int, size: tuple[int, int], file: Path) -> Keypoints | None:
    """The owners' detections (T, 3, 18): x, y and confidence; all zero if fewer than six joints were found."""
    if poses2d is None or person >= len(poses2d):
        return None
    found = _numbers(poses2d[person], file, "poses2d")
    if found.shape != (frames, 3, 18):
        raise FormatError(f"{file}: poses2d of shape {found.shape} where ({frames}, 3, 18) is expected")
    points = found.transpose(0, 2, 1)[:, [_OPENPOSE18.index(joint) for joint in COCO17.joints]]
    seen = points[..., 2] > 0
    xy = np.where(seen[..., None], points[..., :2], np.nan)
    return given_keypoints(xy, FPS, size, "coco17", np.where(seen, points[..., 2].clip(0, 1), 0.0))
