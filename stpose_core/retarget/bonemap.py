"""Which bone of a rig is which part of the body: by the names of known rig families, checked against the hierarchy."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .anatomy import Anatomy
from .rotation import across
from .skeleton import Skeleton
from .slots import FINGER_SLOTS, REQUIRED, SIDES, SLOTS, parent_slot
from .structure import find_body

PRESETS = Path(__file__).parent / "presets"
#: A family that fits less than this is not taken for one.
GOOD = 0.7
_LEAST = 0.5  # below this the names are nobody's


@dataclass(frozen=True)
class Switch:
    """A custom property of a bone that has to have a value for the mapped controls to act."""

    bone: str
    property: str
    value: float


@dataclass(frozen=True)
class IKLimb:
    """The IK controls of a limb. fk: the slots of its three joints. end, pole: controls. middle: the bone that elbow or knee moves.

    switches: what has to be set for IK to act. also: controls that follow other slots, by name. stretch: the control whose scale
    lengthens the limb, for rigs whose IK squeezes it.
    """

    fk: tuple[str, str, str]
    end: str
    pole: str
    middle: str
    switches: tuple[Switch, ...]
    also: dict[str, str] = field(default_factory=dict)
    stretch: str = ""

    def followers(self) -> list[str]:
        """Names of the controls that follow other slots."""
        return list(self.also)


@dataclass(frozen=True)
class Family:
    """What a family of rigs calls its bones.

    bones: for each slot the names that are tried. prefix: regular expression of what may stand before each name.
    signs: bones that only this family has; one of them must be there. controls: the bones are controls, which need not hang on
    one another. switches, note: what else is set for the controls to act, and how to say so.
    """

    name: str
    bones: dict[str, tuple[str, ...]]
    prefix: str = ""
    signs: tuple[str, ...] = ()
    controls: bool = False
    switches: tuple[Switch, ...] = ()
    note: str = ""
    ik: tuple[IKLimb, ...] = ()


@dataclass(frozen=True)
class BoneMap:
    """Bones by slot. family: whose names they are, "structure" where only the shape told, "own" for a user's. score: 0..1.

    problems: for each slot in doubt, what is wrong with it.
    """

    bones: dict[str, str]
    family: str
    score: float = 1.0
    problems: dict[str, str] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()
    note: str = ""
    controls: bool = False
    ik: tuple[IKLimb, ...] = ()


def ik_from(data: Sequence[dict[str, Any]]) -> tuple[IKLimb, ...]:
    """IK limbs of their form in JSON."""
    return tuple(
        IKLimb(
            (str(one["fk"][0]), str(one["fk"][1]), str(one["fk"][2])),
            str(one["end"]),
            str(one["pole"]),
            str(one["middle"]),
            _switches(one.get("switches", ())),
            {str(control): str(slot) for control, slot in one.get("also", {}).items()},
            str(one.get("stretch", "")),
        )
        for one in data
    )


def ik_to(limbs: Sequence[IKLimb]) -> list[dict[str, Any]]:
    """IK limbs in the form that JSON takes."""
    return [asdict(limb) for limb in limbs]


def _switches(data: Sequence[dict[str, Any]]) -> tuple[Switch, ...]:
    return tuple(Switch(str(one["bone"]), str(one["property"]), float(one["value"])) for one in data)


def load_family(path: Path) -> Family:
    """Read a family's JSON file. Raises ValueError where it is not one."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        bones = {slot: (names,) if isinstance(names, str) else tuple(names) for slot, names in data["bones"].items()}
        unknown = sorted(set(bones) - set(SLOTS))
        if unknown:
            raise ValueError(f"unknown parts of the body: {', '.join(unknown)}")
        return Family(
            str(data["family"]),
            bones,
            str(data.get("prefix", "")),
            tuple(data.get("signs", ())),
            bool(data.get("controls", False)),
            _switches(data.get("switches", ())),
            str(data.get("note", "")),
            ik_from(data.get("ik", ())),
        )
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not a bone map ({error})") from error


def load_families(folder: Path = PRESETS) -> list[Family]:
    """All families in a folder, by file name."""
    return [load_family(path) for path in sorted(folder.glob("*.json"))]


