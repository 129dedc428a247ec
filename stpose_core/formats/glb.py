"""GLB (binary glTF 2.0): skeletons with their motion and a dressed figure each, several people in one file; metres, y up.

Each person is a skin: a hierarchy of nodes in the rest pose, a skinned mesh of `figure`, and rotations of all joints and the path
of the root in one animation. Source: Khronos Group, glTF 2.0 Specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array, Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.formats import motion_of
from stpose_core.formats.figure import Part, dress, rest_positions
from stpose_core.formats.gltf import INDICES, VERTICES, GltfBuilder


def write(people: Sequence[Motion | Capture], path: str | Path, units: str = "m") -> None:
    """Write the motions of people, as a `Format` does; always in metres."""
    write_glb([motion_of(person) for person in people], path)


def read(path: str | Path) -> tuple[Motion, ...]:
    """The motions in a file, as a `Format` reads it."""
    from stpose_core.formats.glb_reader import read_glb

    return read_glb(path)


def write_glb(motions: Sequence[Motion], path: str | Path) -> None:
    """Write people in their common world, each with a dressed figure. Overwrites.

    Raises OutputError if a motion has no frames or missing values.
    """
    builder = GltfBuilder()
    content = builder.content
    content.update(nodes=[], scenes=[{"nodes": []}], scene=0, skins=[])
    animation: dict[str, Any] = {"name": "motion", "channels": [], "samplers": []}
    for person, motion in enumerate(motions):
        check(motion, path)
        first = add_skeleton(builder, motion, animation)
        # A node of its own above each skeleton: Blender makes one armature of skeletons that share the node above them.
        content["nodes"].append({"name": f"person{person + 1}", "children": [first]})
        content["scenes"][0]["nodes"].append(len(content["nodes"]) - 1)
        _add_figure(builder, motion, first, person)
    content["animations"] = [animation]
    builder.write(path)


def check(motion: Motion, path: str | Path) -> None:
    """Raises OutputError if a motion cannot be written."""
    if not len(motion):
        raise OutputError(f"cannot write {path}: the motion has no frames")
    if not all(np.isfinite(values).all() for values in (motion.offsets, motion.rotations, motion.root)):
        raise OutputError(f"cannot write {path}: the motion has missing values")
    if list(motion.parents).count(-1) != 1:
        raise OutputError(f"cannot write {path}: the skeleton needs exactly one root")


def standing(motion: Motion) -> Array:
    """(J, 3) joints at rest in metres, the lowest on the floor at y = 0."""
    places = rest_positions(motion)
    return places - [0.0, places[:, 1].min(), 0.0]


def continuous(rotations: Array) -> Array:
    """Quaternions (T, J, 4) with the signs that are nearest to the frame before, so that no program turns the long way round."""
    flips = np.ones(rotations.shape[:2])
    flips[1:] = np.where((rotations[1:] * rotations[:-1]).sum(-1) < 0, -1.0, 1.0)
    return rotations * np.cumprod(flips, axis=0)[..., None]


def add_skeleton(builder: GltfBuilder, motion: Motion, animation: dict[str, Any]) -> int:
    """Add the nodes of a skeleton in its rest pose, and its motion to an animation. Returns the index of the root's node."""
    nodes, places = builder.content["nodes"], standing(motion)
    first = len(nodes)
    for joint, (name, parent) in enumerate(zip(motion.names, motion.parents)):
        shift = places[joint] - (places[parent] if parent >= 0 else 0.0)
        nodes.append({"name": name, "translation": shift.tolist()})
        if parent >= 0:
            nodes[first + parent].setdefault("children", []).append(first + joint)
    times = builder.array(np.arange(len(motion)) / motion.fps, "SCALAR", bounds=True)

    def add(node: int, target: str, values: Array, kind: str) -> None:
        animation["samplers"].append({"input": times, "output": builder.array(values, kind)})
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": {"node": node, "path": target}})

    # glTF stores quaternions as xyzw.
    rotations = continuous(motion.rotations)[..., [1, 2, 3, 0]]
    rotations = rotations / np.linalg.norm(rotations, axis=-1, keepdims=True)
    add(first, "translation", motion.root, "VEC3")
    for joint, name in enumerate(motion.names):
        if not name.endswith("End"):
            add(first + joint, "rotation", rotations[:, joint], "VEC4")
    return first


def _add_figure(builder: GltfBuilder, motion: Motion, first: int, person: int) -> None:
    content, places = builder.content, standing(motion)
    binds = np.tile(np.eye(4), (len(places), 1, 1))
    binds[:, :3, 3] = -places
    joints, above = list(range(first, first + len(places))), len(content["nodes"]) - 1
    # Matrices are stored column by column.
    matrices = builder.array(binds.transpose(0, 2, 1).reshape(-1, 16), "MAT4")
    content["skins"].append({"name": f"skeleton{person + 1}", "joints": joints, "skeleton": above, "inverseBindMatrices": matrices})
    parts = dress(motion, person)
    content.setdefault("meshes", []).append({"primitives": [_primitive(builder, part, places[0]) for part in parts]})
    content["nodes"].append({"name": f"figure{person + 1}", "mesh": len(content["meshes"]) - 1, "skin": len(content["skins"]) - 1})
    content["scenes"][0]["nodes"].append(len(content["nodes"]) - 1)


def _primitive(builder: GltfBuilder, part: Part, root: Array) -> dict[str, Any]:
    materials = builder.content.setdefault("materials", [])
    surface = {"baseColorFactor": [*part.colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    materials.append({"name": part.material, "pbrMetallicRoughness": surface})
    spare = np.zeros((len(part.joints), 2))
    attributes = {
        "POSITION": builder.array(part.positions + root, "VEC3", target=VERTICES, bounds=True),
        "NORMAL": builder.array(part.normals, "VEC3", target=VERTICES),
        "JOINTS_0": builder.array(np.concatenate([part.joints, spare], axis=1), "VEC4", "<u2", VERTICES),
        "WEIGHTS_0": builder.array(np.concatenate([part.weights, spare], axis=1), "VEC4", target=VERTICES),
    }
    indices = builder.array(part.triangles.reshape(-1), "SCALAR", "<u4", INDICES)
    return {"attributes": attributes, "indices": indices, "material": len(materials) - 1}
