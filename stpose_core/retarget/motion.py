"""The tracks that `stpose` writes (.npz): read without the stpose package, and turned into Blender's axes.

In the file y is up and the person faces +z at rest; in Blender z is up and a character faces -y.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .curves import without_gaps
from .keys import resampled
from .rotation import Array, about, from_matrix, inverse, multiply, rotate, unit
from .skeleton import Skeleton, Track

VERSION = 1
#: From the file's axes to Blender's: (x, y, z) to (x, -z, y).
TO_BLENDER: Array = about([1.0, 0.0, 0.0], np.pi / 2)
_CURVE = "motion.curves."
_MOST_ARRAYS = 1000  # as stpose reads them
_LEAST = 0.02  # m; a bone is not drawn shorter
_MAIN_CHILD = ("Spine", "Neck", "Head")


class TrackError(Exception):
    """A file is no track of stpose: what is wrong, in a line."""


@dataclass(frozen=True)
class Motion:
    """What a track holds, in the file's own axes (y up, metres). The fields are those of stpose_core.data.Motion; curves have no
    gaps, and are at rest where the face is not seen."""

    names: tuple[str, ...]
    parents: NDArray[np.int64]
    offsets: Array
    rotations: Array
    root: Array
    contacts: Array
    fps: float
    curves: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rotations)

    def resampled(self, fps: float) -> Motion:
        """The same motion at another frame rate, over the same time."""
        if abs(fps - self.fps) < 1e-6 or len(self) < 2:
            return self
        times = np.arange(len(self)) / self.fps
        at = np.arange(int(np.floor(times[-1] * fps + 1e-6)) + 1) / fps
        values = np.concatenate([self.root, self.contacts], axis=1)
        rotations, values = resampled(self.rotations, values, times, at)
        curves = {name: np.interp(at, times, curve) for name, curve in self.curves.items()}
        return Motion(self.names, self.parents, self.offsets, rotations, values[:, :3], values[:, 3:], fps, curves)


@dataclass(frozen=True)
class View:
    """What a capture knows of its camera, whose axes are x right, y down, z forward.

    focal, centre (2,), size (width, height): pixels. pelvis: (T, 3) metres, NaN without a detection. up: (3,) against gravity.
    video: the file, at fps frames a second, of which the capture began at `start` seconds.
    """

    focal: float
    centre: Array
    size: tuple[int, int]
    pelvis: Array
    up: Array
    video: Path
    fps: float
    start: float


def read_track(path: str | Path) -> Motion:
    """The motion in a .npz of `stpose mocap`. Raises TrackError."""
    content = _arrays(path)
    try:
        motion = Motion(
            names=tuple(str(name) for name in content["motion.names"]),
            parents=content["motion.parents"].astype(np.int64),
            offsets=content["motion.offsets"].astype(np.float64),
            rotations=content["motion.rotations"].astype(np.float64),
            root=content["motion.root"].astype(np.float64),
            contacts=content["motion.contacts"].astype(np.float64),
            fps=float(content["motion.fps"]),
        )
    except KeyError as error:
        raise TrackError(f"{path} holds no motion: {error.args[0]} is missing") from error
    frames, joints = len(motion.rotations), len(motion.names)
    shapes = {
        "parents": (motion.parents, (joints,)), "offsets": (motion.offsets, (joints, 3)),
        "rotations": (motion.rotations, (frames, joints, 4)), "root": (motion.root, (frames, 3)),
        "contacts": (motion.contacts, (frames, 4)),
    }  # fmt: skip
    for name, (array, shape) in shapes.items():
        if array.shape != shape or not np.isfinite(array).all():
            raise TrackError(f"{path} is damaged: motion.{name} has shape {array.shape} instead of {shape}, or gaps in it")
    if not frames or motion.fps <= 0 or motion.parents[0] != -1 or (motion.parents[1:] >= np.arange(1, joints)).any():
        raise TrackError(f"{path} is damaged: it has no frames, no frame rate, or joints before their parents")
    return replace(motion, curves=_curves(path, content, motion))


def _curves(path: str | Path, content: dict[str, Array], motion: Motion) -> dict[str, Array]:
    found = {name.removeprefix(_CURVE): values for name, values in content.items() if name.startswith(_CURVE)}
    for name, values in found.items():
        known = values.shape == (len(motion),) and values.dtype.kind == "f"
        if not known or not (np.isnan(values) | ((values >= 0) & (values <= 1))).all() or not name.isidentifier():
            raise TrackError(f"{path} is damaged: the curve {name[:40]} is not of {len(motion)} numbers in 0..1")
    return without_gaps(found, motion.fps)


def read_view(path: str | Path) -> View | None:
    """The camera of a capture; None for a motion without one, and where what is said of it makes none. Raises TrackError."""
    content = _arrays(path)
    names = {
        "focal": "pose3d.camera.focal", "centre": "pose3d.camera.centre", "pelvis": "pose3d.root", "up": "pose3d.up",
        "size": "keypoints.image_size", "video": "video.path", "fps": "video.fps",
    }  # fmt: skip
    if not set(names.values()) <= set(content):
        return None
    known = {name: content[key] for name, key in names.items()}
    try:
        width, height = (int(side) for side in known["size"])
        centre, pelvis, up = (known[name].astype(np.float64) for name in ("centre", "pelvis", "up"))
        focal, fps, start = float(known["focal"]), float(known["fps"]), float(content.get("start", 0.0))
    except (TypeError, ValueError, OverflowError):
        return None
    shaped = centre.shape == (2,) and up.shape == (3,) and pelvis.shape[1:] == (3,)
    if not (shaped and np.isfinite([focal, fps, start, *centre, *up]).all() and min(focal, fps, width, height) > 0 <= start):
        return None
    return View(focal, centre, (width, height), pelvis, up, Path(str(known["video"])), fps, start)


def _arrays(path: str | Path) -> dict[str, Array]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise TrackError(f"{path} is no track of stpose")
        with file:
            if len(file.files) > _MOST_ARRAYS:
                raise TrackError(f"{path} holds {len(file.files)} arrays; the limit is {_MOST_ARRAYS}")
            content = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise TrackError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise TrackError(f"{path} cannot be read: it is damaged or no track of stpose") from error
    if str(content.get("format")) != "stpose":
        raise TrackError(f"{path} was not written by stpose")
    version = content.get("version", np.empty(2))
    if version.shape != () or not 1 <= int(version) <= VERSION:
        raise TrackError(f"{path} is of another version of stpose; update the extension")
    return content


def to_track(motion: Motion) -> Track:
    """The motion as a skeleton that stands on the ground in Blender's axes. End sites become the tails of bones."""
    places = _rest_places(motion)
    ends = [index for index, name in enumerate(motion.names) if name.endswith("End") and not (motion.parents == index).any()]
    bones = [index for index in range(len(motion.names)) if index not in ends]
    heads = rotate(TO_BLENDER, places)
    heads[:, 2] -= heads[:, 2].min()
    tails = np.stack([heads[_main_child(motion, bone)] if _main_child(motion, bone) is not None else _stub(motion, heads, bone)
                      for bone in bones])  # fmt: skip
    parents = np.array([bones.index(parent) if parent >= 0 else -1 for parent in motion.parents[bones]], dtype=np.int64)
    rest = np.stack([_bone_axes(tail - head) for head, tail in zip(heads[bones], tails)])
    skeleton = Skeleton(tuple(motion.names[bone] for bone in bones), parents, heads[bones], tails, rest)
    # The file's turns are in axes that are the world's at rest.
    turned = np.empty((len(motion), len(bones), 4))
    where = np.empty((len(motion), len(bones), 3))
    root = rotate(TO_BLENDER, motion.root)
    world = multiply(TO_BLENDER, multiply(motion.rotations, inverse(TO_BLENDER)))
    for number, bone in enumerate(bones):
        parent = parents[number]
        if parent < 0:
            turned[:, number], where[:, number] = world[:, bone], root
        else:
            turned[:, number] = multiply(turned[:, parent], world[:, bone])
            offset = skeleton.heads[number] - skeleton.heads[parent]
            where[:, number] = where[:, parent] + rotate(turned[:, parent], offset)
    return Track(skeleton, multiply(turned, rest), where, motion.fps, motion.contacts)