def save_map(path: Path, bone_map: BoneMap) -> None:
    """Write a map as a family's file, so that it can be loaded again. Raises OSError if it cannot be written."""
    data = {
        "family": bone_map.family,
        "controls": bone_map.controls,
        "switches": [asdict(one) for one in bone_map.switches],
        "ik": ik_to(bone_map.ik),
        "bones": {slot: [name] for slot, name in bone_map.bones.items()},
    }
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def match(skeleton: Skeleton, family: Family, shared: Sequence[str] | None = None) -> BoneMap:
    """The bones of a skeleton that a family names. shared: the prefixes that most of its names have, where they are known."""
    shared = shared_prefixes(skeleton.names) if shared is None else shared
    by_name = _plain_names(skeleton.names, family.prefix, shared)
    exact = set(skeleton.names)
    bones = {}
    for slot, names in family.bones.items():
        for name in names:
            found = name if name in exact else by_name.get(name.lower())
            if found is not None:
                bones[slot] = found
                break
    signed = not family.signs or any(sign.lower() in by_name for sign in family.signs)
    problems = check(skeleton, bones, family.controls)
    # Many rigs of a family have no root bone and no fingers.
    wanted = [slot for slot in family.bones if slot != "root" and slot not in FINGER_SLOTS]
    fitting = [slot for slot in wanted if slot in bones and slot not in problems]
    score = len(fitting) / len(wanted) if signed else 0.0
    if set(REQUIRED) & set(problems):
        score *= 0.5
    if family.signs and signed:
        # A family with signs of its own is a special case of another, and preferred to it.
        score += 0.01
    return BoneMap(bones, family.name, score, problems, family.switches, family.note, family.controls, family.ik)


def _plain_names(names: Sequence[str], prefix: str, shared: Sequence[str]) -> dict[str, str]:
    """Bones by what is left of their names, in lower case, without the family's prefix, a prefix that most share, and a number.

    Exporters number the nodes of a scene ("Hips_02", "Head.007"). The plainest name that is not taken counts.
    """
    pattern = re.compile(rf"^(?:.*[:|])?(?:{prefix or '(?!)'})?", re.IGNORECASE)
    found: dict[str, str] = {}
    number = re.compile(r"[_.]\d+$")
    for numbered in (True, False):
        for start in ("", *shared):
            for name in names:
                plain = name.removeprefix(start)
                found.setdefault(pattern.sub("", plain if numbered else number.sub("", plain)).lower(), name)
    return found


def shared_prefixes(names: Sequence[str]) -> list[str]:
    """The beginnings, up to a separator, that four in five of the names have, the shortest first."""
    counts: dict[str, int] = {}
    for name in names:
        for end in re.finditer(r"[_.: |-]", name):
            counts[name[: end.end()]] = counts.get(name[: end.end()], 0) + 1
    return sorted((start for start, count in counts.items() if count >= 0.8 * len(names)), key=len)


def find_map(skeleton: Skeleton, families: Sequence[Family] | None = None) -> BoneMap:
    """The map of the family that fits best, or one found by the skeleton's shape, or the better of two incomplete ones."""
    shared = shared_prefixes(skeleton.names)
    found = [match(skeleton, family, shared) for family in (load_families() if families is None else families)]
    # Among equals the one with more bones: a family may be part of another.
    best = max(found, key=lambda one: (round(one.score, 6), len(one.bones)), default=BoneMap({}, "own", 0.0))
    if best.score >= GOOD and not set(REQUIRED) & set(best.problems):
        return best
    bones = find_body(skeleton)
    problems = check(skeleton, bones)
    score = sum(slot in bones and slot not in problems for slot in REQUIRED) / len(REQUIRED)
    shape = BoneMap(bones, "structure", 0.9 * score, problems, note="Found by the shape of the skeleton: look it over.")
    if shape.score > best.score or len(set(REQUIRED) & set(problems)) == 0:
        return shape
    # Too little fits to say whose names they are.
    return best if best.score >= _LEAST else replace(best, family="unknown", switches=(), note="", ik=())


def check(skeleton: Skeleton, bones: dict[str, str], controls: bool = False) -> dict[str, str]:
    """What is wrong with a map, by slot; empty if nothing is."""
    problems: dict[str, str] = {}
    known = {slot: name for slot, name in bones.items() if name in skeleton.names}
    for slot in SLOTS:
        if slot in REQUIRED and slot not in bones:
            problems[slot] = "no bone is chosen"
        elif slot in bones and slot not in known:
            problems[slot] = f"the rig has no bone '{bones[slot]}'"
    taken: dict[str, str] = {}
    for slot, name in known.items():
        if name in taken:
            problems[slot] = f"'{name}' is used for {taken[name]} too"
        taken.setdefault(name, slot)
    if not controls:
        for slot, name in known.items():
            parent = parent_slot(slot, known)
            if parent is not None and skeleton.index(known[parent]) not in skeleton.ancestors(skeleton.index(name)):
                problems.setdefault(slot, f"'{name}' does not hang on '{known[parent]}' ({parent})")
    if not set(problems) - set(FINGER_SLOTS) and swapped(skeleton, known):
        for side in SIDES:
            problems.update((part + side, "left and right are swapped") for part in ("thigh", "upper_arm"))
    return problems


def swapped(skeleton: Skeleton, bones: dict[str, str]) -> bool:
    """Whether the left leg is on the right: by the feet, which point forward."""
    anatomy = Anatomy(skeleton, bones)
    feet = sum(anatomy.end_of("foot" + side) - anatomy.head_of("foot" + side) for side in SIDES)
    ahead = across(feet, anatomy.up)
    if np.linalg.norm(ahead) < 0.1 * anatomy.leg_length():
        return False
    return float(ahead @ anatomy.forward) < 0
