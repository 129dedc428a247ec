"""A motion on the character of a .glb: the file as it is, meshes, materials and the axes of its joints, with another animation."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array, Motion
from stpose_core.errors import FormatError
from stpose_core.formats.glb import check
from stpose_core.formats.glb_reader import Tree, first_person, turn_of
from stpose_core.formats.gltf import GltfBuilder, GltfFile
from stpose_core.reading import expected
from stpose_core.retarget.curves import matched, without_gaps
from stpose_core.retarget.rotation import continuous, inverse, multiply

_MOVES = 1e-7
_MOST_TARGETS = 2000  # of a mesh
_MOST_WEIGHTS = 50_000_000  # of all meshes and frames that are written
_LARGEST = 1e6  # weight of a target
_log = logging.getLogger(__name__)


def write_character(motion: Motion, character: str | Path, path: str | Path, shown: str) -> None:
    """Write a motion on the skeleton of the first person of a .glb, which it was solved on, into a copy of that file.

    Curves of a face become weights of the morph targets that are named alike (`retarget.curves.matched`); where no mesh has any,
    the log "stpose_core" has a warning. shown: what the warning calls the file.
    Raises OutputError for a motion without frames or with missing values, FormatError if the file is not the one of the skeleton.
    """
    check(motion, path)
    file = GltfFile(character)
    with expected(str(character)):
        tree = Tree(file)
        root, joints = first_person(file, tree)
        if len(joints) != len(motion.names):
            raise FormatError(f"{character}: the skeleton has {len(joints)} joints, the motion {len(motion.names)}")
        builder = GltfBuilder(file)
        animation = _animation(builder, motion, tree, root, joints)
        if motion.curves and not _add_face(builder, motion, animation):
            _log.warning("%s: left out the face: no mesh of %s has shapes named as ARKit's", shown, character)
        builder.content["animations"] = [animation]
        for node in joints:
            _separate(builder.content["nodes"][node], tree.local[node])
    builder.write(path)


def _animation(builder: GltfBuilder, motion: Motion, tree: Tree, root: int, joints: list[int]) -> dict[str, Any]:
    times = builder.array(np.arange(len(motion)) / motion.fps, "SCALAR", bounds=True)
    animation: dict[str, Any] = {"name": "motion", "channels": [], "samplers": []}

    def add(node: int, target: str, values: Array, kind: str) -> None:
        animation["samplers"].append({"input": times, "output": builder.array(values, kind)})
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": {"node": node, "path": target}})

    above = tree.above(root)
    path = np.linalg.solve(above[:3, :3], (motion.root - above[:3, 3]).T).T
    add(root, "translation", np.asarray(path), "VEC3")
    for joint, node in enumerate(joints):
        turns = motion.rotations[:, joint]
        if np.abs(turns[:, 1:]).max() < _MOVES:
            continue  # it stays as it is at rest
        carrier, rest = turn_of(tree.above(node)), turn_of(tree.local[node])
        own = multiply(multiply(inverse(carrier), turns), multiply(carrier, rest))
        # glTF stores quaternions as xyzw.
        add(node, "rotation", continuous(own)[:, [1, 2, 3, 0]], "VEC4")
    return animation


def _add_face(builder: GltfBuilder, motion: Motion, animation: dict[str, Any]) -> bool:
    """Add the weights of morph targets of all meshes to an animation; False if none follows a curve."""
    content, curves = builder.content, without_gaps(motion.curves, motion.fps)
    times = animation["samplers"][0]["input"]
    weights: dict[int, int] = {}  # of a mesh, which several nodes may show
    moved, written = False, 0
    for number, node in enumerate(content.get("nodes", [])):
        if "mesh" not in node:
            continue
        names, rest = _targets(content["meshes"][node["mesh"]])
        follows = matched(names, curves)
        if not follows:
            continue
        if node["mesh"] not in weights:
            written += len(motion) * len(names)
            if written > _MOST_WEIGHTS:
                raise FormatError(
                    f"the meshes have too many morph targets: more than {_MOST_WEIGHTS} weights in {len(motion)} frames"
                )
            values = np.tile(rest, (len(motion), 1))
            for target, name in enumerate(names):
                if name in follows:
                    values[:, target] = curves[follows[name]]
            animation["samplers"].append({"input": times, "output": builder.array(values.reshape(-1), "SCALAR")})
            weights[node["mesh"]] = len(animation["samplers"]) - 1
        animation["channels"].append({"sampler": weights[node["mesh"]], "target": {"node": number, "path": "weights"}})
        moved = True
    return moved


def _targets(mesh: dict[str, Any]) -> tuple[list[str], Array]:
    """Names and weights at rest of a mesh's morph targets; empty where they do not fit, so that these targets stay as they are."""
    count = len(mesh["primitives"][0].get("targets", []))
    extras, rest = mesh.get("extras"), mesh.get("weights", [0.0] * count)
    names = extras.get("targetNames") if isinstance(extras, dict) else None
    weighted = isinstance(rest, list) and all(isinstance(weight, int | float) and abs(weight) <= _LARGEST for weight in rest)
    if not (weighted and isinstance(names, list) and len(names) == len(rest) == count <= _MOST_TARGETS):
        return [], np.zeros(0)
    return [str(name) for name in names], np.array(rest, dtype=np.float64)


def _separate(node: dict[str, Any], local: Array) -> None:
    """Replace the matrix of a node, which cannot be animated, by translation, rotation and scale."""
    if node.pop("matrix", None) is None:
        return
    node["translation"] = local[:3, 3].tolist()
    node["rotation"] = turn_of(local)[[1, 2, 3, 0]].tolist()
    node["scale"] = np.linalg.norm(local[:3, :3], axis=0).tolist()
