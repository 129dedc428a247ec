"""Curves of a face come with a track, and move the shape keys of the character that it is retargeted to."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from rigs import character
from scenes import import_track, make, write_track
from walks import dance

FRAMES = 20
JAW = np.linspace(0.0, 0.9, FRAMES)


def head(rig: bpy.types.Object, shapes: tuple[str, ...]) -> bpy.types.Object:
    """A mesh on a rig, with shape keys that each lift a corner by 1."""
    mesh = bpy.data.meshes.new("head")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new("head", mesh)
    bpy.context.collection.objects.link(obj)
    obj.modifiers.new("rig", "ARMATURE").object = rig
    obj.shape_key_add(name="Basis")
    for number, name in enumerate(shapes):
        key = obj.shape_key_add(name=name, from_mix=False)
        key.value = 0.0  # 1 at first in Blender 5.0
        key.data[number].co.z += 1
    return obj


def track(path: Path, blink: np.ndarray) -> Path:
    return write_track(path, {**dance(FRAMES)[0], "curves.jawOpen": JAW, "curves.eyeBlinkLeft": blink})


def heights(obj: bpy.types.Object, frame: int) -> list[float]:
    bpy.context.scene.frame_set(frame)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return [vertex.co.z for vertex in evaluated.data.vertices]


def test_shape_keys_follow_the_curves_that_they_are_named_as(scene: bpy.types.Scene, tmp_path: Path) -> None:
    source = import_track(track(tmp_path / "a.npz", np.where(np.arange(FRAMES) < 10, 0.5, np.nan)))
    target = make(character("mixamo"))
    face = head(target, ("Jaw_Open", "eyeBlink_L", "hat"))
    other = head(source, ("jawOpen",))
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER") == {"FINISHED"}
    for frame in (1, 8, FRAMES):
        jaw, blink, hat = heights(face, frame)
        assert abs(jaw - JAW[frame - 1]) < 1e-4
        assert abs(blink - (0.5 if frame <= 10 else 0.0)) < 1e-4
        assert hat == 0
    assert other.data.shape_keys.animation_data is None
    # Baked again, the keys are replaced and not piled up.
    count = len(bpy.data.actions)
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER", bake="REPLACE")
    assert len(bpy.data.actions) == count


def test_without_shapes_or_without_a_face_no_mesh_is_touched(scene: bpy.types.Scene, tmp_path: Path) -> None:
    target = make(character("mixamo"))
    plain, named = head(target, ("smile",)), head(target, ("jawOpen",))
    source = import_track(write_track(tmp_path / "b.npz", dance(FRAMES)[0]))
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER")
    assert named.data.shape_keys.animation_data is None
    source = import_track(track(tmp_path / "a.npz", np.zeros(FRAMES)))
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER")
    assert plain.data.shape_keys.animation_data is None
    assert named.data.shape_keys.animation_data is not None
