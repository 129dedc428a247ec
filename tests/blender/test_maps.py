"""Bone maps of both sides, rest poses of the user's choice, and scenes in other units."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from bodies import mixamo, skin_in_motion, unreal
from fingered import parts, with_fingers
from mathutils import Matrix, Quaternion
from rigs import Character, character
from scenes import check_gates, curves_of, degrees, figure, import_track, limb_errors, make, pose_of, wanted, write_track
from walks import NAMES, dance, walk

FRAMES = 30


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, np.ndarray]:
    track, turns = dance(FRAMES)
    return import_track(write_track(tmp_path / "dance.npz", track)), wanted(turns, track["root"])


def run(target: bpy.types.Object, source: bpy.types.Object, **options: object) -> None:
    options = {"lock": "NEVER", **options}
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, **options) == {"FINISHED"}


def test_the_map_of_a_source_is_a_table_that_is_used_saved_and_loaded(source: tuple, tmp_path: Path) -> None:
    # Names that say nothing, and one bone too many for the shape to tell.
    for number, bone in enumerate(source[0].data.bones):
        bone.name = f"part {number * 7 % 23}"
    one = character("mixamo")
    target = make(one)
    assert bpy.ops.stpose.map_bones(side="SOURCE", target=source[0].name) == {"FINISHED"}
    rows = source[0].stpose_map.rows
    right = {row.slot: row.bone for row in rows}
    rows["forearm.L"].bone, rows["forearm.R"].bone = rows["forearm.R"].bone, rows["forearm.L"].bone
    assert bpy.ops.stpose.check_map(side="SOURCE") == {"FINISHED"}
    assert rows["forearm.L"].problem
    with pytest.raises(RuntimeError, match="table of the source"):
        run(target, source[0])
    for slot in ("forearm.L", "forearm.R"):
        rows[slot].bone = right[slot]
    path = tmp_path / "mine.json"
    assert bpy.ops.stpose.save_map(side="SOURCE", filepath=str(path)) == {"FINISHED"}
    rows["hand.L"].bone = ""
    assert bpy.ops.stpose.load_map(side="SOURCE", filepath=str(path)) == {"FINISHED"}
    assert {row.slot: row.bone for row in rows} == right
    run(target, source[0])
    check_gates(target, one.named(), one.hinges, source[1])


def test_a_map_stays_with_its_armature_when_that_is_renamed(source: tuple) -> None:
    target = make(character("nameless"))
    bpy.ops.stpose.map_bones(target=target.name)
    target.stpose_map.rows["head"].bone = ""
    target.name = "Other"
    with pytest.raises(RuntimeError, match="target 'Third'"):
        bpy.ops.stpose.check_map(target=make(character("mixamo"), "Third").name)
    run(target, source[0])
    assert not [curve for curve in curves_of(target) if '"b5"' in curve.data_path]
    assert target.stpose_map.rows["head"].bone == ""


def test_loosened_controls_need_no_hierarchy(source: tuple) -> None:
    one = character("mixamo")
    target = make(one)
    bpy.context.view_layer.objects.active = target
    bpy.ops.object.mode_set(mode="EDIT")
    target.data.edit_bones[one.named()["hand.L"]].parent = None
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.stpose.map_bones(target=target.name)
    assert target.stpose_map.rows["hand.L"].problem
    target.stpose_map.controls = True
    bpy.ops.stpose.check_map(target=target.name)
    assert not target.stpose_map.rows["hand.L"].problem


def posed_at_rest(obj: bpy.types.Object, one: Character, frame: int) -> None:
    """Put the arms of a character 50 degrees down in a frame, as a T-pose becomes an A-pose."""
    bpy.context.scene.frame_set(frame)
    for bone in obj.pose.bones:
        bone.rotation_quaternion = (1, 0, 0, 0)
    for slot, sign in (("upper_arm.L", 1), ("upper_arm.R", -1)):
        bone = obj.pose.bones[one.named()[slot]]
        rest = bone.bone.matrix_local.to_quaternion()
        bone.rotation_quaternion = rest.inverted() @ Quaternion((0, 1, 0), sign * np.radians(50)) @ rest
    bpy.context.view_layer.update()


def test_this_frame_as_rest_pose_of_the_target(source: tuple) -> None:
    one = character("mixamo", arms_down=45, rolls=2)
    target = make(one)
    run(target, source[0])
    plain, _ = pose_of(target, [one.named()["forearm.L"], one.named()["hand.L"]], range(1, FRAMES + 1))
    target.animation_data_clear()
    posed_at_rest(target, one, 1)
    assert bpy.ops.stpose.use_rest(target=target.name) == {"FINISHED"}
    for bone in target.pose.bones:
        bone.rotation_quaternion = (1, 0, 0, 0)
    run(target, source[0])
    again, _ = pose_of(target, [one.named()["forearm.L"], one.named()["hand.L"]], range(1, FRAMES + 1))
    assert np.abs(again - plain).max() < 2e-3
    direction, _ = limb_errors(target, one.named(), one.hinges, source[1])
    assert direction.mean() < 0.1
    assert bpy.ops.stpose.use_rest(target=target.name, clear=True) == {"FINISHED"}
    assert target.stpose_map.rest == ""


def test_this_frame_as_rest_pose_of_a_source_whose_rest_pose_is_wrong(source: tuple) -> None:
    """The same motion on a rest pose with a foot turned down: a frame in which it stands flat makes the foot right."""
    rig, one = source[0], character("mixamo")
    target = make(one)
    run(target, rig)
    feet = [one.named()["foot.L"], one.named()["toe.L"]]
    right, _ = pose_of(target, feet, range(1, FRAMES + 1))
    flat = rig.data.bones["LeftFoot"].matrix_local.to_quaternion()
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    pivot = rig.data.edit_bones["LeftFoot"].head.copy()
    down = Matrix.Translation(pivot) @ Matrix.Rotation(np.radians(40), 4, "X") @ Matrix.Translation(-pivot)
    for name in ("LeftFoot", "LeftToeBase"):
        rig.data.edit_bones[name].matrix = down @ rig.data.edit_bones[name].matrix
    bpy.ops.object.mode_set(mode="OBJECT")
    bone, action = rig.pose.bones["LeftFoot"], rig.animation_data.action
    change = rig.data.bones["LeftFoot"].matrix_local.to_quaternion().inverted() @ flat
    curves = sorted(
        (c for c in curves_of(rig) if c.data_path == bone.path_from_id("rotation_quaternion")), key=lambda c: c.array_index
    )
    for keys in zip(*(curve.keyframe_points for curve in curves)):
        for key, value in zip(keys, change @ Quaternion([key.co[1] for key in keys])):
            key.co[1] = value
    run(target, rig)
    wrong, _ = pose_of(target, feet, range(1, FRAMES + 1))
    assert degrees(wrong[:, 1] - wrong[:, 0], right[:, 1] - right[:, 0]).mean() > 10
    rig.animation_data.action = None
    for other in rig.pose.bones:
        other.rotation_quaternion = (1, 0, 0, 0)
    bone.rotation_quaternion = change
    bpy.context.view_layer.update()
    assert bpy.ops.stpose.use_rest(side="SOURCE", target=rig.name) == {"FINISHED"}
    rig.animation_data.action = action
    if hasattr(rig.animation_data, "action_slot"):
        rig.animation_data.action_slot = action.slots[0]
    run(target, rig)
    mended, _ = pose_of(target, feet, range(1, FRAMES + 1))
    assert degrees(mended[:, 1] - mended[:, 0], right[:, 1] - right[:, 0]).mean() < 1


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_a_track_has_its_size_in_the_unit_of_the_scene(scene: bpy.types.Scene, tmp_path: Path, unit: float) -> None:
    scene.unit_settings.scale_length = unit
    track, turns = dance(FRAMES)
    source = import_track(write_track(tmp_path / "dance.npz", track))
    heads, _ = pose_of(source, ["LeftHand", "Head"], range(1, FRAMES + 1))
    places = wanted(turns, track["root"])[:, [NAMES.index("LeftHand"), NAMES.index("Head")]]
    off = np.abs(unit * heads - places).max()
    figure(f"joints of an imported track in a scene of {unit:g} m, most", 1000 * off, "mm")
    assert off < 0.001


@pytest.mark.parametrize("kind", [mixamo, unreal])
def test_the_same_result_in_metres_and_centimetres(kind, scene: bpy.types.Scene, tmp_path: Path) -> None:
    """In centimetres the object of Unreal's body has no scale, and its bones are as long as the engine has them."""
    path = write_track(tmp_path / "walk.npz", walk(noise=0.02)[0])
    results = []
    for unit in (1.0, 0.01):
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.context.scene.render.fps = 30
        bpy.context.scene.unit_settings.scale_length = unit
        source = import_track(path)
        body = kind()
        body.skin.data.transform(Matrix.Scale(1 / unit, 4))
        body.rig.matrix_world = Matrix.Scale(1 / unit, 4) @ body.rig.matrix_world
        bpy.context.view_layer.update()
        assert unit == 1.0 or np.allclose(body.rig.matrix_world.to_scale(), 1.0)
        run(body.rig, source, lock="AUTO")
        results.append(unit * skin_in_motion(body, range(1, 60)))
    off = np.abs(results[0] - results[1]).max()
    figure(f"skin of a locked walk, metres against centimetres, '{kind.__name__}', most", 1000 * off, "mm")
    assert off < 0.001


