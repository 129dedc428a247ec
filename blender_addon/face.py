"""Curves of a face: kept with the action of a rig that was made from a track, and keyed on the shape keys of a character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np

from .action import Channel, mark_bake, write_action
from .retarget.curves import matched
from .retarget.rotation import Array

#: On the action of a rig that was made from a track: the curves by name, and the frame that they begin at.
CURVES, FIRST = "stpose_face", "stpose_face_first"


def keep_curves(action: Any, curves: Mapping[str, Array], first: float) -> None:
    """Keep curves (T,) with an action, from frame `first` on."""
    if curves:
        action[CURVES] = {name: values.tolist() for name, values in curves.items()}
        action[FIRST] = float(first)


def curves_at(obj: bpy.types.Object, frames: Array) -> dict[str, Array]:
    """The curves (N,) that the assigned action of a rig has, at some frames; none where it has none."""
    action: Any = obj.animation_data.action if obj.animation_data else None
    if action is None or CURVES not in action:
        return {}
    known = {name: np.array(values, dtype=np.float64) for name, values in action[CURVES].items()}
    return {name: np.interp(frames - float(action[FIRST]), np.arange(len(values)), values) for name, values in known.items()}


def key_shapes(target: bpy.types.Object, name: str, curves: Mapping[str, Array], frames: Array, where: str) -> list[str]:
    """Key the shape keys of the meshes on a rig that are named as curves. where: as of `write_action`. What to say of it."""
    if not curves:
        return []
    keyed = 0
    for mesh in meshes_on(target):
        keys: Any = mesh.data.shape_keys  # type: ignore[union-attr]
        if keys is None or keys.library is not None:
            continue
        blocks = [block.name for block in keys.key_blocks[1:]]
        channels = [
            Channel(keys.key_blocks[block].path_from_id("value"), "Face", frames, curves[curve][:, None])
            for block, curve in matched(blocks, curves).items()
        ]
        if channels:
            mark_bake(write_action(keys, f"{mesh.name} {name}", channels, where))
            keyed += len(channels)
    return [f"{keyed} shape keys follow the face"] if keyed else ["no mesh has shape keys named as the curves of the face"]


def meshes_on(rig: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes that a rig moves, by a modifier or as their parent; each mesh once, however many objects show it."""
    found: dict[str, bpy.types.Object] = {}
    for obj in bpy.data.objects:
        moved = obj.parent == rig or any(one.type == "ARMATURE" and one.object == rig for one in obj.modifiers)  # type: ignore[attr-defined]
        if obj.type == "MESH" and moved:
            found.setdefault(obj.data.name, obj)  # type: ignore[union-attr]
    return list(found.values())
