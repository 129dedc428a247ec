"""The preview: the target follows before the bake, and is put back whatever ends it."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import character
from scenes import figure, import_track, make, pose_of, rest_of, write_track
from walks import dance, walk

ADDON = "bl_ext.user_default.stpose"
FRAMES = range(3, 30, 4)


def module():
    """The preview's module as it is loaded now."""
    return sys.modules[ADDON + ".preview"]


@pytest.fixture
def rigs(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, bpy.types.Object]:
    """A source that dances, and a target that has an action of its own, a pose and a place."""
    source = import_track(write_track(tmp_path / "dance.npz", dance(40)[0]))
    target = make(character("mixamo", arms_down=45, rolls=3))
    target.location = (1.0, 2.0, 0.0)
    bone = target.pose.bones[character("mixamo").named()["head"]]
    bone.rotation_quaternion = (0.9, 0.3, 0, 0)
    bone.keyframe_insert("rotation_quaternion", frame=1)
    target.pose.bones[0].scale = (1.1, 1.1, 1.1)
    scene.stpose.source, scene.stpose.target = source, target
    scene.stpose.lock = "NEVER"
    bpy.context.view_layer.update()
    return source, target


def state(target: bpy.types.Object) -> list:
    data = target.animation_data
    slot = getattr(data, "action_slot", None)
    pose = [[list(row) for row in bone.matrix_basis] for bone in target.pose.bones]
    own = {key: value for key, value in bpy.context.scene.stpose.items() if key not in ("source", "target")}
    flags = [data.action.name if data.action else None, slot.identifier if slot else None, data.use_nla, target.stpose_preview.on]
    return [flags, [list(row) for row in target.matrix_world], np.round(pose, 5).tolist(), rest_of(target), len(own) > 0]


def names(target: bpy.types.Object) -> list[str]:
    return [bone.name for bone in target.data.bones]


@pytest.mark.parametrize("root", ["FULL", "IN_PLACE", "OBJECT"])
def test_the_preview_is_what_is_baked_and_leaves_nothing(rigs: tuple, root: str) -> None:
    _, target = rigs
    bpy.context.scene.stpose.root_motion = root
    target.pose.bones[0].scale = (1, 1, 1)
    before, actions = state(target), len(bpy.data.actions)
    assert bpy.ops.stpose.start_preview() == {"FINISHED"}
    assert not bpy.ops.stpose.start_preview.poll()
    seen, _ = pose_of(target, names(target), FRAMES)
    assert len(bpy.data.actions) == actions
    assert bpy.ops.stpose.stop_preview() == {"FINISHED"}
    assert state(target) == before
    assert not bpy.ops.stpose.stop_preview.poll()
    still, _ = pose_of(target, names(target), FRAMES)
    bpy.ops.stpose.retarget(source=rigs[0].name, target=target.name, lock="NEVER", root_motion=root, heading=True)
    baked, _ = pose_of(target, names(target), FRAMES)
    off = 1000 * np.abs(baked - seen).max()
    figure(f"joints of the preview against the bake, {root}, most", off, "mm")
    assert off < 0.01
    assert np.abs(still - seen).max() > 0.3  # control: without a preview it stands elsewhere


def test_a_changed_setting_changes_the_preview(rigs: tuple) -> None:
    _, target = rigs
    settings = bpy.context.scene.stpose
    bpy.ops.stpose.start_preview()
    full, _ = pose_of(target, names(target), FRAMES)
    assert not module().running.refresh(bpy.context)
    settings.root_motion = "IN_PLACE"
    assert module().running.refresh(bpy.context)
    still, _ = pose_of(target, names(target), FRAMES)
    assert np.ptp(full[:, 0, 1]) > 0.5
    assert np.ptp(still[:, 0, 1]) < 0.05
    bpy.ops.stpose.map_bones(target=target.name)
    target.stpose_map.rows["head"].bone = ""
    assert module().running.refresh(bpy.context)
    bpy.ops.stpose.stop_preview()


def test_apply_ends_the_preview(rigs: tuple) -> None:
    source, target = rigs
    mine = target.animation_data.action
    bpy.ops.stpose.start_preview()
    bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER", bake="LAYER")
    assert module().running is None
    assert not target.stpose_preview.on
    assert mine in [strip.action for track in target.animation_data.nla_tracks for strip in track.strips]


