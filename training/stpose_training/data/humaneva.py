"""HumanEva-I (Sigal et al. 2010): four subjects in front of three colour cameras, 60 frames a second.

The reader takes `data_3d_humaneva15.npz` as the tools of Pavllo et al. 2019 make it from the owners' files:
positions_3d[subject][take], (T, 15, 3) metres, z up. A subject is "Train/S1" or "Validate/S1", a take "Walking 1 chunk0": gaps of
the marker system divide takes into chunks. The 15 joints are those of the owners' error measure.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError
from stpose_training.data.calibrate import solve_calibration
from stpose_training.data.keypoint_npz import HUMANEVA15, keypoints_of, load_keypoints, subjects_and_takes
from stpose_training.data.pickles import read_npz
from stpose_training.data.recording import Calibration, Recording, View

FPS = 60.0
CAMERAS = ("C1", "C2", "C3")
IMAGE_SIZE = (640, 480)
SPLITS = {"train": "Train", "test": "Validate"}
SUBJECTS = ("S1", "S2", "S3")
# The three actions of the protocol, by the names in the files; the others are ThrowCatch and Gestures.
ACTIONS = {"Walking": "Walk", "Jog": "Jog", "Box": "Box"}
MEASURED = np.isin(np.arange(17), list(HUMANEVA15.values()))


def load_humaneva(path: str | Path, split: str = "test", keypoints: str | Path | None = None) -> list[Recording]:
    """The recordings of S1 to S3, Walk, Jog and Box: "train" (the owners' Train part) or "test" (their Validate part).

    path: `data_3d_humaneva15.npz` or its folder. keypoints: a `data_2d_humaneva15_*.npz`; by default `..._gt.npz` beside it.
    Cameras are solved from `data_2d_humaneva15_gt.npz`; without it the views have none.
    Spine and head are placed between measured joints. Raises FormatError if the files are not in this layout.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}'; HumanEva-I has {', '.join(SPLITS)}")
    path = Path(path) / "data_3d_humaneva15.npz" if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise FormatError(f"no HumanEva-I at {path}: expected data_3d_humaneva15.npz")
    (data,) = read_npz(path, "positions_3d")
    if not subjects_and_takes(data):
        raise FormatError(f"{path}: 'positions_3d' is not a dictionary of subjects with a dictionary of takes each")
    true_file = path.parent / "data_2d_humaneva15_gt.npz"
    true = load_keypoints(true_file) if true_file.is_file() else None
    seen = load_keypoints(keypoints) if keypoints is not None else true
    recordings = []
    for subject in SUBJECTS:
        part = f"{SPLITS[split]}/{subject}"
        takes = {}
        for name, positions in data.get(part, {}).items():
            found = re.match(r"[A-Za-z]+", name)
            if found and found[0] in ACTIONS:
                takes[name] = (ACTIONS[found[0]], _joints(positions, f"{path}: {part} {name}"))
        cameras = _solved(part, takes, true) if true else {}
        for name, (action, joints) in takes.items():
            views = []
            for index, camera in enumerate(CAMERAS):
                what = f"{keypoints or true_file}: {part} {name}"
                points = (
                    keypoints_of(
                        seen, subject=part, take=name, camera=index, frames=len(joints), fps=FPS, image_size=IMAGE_SIZE, what=what
                    )
                    if seen
                    else None
                )
                if points is not None or camera in cameras:
                    views.append(View(camera, cameras.get(camera), points, np.ones(len(joints), dtype=bool)))
            title = f"{part} {name}"
            recordings.append(Recording(title, subject, action, FPS, joints, measured=MEASURED, views=tuple(views)))
    if not recordings:
        raise FormatError(f"{path}: no Walk, Jog or Box of {', '.join(SUBJECTS)} under '{SPLITS[split]}/...'")
    return recordings


def _joints(positions: Any, what: str) -> Array:
    try:
        array = np.asarray(positions, dtype=np.float64)
    except (TypeError, ValueError):
        raise FormatError(f"{what}: the joints are not an array of numbers") from None
    if array.ndim != 3 or array.shape[1:] != (15, 3) or not len(array):
        raise FormatError(f"{what}: an array of shape {array.shape} where (T, 15, 3) joints are expected")
    joints = np.empty((len(array), 17, 3))
    joints[:, list(HUMANEVA15.values())] = array[:, list(HUMANEVA15)]
    joints[:, 7] = (joints[:, 0] + joints[:, 8]) / 2
    joints[:, 9] = (joints[:, 8] + joints[:, 10]) / 2
    return joints


def _solved(part: str, takes: dict[str, tuple[str, Array]], true: dict[str, Any]) -> dict[str, Calibration]:
    """The calibration of each camera, from all takes of a subject."""
    solved = {}
    for index, camera in enumerate(CAMERAS):
        points, pixels = [], []
        for name, (_, joints) in takes.items():
            seen = keypoints_of(
                true,
                subject=part,
                take=name,
                camera=index,
                frames=len(joints),
                fps=FPS,
                image_size=IMAGE_SIZE,
                what=f"true 2D joints of {part} {name}",
            )
            if seen is not None:
                points.append(joints)
                pixels.append(seen.xy)
        found = solve_calibration(np.concatenate(points), np.concatenate(pixels), IMAGE_SIZE) if points else None
        if found is not None:
            solved[camera] = found
    return solved
