"""VRMA (VRM animation): motion that VRM avatars play, as a glTF file with the extension VRMC_vrm_animation.

A file holds one person: nodes in a T-pose that faces +z, which of them is which bone of a humanoid, rotations, and the path of the
hips. Programs scale the path by the height of the hips at rest.
Source: VRM Consortium, VRMC_vrm_animation-1.0 specification.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stpose_core.data import Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.formats import motion_of
from stpose_core.formats.glb import add_skeleton, check
from stpose_core.formats.gltf import GltfBuilder
from stpose_core.rigs import joint_names, renamed

#: Bones that every humanoid has.
REQUIRED = (
    "hips", "spine", "head",
    *(side + part for side in ("left", "right")
      for part in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")),
)  # fmt: skip


def write(thing: Motion | Capture, path: str | Path, units: str = "m") -> None:
    """Write the motion of a capture, or a motion, as a `Format` does; always in metres.

    Raises OutputError if the skeleton lacks a bone that every humanoid has, or if the motion has no frames or missing values.
    """
    motion = renamed(motion_of(thing), "vrm")
    check(motion, path)
    missing = [bone for bone in REQUIRED if bone not in motion.names]
    if missing:
        raise OutputError(f"cannot write {path}: the skeleton has no joint for {', '.join(missing)[:100]}")
    builder = GltfBuilder()
    content = builder.content
    content.update(nodes=[], scenes=[{"nodes": [0]}], scene=0)
    animation: dict[str, Any] = {"name": "motion", "channels": [], "samplers": []}
    first = add_skeleton(builder, motion, animation)
    bones = set(joint_names("vrm").values())
    humanoid = {name: {"node": first + joint} for joint, name in enumerate(motion.names) if name in bones}
    content["animations"] = [animation]
    content["extensionsUsed"] = ["VRMC_vrm_animation"]
    content["extensions"] = {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": humanoid}}}
    builder.write(path)


def read(path: str | Path) -> Motion:
    """The motion in a file, as a `Format` reads it; joints have the names of their nodes."""
    from stpose_core.formats.glb_reader import read_glb

    return read_glb(path)[0]