class _Node(bpy.types.PropertyGroup):
    bone_name: bpy.props.StringProperty()


class _Human(bpy.types.PropertyGroup):
    bone: bpy.props.StringProperty()
    node: bpy.props.PointerProperty(type=_Node)


class _Humanoid(bpy.types.PropertyGroup):
    human_bones: bpy.props.CollectionProperty(type=_Human)


class _Vrm0(bpy.types.PropertyGroup):
    humanoid: bpy.props.PointerProperty(type=_Humanoid)


class _Extension(bpy.types.PropertyGroup):
    vrm0: bpy.props.PointerProperty(type=_Vrm0)


def test_the_human_bones_of_a_vrm_are_its_map(source: tuple) -> None:
    """A stand-in for what the add-on "VRM format" keeps with an armature."""
    kinds = (_Node, _Human, _Humanoid, _Vrm0, _Extension)
    for kind in kinds:
        bpy.utils.register_class(kind)
    bpy.types.Armature.vrm_addon_extension = bpy.props.PointerProperty(type=_Extension)
    try:
        one = with_fingers(character("nameless", arms_down=30), "nameless")
        fingers = parts(one)
        target = make(one)
        spelling = {"spine.2": "chest", "spine.3": "upperChest", "forearm": "LowerArm", "thigh": "UpperLeg", "shin": "LowerLeg",
                    "upper_arm": "UpperArm", "shoulder": "Shoulder", "hand": "Hand", "foot": "Foot", "toe": "Toes"}  # fmt: skip
        named = character("nameless", arms_down=30).named()
        for slot, bone in named.items():
            part, side = (slot[:-2], slot[-1]) if slot[-2:] in (".L", ".R") else (slot, "")
            row = target.data.vrm_addon_extension.vrm0.humanoid.human_bones.add()
            row.bone = {"L": "left", "R": "right", "": ""}[side] + spelling.get(part, part)
            row.node.bone_name = bone
        for slot, bone in fingers.items():
            row = target.data.vrm_addon_extension.vrm0.humanoid.human_bones.add()
            finger = {"pinky": "Little"}.get(slot[:-3], slot[:-3].capitalize())
            row.bone = {"L": "left", "R": "right"}[slot[-1]] + finger + ("Proximal", "Intermediate", "Distal")[int(slot[-3]) - 1]
            row.node.bone_name = bone
        bpy.ops.stpose.map_bones(target=target.name)
        assert target.stpose_map.family == "VRM (human bones)"
        assert {row.slot: row.bone for row in target.stpose_map.rows if row.bone} == {**named, **fingers}
        run(target, source[0])
        check_gates(target, named, one.hinges, source[1])
    finally:
        del bpy.types.Armature.vrm_addon_extension
        for kind in reversed(kinds):
            bpy.utils.unregister_class(kind)
