"""The four cameras of Human3.6M, from the files of its owners.

`metadata.xml` (in the owners' code package) holds one vector `w0` of 300 numbers: for camera c and subject s (1 to 11), six at
6 (11 c + s - 1) are three angles and the camera's place in millimetres; nine at 264 + 9 c are focal lengths, centre,
k1, k2, k3, p1, p2. `camera-parameters.json` has the same values as matrices. No numbers of the set are repeated here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError
from stpose_core.reading import numbers, one_line, read_bytes
from stpose_training.data.recording import Calibration

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
# Width and height of each camera's videos.
IMAGE_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
SUBJECTS = tuple(f"S{number}" for number in range(1, 12))
_EXTRINSICS, _INTRINSICS = 6, 9


def load_cameras(folder: Path) -> dict[tuple[str, str], Calibration]:
    """(subject, camera) to its calibration, from a file in the folder or the one above; empty if there is none.

    Raises FormatError if the file is not as expected.
    """
    for place in (folder, folder.parent):
        if (place / "metadata.xml").is_file():
            return read_metadata(place / "metadata.xml")
        if (place / "camera-parameters.json").is_file():
            return read_parameters(place / "camera-parameters.json")
    return {}


def read_metadata(path: Path) -> dict[tuple[str, str], Calibration]:
    """All subjects' cameras from the owners' `metadata.xml`. Raises FormatError."""
    try:
        node = ElementTree.fromstring(read_bytes(path)).find("w0")
        found = numbers((node.text or "").strip().strip("[]").split()) if node is not None else np.empty(0)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise FormatError(f"{path} is not Human3.6M's metadata.xml ({one_line(error)})") from error
    split = len(CAMERAS) * len(SUBJECTS) * _EXTRINSICS
    if len(found) != split + len(CAMERAS) * _INTRINSICS:
        raise FormatError(f"{path}: its w0 has {len(found)} numbers, expected {split + len(CAMERAS) * _INTRINSICS}")
    outer = found[:split].reshape(len(CAMERAS), len(SUBJECTS), _EXTRINSICS)
    inner = found[split:].reshape(len(CAMERAS), _INTRINSICS)
    cameras = {}
    for index, camera in enumerate(CAMERAS):
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = (float(value) for value in inner[index])
        for subject, values in zip(SUBJECTS, outer[index]):
            rotation = _rotation(values[:3])
            cameras[subject, camera] = Calibration(
                rotation, -rotation @ values[3:] / 1000, (fx, fy), (cx, cy), IMAGE_SIZES[index], (k1, k2, p1, p2, k3)
            )
    return cameras


def _rotation(angles: Array) -> Array:
    """World to camera: Rx Ry Rz with the angles as the owners' code turns them."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def read_parameters(path: Path) -> dict[tuple[str, str], Calibration]:
    """All subjects' cameras from `camera-parameters.json`: matrices, translations in millimetres. Raises FormatError."""
    try:
        data: dict[str, Any] = json.loads(read_bytes(path))
        cameras = {}
        for index, camera in enumerate(CAMERAS):
            lens = data["intrinsics"][camera]
            matrix = np.array(lens["calibration_matrix"], dtype=np.float64).reshape(3, 3)
            k1, k2, p1, p2, k3 = (float(value) for value in lens["distortion"])
            for subject, places in data["extrinsics"].items():
                rotation = np.array(places[camera]["R"], dtype=np.float64).reshape(3, 3)
                translation = np.array(places[camera]["t"], dtype=np.float64).reshape(3) / 1000
                focal, centre = (float(matrix[0, 0]), float(matrix[1, 1])), (float(matrix[0, 2]), float(matrix[1, 2]))
                distortion = (k1, k2, p1, p2, k3)
                cameras[subject, camera] = Calibration(rotation, translation, focal, centre, IMAGE_SIZES[index], distortion)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} does not hold Human3.6M's cameras as expected ({one_line(repr(error))})") from error
    return cameras
