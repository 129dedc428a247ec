"""Human3.6M (Ionescu et al. 2014): 7 subjects with 3D joints, 15 actions twice each, 4 cameras, 50 frames a second.

Three layouts are read: the owners' files (`S1/MyPoseFeatures/D3_Positions/Directions 1.cdf`, millimetres, 32 joints), their .h5
copies of Martinez et al. 2017 (`S1/MyPoses/3D_positions/Directions 1.h5`), and `data_3d_h36m.npz` of the tools of Pavllo et al.
2019. All three hold the same joints in the same world: z up, metres here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array, Keypoints
from stpose_core.errors import FormatError
from stpose_core.reading import one_line
from stpose_training.data.calibrate import solve_calibration
from stpose_training.data.extras import extra
from stpose_training.data.h36m_cameras import CAMERAS, IMAGE_SIZES, load_cameras
from stpose_training.data.keypoint_npz import keypoints_of, load_keypoints, subjects_and_takes
from stpose_training.data.mat import whole
from stpose_training.data.pickles import read_npz
from stpose_training.data.recording import Calibration, Recording, View

FPS = 50.0
SPLITS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
# The owners' names of two of the actions.
_ALSO = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
# The 17 of the 32 joints that are not copies, toes, hands or end sites.
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
# Its video is damaged; all papers leave it out.
_DAMAGED = ("S11", "Directions")


def load_h36m(path: str | Path, split: str = "test", keypoints: str | Path | None = None) -> list[Recording]:
    """The recordings of a split: "train" (S1, 5, 6, 7, 8) or "test" (S9, 11), in metres, z up, with a view for each camera.

    path: the folder with the owners' S1 ... S11, or `data_3d_h36m.npz`, or its folder. keypoints: a `data_2d_h36m_*.npz` with
    2D joints; by default `data_2d_h36m_gt.npz` beside `data_3d_h36m.npz`. Cameras come from the owners' `metadata.xml`, or a
    `camera-parameters.json` made from it, in the folder or the one above; without either, they are solved from true 2D joints
    (`data_2d_h36m_gt.npz`); otherwise the views have none. Raises FormatError if the files are not in one of these layouts,
    ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}'; Human3.6M has {', '.join(SPLITS)}")
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    takes = list(_takes(path, SPLITS[split]))
    if not takes:
        raise FormatError(f"{path}: no recordings of {', '.join(SPLITS[split])} (the {split} split of Human3.6M)")
    true = folder / "data_2d_h36m_gt.npz"
    seen = load_keypoints(keypoints or true) if keypoints is not None or true.is_file() else None
    cameras = load_cameras(folder)
    if not cameras and true.is_file():
        cameras = _solved(takes, load_keypoints(true) if keypoints is not None else seen)
    recordings = []
    for subject, name, positions in takes:
        views = []
        for index, camera in enumerate(CAMERAS):
            joints = None
            if seen is not None:
                what = f"{keypoints or true}: {subject} {name}"
                joints = keypoints_of(
                    seen,
                    subject=subject,
                    take=name,
                    camera=index,
                    frames=len(positions),
                    fps=FPS,
                    image_size=IMAGE_SIZES[index],
                    what=what,
                )
            if joints is not None or (subject, camera) in cameras:
                views.append(View(camera, cameras.get((subject, camera)), joints, np.ones(len(positions), dtype=bool)))
        recordings.append(Recording(f"{subject} {name}", subject, name.split(" ")[0], FPS, positions, views=tuple(views)))
    return recordings


def _takes(path: Path, subjects: tuple[str, ...]) -> Iterator[tuple[str, str, Array]]:
    """(subject, take, positions (T, 17, 3) metres) of all takes."""
    packed = path if path.suffix == ".npz" else path / "data_3d_h36m.npz"
    if packed.is_file():
        found: Iterator[tuple[str, str, Array]] = _packed(packed, subjects)
    elif path.is_dir():
        found = _unpacked(path, subjects)
    else:
        raise FormatError(f"no Human3.6M at {path}: expected data_3d_h36m.npz or a folder with S1/MyPoseFeatures/D3_Positions")
    for subject, name, positions in found:
        action, *number = name.split(" ")
        action = _ALSO.get(action, action)
        # The owners' folders also hold takes without an action.
        if action in ACTIONS and (subject, " ".join([action, *number])) != _DAMAGED:
            yield subject, " ".join([action, *number]), positions


