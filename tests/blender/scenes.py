"""Rigs and tracks in a Blender scene, and what is measured on them through the evaluated dependency graph."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from rigs import LIMBS, Character
from walks import NAMES, positions

TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
PART = {"upper_arm": "Arm", "forearm": "ForeArm", "hand": "Hand", "thigh": "UpLeg", "shin": "Leg", "foot": "Foot", "toe": "ToeBase"}


#: What the tests have measured: (what, value, unit). The session prints it at its end.
FIGURES: list[tuple[str, float, str]] = []


def figure(what: str, value: float, unit: str) -> None:
    """Keep a measured value for the table at the end of the session."""
    FIGURES.append((what, float(value), unit))


def make(one: Character, name: str = "Target", transform: np.ndarray | None = None) -> bpy.types.Object:
    """An armature object with the character's bones; `transform` (4, 4) becomes the object's, unapplied."""
    data = bpy.data.armatures.new(name)
    obj = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in one.bones.values():
        made = data.edit_bones.new(bone.name)
        made.head, made.tail = Vector(bone.head), Vector(bone.tail)
        made.align_roll(Vector(bone.rest[:, 2]))
        if bone.parent:
            made.parent = data.edit_bones[bone.parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    if transform is not None:
        obj.matrix_world = Matrix(transform.tolist())
    bpy.context.view_layer.update()
    return obj


def write_track(path: Path, track: dict) -> Path:
    """A track as `stpose mocap` writes it."""
    content = {f"motion.{name}": np.array(value) for name, value in track.items()}
    content["motion.filled"] = np.zeros(len(track["root"]), dtype=bool)
    np.savez_compressed(path, format=np.array("stpose"), version=np.array(1), **content)
    return path


def import_track(path: Path) -> bpy.types.Object:
    assert bpy.ops.stpose.import_track(filepath=str(path)) == {"FINISHED"}
    return bpy.context.object


def pose_of(obj: bpy.types.Object, names: list[str], frames: range) -> tuple[np.ndarray, np.ndarray]:
    """Heads (T, N, 3) and turns from rest (T, N, 3, 3) of bones in the world, from the evaluated dependency graph."""
    scene, heads, turns = bpy.context.scene, [], []
    for frame in frames:
        scene.frame_set(frame)
        evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
        world = np.array(evaluated.matrix_world)
        unscaled = world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0)
        now = [np.array(evaluated.pose.bones[name].matrix) for name in names]
        rest = [np.array(obj.data.bones[name].matrix_local)[:3, :3] for name in names]
        heads.append([world[:3, :3] @ m[:3, 3] + world[:3, 3] for m in now])
        turned = []
        for m, r in zip(now, rest):
            axes = m[:3, :3] / np.linalg.norm(m[:3, :3], axis=0)
            turned.append(unscaled @ axes @ (unscaled @ r).T)
        turns.append(turned)
    return np.array(heads), np.array(turns)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def degrees(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((unit(first) * unit(second)).sum(-1), -1, 1)))


def joint(slot: str) -> int:
    part, side = slot.split(".")
    return NAMES.index(("Left" if side == "L" else "Right") + PART[part])


def wanted(turns: np.ndarray, root: np.ndarray) -> np.ndarray:
    """(T, J, 3) where the source's joints are in Blender's axes."""
    return positions(turns, root)[0] @ TO_BLENDER.T


def limb_errors(
    obj: bpy.types.Object, bones: dict[str, str], hinges: dict[str, np.ndarray], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of direction of all limb bones, and of twist where a limb bends more than 10 degrees.

    bones: by slot. hinges: axis at rest, in the world, about which each limb flexes, by its first slot. places: `wanted`.
    """
    names = [bones[slot] for limb in LIMBS for slot in limb]
    heads, turned = pose_of(obj, names, range(1, len(places) + 1))
    direction, twist = [], []
    for number, limb in enumerate(LIMBS):
        joints = [places[:, joint(slot)] for slot in limb]
        for part in (0, 1):
            along = heads[:, 3 * number + part + 1] - heads[:, 3 * number + part]
            direction.append(degrees(along, joints[part + 1] - joints[part]))
        first, second = joints[1] - joints[0], joints[2] - joints[1]
        bent = degrees(first, second) > 10
        axis = turned[:, 3 * number] @ hinges[limb[0]]
        twist.append(degrees(axis, np.cross(first, second))[bent])
    return np.concatenate(direction), np.concatenate(twist)


def check_gates(obj: bpy.types.Object, bones: dict[str, str], hinges: dict[str, np.ndarray], places: np.ndarray) -> None:
    """Limbs point and bend as the source's do. The gates are 0.5 and 2 degrees of direction and 1 of twist; it does better."""
    direction, twist = limb_errors(obj, bones, hinges, places)
    worst = float(np.percentile(direction, 95))
    figure(f"direction on '{obj.name}', mean", direction.mean(), "deg")
    figure(f"direction on '{obj.name}', p95", worst, "deg")
    figure(f"twist on '{obj.name}', mean", twist.mean(), "deg")
    assert direction.mean() < 0.1
    assert worst < 0.3
    assert twist.mean() < 0.2
    assert len(twist) > 100


def hinges_at_rest(obj: bpy.types.Object, bones: dict[str, str]) -> dict[str, np.ndarray]:
    """For limbs that are bent at rest the axis of that bend in the world."""
    found = {}
    for limb in LIMBS:
        heads = [np.array(obj.matrix_world @ obj.data.bones[bones[slot]].head_local) for slot in limb]
        found[limb[0]] = unit(np.cross(heads[1] - heads[0], heads[2] - heads[1]))
    return found


def rest_of(obj: bpy.types.Object) -> dict[str, list]:
    """All of a rig that a retarget must leave as it is. What drivers make of a family's switches is theirs."""
    driven = {driver.data_path for driver in obj.animation_data.drivers} if obj.animation_data else set()
    constraints = [
        (
            bone.name,
            one.name,
            one.type,
            *(None if one.path_from_id(name) in driven else getattr(one, name) for name in ("mute", "influence")),
        )
        for bone in obj.pose.bones
        for one in bone.constraints
    ]
    return {
        "object": [list(row) for row in obj.matrix_world] + [list(obj.scale), list(obj.rotation_euler), obj.rotation_mode],
        "rest": [(bone.name, [list(row) for row in bone.matrix_local], bone.use_connect) for bone in obj.data.bones],
        "modes": [(bone.name, bone.rotation_mode) for bone in obj.pose.bones],
        "constraints": constraints,
    }


def curves_of(obj: bpy.types.Object) -> list:
    """All F-curves of the object's action, in both of Blender's ways."""
    action = obj.animation_data.action
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    return [c for layer in action.layers for strip in layer.strips for bag in strip.channelbags for c in bag.fcurves]
