"""VRMA (VRM animation): motion that VRM avatars play, as a glTF file with the extension VRMC_vrm_animation.

A file holds one person: nodes in a T-pose that faces +z, which of them is which bone of a humanoid, rotations, and the path of the
hips. Programs scale the path by the height of the hips at rest.
Source: VRM Consortium, VRMC_vrm_animation-1.0 specification.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array, Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.formats import motion_of
from stpose_core.formats.glb import add_skeleton, check
from stpose_core.formats.gltf import GltfBuilder
from stpose_core.retarget.curves import without_gaps
from stpose_core.rigs import joint_names, renamed

#: Bones that every humanoid has.
REQUIRED = (
    "hips", "spine", "head",
    *(side + part for side in ("left", "right")
      for part in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")),
)  # fmt: skip

#: Preset expressions, and the curve that each follows, as far as the curves after it are at rest.
EXPRESSIONS = {
    "blinkLeft": ("eyeBlinkLeft",),
    "blinkRight": ("eyeBlinkRight",),
    "aa": ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker"),
    "oh": ("mouthFunnel",),
    "ou": ("mouthPucker",),
}


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
    described: dict[str, Any] = {"specVersion": "1.0", "humanoid": {"humanBones": humanoid}}
    for name, weights in _expressions(motion).items():
        content["scenes"][0]["nodes"].append(len(content["nodes"]))
        described.setdefault("expressions", {"preset": {}})["preset"][name] = {"node": len(content["nodes"])}
        # The weight of an expression is the x of its node.
        values = builder.array(np.column_stack([weights, np.zeros((len(motion), 2))]), "VEC3")
        animation["samplers"].append({"input": animation["samplers"][0]["input"], "output": values})
        target = {"node": len(content["nodes"]), "path": "translation"}
        animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})
        content["nodes"].append({"name": name, "translation": [0.0, 0.0, 0.0]})
    content["animations"] = [animation]
    content["extensionsUsed"] = ["VRMC_vrm_animation"]
    content["extensions"] = {"VRMC_vrm_animation": described}
    builder.write(path)


def _expressions(motion: Motion) -> dict[str, Array]:
    """The weights (T,) of the preset expressions that follow from curves of a face; none without curves."""
    curves = without_gaps(motion.curves, motion.fps)
    found = {}
    for expression, names in EXPRESSIONS.items():
        if set(names) <= set(curves):
            found[expression] = np.prod([curves[names[0]], *(1 - curves[other] for other in names[1:])], axis=0)
    return found


def read(path: str | Path) -> Motion:
    """The motion in a file, as a `Format` reads it; joints have the names of their nodes."""
    from stpose_core.formats.glb_reader import read_glb

    return read_glb(path)[0]
