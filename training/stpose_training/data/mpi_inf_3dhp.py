"""MPI-INF-3DHP (Mehta et al. 2017): markerless ground truth of 8 people in a studio, and a test set of 6 more, also outdoors.

The reader takes the owners' files: `TS1/annot_data.mat` ... `TS6/annot_data.mat` of the test set, and `S1/Seq1/annot.mat` with
`camera.calibration` of the training set. Joints are in millimetres in the axes of each camera: x right, y down, z forward.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError
from stpose_core.reading import expected, one_line, read_text
from stpose_core.reading import numbers as parsed
from stpose_training.data.mat import read_mat
from stpose_training.data.recording import Calibration, Recording, View, given_keypoints

SPLITS = ("train", "test")
TEST = tuple(f"TS{number}" for number in range(1, 7))
# Width and height of the test videos; the last two are filmed outdoors.
TEST_SIZES = dict.fromkeys(TEST[:4], (2048, 2048)) | dict.fromkeys(TEST[4:], (1920, 1080))
TEST_FPS = 25.0
# Test joints (from the head top down) in Human3.6M's order; and the same joints among the 28 of the training set.
FROM_17 = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
_RELEVANT = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
FROM_28 = tuple(_RELEVANT[joint] for joint in FROM_17)
# Usable frames of each sequence, and its frame rate (the owners' `mpii_get_sequence_info`).
SEQUENCES = {
    ("S1", "Seq1"): (6416, 25.0), ("S1", "Seq2"): (12430, 50.0), ("S2", "Seq1"): (6502, 25.0), ("S2", "Seq2"): (6081, 25.0),
    ("S3", "Seq1"): (12488, 50.0), ("S3", "Seq2"): (12283, 50.0), ("S4", "Seq1"): (6171, 25.0), ("S4", "Seq2"): (6675, 25.0),
    ("S5", "Seq1"): (12820, 50.0), ("S5", "Seq2"): (12312, 50.0), ("S6", "Seq1"): (6188, 25.0), ("S6", "Seq2"): (6145, 25.0),
    ("S7", "Seq1"): (6239, 25.0), ("S7", "Seq2"): (6320, 25.0), ("S8", "Seq1"): (6468, 25.0), ("S8", "Seq2"): (6054, 25.0),
}  # fmt: skip
# The cameras, of 14, that are neither at the ceiling nor low over the floor (the owners' set "vnect").
STUDIO_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)


def load_mpi_inf_3dhp(
    path: str | Path, split: str = "test", annotation: str = "univ_annot3", cameras: tuple[int, ...] = STUDIO_CAMERAS
) -> list[Recording]:
    """The recordings of the test set (TS1 to TS6) or the training set (S1 to S8, two sequences each) that are there.

    path: the folder that holds TS1 ... or S1 .... annotation: "univ_annot3", joints on a body of one height, which the test set's
    own PCK is computed with, or "annot3", joints of the people's true size. cameras: which of the 14 become views (train).
    A test recording is in the axes of its camera, with unknown up. A training recording is in the studio's axes.
    Raises FormatError if the files are not in the owners' layout, ValueError for another split or annotation.
    """
    if split not in SPLITS or annotation not in ("univ_annot3", "annot3"):
        raise ValueError(f"unknown split '{split}' or annotation '{annotation}'")
    path = Path(path)
    if split == "test":
        files = [(name, path / name / "annot_data.mat") for name in TEST]
        recordings = [_test(name, file, annotation) for name, file in files if file.is_file()]
        sought = "TS1/annot_data.mat"
    else:
        places = [(subject, sequence, path / subject / sequence) for subject, sequence in SEQUENCES]
        recordings = [_train(*place, annotation, cameras) for place in places if (place[2] / "annot.mat").is_file()]
        sought = "S1/Seq1/annot.mat"
    if not recordings:
        raise FormatError(f"no MPI-INF-3DHP {split} set at {path}: expected {sought}")
    return recordings


def _test(name: str, file: Path, annotation: str) -> Recording:
    data = read_mat(file, annotation, "annot3", "annot2", "valid_frame")
    with expected(str(file)):
        return _test_of(name, file, annotation, data)


def _test_of(name: str, file: Path, annotation: str, data: dict[str, np.ndarray]) -> Recording:
    joints = _joints(data[annotation], file, annotation, 3) / 1000
    true = _joints(data["annot3"], file, "annot3", 3) / 1000
    pixels = _joints(data["annot2"], file, "annot2", 2)
    valid = data["valid_frame"].reshape(-1).astype(bool)
    if not len(joints) == len(true) == len(pixels) == len(valid):
        raise FormatError(f"{file}: {annotation}, annot3, annot2 and valid_frame differ in length")
    order = list(FROM_17)
    camera = _lens(true[valid], pixels[valid], TEST_SIZES[name])
    keypoints = given_keypoints(pixels[:, order], TEST_FPS, TEST_SIZES[name], "h36m17")
    # The file holds zeros or leftovers in frames that are not valid: they have no pose.
    positions = np.where(valid[:, None, None], joints[:, order], np.nan)
    return Recording(name, name, name, TEST_FPS, positions, up=None, views=(View("camera", camera, keypoints, valid),))


def _joints(values: np.ndarray, file: Path, what: str, sides: int) -> Array:
    """(T, 17, sides) from MATLAB's (sides, 17, 1, T)."""
    values = np.squeeze(values)
    if values.ndim != 3 or values.shape[:2] != (sides, 17):
        raise FormatError(f"{file}: {what} has shape {values.shape} where {sides} x 17 x T is expected")
    return np.asarray(values, np.float64).transpose(2, 1, 0)


