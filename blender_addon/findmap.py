"""The bone map of an armature object: from what its file says of itself, or from its names and its shape."""

from __future__ import annotations

from typing import Any

import bpy

from .restpose import rest_of
from .retarget.bonemap import BoneMap, check, find_map
from .retarget.skeleton import Skeleton
from .retarget.slots import REQUIRED

# VRM's human bones in the spelling of version 1.0 in the add-on "VRM format"; those of 0.x are the same without underscores.
_TRUNK = {"hips": "hips", "spine": "spine", "chest": "spine.2", "upper_chest": "spine.3", "neck": "neck", "head": "head"}
_LIMBS = {
    "shoulder": "shoulder", "upper_arm": "upper_arm", "lower_arm": "forearm", "hand": "hand",
    "upper_leg": "thigh", "lower_leg": "shin", "foot": "foot", "toes": "toe",
}  # fmt: skip
_SIDES = (("left", ".L"), ("right", ".R"))
_FINGERS = {"thumb": "thumb", "index": "index", "middle": "middle", "ring": "ring", "little": "pinky"}
_BONES = ("proximal", "intermediate", "distal")
_SLOTS = {
    **_TRUNK,
    **{f"{side}_{bone}": slot + end for side, end in _SIDES for bone, slot in _LIMBS.items()},
    **{
        f"{side}_{finger}_{bone}": f"{slot}{number}{end}"
        for side, end in _SIDES
        for finger, slot in _FINGERS.items()
        for number, bone in enumerate(_BONES, start=1)
    },
}
# Version 1.0 counts the thumb's bones from the wrist, 0.x from the knuckle; both have three.
_THUMB = {
    f"{side}_thumb_{bone}": f"thumb{number}{end}"
    for side, end in _SIDES
    for number, bone in enumerate(("metacarpal", "proximal", "distal"), start=1)
}


def guess_map(obj: bpy.types.Object) -> BoneMap:
    """The map that fits an armature object best."""
    skeleton = rest_of(obj)
    return _human_bones(obj, skeleton) or find_map(skeleton)


def _human_bones(obj: bpy.types.Object, skeleton: Skeleton) -> BoneMap | None:
    """The human bones of a VRM, as the add-on "VRM format" keeps them with the armature; None where it has none that fit."""
    known: Any = getattr(obj.data, "vrm_addon_extension", None)
    if known is None:
        return None
    bones = {}
    newer = getattr(getattr(known, "vrm1", None), "humanoid", None)
    for name, slot in {**_SLOTS, **_THUMB}.items():
        bone = getattr(getattr(getattr(newer, "human_bones", None), name, None), "node", None)
        if getattr(bone, "bone_name", ""):
            bones[slot] = str(bone.bone_name)
    older = getattr(getattr(known, "vrm0", None), "humanoid", None)
    spelled = {name.replace("_", ""): slot for name, slot in _SLOTS.items()}
    for one in getattr(older, "human_bones", ()) if not bones else ():
        slot = spelled.get(str(one.bone).lower(), "")
        if slot and one.node.bone_name:
            bones[slot] = str(one.node.bone_name)
    problems = check(skeleton, bones)
    return None if not bones or set(REQUIRED) & set(problems) else BoneMap(bones, "VRM (human bones)", 1.0, problems)
