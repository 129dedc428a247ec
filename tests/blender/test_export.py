"""Characters for game engines: what is written is read again and compared, and the file's own numbers are looked at."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from bodies import Body, mixamo, skin_in_motion, unreal
from mathutils import Matrix
from rigs import character
from scenes import figure, import_track, make, pose_of, write_track
from walks import walk

FRAMES = range(1, 31)
ENGINES = {"UNREAL": ".fbx", "UNITY": ".fbx", "GODOT": ".glb"}


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Object:
    return import_track(write_track(tmp_path / "walk.npz", walk()[0]))


def moving(body: Body, source: bpy.types.Object, **options: object) -> Body:
    bpy.ops.stpose.retarget(source=source.name, target=body.rig.name, ik=False, **options)
    source.hide_viewport = True
    return body


def export(body: Body, path: Path, engine: str, **options: object) -> None:
    done = bpy.ops.stpose.export_character(
        filepath=str(path), engine=engine, target=body.rig.name, first=FRAMES[0], last=FRAMES[-1], **options
    )
    assert done == {"FINISHED"}


def read(path: Path) -> Body:
    """The file in an empty scene."""
    rate = bpy.context.scene.render.fps
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = rate
    if path.suffix == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(path))
        # Blender's importer lets the root bone end at the hips and connects them, which then cannot move.
        bpy.context.view_layer.objects.active = next(obj for obj in bpy.data.objects if obj.type == "ARMATURE")
        bpy.ops.object.mode_set(mode="EDIT")
        for bone in bpy.context.object.data.edit_bones:
            bone.use_connect = False
        bpy.ops.object.mode_set(mode="OBJECT")
    else:
        bpy.ops.import_scene.gltf(filepath=str(path), bone_heuristic="BLENDER")
    rig = next(obj for obj in bpy.data.objects if obj.type == "ARMATURE")
    skin = next((obj for obj in bpy.data.objects if obj.type == "MESH" and obj.vertex_groups), rig)
    return Body(rig, skin, {}, [], [])


def start(rig: bpy.types.Object) -> int:
    return round(rig.animation_data.action.frame_range[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [mixamo, unreal])
@pytest.mark.parametrize("root", ["FULL", "OBJECT"])
def test_what_is_read_again_moves_alike(engine: str, kind, root: str, source: bpy.types.Object, tmp_path: Path) -> None:
    body = moving(kind(), source, root_motion=root)
    names = [bone.name for bone in body.rig.data.bones]
    before, skin = pose_of(body.rig, names, FRAMES)[0], skin_in_motion(body, FRAMES)
    assert np.ptp(before, axis=0).max() > 0.5
    path = tmp_path / f"walk{ENGINES[engine]}"
    export(body, path, engine)
    again = read(path)
    assert again.rig.name == "Armature"
    roots = [bone.name for bone in again.rig.data.bones if bone.parent is None]
    assert roots == ["root"]
    assert again.skin.name == "Skin"
    frames = range(start(again.rig), start(again.rig) + len(FRAMES))
    after = pose_of(again.rig, names, frames)[0]
    off = 1000 * np.linalg.norm(after - before, axis=-1).max()
    figure(f"joints of a character for {engine}, read again, most", off, "mm")
    assert off < 1
    # glTF orders vertices anew: the nearest of each.
    last = skin_in_motion(again, range(frames[-1], frames[-1] + 1))[0]
    nearest = np.linalg.norm(skin[-1][:, None] - last[None], axis=-1).min(axis=1)
    figure(f"skin of a character for {engine}, read again, most", 1000 * nearest.max(), "mm")
    assert nearest.max() < 0.001
    if root == "OBJECT":
        carried = pose_of(again.rig, ["root"], frames)[0][:, 0]
        assert np.ptp(carried, axis=0).max() > 0.4


def test_the_scene_is_left_as_it_was(source: bpy.types.Object, tmp_path: Path) -> None:
    body = moving(mixamo(), source)
    make(character("vrm"), "Armature")
    body.skin.select_set(True)

    def state() -> list:
        scene = bpy.context.scene
        blocks = [
            sorted(one.name for one in group) for group in (bpy.data.objects, bpy.data.armatures, bpy.data.meshes, bpy.data.actions)
        ]
        chosen = sorted(obj.name for obj in bpy.context.selected_objects)
        return [*blocks, chosen, bpy.context.object.name, scene.name, scene.frame_start, scene.frame_end, scene.frame_current]

    before = state()
    for engine, suffix in ENGINES.items():
        export(body, tmp_path / f"a{suffix}", engine)
        assert state() == before
    with pytest.raises(RuntimeError, match="no folder"):
        export(body, tmp_path / "gone" / "a.fbx", "UNREAL")
    with pytest.raises(RuntimeError, match="has to end in"):
        export(body, tmp_path / "a.obj", "UNREAL")
    (tmp_path / "b.fbx").mkdir()
    with pytest.raises(RuntimeError, match=r"cannot write .*b\.fbx"):
        export(body, tmp_path / "b.fbx", "UNREAL")
    assert state() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_rig_without_animation_is_refused(source: bpy.types.Object, tmp_path: Path) -> None:
    make(character("mixamo"), "Still")
    with pytest.raises(RuntimeError, match="'Still' has no animation"):
        bpy.ops.stpose.export_character(filepath=str(tmp_path / "a.fbx"), target="Still")
    with pytest.raises(RuntimeError, match="no object 'Nobody'"):
        bpy.ops.stpose.export_character(filepath=str(tmp_path / "a.fbx"), target="Nobody")
    assert not (tmp_path / "a.fbx").exists()


def fbx_nodes(path: Path) -> dict[str, dict[str, tuple]]:
    """Lcl properties of the models in an FBX file, by name; its global settings under ""."""
    from io_scene_fbx import parse_fbx

    top, _ = parse_fbx.parse(str(path))
    found: dict[str, dict[str, tuple]] = {}
    for part in top.elems:
        if part.id == b"GlobalSettings":
            found[""] = properties(part)
        for one in part.elems if part.id == b"Objects" else ():
            if one.id == b"Model":
                found[one.props[1].split(b"\x00")[0].decode()] = properties(one)
    return found


def properties(element) -> dict[str, tuple]:
    table = next(one for one in element.elems if one.id == b"Properties70")
    return {one.props[0].decode(): tuple(one.props[4:]) for one in table.elems}


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_fbx_is_in_centimetres_with_y_up_and_no_node_has_a_scale(unit: float, source: bpy.types.Object, tmp_path: Path) -> None:
    bpy.context.scene.unit_settings.scale_length = unit
    body = mixamo()
    body.rig.matrix_world = Matrix.Scale(1 / unit, 4) @ body.rig.matrix_world
    body.skin.data.transform(Matrix.Scale(1 / unit, 4))
    bpy.context.view_layer.update()
    moving(body, source)
    height = unit * (body.rig.matrix_world @ body.rig.data.bones["mixamorig:Head"].head_local).z
    export(body, tmp_path / "a.fbx", "UNREAL")
    nodes = fbx_nodes(tmp_path / "a.fbx")
    assert nodes[""]["UnitScaleFactor"] == (1.0,)
    assert nodes[""]["UpAxis"] == (1,)
    for name, one in nodes.items():
        assert np.allclose(one.get("Lcl Scaling", (1, 1, 1)), 1, atol=1e-5), name
    assert np.allclose(nodes["Armature"].get("Lcl Rotation", (0, 0, 0)), 0, atol=1e-4)
    assert np.allclose(nodes["root"]["Lcl Translation"], (0, 2, 0), atol=1e-3)  # this rig's object is 2 cm above the ground
    # Control: Blender's exporter by itself gives the node of a rig that was built in Blender a rotation and a scale.
    for obj in bpy.context.selected_objects:
        obj.select_set(False)
    make(character("mixamo"), "Plain").select_set(True)
    bpy.ops.export_scene.fbx(filepath=str(tmp_path / "plain.fbx"), use_selection=True)
    plain = fbx_nodes(tmp_path / "plain.fbx")["Plain"]
    assert abs(plain["Lcl Rotation"][0]) > 45
    assert unit != 1.0 or plain["Lcl Scaling"][0] > 50
    again = read(tmp_path / "a.fbx")
    assert abs((again.rig.matrix_world @ again.rig.data.bones["mixamorig:Head"].head_local).z - height) < 0.001


def test_gltf_is_in_metres_below_a_node_without_transform(source: bpy.types.Object, tmp_path: Path) -> None:
    body = moving(mixamo(), source)
    height = (body.rig.matrix_world @ body.rig.data.bones["mixamorig:Head"].head_local).z
    export(body, tmp_path / "walk.glb", "GODOT")
    content = (tmp_path / "walk.glb").read_bytes()
    data = json.loads(content[20 : 20 + struct.unpack("<I", content[12:16])[0]])
    node = next(one for one in data["nodes"] if one["name"] == "Armature")
    assert not {"scale", "translation", "rotation"} & set(node)
    assert len(data["animations"]) == 1
    again = read(tmp_path / "walk.glb")
    assert abs((again.rig.matrix_world @ again.rig.data.bones["mixamorig:Head"].head_local).z - height) < 0.001


def test_a_rigify_rig_goes_out_as_its_deforming_bones(rigify_file: Path, source: bpy.types.Object, tmp_path: Path) -> None:
    with bpy.data.libraries.load(str(rigify_file)) as (_, to):
        to.objects = ["rig"]
    rig = to.objects[0]
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.update()
    body = moving(Body(rig, rig, {}, [], []), source)
    names = [bone.name for bone in rig.data.bones if bone.use_deform]
    limbs = [f"DEF-{part}.{side}" for side in "LR" for part in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")]
    before = pose_of(rig, names, FRAMES)[0]
    export(body, tmp_path / "rig.fbx", "UNITY")
    again = read(tmp_path / "rig.fbx").rig
    assert {bone.name for bone in again.data.bones} == {*names, "root"}
    after = pose_of(again, names, range(start(again), start(again) + len(FRAMES)))[0]
    off = 1000 * np.linalg.norm(after - before, axis=-1).max()
    figure("joints of Rigify's deforming bones through FBX, most", off, "mm")
    assert off < 1
    for name in limbs:
        above = [bone.name for bone in again.data.bones[name].parent_recursive]
        assert "DEF-spine" in above, name
    assert "DEF-thigh.L" in [bone.name for bone in again.data.bones["DEF-foot.L"].parent_recursive]
