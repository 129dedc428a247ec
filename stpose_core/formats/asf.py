"""ASF/AMC (Acclaim): a skeleton file and motion files that belong to it, as optical marker systems write them.

In an .asf file each bone has a direction and a length in the world's axes at rest, an axis (the angles of the frame C in which its
rotations are meant) and its degrees of freedom; an .amc file has their values, frame by frame. With M the turns of a frame, the
first listed turned first, a bone stands at R = R_parent C M C^-1, and reaches from its parent's end to R (direction x length)
beyond it. Lengths are inches divided by the `length` unit. y is up. The files do not say their frame rate.
Sources: M. Meredith, S. Maddock, "Motion capture file formats explained", University of Sheffield, 2001; the ASF/AMC notes of
J. Schafer, University of Wisconsin, 1994; the length unit from the questions and answers of mocap.cs.cmu.edu.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.reading import check_table, read_text

_INCH = 0.0254
_TURNS = {"rx": 0, "ry": 1, "rz": 2}
_SHIFTS = {"tx": 0, "ty": 1, "tz": 2}


@dataclass
class _Bone:
    """A bone as the file describes it. dof: names of its degrees of freedom in the order of an .amc line."""

    name: str
    vector: Array = field(default_factory=lambda: np.zeros(3))
    frame: Rotation = field(default_factory=Rotation.identity)
    dof: tuple[str, ...] = ()
    parent: str = ""


@dataclass
class Skeleton:
    """What an .asf file says. bones: each after its parent, the root first. scale: metres for a unit of length."""

    path: Path
    bones: dict[str, _Bone]
    scale: float
    degrees: bool


def read_amc(skeleton: str | Path | Skeleton, path: str | Path, fps: float = 120.0) -> Motion:
    """The motion of an .amc file on the skeleton of an .asf file, in metres, y up; the rest pose is the file's own.

    A joint has the name of the bone that begins there; the ends of the last bones have it with "End". fps: the rate, which the
    files do not tell (120 for most of CMU and HDM05). Raises FormatError with the file and the line at fault.
    """
    asf = skeleton if isinstance(skeleton, Skeleton) else read_asf(skeleton)
    path = Path(path)
    values, degrees = _frames(asf, path)
    names, parents, offsets = _joints(asf)
    frames = len(values["root"])
    rotations = np.zeros((frames, len(names), 4))
    rotations[..., 0] = 1.0
    for joint, name in enumerate(names):
        if name in asf.bones:
            bone = asf.bones[name]
            turned = bone.frame * _turn(bone.dof, values[name], degrees) * bone.frame.inv()
            rotations[:, joint] = turned.as_quat()[:, [3, 0, 1, 2]]
    root = np.tile(asf.bones["root"].vector, (frames, 1))
    for place, kind in enumerate(asf.bones["root"].dof):
        if kind in _SHIFTS:
            root[:, _SHIFTS[kind]] += values["root"][:, place]
    if not np.isfinite(root * asf.scale).all():
        raise FormatError(f"{path} places the root infinitely far away")
    return Motion(
        names=names,
        parents=parents,
        offsets=offsets * asf.scale,
        rotations=rotations,
        root=root * asf.scale,
        contacts=np.zeros((frames, 4)),
        filled=np.zeros(frames, dtype=bool),
        fps=fps,
    )


def _turn(dof: tuple[str, ...], values: Array, degrees: bool) -> Rotation:
    """The rotations (T,) of a bone's turns, the first listed turned first."""
    turned = Rotation.identity(len(values))
    for place, kind in enumerate(dof):
        if kind in _TURNS:
            turned = Rotation.from_euler("xyz"[_TURNS[kind]], values[:, [place]], degrees=degrees) * turned
    return turned


