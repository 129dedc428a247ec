"""Fingers in Blender: a track's, through its rig and through other formats, onto rigs with hands; and relaxed hands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from fingered import FINGERS, fingered_track, parts, waving, with_fingers
from rigs import character
from scenes import TO_BLENDER, curves_of, degrees, figure, import_track, make, pose_of, write_track
from walks import dance

FRAMES = 30
SLOTS = [f"{finger}{n}.{side}" for side in "LR" for finger in FINGERS for n in (1, 2, 3)]
TARGETS = {
    "mixamo": ({}, {"tips": True}),
    "unreal": ({"arms_down": 50, "elbows": 12, "rolls": 4}, {"bend": 20, "metacarpals": True}),
    "vrm": ({"rolls": 2}, {"palm": 20}),
    "nameless": ({"arms_down": 40}, {"bend": 12, "tips": True}),
}


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, np.ndarray]:
    """The rig of a dance with waving fingers, and the directions (T, 30, 3) of its finger bones in the world."""
    track, turns = dance(FRAMES)
    made, directions = fingered_track(track, turns, waving)
    return import_track(write_track(tmp_path / "hands.npz", made)), directions @ TO_BLENDER.T


def run(target: bpy.types.Object, source: bpy.types.Object, **options: object) -> None:
    options = {"lock": "NEVER", **options}
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, **options) == {"FINISHED"}


def ways(target: bpy.types.Object, bones: list[str], frames: range = range(1, FRAMES + 1)) -> np.ndarray:
    """(T, N, 3) where bones point, from the evaluated dependency graph, whatever their axes are: from their heads to the next."""
    _, turned = pose_of(target, bones, frames)
    rest = [target.data.bones[name] for name in bones]
    world = np.array(target.matrix_world)[:3, :3]
    along = np.array([world @ (bone.tail_local - bone.head_local) for bone in rest])
    return np.einsum("tnij,nj->tni", turned, along)


@pytest.mark.parametrize("names", TARGETS)
def test_fingers_of_a_track_move_those_of_a_body(names: str, source: tuple) -> None:
    body, hand = TARGETS[names]
    one = with_fingers(character(names, **body), names, **hand)
    target = make(one, names)
    run(target, source[0])
    off = degrees(ways(target, [parts(one)[slot] for slot in SLOTS]), source[1])
    figure(f"direction of the 30 finger bones on '{names}', mean", off.mean(), "deg")
    figure(f"direction of the 30 finger bones on '{names}', most", off.max(), "deg")
    assert off.max() < 0.5
    # Control: on a body whose map has no fingers they stay with the palm.
    bpy.ops.stpose.map_bones(target=target.name)
    for row in target.stpose_map.rows:
        if row.slot in SLOTS:
            row.bone = ""
    run(target, source[0])
    still = degrees(ways(target, [parts(one)[slot] for slot in SLOTS]), source[1])
    figure(f"the same without fingers in the map (control), mean, '{names}'", still.mean(), "deg")
    assert still.mean() > 20


def test_fingers_of_a_track_move_those_of_rigify(rigify_file: Path, source: tuple) -> None:
    with bpy.data.libraries.load(str(rigify_file)) as (_, to):
        to.objects = ["rig"]
    target = to.objects[0]
    bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    run(target, source[0], ik=False, last=10, first=1)
    bones = [f"ORG-{'' if slot.startswith('thumb') else 'f_'}{slot[:-3]}.0{slot[-3]}.{slot[-1]}" for slot in SLOTS]
    off = degrees(ways(target, bones, range(1, 11)), source[1][:10])
    figure("direction of the 30 finger bones on Rigify, most", off.max(), "deg")
    assert off.max() < 0.5


def bvh(path: Path) -> None:
    bpy.ops.export_anim.bvh(filepath=str(path), frame_start=1, frame_end=FRAMES, global_scale=1.0)
    bpy.ops.import_anim.bvh(filepath=str(path), axis_forward="Y", axis_up="Z", frame_start=1)


def glb(path: Path) -> None:
    bpy.context.scene.frame_end = FRAMES
    bpy.ops.export_scene.gltf(filepath=str(path), use_selection=True, export_optimize_animation_size=False)
    for obj in list(bpy.context.selected_objects):
        obj.select_set(False)
    bpy.ops.import_scene.gltf(filepath=str(path))


@pytest.mark.parametrize("through", [bvh, glb])
def test_fingers_of_other_formats_move_a_body_too(through: Callable[[Path], None], source: tuple, tmp_path: Path) -> None:
    old = set(bpy.data.objects)
    through(tmp_path / f"hands.{through.__name__}")
    again = next(obj for obj in bpy.data.objects if obj not in old and obj.type == "ARMATURE")
    one = with_fingers(character("mixamo", arms_down=40), "mixamo", bend=10, tips=True)
    target = make(one)
    run(target, again)
    first = round(again.animation_data.action.frame_range[0])
    off = degrees(ways(target, [parts(one)[slot] for slot in SLOTS], range(first, first + FRAMES)), source[1])
    figure(f"direction of the 30 finger bones from a .{through.__name__}, most", off.max(), "deg")
    assert off.max() < 0.5


def test_hands_of_a_track_without_fingers_are_relaxed_on_demand(scene: bpy.types.Scene, tmp_path: Path) -> None:
    rig = import_track(write_track(tmp_path / "dance.npz", dance(FRAMES)[0]))
    one = with_fingers(character("mixamo"), "mixamo", tips=True)
    target = make(one)
    run(target, rig)
    assert not [curve for curve in curves_of(target) if "Index" in curve.data_path]
    run(target, rig, hands="RELAXED")
    fingers = [curve for curve in curves_of(target) if "HandIndex2" in curve.data_path]
    assert len(fingers) == 8
    assert all(len(curve.keyframe_points) == 1 for curve in fingers)
    seen = ways(target, [parts(one)[f"index{n}.L"] for n in (1, 2, 3)])
    bends = [degrees(seen[:, a], seen[:, b]) for a, b in ((0, 1), (1, 2))]
    assert np.allclose(np.array(bends), np.array([[25.0], [15.0]]), atol=0.1)