def _rest_places(motion: Motion) -> Array:
    places = np.zeros((len(motion.names), 3))
    for joint, parent in enumerate(motion.parents):
        if parent >= 0:
            places[joint] = places[parent] + motion.offsets[joint]
    return places


def _main_child(motion: Motion, bone: int) -> int | None:
    """The joint that a bone points to: its only child, the one in the middle of the body, or the end site."""
    children = [int(child) for child in np.flatnonzero(motion.parents == bone)]
    far = [child for child in children if np.linalg.norm(motion.offsets[child]) > _LEAST]
    if len(far) <= 1:
        return far[0] if far else None
    named = [child for child in far if motion.names[child].startswith(_MAIN_CHILD)]
    straight = sorted(far, key=lambda child: abs(float(unit(motion.offsets[child])[0])))
    return named[0] if named else straight[0]


def _stub(motion: Motion, heads: Array, bone: int) -> Array:
    """A tail for a bone without anything beyond it: a little further the way its parent came."""
    way = heads[bone] - heads[motion.parents[bone]] if motion.parents[bone] >= 0 else np.array([0.0, 0.0, 1.0])
    return np.asarray(heads[bone] + 0.08 * unit(way))


def _bone_axes(vector: Array) -> Array:
    """(4,) axes of a bone along `vector`: y along it, and z as near to forward (-y) as it can be, or up where it points forward."""
    y = unit(vector)
    forward = np.array([0.0, -1.0, 0.0]) if abs(y[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    x = unit(np.cross(y, forward))
    return from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))
