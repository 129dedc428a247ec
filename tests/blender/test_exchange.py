"""What was retargeted goes out to other formats and comes back within a millimetre."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from families import dressed
from rigs import character
from scenes import curves_of, figure, import_track, make, pose_of, write_track
from walks import dance

FRAMES = 40


@pytest.fixture
def moving(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Object:
    """A character that dances."""
    source = import_track(write_track(tmp_path / "dance.npz", dance(FRAMES)[0]))
    target = make(character("mixamo", arms_down=45, rolls=1))
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER")
    scene.frame_start, scene.frame_end = 1, FRAMES
    bpy.data.objects.remove(source)
    for other in bpy.context.selected_objects:
        other.select_set(False)
    target.select_set(True)
    bpy.context.view_layer.objects.active = target
    return target


def bvh(path: Path) -> None:
    bpy.ops.export_anim.bvh(filepath=str(path), frame_start=1, frame_end=FRAMES, global_scale=1.0)
    bpy.ops.import_anim.bvh(filepath=str(path), axis_forward="Y", axis_up="Z", rotate_mode="QUATERNION", frame_start=1)


def fbx(path: Path) -> None:
    bpy.ops.export_scene.fbx(filepath=str(path), use_selection=True, add_leaf_bones=False, bake_anim_simplify_factor=0.0)
    bpy.ops.import_scene.fbx(filepath=str(path))


def gltf(path: Path) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(path), use_selection=True, export_animation_mode="ACTIVE_ACTIONS", export_optimize_animation_size=False
    )
    bpy.ops.import_scene.gltf(filepath=str(path), bone_heuristic="BLENDER")


@pytest.mark.parametrize(("suffix", "there_and_back"), [(".bvh", bvh), (".fbx", fbx), (".glb", gltf)])
def test_out_and_back(moving: bpy.types.Object, tmp_path: Path, suffix: str, there_and_back) -> None:
    names = [bone.name for bone in moving.data.bones]
    before, _ = pose_of(moving, names, range(1, FRAMES + 1))
    old = set(bpy.data.objects)
    there_and_back(tmp_path / f"a{suffix}")
    back = next(obj for obj in bpy.data.objects if obj not in old and obj.type == "ARMATURE")
    # FBX begins at 1; glTF counts from the scene's first frame, in seconds from 0.
    offset = round(back.animation_data.action.frame_range[0]) - 1
    after, _ = pose_of(back, names, range(1 + offset, FRAMES + 1 + offset))
    assert np.ptp(before, axis=0).max() > 0.3
    off = np.linalg.norm(after - before, axis=-1).max()
    figure(f"joints after a way out and back, {suffix}, most", 1000 * off, "mm")
    assert off < 0.001


def test_ten_thousand_frames_of_sixty_bones(scene: bpy.types.Scene, tmp_path: Path) -> None:
    track, _ = dance(50)
    track = {**track, **{name: np.concatenate([track[name]] * 200) for name in ("rotations", "root", "contacts")}}
    source = import_track(write_track(tmp_path / "long.npz", track))
    one = dressed("metahuman")
    target = make(one.inside, transform=one.transform)
    assert len(target.data.bones) >= 60
    # Of the processor, as the tests have one core, and others may want it too.
    began = time.process_time()
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER")
    seconds = time.process_time() - began
    figure(f"10,000 frames onto {len(target.data.bones)} bones, {len(curves_of(target))} curves of keys written", seconds, "s")
    assert all(len(curve.keyframe_points) == 10_000 for curve in curves_of(target))
    assert seconds < 3