def test_undo_of_the_start_and_of_the_stop_leave_no_preview(rigs: tuple) -> None:
    before = state(rigs[1])
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.stpose.start_preview("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()
    target = bpy.data.objects["Target"]
    assert module().running is None
    assert state(target) == before
    bpy.ops.stpose.start_preview("EXEC_DEFAULT", True)
    bpy.ops.stpose.stop_preview("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()  # to a state of the file that was in the preview, which does not run any more
    target = bpy.data.objects["Target"]
    assert module().running is None
    assert state(target)[0] == before[0]
    assert state(target)[2] == before[2]
    assert not [one for handlers in (bpy.app.handlers.frame_change_post,) for one in handlers if "stpose" in one.__module__]


def test_undo_of_something_else_leaves_the_preview_running(rigs: tuple) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.stpose.start_preview("EXEC_DEFAULT", True)
    bpy.ops.object.empty_add("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()
    assert module().running is not None
    target = bpy.data.objects["Target"]
    seen, _ = pose_of(target, names(target), FRAMES)
    assert np.ptp(seen[:, 0, 1]) > 0.3
    bpy.ops.stpose.stop_preview()
    assert target.animation_data.action is not None


def test_a_file_is_not_saved_in_a_preview_and_one_that_was_is_put_right(rigs: tuple, tmp_path: Path) -> None:
    before = state(rigs[1])
    bpy.ops.stpose.start_preview()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert module().running is None
    assert state(rigs[1])[:1] == before[:1]
    # As after a crash: saved with the preview's marks.
    bpy.ops.stpose.start_preview()
    saved = [one for one in bpy.app.handlers.save_pre if "stpose" in one.__module__]
    for one in saved:
        bpy.app.handlers.save_pre.remove(one)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "b.blend"))
    for name in ("a", "b"):
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / f"{name}.blend"))
        assert module().running is None
        target = bpy.data.objects["Target"]
        assert state(target)[0] == before[0], name
        assert state(target)[2] == before[2], name
    assert not [one for one in bpy.app.handlers.frame_change_post if "stpose" in one.__module__]


def test_disabling_the_extension_ends_it(rigs: tuple) -> None:
    import addon_utils

    _, target = rigs
    action = target.animation_data.action
    basis = [np.array(bone.matrix_basis) for bone in target.pose.bones]
    bpy.ops.stpose.start_preview()
    addon_utils.disable(ADDON)
    assert target.animation_data.action == action
    assert np.allclose([np.array(bone.matrix_basis) for bone in target.pose.bones], basis, atol=1e-5)
    assert not [one for one in bpy.app.handlers.frame_change_post if "stpose" in one.__module__]
    addon_utils.enable(ADDON)


def test_switches_of_rigify_are_put_back(rigify_file: Path, scene: bpy.types.Scene, tmp_path: Path) -> None:
    source = import_track(write_track(tmp_path / "walk.npz", walk()[0]))
    with bpy.data.libraries.load(str(rigify_file)) as (_, to):
        to.objects = ["rig"]
    target = to.objects[0]
    bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    assert target.pose.bones["thigh_parent.L"]["IK_FK"] == 0.0
    bpy.ops.stpose.start_preview(source=source.name, target=target.name)
    assert target.pose.bones["thigh_parent.L"]["IK_FK"] == 1.0
    heads, _ = pose_of(target, ["ORG-foot.L"], range(1, 40, 4))
    assert np.ptp(heads[:, 0, 1]) > 0.5
    bpy.ops.stpose.stop_preview()
    assert target.pose.bones["thigh_parent.L"]["IK_FK"] == 0.0


def test_what_cannot_be_previewed_is_said_and_changes_nothing(rigs: tuple) -> None:
    _, target = rigs
    before = state(target)
    bpy.ops.stpose.map_bones(target=target.name)
    target.stpose_map.rows["thigh.L"].bone = ""
    with pytest.raises(RuntimeError, match="table of the target"):
        bpy.ops.stpose.start_preview()
    assert state(target)[:3] == before[:3]
    assert module().running is None
    bpy.context.scene.stpose.source = None
    with pytest.raises(RuntimeError, match="choose an armature"):
        bpy.ops.stpose.start_preview()


def test_a_target_that_is_deleted_ends_it(rigs: tuple) -> None:
    bpy.ops.stpose.start_preview()
    bpy.data.objects.remove(rigs[1])
    bpy.context.scene.frame_set(9)
    module()._tick()
    assert module().running is None
