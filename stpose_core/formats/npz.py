"""NPZ: a whole Capture, or a Motion alone, as named arrays without loss; read without pickle.

Names are `format`, `version`, and `motion.rotations` and so on: the field names of `stpose_core.data`, one level after
another. Text is stored as arrays of characters.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stpose_core.arrays import read_arrays
from stpose_core.data import Camera, Capture, Keypoints, Motion, Pose3D
from stpose_core.errors import FormatError
from stpose_core.frames import VideoInfo
from stpose_core.reading import one_line

Made = TypeVar("Made")

FORMAT = "stpose"
VERSION = 1
_MOST_PARTS = 20
_MOST_ARRAYS = 1000  # twice as many as a capture with all its parts and curves has
_CURVE = "motion.curves."


def write(thing: Capture | Motion, path: str | Path, units: str = "m") -> None:
    """Write all stages of a capture, or a motion, as a `Format` does; always in metres."""
    write_npz(thing, path)


def read(path: str | Path) -> Motion:
    """The motion in a file, as a `Format` reads it."""
    return load_motion_npz(path)


def write_npz(thing: Capture | Motion, path: str | Path) -> None:
    """Write a capture, or a motion alone, compressed. Overwrites."""
    content = _flat(thing, "" if isinstance(thing, Capture) else "motion.")
    # In memory first: an archive that a full disk cuts off would try to end itself later, with a traceback.
    archive = io.BytesIO()
    np.savez_compressed(archive, format=np.array(FORMAT), version=np.array(VERSION), **content)
    Path(path).write_bytes(archive.getbuffer())


def load_capture(path: str | Path) -> Capture:
    """The capture in a file. Raises FormatError if the file is damaged, something else, or of a newer version."""
    return _made(path, _capture, "is no whole capture")


def load_npz(path: str | Path) -> Capture | Motion:
    """What a file holds: a capture, or a motion alone. Raises FormatError as `load_capture` does."""
    return _made(path, lambda content: _capture(content) if "video.path" in content else _motion(content), "is incomplete")


def load_motion_npz(path: str | Path) -> Motion:
    """The motion in a file that holds a capture or a motion alone. Raises FormatError as `load_capture` does."""
    return _made(path, _motion, "holds no motion")


def _made(path: str | Path, make: Callable[[dict[str, np.ndarray]], Made], lacking: str) -> Made:
    content = _read(path)
    try:
        return make(content)
    except KeyError as error:
        raise FormatError(f"{path} {lacking}: {error.args[0]} is missing") from error
    except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError, FormatError) as error:
        raise FormatError(f"{path} is damaged: {one_line(error)}") from error


def _flat(thing: Any, prefix: str) -> dict[str, np.ndarray]:
    """The fields of a dataclass as arrays by name, nested ones with dots."""
    content: dict[str, np.ndarray] = {}
    for entry in fields(thing):
        value = getattr(thing, entry.name)
        if is_dataclass(value):
            content.update(_flat(value, f"{prefix}{entry.name}."))
        elif isinstance(value, Mapping):
            for name, part in value.items():
                inside = f"{prefix}{entry.name}.{name}"
                content.update(_flat(part, f"{inside}.") if is_dataclass(part) else {inside: np.array(part)})
        elif isinstance(value, Path):
            content[prefix + entry.name] = np.array(str(value))
        elif value is not None:
            content[prefix + entry.name] = np.array(value)
    return content


def _read(path: str | Path) -> dict[str, np.ndarray]:
    content = read_arrays(path, _MOST_ARRAYS)
    if str(content.get("format")) != FORMAT or content.get("version", np.empty(2)).shape != ():
        raise FormatError(f"{path} was not written by stpose")
    version = content["version"]
    if version.dtype.kind not in "iu" or not 1 <= version <= VERSION:
        raise FormatError(f"{path} is of version {str(version)[:20]}; this stpose reads up to {VERSION}: update it")
    return content


def _capture(content: dict[str, np.ndarray]) -> Capture:
    return Capture(
        video=_video(content),
        detector=str(content["detector"]),
        keypoints=_keypoints(content),
        pose3d=_pose3d(content),
        motion=_motion(content),
        start=float(content.get("start", np.array(0.0))),
    )


def _video(content: dict[str, np.ndarray]) -> VideoInfo:
    frames = content.get("video.frames")
    return VideoInfo(
        path=Path(str(content["video.path"])),
        width=int(content["video.width"]),
        height=int(content["video.height"]),
        fps=float(content["video.fps"]),
        duration=float(content["video.duration"]),
        frames=None if frames is None else int(frames),
    )


def _parts(content: dict[str, np.ndarray], prefix: str) -> list[str]:
    """The names of the parts of the body whose fields begin with the prefix. Raises ValueError if there are too many, or if a part
    has parts, which would nest without end."""
    if ".parts." in prefix and any(name.startswith(f"{prefix}parts.") for name in content):
        raise ValueError("a part of a body has parts")
    inside = [name.removeprefix(f"{prefix}parts.") for name in content if name.startswith(f"{prefix}parts.")]
    names = sorted({name.split(".")[0] for name in inside})
    if len(names) > _MOST_PARTS:
        raise ValueError(f"{len(names)} parts of a body")
    return names


def _keypoints(content: dict[str, np.ndarray], prefix: str = "keypoints.") -> Keypoints:
    width, height = content[f"{prefix}image_size"]
    return Keypoints(
        xy=content[f"{prefix}xy"],
        score=content[f"{prefix}score"],
        fps=float(content[f"{prefix}fps"]),
        image_size=(int(width), int(height)),
        skeleton=str(content[f"{prefix}skeleton"]),
        parts={name: _keypoints(content, f"{prefix}parts.{name}.") for name in _parts(content, prefix)},
        lifted=content.get(f"{prefix}lifted"),
    )


def _pose3d(content: dict[str, np.ndarray], prefix: str = "pose3d.") -> Pose3D:
    x, y = content[f"{prefix}camera.centre"]
    return Pose3D(
        xyz=content[f"{prefix}xyz"],
        root=content[f"{prefix}root"],
        hidden=content[f"{prefix}hidden"],
        sigma=content[f"{prefix}sigma"],
        up=content[f"{prefix}up"],
        fps=float(content[f"{prefix}fps"]),
        skeleton=str(content[f"{prefix}skeleton"]),
        camera=Camera(float(content[f"{prefix}camera.focal"]), (float(x), float(y))),
        contacts=content.get(f"{prefix}contacts"),
        parts={name: _pose3d(content, f"{prefix}parts.{name}.") for name in _parts(content, prefix)},
    )


def _motion(content: dict[str, np.ndarray]) -> Motion:
    names, parents = content["motion.names"], content["motion.parents"]
    if names.dtype.kind != "U" or names.ndim != 1 or parents.dtype.kind not in "iu":
        raise ValueError("motion.names must be a list of text, and motion.parents a list of integers")
    return Motion(
        names=tuple(names.tolist()),
        parents=parents,
        offsets=content["motion.offsets"],
        rotations=content["motion.rotations"],
        root=content["motion.root"],
        contacts=content["motion.contacts"],
        filled=content["motion.filled"],
        fps=float(content["motion.fps"]),
        curves={name.removeprefix(_CURVE): values for name, values in content.items() if name.startswith(_CURVE)},
    )
