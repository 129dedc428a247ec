"""Another pose than the armature's own as the rest pose that bodies are compared in."""

from __future__ import annotations

import json
from dataclasses import replace

import bpy
import numpy as np

from .armature import home_of, read_skeleton
from .properties import map_of
from .retarget.rotation import from_matrix, multiply
from .retarget.skeleton import Skeleton


def keep_rest(context: bpy.types.Context, obj: bpy.types.Object, clear: bool = False) -> None:
    """Keep the pose of the current frame as the rest pose of an armature object, or forget it."""
    if clear:
        map_of(obj).rest = ""
        return
    bones = obj.evaluated_get(context.evaluated_depsgraph_get()).pose.bones
    places = {bone.name: np.concatenate([bone.head, bone.tail, bone.matrix.to_quaternion()]) for bone in bones}
    map_of(obj).rest = json.dumps({name: np.round(values, 7).tolist() for name, values in places.items()})


def rest_of(obj: bpy.types.Object) -> Skeleton:
    """The skeleton at rest in the world: as the armature was built, or in the pose that was chosen as rest pose."""
    skeleton = read_skeleton(obj)
    if not map_of(obj).rest:
        return skeleton
    known = json.loads(map_of(obj).rest)
    heads, tails, rest = skeleton.heads.copy(), skeleton.tails.copy(), skeleton.rest.copy()
    home = home_of(obj)
    world, turned = np.array(home), np.array(home.to_quaternion().to_matrix())
    for bone, name in enumerate(skeleton.names):
        if name not in known:
            continue
        values = np.array(known[name])
        heads[bone], tails[bone] = values[:6].reshape(2, 3) @ world[:3, :3].T + world[:3, 3]
        rest[bone] = multiply(from_matrix(turned), values[6:])
    return replace(skeleton, heads=heads, tails=tails, rest=rest)
