"""Feet of skinned characters, measured on the evaluated skin: where they stand, whatever the source's rest pose is."""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np
import pytest
from bodies import mixamo, rigify, unreal
from feet import Measured, figures, measure
from mathutils import Matrix
from scenes import figure, import_track, write_track
from walks import walk

FRAMES = range(2, 64)
BODIES = {"mixamo": mixamo, "unreal": unreal}


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Object:
    """A walk with 2 cm of sliding."""
    return import_track(write_track(tmp_path / "walk.npz", walk(noise=0.02)[0]))


def run(body, source: bpy.types.Object, **options: object) -> Measured:
    assert bpy.ops.stpose.retarget(source=source.name, target=body.rig.name, ik=False, **options) == {"FINISHED"}
    return measure(body, FRAMES)


def check(name: str, locked: Measured, free: Measured) -> None:
    row, control = figures(locked, free), figures(free, free)
    figure(f"lowest point of the skin of '{name}', 1st percentile", row["lowest"], "cm")
    figure(f"slide of standing feet of '{name}', mean", row["slide"], "cm a frame")
    figure(f"limbs of '{name}' turned by the lock, mean", row["limbs"], "deg")
    figure(f"lowest point without lock (control) of '{name}'", control["lowest"], "cm")
    figure(f"slide without lock (control) of '{name}', mean", control["slide"], "cm a frame")
    assert row["lowest"] > -0.5
    assert abs(row["median"]) < 0.5
    assert row["slide"] < 0.2
    assert row["crossed"] == 0
    assert row["limbs"] < 1.5
    assert row["pop"] < 2
    assert control["lowest"] < -0.5
    assert control["slide"] > 0.25


@pytest.mark.parametrize("kind", BODIES)
def test_soles_stand_on_the_ground_and_do_not_slide(kind: str, source: bpy.types.Object) -> None:
    body = BODIES[kind]()
    free = run(body, source, lock="NEVER")
    locked = run(body, source)
    check(kind, locked, free)
    still = run(body, source, root_motion="IN_PLACE")
    hips = [one.joints["thigh.L"] + one.joints["thigh.R"] for one in (locked, still)]
    assert np.ptp(hips[1][:, :2], axis=0).max() < 1e-3
    assert figures(still.moved((hips[0] - hips[1]) / 2), free)["slide"] < 0.2


def test_soles_of_a_rigify_human(rigify_file: Path, source: bpy.types.Object) -> None:
    body = rigify(rigify_file)
    free = run(body, source, lock="NEVER")
    check("rigify", run(body, source), free)


def test_the_ground_is_that_of_the_soles_at_rest_or_the_one_that_is_chosen(source: bpy.types.Object) -> None:
    body = mixamo()
    body.skin.data.transform(Matrix.Translation((0, 0, 0.3)))
    body.rig.matrix_world = Matrix.Translation((0, 0, 0.3)) @ body.rig.matrix_world
    bpy.context.view_layer.update()
    for options, height in (({}, 0.3), ({"ground": "ZERO"}, 0.0), ({"ground": "VALUE", "ground_height": 1.0}, 1.0)):
        lowest = run(body, source, **options).lowest
        assert abs(np.median(lowest) - height) < 0.005, options
    # Without its skin only the bones tell, whose lowest point is 2 cm above the sole.
    body.skin.hide_viewport = True
    assert bpy.ops.stpose.retarget(source=source.name, target=body.rig.name) == {"FINISHED"}
    body.skin.hide_viewport = False
    assert np.median(measure(body, FRAMES).lowest) < 0.3 + 0.005


def through_bvh(source: bpy.types.Object, path: Path, change) -> bpy.types.Object:
    """The motion written as .bvh, its text changed, and read again by Blender with its default axes."""
    for other in bpy.context.selected_objects:
        other.select_set(False)
    source.select_set(True)
    bpy.context.view_layer.objects.active = source
    bpy.ops.export_anim.bvh(filepath=str(path), frame_start=1, frame_end=65, global_scale=100.0)
    path.write_text(change(path.read_text()))
    bpy.ops.import_anim.bvh(filepath=str(path), axis_forward="Y", axis_up="Z", frame_start=1)
    return bpy.context.object


def at_origin(text: str) -> str:
    return re.sub(r"OFFSET \S+ \S+ \S+", "OFFSET 0.0 0.0 0.0", text, count=1)


@pytest.mark.parametrize("change", [lambda text: text, at_origin], ids=["as written", "root offset 0"])
def test_a_bvh_stands_wherever_its_rest_pose_lies(change, source: bpy.types.Object, tmp_path: Path) -> None:
    body = mixamo()
    again = through_bvh(source, tmp_path / "a.bvh", change)
    rest = min((again.matrix_world @ bone.tail_local).z for bone in again.data.bones)
    assert abs(rest) > 50 if change is at_origin else abs(rest) < 1
    for lock in ("AUTO", "GROUNDING"):
        lowest = run(body, again, lock=lock).lowest
        figure(f"median height of the soles, .bvh with {'root offset 0' if change is at_origin else 'its own'}, {lock}",
               100 * np.median(lowest), "cm")  # fmt: skip
        assert abs(np.median(lowest)) < 0.005
        assert np.percentile(lowest, 1) > -0.005 if lock == "AUTO" else True