def _joints(asf: Skeleton) -> tuple[tuple[str, ...], NDArray[np.int64], Array]:
    """Names, parents and offsets (file units): a joint where each bone begins, and an end where no other bone goes on."""
    names, parents, offsets = ["root"], [-1], [np.zeros(3)]
    at = {"root": 0}
    for bone in list(asf.bones.values())[1:]:
        at[bone.name] = len(names)
        names.append(bone.name)
        parents.append(at[bone.parent])
        # The root has a place, but no length.
        offsets.append(np.zeros(3) if bone.parent == "root" else asf.bones[bone.parent].vector)
    inner = {bone.parent for bone in asf.bones.values()}
    for bone in asf.bones.values():
        if bone.name not in inner and bone.name != "root":
            names.append(f"{bone.name}End")
            parents.append(at[bone.name])
            offsets.append(bone.vector)
    return tuple(names), np.array(parents), np.stack(offsets)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number, words) of each line that is neither empty nor a comment."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].replace("(", " ").replace(")", " ").split()
        if words:
            yield number, words


def _numbers(words: list[str], count: int, path: Path, line: int) -> list[float]:
    try:
        values = [float(word) for word in words[:count]]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise FormatError(f"{path}, line {line}: {count} numbers expected, not '{' '.join(words)[:60]}'")
    return values


def read_asf(path: str | Path) -> Skeleton:
    """The skeleton of an .asf file. Raises FormatError with the line at fault."""
    path = Path(path)
    reader = _SkeletonReader(path)
    for number, words in _lines(path):
        reader.line(number, words)
    return reader.finish()


