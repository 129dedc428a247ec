"""Skinned characters made here: Rigify's human, and bodies with Mixamo's and Unreal's names. Soles lie at height 0 at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from families import dressed
from scenes import make

_SLICES = 12


@dataclass
class Body:
    """A rig, its skin, and the names of its bones that deform, by part of the body, without their side as `form` has it.

    heels, balls: for both sides the vertices of the skin under heel and ball.
    """

    rig: bpy.types.Object
    skin: bpy.types.Object
    bones: dict[str, str]
    heels: list[np.ndarray]
    balls: list[np.ndarray]


def rigify(path: Path | None = None) -> Body:
    """Rigify's generated human. path: a .blend that has it as "rig"; generated if None."""
    if path is None:
        bpy.ops.object.armature_human_metarig_add()
        metarig = bpy.context.object
        bpy.ops.pose.rigify_generate()
        rig = bpy.context.object
        bpy.data.objects.remove(metarig)
    else:
        with bpy.data.libraries.load(str(path)) as (_, to):
            to.objects = ["rig"]
        rig = to.objects[0]
        bpy.context.collection.objects.link(rig)
        bpy.context.view_layer.update()
    return _dressed(rig, lambda part, side: f"DEF-{part}.{side}")


def mixamo() -> Body:
    """In centimetres, y up, with shoes: their soles are 2 cm below the lowest bone."""
    whole = dressed("mixamo")
    transform = whole.transform.copy()
    transform[2, 3] += 0.02
    return _dressed(make(whole.inside, "Mixamo", transform), lambda part, side: whole.mapped[f"{part}.{side}"])


def unreal() -> Body:
    """In centimetres, y up, with bones across the limbs and the arms down."""
    whole = dressed("unreal 5")
    return _dressed(make(whole.inside, "Unreal", whole.transform), lambda part, side: whole.mapped[f"{part}.{side}"])


BODIES: dict[str, Callable[[], Body]] = {"Rigify": rigify, "Mixamo": mixamo, "Unreal": unreal}


def _dressed(rig: bpy.types.Object, name: Callable[[str, str], str]) -> Body:
    parts = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
    bones = {f"{part}.{side}": name(part, side) for part in parts for side in "LR"}
    points: list[np.ndarray] = []
    faces: list[tuple[int, ...]] = []
    weights: list[dict[str, float]] = []
    places = {key: np.array(rig.matrix_world @ rig.data.bones[bone].head_local) for key, bone in bones.items()}
    for side in "LR":
        for limb in (("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot")):
            for part, following in zip(limb, limb[1:]):
                key = f"{part}.{side}"
                _add(points, faces, weights, *_box(places[key], places[f"{following}.{side}"], bones[key]))
    trunk = np.mean([places["thigh.L"], places["thigh.R"]], axis=0)
    top = np.mean([places["upper_arm.L"], places["upper_arm.R"]], axis=0)
    spine = rig.data.bones[bones["thigh.L"]].parent
    _add(points, faces, weights, *_box(trunk, top + [0, 0, 0.2], spine.name, 0.11))
    heels, balls = [], []
    for side in "LR":
        start = len(points)
        shoe = _shoe(places[f"foot.{side}"], places[f"toe.{side}"], bones[f"foot.{side}"], bones[f"toe.{side}"])
        _add(points, faces, weights, *shoe)
        # A slice has two points of the sole, then two of the upper.
        sole = [[start + 4 * slice_, start + 4 * slice_ + 1] for slice_ in range(_SLICES)]
        heels.append(np.array(sole[0]))
        balls.append(np.array(sole[7]))
    mesh = bpy.data.meshes.new("Skin")
    mesh.from_pydata([tuple(point) for point in points], [], faces)
    skin = bpy.data.objects.new("Skin", mesh)
    bpy.context.collection.objects.link(skin)
    groups = {bone: skin.vertex_groups.new(name=bone) for bone in {bone for shares in weights for bone in shares}}
    for vertex, shares in enumerate(weights):
        for bone, share in shares.items():
            groups[bone].add([vertex], share, "REPLACE")
    skin.modifiers.new("Armature", "ARMATURE").object = rig
    bpy.context.view_layer.update()
    return Body(rig, skin, bones, heels, balls)


def _add(points: list, faces: list, weights: list, new: np.ndarray, sides: list, shares: list) -> None:
    start = len(points)
    points += list(new)
    faces += [tuple(start + corner for corner in face) for face in sides]
    weights += shares


def _box(first: np.ndarray, second: np.ndarray, bone: str, wide: float = 0.045) -> tuple[np.ndarray, list, list]:
    along = (second - first) / np.linalg.norm(second - first)
    x = np.cross(along, [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    y = np.cross(along, x)
    ring = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    places = np.array([end + wide * (a * x + 0.7 * b * y) for end in (first, second) for a, b in ring])
    sides = [(0, 1, 2, 3), (7, 6, 5, 4), *((i, 4 + i, 4 + (i + 1) % 4, (i + 1) % 4) for i in range(4))]
    return places, sides, [{bone: 1.0}] * 8


def _shoe(ankle: np.ndarray, joint: np.ndarray, foot: str, toe: str) -> tuple[np.ndarray, list, list]:
    """A shoe on the ground below the ankle, in slices from the heel to the tip; the toe bone carries what is before the ball."""
    ahead = (joint - ankle) * [1, 1, 0]
    length = np.linalg.norm(ahead)
    ahead, beside = ahead / length, np.cross([0.0, 0, 1], ahead / length)
    places, sides, shares = [], [], []
    for number, part in enumerate(np.linspace(-0.4, 1.6, _SLICES)):
        middle = (ankle * [1, 1, 0]) + part * length * ahead
        high = max(0.03, ankle[2] * (1 - 0.65 * max(part, 0) / 1.6))
        places += [middle + s * 0.04 * beside + [0, 0, h] for h in (0.0, high) for s in (1, -1)]
        share = float(np.clip((part - 0.95) / 0.2, 0.0, 1.0))
        shares += [{foot: 1 - share, toe: share}] * 4
        if number:
            a, b = 4 * (number - 1), 4 * number
            sides += [(a, a + 1, b + 1, b), (a + 2, b + 2, b + 3, a + 3), (a, b, b + 2, a + 2), (a + 1, a + 3, b + 3, b + 1)]
    last = 4 * (_SLICES - 1)
    sides += [(0, 2, 3, 1), (last, last + 1, last + 3, last + 2)]
    return np.array(places), sides, shares


def skin_in_motion(body: Body, frames: range) -> np.ndarray:
    """(T, V, 3) where the vertices of the skin are, in the world, from the evaluated dependency graph."""
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        mesh = body.skin.evaluated_get(bpy.context.evaluated_depsgraph_get())
        places = np.empty(3 * len(mesh.data.vertices), dtype=np.float32)
        mesh.data.vertices.foreach_get("co", places)
        world = np.array(mesh.matrix_world)
        found.append(places.reshape(-1, 3).astype(float) @ world[:3, :3].T + world[:3, 3])
    return np.array(found)
