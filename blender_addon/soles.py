"""Soles from the skin: the vertices of a character's meshes that its feet and toes carry."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from .retarget.anatomy import Anatomy
from .retarget.rotation import Array
from .retarget.slots import SIDES
from .retarget.soles import Sole, heading_of, size_of, sole_of, soles_from_bones

_FEWEST = 6  # vertices of a foot, below which the skin says nothing
_MOST = 20_000  # vertices that are looked at in a mesh


def find_soles(obj: bpy.types.Object, anatomy: Anatomy) -> dict[str, Sole]:
    """The soles of a character at rest, by side: from its visible skins, or from its bones where no skin covers both feet."""
    carriers = {side: _carriers(obj, anatomy, side) for side in SIDES}
    found: dict[str, list[tuple[Array, Array]]] = {side: [] for side in SIDES}
    for mesh in skins_of(obj):
        for side in SIDES:
            found[side].append(_of_mesh(mesh, anatomy, side, carriers[side]))
    soles = {}
    for side, parts in found.items():
        points = np.concatenate([np.empty((0, 3)), *(part[0] for part in parts)])
        toe = np.concatenate([np.empty(0), *(part[1] for part in parts)])
        if len(points) < _FEWEST:
            return soles_from_bones(anatomy)
        kept = _outermost(points, toe, anatomy, side)
        soles[side] = sole_of(anatomy, side, points[kept], toe[kept])
    return soles


def skins_of(obj: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """Visible meshes that the armature deforms."""
    for other in bpy.context.scene.objects:
        bound = other.type == "MESH" and any(
            one.type == "ARMATURE" and one.object == obj and one.show_viewport for one in other.modifiers
        )
        if bound and other.visible_get():
            yield other


def _carriers(obj: bpy.types.Object, anatomy: Anatomy, side: str) -> dict[str, str]:
    """For each bone of a foot, "foot" or "toe": by the hierarchy, or by where it begins: bones may only follow controls."""
    ankle, joint = anatomy.head_of("foot" + side), anatomy.end_of("foot" + side)
    ahead, length = heading_of(anatomy, side), float(np.linalg.norm(joint - ankle))
    skeleton, found = anatomy.skeleton, {}
    mapped = {anatomy.bones[part + side]: part for part in ("foot", "toe") if part + side in anatomy.bones}
    toes = joint @ ahead - 0.1 * length
    for bone, name in enumerate(skeleton.names):
        above = next((mapped[one] for one in (bone, *skeleton.ancestors(bone)) if one in mapped), None)
        head = skeleton.heads[bone]
        near = np.linalg.norm(head - ankle) < 1.6 * length and (head - ankle) @ anatomy.up < 0.1 * length
        if above is not None or near:
            found[name] = "toe" if above == "toe" or (head @ ahead > toes and "toe" + side in anatomy.bones) else "foot"
    return found


def _of_mesh(mesh: bpy.types.Object, anatomy: Anatomy, side: str, carriers: dict[str, str]) -> tuple[Array, Array]:
    """Points (N, 3) of a foot at rest in the world, and the share (N,) of each that the toe carries."""
    places = np.empty(3 * len(mesh.data.vertices), dtype=np.float32)
    mesh.data.vertices.foreach_get("co", places)
    world = np.array(mesh.matrix_world)
    points = places.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
    ankle = anatomy.head_of("foot" + side)
    near = ((points - ankle) @ anatomy.up < 0.02 * size_of(anatomy)) & (
        np.linalg.norm(points - ankle, axis=1) < 0.45 * anatomy.leg_length()
    )
    chosen = np.flatnonzero(near)
    chosen = chosen[:: max(1, len(chosen) // _MOST)]
    parts = {group.index: carriers.get(group.name) for group in mesh.vertex_groups}
    shares = np.zeros((len(chosen), 3))
    for row, vertex in enumerate(chosen):
        for group in mesh.data.vertices[int(vertex)].groups:
            part = parts.get(group.group)
            shares[row, 0 if part == "foot" else 1 if part == "toe" else 2] += group.weight
    mine = shares[:, :2].sum(axis=1)
    keep = mine > np.maximum(shares[:, 2], 1e-6)
    return points[chosen[keep]], np.asarray(shares[keep, 1] / mine[keep])


def _outermost(points: Array, toe: Array, anatomy: Anatomy, side: str) -> Array:
    """Indices of the points that are the lowest of their part however the foot is tilted."""
    ahead = heading_of(anatomy, side)
    beside = np.cross(anatomy.up, ahead)
    kept: set[int] = set()
    for part in (toe < 0.05, (toe >= 0.05) & (toe <= 0.95), toe > 0.95):
        at = np.flatnonzero(part)
        if not len(at):
            continue
        for pitch in np.radians(np.arange(-90, 91, 10)):
            for roll in np.radians([-40, -20, 0, 20, 40]):
                down = -np.cos(pitch) * np.cos(roll) * anatomy.up + np.sin(pitch) * ahead + np.sin(roll) * beside
                kept.add(int(at[(points[at] @ down).argmax()]))
    return np.array(sorted(kept))
