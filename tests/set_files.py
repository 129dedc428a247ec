"""Small files in exactly the layouts in which the owners of data sets give them out."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cdflib
import h5py
import numpy as np
from scipy.io import savemat
from scipy.spatial.transform import Rotation
from stpose_training.data.recording import Calibration

# Where the 17 joints lie among the 32 of Human3.6M; written here again, so that the loader's own table is tested.
OF_32 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
REST = np.array(
    [(0, 0, 0.95), (-0.1, 0, 0.9), (-0.1, 0.02, 0.5), (-0.1, 0, 0.1), (0.1, 0, 0.9), (0.1, 0.02, 0.5), (0.1, 0, 0.1)]
    + [(0, 0, 1.15), (0, 0, 1.4), (0, 0.05, 1.5), (0, 0, 1.65), (0.17, 0, 1.38), (0.3, 0.0, 1.15), (0.35, 0.1, 0.95)]
    + [(-0.17, 0, 1.38), (-0.3, 0.0, 1.15), (-0.35, 0.1, 0.95)]
)


def walker(frames: int, seed: int = 0) -> np.ndarray:
    """(T, 17, 3) metres, z up: a figure that walks in a circle and swings about."""
    random = np.random.default_rng(seed)
    time = np.linspace(0, 6, frames)[:, None, None]
    sway = 0.08 * np.sin(2 * time + random.uniform(0, 6, size=(1, 17, 3)))
    path = np.concatenate([np.cos(time), np.sin(time), 0 * time], axis=-1) * (1 + 0.1 * seed)
    return REST + sway + path


def joints32(positions: np.ndarray) -> np.ndarray:
    """(T, 32, 3) with the 17 joints in place and copies of the pelvis elsewhere."""
    whole = np.repeat(positions[:, :1], 32, axis=1) + 7
    whole[:, OF_32] = positions
    return whole


LENS = (-0.2, 0.24, -0.001, -0.0014, -0.003)


def camera(seed: int, image_size: tuple[int, int], distortion: tuple[float, float, float, float, float] = LENS) -> Calibration:
    """A camera about 5 m away that looks at the middle of the room from another side for each seed."""
    angle = 1.3 * seed + 0.4
    place = np.array([5 * np.cos(angle), 5 * np.sin(angle), 1.5 + 0.1 * seed])
    forward = np.array([0, 0, 0.9]) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    width, height = image_size
    focal = 1.1 * width
    centre = (width / 2 + 9, height / 2 - 5)
    return Calibration(rotation, -rotation @ place, (focal, focal * 0.998), centre, image_size, distortion)


def write_cdf(path: Path, positions: np.ndarray) -> None:
    """Human3.6M's D3_Positions: one record "Pose" of (T, 96) millimetres."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (joints32(positions) * 1000).reshape(len(positions), 96)
    file = cdflib.cdfwrite.CDF(str(path))
    spec = {"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True, "Var_Type": "zVariable"}
    file.write_var({**spec, "Dim_Sizes": list(values.shape)}, var_data=values[None])
    file.close()


def write_h5(path: Path, positions: np.ndarray) -> None:
    """The .h5 copies of the same: "3D_positions", (96, T) millimetres."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["3D_positions"] = (joints32(positions) * 1000).reshape(len(positions), 96).T


def write_metadata(path: Path, cameras: dict[tuple[int, int], Calibration], angles: dict[tuple[int, int], np.ndarray]) -> None:
    """Human3.6M's metadata.xml with w0; cameras and angles by (camera 0-3, subject 1-11)."""
    numbers = np.zeros(300)
    for (number, subject), calibration in cameras.items():
        start = 6 * (11 * number + subject - 1)
        place = -calibration.rotation.T @ calibration.translation * 1000
        numbers[start : start + 6] = [*angles[number, subject], *place]
        k1, k2, p1, p2, k3 = calibration.distortion
        numbers[264 + 9 * number : 273 + 9 * number] = [*calibration.focal, *calibration.centre, k1, k2, k3, p1, p2]
    text = " ".join(f"{number:.12g}" for number in numbers)
    path.write_text(f"<?xml version='1.0'?><metadata><dbcameras/><w0>[{text}]</w0></metadata>")


def write_2d(path: Path, positions: dict[str, Any], left: list[int], right: list[int], joints: int) -> None:
    """data_2d_*.npz as the tools of Pavllo et al. write it."""
    metadata = {"layout_name": path.stem, "num_joints": joints, "keypoints_symmetry": [left, right]}
    np.savez_compressed(path, positions_2d=positions, metadata=metadata)


def write_test_mat(path: Path, poses: np.ndarray, universal: np.ndarray, pixels: np.ndarray, valid: np.ndarray, new: bool) -> None:
    """MPI-INF-3DHP's annot_data.mat: millimetres, 17 joints in its own order; in MATLAB 7.3 (HDF5, axes reversed) or version 5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "annot3": poses[:, None] * 1000, "univ_annot3": universal[:, None] * 1000, "annot2": pixels[:, None],
        "valid_frame": valid.astype(np.float64)[:, None],
    }  # fmt: skip
    if not new:
        savemat(path, {name: array.T for name, array in values.items()})
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in values.items():
            file[name] = array
    with path.open("r+b") as handle:
        handle.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write_skeletool(path: Path, cameras: list[Calibration]) -> None:
    """MPI-INF-3DHP's camera.calibration."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, calibration in enumerate(cameras):
        lens, place = np.eye(4), np.eye(4)
        lens[[0, 1], [0, 1]], lens[:2, 2] = calibration.focal, calibration.centre
        place[:3, :3], place[:3, 3] = calibration.rotation, calibration.translation * 1000
        lines += [
            f"name          {number}", "  sensor      10 10", "  size        {} {}".format(*calibration.image_size),
            "  animated    0", "  intrinsic   " + " ".join(map(repr, lens.ravel().tolist())) + " ",
            "  extrinsic   " + " ".join(map(repr, place.ravel().tolist())) + " ", "  radial      0",
        ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")


def cells(values: list[np.ndarray]) -> np.ndarray:
    """A column of MATLAB cells."""
    column = np.empty((len(values), 1), dtype=object)
    for row, value in enumerate(values):
        column[row, 0] = value
    return column


def turn(vector: tuple[float, float, float]) -> np.ndarray:
    return Rotation.from_rotvec(vector).as_matrix()


def python2_pickle(value: Any) -> bytes:
    """What `cPickle.dump(value, file, 2)` of Python 2 writes: text and the content of arrays are byte strings."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value: Any) -> bytes:
    if isinstance(value, (str, bytes)):
        content = value.encode("latin1") if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(content)) + content
    if isinstance(value, (bool, np.bool_)):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(key) + _python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_python2, value)) + b"t"
    if isinstance(value, np.ndarray):
        kind = b"cnumpy\ndtype\n" + _python2((value.dtype.str[1:], 0, 1)) + b"R"
        kind += b"(" + _python2(3) + _python2("<") + b"NNN" + _python2(-1) + _python2(-1) + _python2(0) + b"tb"
        blank = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _python2((0,)) + _python2("b") + b"tR"
        state = b"(" + _python2(1) + _python2(value.shape) + kind + _python2(False) + _python2(value.tobytes()) + b"t"
        return blank + state + b"b"
    raise TypeError(type(value))