def _lens(points: Array, pixels: Array, image_size: tuple[int, int]) -> Calibration | None:
    """The camera without distortion that projects points in its axes to pixels: a line along each axis of the image.

    None if it misses the median joint by more than 2 pixels.
    """
    if not len(points):
        return None
    focal, centre = [], []
    for axis in (0, 1):
        ray = (points[..., axis] / points[..., 2]).ravel()
        slope, offset = np.polyfit(ray, pixels[..., axis].ravel(), 1)
        focal.append(float(slope))
        centre.append(float(offset))
    camera = Calibration(np.eye(3), np.zeros(3), (focal[0], focal[1]), (centre[0], centre[1]), image_size)
    missed = np.linalg.norm(camera.project(points) - pixels, axis=-1)
    return camera if np.median(missed) < 2 else None


def _train(subject: str, sequence: str, folder: Path, annotation: str, cameras: tuple[int, ...]) -> Recording:
    file = folder / "annot.mat"
    data = read_mat(file, annotation, "annot2", "cameras")
    calibrations = read_calibration(folder / "camera.calibration")
    with expected(str(file)):
        return _train_of(subject, sequence, file, annotation, cameras, data, calibrations)


def _train_of(
    subject: str,
    sequence: str,
    file: Path,
    annotation: str,
    cameras: tuple[int, ...],
    data: dict[str, np.ndarray],
    calibrations: dict[int, Calibration],
) -> Recording:
    frames, fps = SEQUENCES[subject, sequence]
    numbers = [int(np.ravel(number)[0]) for number in data["cameras"].ravel()]
    order = list(FROM_28)
    views, world = [], None
    for cell, number in enumerate(numbers):
        if number not in cameras:
            continue
        if number not in calibrations or max(data[annotation].size, data["annot2"].size) <= cell:
            raise FormatError(f"{file}: camera {number} has no calibration or no joints")
        joints = _rows(data[annotation].ravel()[cell], file, annotation, 3)[:frames, order] / 1000
        pixels = _rows(data["annot2"].ravel()[cell], file, "annot2", 2)[:frames, order]
        camera = calibrations[number]
        if world is None:
            world = (joints - camera.translation) @ camera.rotation
        keypoints = given_keypoints(pixels, fps, camera.image_size, "h36m17")
        views.append(View(str(number), camera, keypoints, np.ones(len(world), dtype=bool)))
    if world is None:
        raise FormatError(f"{file}: none of the cameras {', '.join(map(str, cameras))} is in it")
    return Recording(f"{subject} {sequence}", subject, sequence, fps, world, up=_upward(calibrations), views=tuple(views))


def _rows(values: np.ndarray, file: Path, what: str, sides: int) -> Array:
    """(T, 28, sides) of rows x1 y1 z1 x2 y2 z2 ..."""
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[1] != 28 * sides:
        raise FormatError(f"{file}: {what} has shape {values.shape} where T x {28 * sides} is expected")
    return np.asarray(values, np.float64).reshape(-1, 28, sides)


def _upward(calibrations: dict[int, Calibration]) -> tuple[float, float, float]:
    """The studio axis nearest to the mean up direction of its cameras (those at the ceiling look straight down)."""
    mean = -np.mean([camera.rotation[1] for camera in calibrations.values()], axis=0)
    up = np.zeros(3)
    up[np.abs(mean).argmax()] = np.sign(mean[np.abs(mean).argmax()])
    return float(up[0]), float(up[1]), float(up[2])


def read_calibration(path: Path) -> dict[int, Calibration]:
    """Number to camera of a "Skeletool Camera Calibration File V1.0": for each name, size, and 4 x 4 intrinsic and extrinsic.

    Translations there are millimetres. Raises FormatError.
    """
    lines = [line.split() for line in read_text(path).splitlines() if line.split()]
    cameras: dict[int, Calibration] = {}
    number = -1
    values: dict[str, Array] = {}
    try:
        for word, *rest in lines:
            if word == "name":
                number, values = int(rest[0]), {}
            elif word in ("size", "intrinsic", "extrinsic"):
                values[word] = parsed(rest)
            if number not in cameras and len(values) == 3:
                lens, place = values["intrinsic"].reshape(4, 4), values["extrinsic"].reshape(4, 4)
                focal, centre = (float(lens[0, 0]), float(lens[1, 1])), (float(lens[0, 2]), float(lens[1, 2]))
                size = (int(values["size"][0]), int(values["size"][1]))
                cameras[number] = Calibration(place[:3, :3], place[:3, 3] / 1000, focal, centre, size)
    except (ValueError, IndexError, ArithmeticError) as error:
        raise FormatError(f"{path} is not a camera calibration file ({one_line(error)})") from error
    if not cameras:
        raise FormatError(f"{path} is not a camera calibration file: no camera with size, intrinsic and extrinsic")
    return cameras
