"""A plain body on a rig of Rigify, so that a picture shows a character and not controls alone."""

from __future__ import annotations

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector

# Radii in metres where a deforming bone begins and ends, by the beginning of its name; the longest beginning counts.
_RADII = {
    "spine": (0.125, 0.115), "spine.001": (0.11, 0.11), "spine.002": (0.115, 0.13), "spine.003": (0.125, 0.09),
    "spine.004": (0.05, 0.048), "spine.005": (0.048, 0.05), "spine.006": (0.085, 0.1),
    "shoulder": (0.05, 0.06), "upper_arm": (0.052, 0.045), "forearm": (0.042, 0.034), "hand": (0.03, 0.032), "palm": (0.017, 0.015),
    "f_": (0.011, 0.009), "thumb": (0.014, 0.01), "thigh": (0.085, 0.066), "shin": (0.056, 0.042), "foot": (0.042, 0.038),
    "toe": (0.036, 0.03),
}  # fmt: skip
_VOXEL = 0.013  # m
_BLEND = 0.02  # m over which one bone's part of the skin goes over into the next one's


def add_body(rig: bpy.types.Object, voxel: float = _VOXEL) -> bpy.types.Object:
    """A smooth mesh around the rig's deforming bones, bound to those that are nearest. voxel: m; fingers need less than theirs."""
    mesh, shape = bpy.data.meshes.new("Body"), bmesh.new()
    known = {bone: _radii(bone.name.removeprefix("DEF-")) for bone in rig.data.bones if bone.name.startswith("DEF-")}
    parts = {bone: radii for bone, radii in known.items() if radii is not None}
    for bone, radii in parts.items():
        _capsule(shape, bone.head_local, bone.tail_local, radii)
    shape.to_mesh(mesh)
    shape.free()
    body = bpy.data.objects.new("Body", mesh)
    bpy.context.collection.objects.link(body)
    remesh = body.modifiers.new("One", "REMESH")
    remesh.mode, remesh.voxel_size = "VOXEL", voxel
    smooth = body.modifiers.new("Smooth", "SMOOTH")
    smooth.factor, smooth.iterations = 0.5, 8
    for other in bpy.context.selected_objects:
        other.select_set(False)
    body.select_set(True)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.convert(target="MESH")
    bpy.ops.object.shade_smooth()
    material = bpy.data.materials.new("Clay")
    material.diffuse_color = (0.86, 0.52, 0.26, 1)
    body.data.materials.append(material)
    _bind(body, parts)
    body.parent = rig
    body.modifiers.new("Armature", "ARMATURE").object = rig
    body.select_set(False)
    return body


def _bind(body: bpy.types.Object, parts: dict) -> None:
    """Weights by how far each point of the skin is from the surface of each part: the two nearest share it."""
    points = np.array([vertex.co for vertex in body.data.vertices])
    far = []
    for bone, (first, last) in parts.items():
        head, way = np.array(bone.head_local), np.array(bone.tail_local - bone.head_local)
        along = np.clip((points - head) @ way / (way @ way), 0, 1)
        far.append(np.linalg.norm(points - head - along[:, None] * way, axis=1) - first - along * (last - first))
    distance = np.array(far)
    nearest = np.argsort(distance, axis=0)[:2]
    between = np.take_along_axis(distance, nearest, axis=0)
    share = np.clip(0.5 + (between[1] - between[0]) / (2 * _BLEND), 0.5, 1.0)
    groups = [body.vertex_groups.new(name=bone.name) for bone in parts]
    for number in range(len(points)):
        groups[nearest[0, number]].add([number], float(share[number]), "REPLACE")
        if share[number] < 1:
            groups[nearest[1, number]].add([number], 1 - float(share[number]), "REPLACE")


def _radii(name: str) -> tuple[float, float] | None:
    fitting = [part for part in _RADII if name.startswith(part)]
    return _RADII[max(fitting, key=len)] if fitting else None


def _capsule(shape: bmesh.types.BMesh, head: Vector, tail: Vector, radii: tuple[float, float]) -> None:
    """The hull of a ball at each end."""
    made: list = []
    for place, radius in zip((head, tail), radii):
        at = Matrix.Translation(place)
        made += bmesh.ops.create_uvsphere(shape, u_segments=16, v_segments=10, radius=radius, matrix=at)["verts"]
    hull = bmesh.ops.convex_hull(shape, input=made)
    inside = {one for one in hull["geom_interior"] + hull["geom_unused"] if isinstance(one, bmesh.types.BMVert)}
    bmesh.ops.delete(shape, geom=list(inside), context="VERTS")