class _SkeletonReader:
    """Goes through an .asf file line by line and knows in which section it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.section = ""
        self.length, self.degrees = 1.0, True
        self.bone = _Bone("")
        self.parts: dict[str, list[float]] = {}
        self.axes = "XYZ"
        self.found: dict[str, _Bone] = {}
        self.children: dict[str, list[str]] = {}

    def line(self, number: int, words: list[str]) -> None:
        if words[0].startswith(":"):
            self.section = words[0][1:].lower()
            if self.section == "root":
                self.bone, self.parts, self.axes = _Bone("root"), {}, "XYZ"
            return
        key = words[0].lower()
        if self.section == "units":
            if key == "length":
                self.length = _numbers(words[1:], 1, self.path, number)[0]
            elif key == "angle":
                self.degrees = words[-1].lower().startswith("deg")
        elif self.section == "root":
            self._root(key, words, number)
        elif self.section == "bonedata":
            self._bonedata(key, words, number)
        elif self.section == "hierarchy" and key not in ("begin", "end"):
            self.children.setdefault(words[0], []).extend(words[1:])

    def _root(self, key: str, words: list[str], number: int) -> None:
        if key == "order":
            self.bone.dof = self._dof(words[1:], number)
        elif key == "axis":
            self.axes = words[-1].upper()
        elif key in ("position", "orientation"):
            self.parts[key] = _numbers(words[1:], 3, self.path, number)
        self.bone.vector = np.array(self.parts.get("position", [0.0] * 3))
        self.bone.frame = self._frame(self.parts.get("orientation", [0.0] * 3), number)
        self.found["root"] = self.bone

    def _bonedata(self, key: str, words: list[str], number: int) -> None:
        if key == "begin":
            self.bone, self.parts = _Bone(""), {}
        elif key == "name":
            self.bone.name = words[-1]
        elif key == "direction":
            self.parts[key] = _numbers(words[1:], 3, self.path, number)
        elif key == "length":
            self.parts[key] = _numbers(words[1:], 1, self.path, number)
        elif key == "axis":
            self.axes = words[-1].upper()
            self.bone.frame = self._frame(_numbers(words[1:], 3, self.path, number), number)
        elif key == "dof":
            self.bone.dof = self._dof(words[1:], number)
        elif key == "end":
            name = self.bone.name
            if not name or name in self.found or not {"direction", "length"} <= set(self.parts):
                raise FormatError(f"{self.path}, line {number}: a bone has no name, direction or length, or is there twice")
            direction = np.array(self.parts["direction"])
            # Directions are rounded to six digits; the length is what counts.
            self.bone.vector = direction / (np.linalg.norm(direction) or 1.0) * self.parts["length"][0]
            self.found[name] = self.bone
            self.bone, self.parts = _Bone(""), {}  # later lines without a "begin" do not belong to it

    def _frame(self, angles: list[float], number: int) -> Rotation:
        if sorted(self.axes) != ["X", "Y", "Z"]:
            raise FormatError(f"{self.path}, line {number}: '{self.axes[:20]}' is no order of axes")
        # Small letters: turns about the fixed axes, the first listed first.
        return Rotation.from_euler(self.axes.lower(), angles, degrees=self.degrees)

    def _dof(self, words: list[str], number: int) -> tuple[str, ...]:
        kinds = tuple(word.lower() for word in words)
        allowed = {*_TURNS, *_SHIFTS} if self.section == "root" else {*_TURNS}
        if not set(kinds) <= allowed:
            raise FormatError(f"{self.path}, line {number}: degrees of freedom '{' '.join(words)[:40]}' are not supported")
        return kinds

    def finish(self) -> Skeleton:
        """The bones in order. Raises FormatError where the hierarchy does not fit to them."""
        if "root" not in self.found or len(self.found) < 2:
            raise FormatError(f"{self.path} is not an .asf file: no :root or no :bonedata in it")
        order, todo = {"root": self.found["root"]}, deque(["root"])
        while todo:
            parent = todo.popleft()
            for name in self.children.get(parent, []):
                if name not in self.found or name in order:
                    raise FormatError(f"{self.path}: the hierarchy names '{name[:40]}', which is no bone or has two parents")
                order[name] = self.found[name]
                order[name].parent = parent
                todo.append(name)
        if len(order) != len(self.found):
            left = ", ".join(sorted(set(self.found) - set(order)))[:200]
            raise FormatError(f"{self.path}: bones without a place in the hierarchy: {left}")
        scale = _INCH / self.length if self.length > 0 else 0.0
        longest = max(float(np.abs(bone.vector).max()) for bone in order.values())
        if not (scale and np.isfinite(scale * longest)):
            raise FormatError(
                f"{self.path}: the unit of length is {self.length:g}; a bone of length {longest:g} is then not finite"
            )
        return Skeleton(self.path, order, scale, self.degrees)


def _frames(asf: Skeleton, path: Path) -> tuple[dict[str, Array], bool]:
    """Values (T, degrees of freedom) of each bone, zero where a frame does not name it; and whether angles are degrees."""
    frames: list[dict[str, list[float]]] = []
    degrees = asf.degrees
    for number, words in _lines(path):
        if words[0].startswith(":"):
            degrees = degrees if words[0].upper() not in (":DEGREES", ":RADIANS") else words[0].upper() == ":DEGREES"
        elif len(words) == 1 and words[0].isdigit():
            frames.append({})
        elif not frames:
            raise FormatError(f"{path}, line {number}: the number of a frame expected, not '{' '.join(words)[:60]}'")
        elif words[0] not in asf.bones:
            raise FormatError(f"{path}, line {number}: {asf.path.name} has no bone '{words[0][:40]}'")
        else:
            count = len(asf.bones[words[0]].dof)
            if len(words) - 1 != count:
                raise FormatError(f"{path}, line {number}: {len(words) - 1} numbers for {count} degrees of freedom of {words[0]}")
            frames[-1][words[0]] = _numbers(words[1:], count, path, number)
    if not frames:
        raise FormatError(f"{path} is not an .amc file: no frames in it")
    missing = next((number for number, frame in enumerate(frames, 1) if "root" not in frame), None)
    if missing is not None:
        raise FormatError(f"{path}: frame {missing} does not place the root")
    if len(frames) > 1 and (lost := sorted(frames[-2].keys() - frames[-1].keys())):
        raise FormatError(f"{path}: the file ends in the middle of frame {len(frames)}, before {lost[0][:40]}")
    given = sum(len(values) for frame in frames for values in frame.values())
    check_table(path, len(frames), sum(max(1, len(bone.dof)) for bone in asf.bones.values()), given)
    return {
        name: np.array([frame.get(name, [0.0] * len(bone.dof)) for frame in frames]).reshape(len(frames), -1)
        for name, bone in asf.bones.items()
    }, degrees
