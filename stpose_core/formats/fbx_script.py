"""Runs inside Blender: imports a .glb and exports it as .fbx. Arguments: the two files, the frame rate, the number of frames."""

from __future__ import annotations

import os
import sys

import bpy


def main(scene: str, out: str, rate: float, frames: int) -> None:
    """Keys are baked at each frame of the rate."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    render = bpy.context.scene.render
    # The importer turns seconds into frames by the rate of the scene.
    render.fps = max(1, round(rate))
    render.fps_base = render.fps / rate
    bpy.ops.import_scene.gltf(filepath=scene)
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, frames - 1
    bpy.ops.export_scene.fbx(
        filepath=out,
        object_types={"ARMATURE", "MESH"},
        add_leaf_bones=False,
        apply_scale_options="FBX_SCALE_ALL",
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
    )


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    main(given[0], given[1], float(given[2]), int(given[3]))
    sys.stdout.flush()
    # The package bpy may hang at the end of the interpreter.
    os._exit(0)
