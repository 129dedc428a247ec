"""Where the keys of a retarget go: actions, layers, IK controls, the root and the object."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import character, turn
from scenes import curves_of, degrees, figure, import_track, joint, make, pose_of, wanted, write_track
from walks import dance, walk

FRAMES = 40


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, np.ndarray]:
    track, turns = dance(FRAMES)
    return import_track(write_track(tmp_path / "dance.npz", track)), wanted(turns, track["root"])


def run(target: bpy.types.Object, source: bpy.types.Object, **options: object) -> None:
    options = {"lock": "NEVER", **options}
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, **options) == {"FINISHED"}


def arm(target: bpy.types.Object, one, frames: range) -> np.ndarray:
    """(T, 3) direction of the left upper arm."""
    heads, _ = pose_of(target, [one.named()["upper_arm.L"], one.named()["forearm.L"]], frames)
    return heads[:, 1] - heads[:, 0]


def shown(source: tuple, frames: range) -> np.ndarray:
    """(T, 3) direction of the source's left upper arm."""
    places = source[1][[frame - 1 for frame in frames]]
    return places[:, joint("forearm.L")] - places[:, joint("upper_arm.L")]


def test_layers_are_seen_and_hide_nothing_outside_of_their_frames(source: tuple) -> None:
    one = character("mixamo")
    target = make(one)
    run(target, source[0], first=1, last=10)
    run(target, source[0], first=15, last=20, bake="LAYER")
    run(target, source[0], first=25, last=30, bake="LAYER")
    tracks = target.animation_data.nla_tracks
    assert target.animation_data.action is None
    assert len(tracks) == 3
    for frames in (range(1, 11), range(15, 21), range(25, 31)):
        assert degrees(arm(target, one, frames), shown(source, frames)).max() < 0.5, frames
    # Between the layers the first action is held, as it was before them.
    still = arm(target, one, range(21, 25))
    assert degrees(still, shown(source, range(10, 11))).max() < 0.5


def test_a_layer_above_an_action_leaves_the_action_there(source: tuple) -> None:
    one = character("mixamo")
    target = make(one)
    target.pose.bones[one.named()["head"]].rotation_quaternion = (0.9, 0.3, 0, 0)
    target.pose.bones[one.named()["head"]].keyframe_insert("rotation_quaternion", frame=1)
    target.pose.bones[one.named()["head"]].keyframe_insert("rotation_quaternion", frame=40)
    mine = target.animation_data.action
    run(target, source[0], first=10, last=20, bake="LAYER")
    assert mine in [strip.action for track in target.animation_data.nla_tracks for strip in track.strips]
    assert degrees(arm(target, one, range(10, 21)), shown(source, range(10, 21))).max() < 0.5
    bpy.context.scene.frame_set(35)
    seen = np.array(target.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones[one.named()["head"]].rotation_quaternion)
    assert np.allclose(seen, [0.9, 0.3, 0, 0], atol=1e-3)


@pytest.mark.parametrize("where", ["ACTION", "LAYER"])
def test_the_last_bake_is_replaced_where_it_was(source: tuple, where: str) -> None:
    one = character("mixamo")
    target = make(one)
    target.pose.bones[0].keyframe_insert("location", frame=1)
    mine = target.animation_data.action
    run(target, source[0], bake=where, first=1, last=10)
    before = {action.name for action in bpy.data.actions}
    run(target, source[0], bake="REPLACE", first=5, last=30)
    assert {action.name for action in bpy.data.actions} == before
    assert mine.name in bpy.data.actions
    strips = [strip for track in target.animation_data.nla_tracks for strip in track.strips]
    assert len(strips) == (0 if where == "ACTION" else 2)
    assert degrees(arm(target, one, range(5, 31)), shown(source, range(5, 31))).max() < 0.5
    if where == "LAYER":
        assert (strips[-1].frame_start, strips[-1].frame_end) == (5, 30)


def test_replace_takes_nothing_away_where_nothing_was_baked(source: tuple) -> None:
    target = make(character("mixamo"))
    target.pose.bones[0].keyframe_insert("location", frame=1)
    mine = target.animation_data.action.name
    run(target, source[0], bake="REPLACE")
    assert bpy.data.actions[mine].use_fake_user
    assert target.animation_data.action.name != mine


def test_contacts_are_kept_on_the_baked_action(scene: bpy.types.Scene, tmp_path: Path) -> None:
    track, _ = walk()
    source = import_track(write_track(tmp_path / "walk.npz", track))
    for options in ({}, {"bake": "LAYER", "first": 5, "last": 20}):
        target = make(character("mixamo"))
        run(target, source, **options)
        data = target.animation_data
        action = data.action or data.nla_tracks[0].strips[0].action
        first = int(action["stpose_first_frame"])
        known = np.array(action["stpose_contacts"]).reshape(-1, 4)
        assert first == options.get("first", 1)
        assert np.allclose(known, track["contacts"][first - 1 : first - 1 + len(known)])