def _packed(path: Path, subjects: tuple[str, ...]) -> Iterator[tuple[str, str, Array]]:
    (data,) = read_npz(path, "positions_3d")
    if not subjects_and_takes(data):
        raise FormatError(f"{path}: 'positions_3d' is not a dictionary of subjects with a dictionary of takes each")
    for subject in subjects:
        for name, positions in data.get(subject, {}).items():
            yield subject, name, _joints(positions, f"{path}: {subject} {name}", 1.0)


def _unpacked(path: Path, subjects: tuple[str, ...]) -> Iterator[tuple[str, str, Array]]:
    read = {"MyPoseFeatures/D3_Positions": (".cdf", _read_cdf), "MyPoses/3D_positions": (".h5", _read_h5)}
    some = False
    for subject in subjects:
        for place, (suffix, reader) in read.items():
            files = sorted((path / subject / place).glob(f"*{suffix}"))
            for file in files:
                yield subject, file.stem, _joints(reader(file), str(file), 0.001)
            some = some or bool(files)
            if files:
                break
    if not some:
        raise FormatError(
            f"no Human3.6M at {path}: expected data_3d_h36m.npz, or .cdf files in {subjects[0]}/MyPoseFeatures/D3_Positions, "
            f"or .h5 files in {subjects[0]}/MyPoses/3D_positions"
        )


def _read_cdf(path: Path) -> Array:
    """(1, T, 96) of the variable "Pose" in one record."""
    cdflib = extra("cdflib", "Human3.6M's .cdf files")
    try:
        return np.asarray(cdflib.CDF(str(path)).varget("Pose"), np.float64)
    except Exception as error:
        # The package raises many kinds of errors for damaged files.
        raise FormatError(f"{path}: no variable 'Pose' can be read from it ({one_line(error)})") from error


def _read_h5(path: Path) -> Array:
    """(96, T) of the data set "3D_positions"."""
    h5py = extra("h5py", "Human3.6M's .h5 files")
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(whole(file["3D_positions"]), np.float64).T
    except Exception as error:
        # As above.
        raise FormatError(f"{path}: no data set '3D_positions' can be read from it ({one_line(error)})") from error


def _joints(positions: Any, what: str, metres: float) -> Array:
    """(T, 17, 3) metres of (..., T, 96), (T, 32, 3) or (T, 17, 3)."""
    try:
        array = np.asarray(positions, dtype=np.float64)
    except (TypeError, ValueError):
        raise FormatError(f"{what}: the joints are not an array of numbers") from None
    if array.ndim >= 2 and array.shape[-1] == 96:
        array = array.reshape(-1, 32, 3)
    if array.ndim != 3 or array.shape[1] not in (17, 32) or array.shape[2] != 3 or not len(array):
        raise FormatError(f"{what}: an array of shape {array.shape} where (T, 32, 3) joints are expected")
    return (array[:, list(JOINTS_OF_32)] if array.shape[1] == 32 else array) * metres


def _solved(takes: list[tuple[str, str, Array]], true: dict[str, Any] | None) -> dict[tuple[str, str], Calibration]:
    """(subject, camera) to the calibration that explains the true 2D joints."""
    solved: dict[tuple[str, str], Calibration] = {}
    for subject in dict.fromkeys(subject for subject, _, _ in takes):
        for index, camera in enumerate(CAMERAS):
            points, pixels = [], []
            for _, name, positions in (take for take in takes if take[0] == subject):
                what = f"data_2d_h36m_gt.npz: {subject} {name}"
                seen = (
                    keypoints_of(
                        true,
                        subject=subject,
                        take=name,
                        camera=index,
                        frames=len(positions),
                        fps=FPS,
                        image_size=IMAGE_SIZES[index],
                        what=what,
                    )
                    if true
                    else None
                )
                if isinstance(seen, Keypoints) and seen.skeleton == "h36m17":
                    points.append(positions[::25])
                    pixels.append(seen.xy[::25])
            found = solve_calibration(np.concatenate(points), np.concatenate(pixels), IMAGE_SIZES[index]) if points else None
            if found is not None:
                solved[subject, camera] = found
    return solved
