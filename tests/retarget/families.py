"""Skeletons as the families of rigs have them: names, hierarchy, twist and helper bones, rest pose, bone axes, units and up axis.

Written from what the families publish of their skeletons; the body in them is that of `rigs`. In families.txt a line is a bone: its
name, its parent, where it begins, and the slot of the map that is expected for it. {} is the side. A place is a joint of the body,
or `a>b@0.5` for a point on the way from one to another; `floor` is the ground between the feet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rigs import AIMS, TRUNK, Bone, Character, axes, character

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def _tables() -> dict[str, list[str]]:
    """The lines of each family in families.txt."""
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = lines = []
        elif line:
            lines.append(line)
    return found


_TABLES = _tables()


@dataclass(frozen=True)
class Look:
    """How a family's skeleton is posed and built.

    preset: the name of the map that must be found. sides: what {} stands for, left and right. pose: of `character`.
    axes: "along", y along the bone; "across", x along the limb (against it on the right), as the bones of Unreal, MetaHuman and
    Daz come through FBX; "world", every bone upright and alike, as in Poser and VRM 0. y_up: in centimetres, y up, on an object
    that is turned and scaled by 0.01, as FBX comes in.
    """

    preset: str
    sides: tuple[str, str]
    pose: dict = field(default_factory=dict)
    axes: str = "along"
    y_up: bool = False


LOOKS = {
    "unreal 4": Look("Unreal Mannequin", ("l", "r"), {"arms_down": 50, "elbows": 12, "knees": 6}, "across", True),
    "unreal 5": Look("Unreal Mannequin", ("l", "r"), {"arms_down": 50, "elbows": 12, "knees": 6}, "across", True),
    "metahuman": Look("MetaHuman", ("l", "r"), {"arms_down": 45, "elbows": 10, "knees": 5}, "across", True),
    "mixamo": Look("Mixamo", ("Left", "Right"), {}, "along", True),
    "vrm 0": Look("VRM", ("L", "R"), {}, "world"),
    "auto-rig pro": Look("Auto-Rig Pro", ("l", "r"), {"arms_down": 40, "elbows": 8, "knees": 4}),
    "auto-rig pro, exported": Look("Auto-Rig Pro (exported)", ("l", "r"), {"arms_down": 40, "elbows": 8, "knees": 4, "rolls": 21}),
    "daz genesis 8": Look("Daz Genesis 8", ("l", "r"), {"arms_down": 45, "elbows": 5}, "across", True),
    "daz genesis 9": Look("Daz Genesis 9", ("l", "r"), {"arms_down": 40, "elbows": 5}, "across", True),
    "poser": Look("Daz / Poser", ("l", "r"), {}, "world"),
    "makehuman": Look("MakeHuman / MPFB", ("L", "R"), {"arms_down": 42, "elbows": 12, "rolls": 22}),
    "character creator": Look("Character Creator", ("L", "R"), {"arms_down": 10}, "along", True),
    "cmu bvh": Look("CMU (BVH)", ("Left", "Right"), {}, "along"),
    "cmu asf": Look("CMU (ASF)", ("l", "r"), {"arms_down": 20, "rolls": 23}),
}


@dataclass(frozen=True)
class Dressed:
    """A skeleton of a family. inside: as its armature has it; the object is turned and scaled by `transform` (4, 4).

    mapped: the bone that each slot must be found at. hinges: by the first slot of each limb, in the world.
    """

    inside: Character
    transform: np.ndarray
    mapped: dict[str, str]
    hinges: dict[str, np.ndarray]
    preset: str


def dressed(family: str, **pose: object) -> Dressed:
    """The skeleton of a family, on the body of `rigs`. pose: what is to be otherwise than in `LOOKS`."""
    look, body = LOOKS[family], character("nameless", **{**LOOKS[family].pose, **pose})
    joints = _joints(body)
    bones: dict[str, Bone] = {}
    mapped: dict[str, str] = {}
    for name, parent, place, slot in _lines(family, look):
        head, base = _at(joints, place), place.split(">")[0]
        along = _along(joints, base)
        rest = _axes(look.axes, along, base, body)
        tail = head + rest[:, 1] * (np.linalg.norm(along) if look.axes == "along" else 0.08)
        bones[name] = Bone(base, name, None if parent == "-" else parent, head, tail, rest)
        if slot:
            mapped[slot] = name
    whole, transform = Character(bones, body.hinges), np.eye(4)
    if look.y_up:
        whole, transform[:3, :3] = whole.turned(Y_UP, 100.0), 0.01 * Y_UP.T
    return Dressed(whole, transform, mapped, body.hinges, look.preset)


def _joints(body: Character) -> dict[str, np.ndarray]:
    joints = {part: bone.head for part, bone in body.bones.items()}
    for side in (".L", ".R"):
        joints.update({"tip" + side: body.bones["hand" + side].tail, "tiptoe" + side: body.bones["toe" + side].tail})
    return {**joints, "top": body.bones["head"].tail, "floor": np.zeros(3)}


def _lines(family: str, look: Look) -> list[tuple[str, str, str, str]]:
    """Name, parent, place and slot of each bone, sides spelled out, parents first."""
    found: list[tuple[str, str, str, str]] = []
    for line in _TABLES[family]:
        name, parent, place, *rest = line.split()
        slot = rest[0].removeprefix("=") if rest else ""
        if "{" not in name:
            found.append((name, parent, place, slot))
            continue
        for word, side in zip(look.sides, (".L", ".R")):
            named = [text.replace("{}", word).replace("{!}", word.upper()) for text in (name, parent)]
            sided = ">".join(_sided(point, side) for point in place.split(">"))
            found.append((*named, sided, slot + side if slot else ""))
    return found


def _sided(point: str, side: str) -> str:
    joint, at, part = point.partition("@")
    middle = joint in TRUNK or joint in ("top", "floor") or "." in joint
    return (joint if middle else joint + side) + at + part


def _at(joints: dict[str, np.ndarray], place: str) -> np.ndarray:
    way, _, part = place.partition("@")
    first, _, second = way.partition(">")
    return joints[first] + float(part) * (joints[second] - joints[first]) if second else joints[first]


def _along(joints: dict[str, np.ndarray], base: str) -> np.ndarray:
    """From a joint to the next one."""
    part, side = base.removesuffix(".L").removesuffix(".R"), base[-2:] if base[-2:] in (".L", ".R") else ""
    if part == "floor":
        return np.array([0.0, 0.0, 0.3])
    after = {**AIMS, "hand": "tip", "toe": "tiptoe", "head": "top"}[part]
    return joints[after if after in joints else after + side] - joints[base]


def _axes(kind: str, along: np.ndarray, base: str, body: Character) -> np.ndarray:
    """(3, 3) the axes of a bone at rest, as columns."""
    if kind == "world":
        return np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    if kind == "along":
        # With the roll that the body's own bone was given.
        return body.bones[base].rest if base in body.bones else axes(along, 0.0)
    x = along / np.linalg.norm(along) * (-1.0 if base.endswith(".R") else 1.0)
    y = np.cross(x, [0.0, -1.0, 0.0] if abs(x[1]) < 0.7 else [1.0, 0.0, 0.0])
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)