@pytest.mark.parametrize("mode", ["XYZ", "AXIS_ANGLE", "QUATERNION"])
def test_fewer_keys_stay_within_the_tolerance_in_every_rotation_mode(source: tuple, mode: str) -> None:
    one = character("mixamo", arms_down=45, rolls=2)
    target = make(one)
    for bone in target.pose.bones:
        bone.rotation_mode = mode
    names = [bone.name for bone in target.data.bones]
    run(target, source[0])
    _, full = pose_of(target, names, range(1, FRAMES + 1))
    keys = sum(len(curve.keyframe_points) for curve in curves_of(target))
    run(target, source[0], simplify=2.0)
    assert sum(len(curve.keyframe_points) for curve in curves_of(target)) < 0.8 * keys
    _, fewer = pose_of(target, names, range(1, FRAMES + 1))
    # Of each bone in its own channels: relative to its parent.
    parents = [names.index(bone.parent.name) if bone.parent else None for bone in target.data.bones]
    for number, parent in enumerate(parents):
        local = [one[:, number] if parent is None else one[:, parent].transpose(0, 2, 1) @ one[:, number] for one in (full, fewer)]
        trace = np.trace(local[0].transpose(0, 2, 1) @ local[1], axis1=1, axis2=2)
        assert np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))).max() < 2.05, names[number]


@pytest.mark.parametrize("heading", [False, True])
@pytest.mark.parametrize("where", ["OBJECT", "ROOT_BONE"])
def test_the_root_carries_the_character_to_where_it_was(source: tuple, where: str, heading: bool) -> None:
    one = character("unreal", arms_down=45, rolls=3)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn([0, 0, 1], 30), (1.0, 2.0, 0.0)
    target = make(one, transform=matrix)
    assert bpy.ops.stpose.add_root(target=target.name) == {"FINISHED"}
    names = [one.named()[slot] for slot in ("hips", "hand.L", "foot.R", "head")]
    run(target, source[0])
    plain, _ = pose_of(target, names, range(1, FRAMES + 1))
    run(target, source[0], root_motion=where, heading=heading)
    moved, _ = pose_of(target, names, range(1, FRAMES + 1))
    assert np.abs(moved - plain).max() < 1e-4
    if where == "OBJECT":
        carriers = []
        for frame in range(1, FRAMES + 1):
            bpy.context.scene.frame_set(frame)
            carriers.append(np.array(target.matrix_world))
        places, turns = np.array(carriers)[:, :3, 3], np.array(carriers)[:, :3, :3]
    else:
        heads, turned = pose_of(target, ["root"], range(1, FRAMES + 1))
        places, turns = heads[:, 0], turned[:, 0]
    assert np.ptp(places[:, 2]) < 1e-4
    assert np.ptp(places[:, 1]) > 1.0
    yaw = np.degrees(np.unwrap(np.arctan2(turns[:, 1, 0], turns[:, 0, 0])))
    assert np.ptp(yaw) > 80 if heading else np.ptp(yaw) < 1e-3
    # Once more, and at the end in the pose alone: the object goes back to where it stood.
    bpy.context.scene.frame_set(FRAMES)
    run(target, source[0], root_motion=where, heading=heading, bake="REPLACE")
    assert np.abs(pose_of(target, names, range(1, FRAMES + 1))[0] - plain).max() < 1e-4
    run(target, source[0])
    assert np.abs(pose_of(target, names, range(1, FRAMES + 1))[0] - plain).max() < 1e-4
    assert np.allclose(np.array(target.matrix_world), matrix, atol=1e-5)


def test_a_root_bone_that_is_missing_is_asked_for(source: tuple) -> None:
    target = make(character("mixamo"))
    with pytest.raises(RuntimeError, match="New Root Bone"):
        run(target, source[0], root_motion="ROOT_BONE")


def test_fk_and_ik_give_the_same_pose_on_rigify(rigify_file: Path, source: tuple) -> None:
    with bpy.data.libraries.load(str(rigify_file)) as (_, to):
        to.objects = ["rig"]
    target = to.objects[0]
    bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    parts = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
    names = [f"ORG-{part}.{side}" for part in parts for side in "LR"]

    def ends() -> tuple[np.ndarray, np.ndarray]:
        heads, turned = pose_of(target, names, range(1, 26, 2))
        return heads, turned

    def switch(value: float) -> None:
        for bone in ("thigh_parent", "upper_arm_parent"):
            for side in "LR":
                target.pose.bones[f"{bone}.{side}"]["IK_FK"] = value
        target.update_tag()

    off = {}
    for keyed in (False, True):
        run(target, source[0], ik=keyed, first=1, last=25)
        fk_heads, fk_turned = ends()
        switch(0.0)
        ik_heads, ik_turned = ends()
        switch(1.0)
        trace = np.trace(fk_turned.transpose(0, 1, 3, 2) @ ik_turned, axis1=2, axis2=3)
        angles = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
        limbs = [
            degrees(fk_heads[:, i + 2] - fk_heads[:, i], ik_heads[:, i + 2] - ik_heads[:, i]) for i in (0, 1, 2, 3, 6, 7, 8, 9)
        ]
        off[keyed] = (float(np.max(limbs)), float(angles.max()))
    figure("limbs between FK and IK, without IK keys (control), most", off[False][0], "deg")
    figure("limbs between FK and IK, most", off[True][0], "deg")
    figure("bones between FK and IK, most", off[True][1], "deg")
    assert off[False][0] > 20
    assert off[True][0] < 0.5
    assert off[True][1] < 1.0
