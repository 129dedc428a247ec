"""What programs call the joints of a body: presets that rename the joints of a Motion.

Each preset names the 22 joints of a captured body, and the fingers, as one family of skeletons does, so that retargeting tools
detect the family by itself. The hierarchy, the rest pose (a T-pose) and the axes stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stpose_core.errors import OptionError

if TYPE_CHECKING:
    from stpose_core.data import Motion

_TRUNK = ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head")
_LIMBS = ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")
_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")

# Names of the trunk and of the limbs, in the order above. {0} is the side, {1} its letter, {2} the side in lower case.
_NAMES: dict[str, tuple[str, str]] = {
    "mixamo": (
        "Hips Spine Spine1 Spine2 Neck Head",
        "{0}Shoulder {0}Arm {0}ForeArm {0}Hand {0}UpLeg {0}Leg {0}Foot {0}ToeBase",
    ),
    "cmu": (
        "Hips LowerBack Spine Spine1 Neck Head",
        "{0}Shoulder {0}Arm {0}ForeArm {0}Hand {0}UpLeg {0}Leg {0}Foot {0}ToeBase",
    ),
    "unreal": (
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "clavicle_{1} upperarm_{1} lowerarm_{1} hand_{1} thigh_{1} calf_{1} foot_{1} ball_{1}",
    ),
    "rokoko": (
        "Hips Spine1 Spine2 Spine3 Neck Head",
        "{0}Shoulder {0}Arm {0}ForeArm {0}Hand {0}Thigh {0}Shin {0}Foot {0}Toe",
    ),
    "vrm": (
        "hips spine chest upperChest neck head",
        "{2}Shoulder {2}UpperArm {2}LowerArm {2}Hand {2}UpperLeg {2}LowerLeg {2}Foot {2}Toes",
    ),
}
_PREFIX = {"mixamo": "mixamorig:"}

_ENOUGH = 15  # joints of a preset by which it is recognised

RIGS = ("stpose", *_NAMES)
"""The presets. "stpose" keeps the names of a captured body."""


def _finger(rig: str, side: str, finger: str, number: int) -> str:
    """The name of a finger's joint. number: 1 next to the palm, to 3; fingers of VRM and Unreal have other names."""
    if rig == "unreal":
        return f"{finger.lower()}_0{number}_{side[0].lower()}"
    if rig == "rokoko":
        part = ("Proximal", "Medial", "Distal")[number - 1]
        return f"{side}Finger{_FINGERS.index(finger) + 1}{part}"
    if rig == "vrm":
        parts = ("Metacarpal", "Proximal", "Distal") if finger == "Thumb" else ("Proximal", "Intermediate", "Distal")
        return f"{side.lower()}{'Little' if finger == 'Pinky' else finger}{parts[number - 1]}"
    return f"{side}Hand{finger}{number}"


def joint_names(rig: str) -> dict[str, str]:
    """The name that a preset gives to each joint of a body. Raises OptionError for an unknown preset."""
    if rig not in RIGS:
        raise OptionError(f"there is no rig '{rig}'; use one of {', '.join(RIGS)}")
    if rig == "stpose":
        return {}
    trunk, limbs = _NAMES[rig]
    names = dict(zip(_TRUNK, trunk.split()))
    for side in ("Left", "Right"):
        ours = [side + name for name in _LIMBS]
        names.update(zip(ours, limbs.format(side, side[0].lower(), side.lower()).split()))
        for finger in _FINGERS:
            names.update({f"{side}Hand{finger}{number}": _finger(rig, side, finger, number) for number in (1, 2, 3)})
    prefix = _PREFIX.get(rig, "")
    return {ours: prefix + name for ours, name in names.items()}


def rig_of(motion: Motion) -> str | None:
    """The preset whose names the joints of a motion have; None if they have those of none.

    Prefixes up to a colon or a bar, and a difference in upper and lower case, do not count.
    """
    return _rig_of(motion.names)


def _rig_of(names: tuple[str, ...]) -> str | None:
    counts = {rig: len(_ours(names, rig)) for rig in RIGS}
    best = max(RIGS, key=lambda rig: counts[rig])
    return best if counts[best] >= _ENOUGH else None


def body_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """What a captured body calls joints with the names of a preset; other names as they are."""
    rig = _rig_of(names)
    found = {} if rig is None else _ours(names, rig)
    found.update({_end(name): _end(ours) for name, ours in found.items()})
    return tuple(found.get(name, name) for name in names)


def _end(name: str) -> str:
    """What the end site of a joint is called: LeftToeBase ends in LeftToeEnd."""
    return f"{name.removesuffix('Base')}End"


def recognised(motion: Motion) -> Motion:
    """The motion with the names of a captured body, if its joints have those of a preset; otherwise as it is."""
    rig = rig_of(motion)
    if rig in (None, "stpose"):
        return motion
    return _renamed(motion, _ours(motion.names, rig))


def _ours(own: tuple[str, ...], rig: str) -> dict[str, str]:
    """What a captured body calls those joints that have names of a preset: one joint for each name."""
    names = joint_names(rig) or {name: name for name in joint_names("cmu")}
    theirs = {_plain(name): ours for ours, name in names.items()}
    found: dict[str, str] = {}
    for name in own:
        ours = theirs.pop(_plain(name), None)
        if ours is not None:
            found[name] = ours
    return found


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[-1].rsplit("|", 1)[-1].lower()


def renamed(motion: Motion, rig: str) -> Motion:
    """The motion with the joint names of a preset, one of RIGS. End sites are named after their parent.

    "stpose" leaves all names as they are; for other presets the motion may have the names of any preset.
    Joints that the preset does not know keep their names. Raises OptionError for an unknown preset.
    """
    names = joint_names(rig)
    return _renamed(recognised(motion), names) if names else motion


def _renamed(motion: Motion, names: dict[str, str]) -> Motion:
    found: list[str] = []
    for name, parent in zip(motion.names, motion.parents):
        end = name.endswith("End") and parent >= 0 and motion.names[parent] in names
        found.append(_end(found[parent]) if end else names.get(name, name))
    return replace(motion, names=tuple(found))
