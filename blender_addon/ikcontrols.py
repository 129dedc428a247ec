"""IK controls keyed so that the rig has the same pose with its switches at IK as with its FK controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

from .action import Channel
from .armature import rotation_channel
from .retarget import keys
from .retarget.bonemap import IKLimb
from .retarget.rotation import Array, continuous

_TRIES = 6  # times that a limb is corrected
_CLOSE = np.radians(0.1)
_AWAY = 1.0  # distance of a pole from the joint, in lengths of the limb


def ik_channels(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    limbs: Sequence[IKLimb],
    mapped: dict[str, str],
    frames: Array,
    tolerance: tuple[float, float],
) -> tuple[list[Channel], float]:
    """What to key on the IK controls of a rig whose FK controls are animated, and by how many degrees an upper limb still differs.

    The poles are placed by experiment: with the switches at IK, each is turned about its limb until elbow or knee is as in FK.
    """
    limbs = [
        limb for limb in limbs if {limb.end, limb.pole, limb.middle} <= set(obj.pose.bones.keys()) and set(limb.fk) <= set(mapped)
    ]
    scene = context.scene
    now = scene.frame_current, scene.frame_subframe
    controls = [name for limb in limbs for name in (limb.end, limb.pole, *limb.followers(), limb.stretch) if name in obj.pose.bones]
    before = {name: obj.pose.bones[name].matrix_basis.copy() for name in controls}
    switches = [
        (switch.bone, switch.property, obj.pose.bones[switch.bone][switch.property]) for limb in limbs for switch in limb.switches
    ]
    taken: dict[str, list[Matrix]] = {name: [] for name in controls}
    worst = 0.0
    try:
        for limb in limbs:
            for switch in limb.switches:
                bone: Any = obj.pose.bones[switch.bone]
                bone[switch.property] = type(bone[switch.property])(switch.value)
        obj.update_tag()
        for frame in frames:
            scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))
            for limb in limbs:
                _follow(obj, limb.end, mapped[limb.fk[2]])
                if limb.stretch in before:
                    # From near the pose it has to find, IK squeezes the limb less.
                    _follow(obj, limb.stretch, mapped[limb.fk[0]])
                _put(obj, limb.pole, _pole(obj, [mapped[slot] for slot in limb.fk]))
            context.view_layer.update()
            worst = max(worst, _settle(context, obj, limbs, mapped))
            for limb in limbs:
                for control, slot in limb.also.items():
                    if control in before and slot in mapped:
                        _follow(obj, control, mapped[slot])
            for name in controls:
                taken[name].append(obj.pose.bones[name].matrix_basis.copy())
    finally:
        for bone_name, name, value in switches:
            obj.pose.bones[bone_name][name] = value
        for name, matrix in before.items():
            obj.pose.bones[name].matrix_basis = matrix
        obj.update_tag()
        scene.frame_set(now[0], subframe=now[1])
    poles, stretched = {limb.pole for limb in limbs}, {limb.stretch for limb in limbs}
    found = []
    for name, matrices in taken.items():
        bone = obj.pose.bones[name]
        if name in stretched:
            sizes = np.array([matrix.to_scale() for matrix in matrices])
            keep = keys.fewer_values(frames, sizes, 0.1 * tolerance[0])
            found.append(Channel(bone.path_from_id("scale"), name, frames[keep], sizes[keep]))
            turns = continuous(np.array([matrix.to_quaternion() for matrix in matrices]))
            found.append(rotation_channel(bone, frames, turns, tolerance[0]))
            continue
        places = np.array([matrix.translation for matrix in matrices])
        keep = keys.fewer_values(frames, places, tolerance[1])
        found.append(Channel(bone.path_from_id("location"), name, frames[keep], places[keep]))
        if name not in poles:
            turns = continuous(np.array([matrix.to_quaternion() for matrix in matrices]))
            found.append(rotation_channel(bone, frames, turns, tolerance[0]))
    return found, float(np.degrees(worst))


def _follow(obj: bpy.types.Object, control: str, fk: str) -> None:
    """Put a control where it is at rest seen from an FK bone."""
    rest = obj.data.bones[fk].matrix_local.inverted() @ obj.data.bones[control].matrix_local
    _put(obj, control, obj.pose.bones[fk].matrix @ rest)


def _put(obj: bpy.types.Object, control: str, matrix: Matrix) -> None:
    bone = obj.pose.bones[control]
    local = obj.convert_space(pose_bone=bone, matrix=matrix, from_space="POSE", to_space="LOCAL")
    place, turn, _ = local.decompose()
    # With the scale that it has: that of the frame before is where the next correction begins.
    bone.matrix_basis = Matrix.LocRotScale(place, turn, bone.matrix_basis.to_scale())


def _pole(obj: bpy.types.Object, names: Sequence[str]) -> Matrix:
    """Where a pole shows a limb's plane: beyond the joint, the way it is bent, or bent at rest where it is straight."""
    first, middle, last = (_head(obj, name) for name in names)
    along = (last - first).normalized()
    out = (middle - first) - (middle - first).dot(along) * along
    length = (middle - first).length + (last - middle).length
    if out.length < 0.01 * length:
        rest = [obj.data.bones[name].head_local for name in names]
        turn = obj.pose.bones[names[0]].matrix.to_quaternion() @ obj.data.bones[names[0]].matrix_local.to_quaternion().inverted()
        line = (rest[2] - rest[0]).normalized()
        out = turn @ ((rest[1] - rest[0]) - (rest[1] - rest[0]).dot(line) * line)
        out = out - out.dot(along) * along
    return Matrix.Translation(middle + _AWAY * length * out.normalized())


def _head(obj: bpy.types.Object, name: str) -> Any:
    """Where a bone begins now, in the armature's axes."""
    return Vector(np.array(obj.pose.bones[name].head).tolist())


def _settle(context: bpy.types.Context, obj: bpy.types.Object, limbs: Sequence[IKLimb], mapped: dict[str, str]) -> float:
    """Turn the poles about their limbs, and scale what IK squeezes, until IK bends as FK does; the rad by which it is still off."""
    worst = 0.0
    for attempt in range(_TRIES + 1):
        worst, moved = 0.0, False
        for limb in limbs:
            first, wanted, last, seen = (_head(obj, name) for name in (*(mapped[slot] for slot in limb.fk), limb.middle))
            off = max((seen - first).angle(wanted - first, 0.0), (seen - last).angle(wanted - last, 0.0))
            worst = max(worst, off)
            if off < _CLOSE or attempt == _TRIES:
                continue
            moved = True
            if limb.stretch in obj.pose.bones:
                # How far a limb reaches at the bend that is seen, and at the bend that is wanted.
                lengths = (wanted - first).length, (last - wanted).length
                reach = [_reach(*lengths, (point - first).angle(last - point, 0.0)) for point in (seen, wanted)]
                obj.pose.bones[limb.stretch].scale *= reach[0] / reach[1]
            along = (last - first).normalized()
            before, after = ((point - first) - (point - first).dot(along) * along for point in (seen, wanted))
            turn = Quaternion(along, float(np.arctan2(along.dot(before.cross(after)), before.dot(after))))
            pole = obj.pose.bones[limb.pole].matrix.translation
            _put(obj, limb.pole, Matrix.Translation(first + turn @ (pole - first)))
        if not moved:
            break
        context.view_layer.update()
    return worst


def _reach(first: float, second: float, bend: float) -> float:
    """From end to end of two bones with a bend between them."""
    return float(np.sqrt(first**2 + second**2 + 2 * first * second * np.cos(bend)))
