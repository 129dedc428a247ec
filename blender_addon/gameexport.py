"""A character for a game engine: a plain copy of its skeleton, with the motion that is seen, in the units and axes of the file.

Engines take a node with a scale or a rotation for a bone, and know no controls or constraints. So the file gets an armature of its
own: the bones that deform, in one tree below a root bone, keyed with what the character does in the scene. Its object has no
transform in the file; the units and axes of FBX are in the bones.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.io_utils import axis_conversion
from mathutils import Matrix

from .action import Channel, write_action
from .armature import RigError, home_of
from .retarget.rotation import Array, continuous, from_matrix
from .rig import units_per_metre
from .soles import skins_of

FBX, GLB = ".fbx", ".glb"
NODE, ROOT = "Armature", "root"  # Unreal drops a node of this name; elsewhere it is as good as any
_LOW = 0.1  # of the height: a root bone begins below this
_STILL = 1e-6  # of the height: what moves less in its own channels needs no keys of its place


@dataclass(frozen=True)
class Wanted:
    """What is written. frames: first and last. deform_only: leave out bones that deform nothing. meshes: the skins too."""

    frames: tuple[int, int]
    deform_only: bool = True
    meshes: bool = True


@dataclass(frozen=True)
class _Plain:
    """Bones, parents first. parents: index of each bone's, -1 for the root. rest: (N, 4, 4); poses: (T, N, 4, 4), in the world."""

    names: list[str]
    parents: list[int]
    rest: Array
    poses: Array


def export(context: bpy.types.Context, obj: bpy.types.Object, path: Path, wanted: Wanted) -> int:
    """Write a character as .fbx or .glb, whole or not at all; the number of bones. Raises RigError, and RuntimeError by Blender."""
    suffix = path.suffix.lower()
    if suffix not in (FBX, GLB):
        raise RigError(f"'{path.name}': the name of the file has to end in {FBX} or {GLB}")
    if not path.parent.is_dir():
        raise RigError(f"there is no folder '{path.parent}'")
    name = "fbx" if suffix == FBX else "gltf"
    if not hasattr(bpy.types, f"EXPORT_SCENE_OT_{name}"):
        raise RigError(f"Blender's add-on for {suffix} is not enabled")
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    space = _space(context, suffix)
    bones = _plain(context, obj, wanted)
    folder = Path(tempfile.mkdtemp(prefix="stpose-"))
    try:
        skins = list(skins_of(obj)) if wanted.meshes else []
        with _kept(context, wanted.frames, path.stem), _named([NODE, *(skin.name for skin in skins)]) as names:
            made = [_armature(context, bones, space, wanted.frames[0])]
            try:
                made += [_skin(context, skin, obj, made[0], space) for skin in skins]
                for one, name in zip(made, names):
                    one.name = name
                    one.select_set(True)
                context.view_layer.objects.active = made[0]
                _write(folder / path.name, suffix)
            finally:
                for one in reversed(made):
                    _remove(one)
        _placed(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return len(bones.names)


@dataclass(frozen=True)
class _Space:
    """inside: from the world to the file's units and axes. outside: the transform of objects that the exporter takes away."""

    inside: Matrix
    outside: Matrix


def _placed(made: Path, path: Path) -> None:
    """Bring a file to its place, whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        shutil.copyfile(made, part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RigError(f"cannot write {path}: {error.strerror or error}") from error


def _space(context: bpy.types.Context, suffix: str) -> _Space:
    """Centimetres with y up in FBX; metres for glTF, whose axes its exporter turns."""
    size = Matrix.Scale(1 / units_per_metre(context.scene), 4)
    if suffix == GLB:
        return _Space(size, Matrix.Identity(4))
    conversion: Any = axis_conversion  # whose type is not known
    axes = conversion(to_forward="-Z", to_up="Y").to_4x4() @ Matrix.Scale(100, 4)
    return _Space(axes @ size, axes.inverted())


def _write(path: Path, suffix: str) -> None:
    """By Blender's exporters, which raise RuntimeError."""
    if suffix == GLB:
        bpy.ops.export_scene.gltf(
            filepath=str(path), export_format="GLB", use_selection=True, export_yup=True, export_skins=True, export_morph=True,
            export_animations=True, export_animation_mode="ACTIVE_ACTIONS", export_force_sampling=True, export_frame_range=True,
            export_optimize_animation_size=False, export_anim_slide_to_zero=True,
        )  # fmt: skip
        return
    bpy.ops.export_scene.fbx(
        filepath=str(path), use_selection=True, object_types={"ARMATURE", "MESH"}, axis_forward="-Z", axis_up="Y", global_scale=1.0,
        apply_unit_scale=False, apply_scale_options="FBX_SCALE_NONE", use_space_transform=True, bake_space_transform=False,
        add_leaf_bones=False, use_armature_deform_only=False, primary_bone_axis="Y", secondary_bone_axis="X",
        mesh_smooth_type="FACE", bake_anim=True, bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=False, bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True, bake_anim_simplify_factor=0.0,
    )  # fmt: skip


def _plain(context: bpy.types.Context, obj: bpy.types.Object, wanted: Wanted) -> _Plain:
    """The bones that are written, and where they are at rest and in each frame."""
    data: Any = obj.data
    every = sorted(data.bones, key=lambda bone: len(bone.parent_recursive))
    chosen = [bone for bone in every if bone.use_deform or not wanted.deform_only] or every
    names = [bone.name for bone in chosen]
    home = _rigid(np.array(home_of(obj)))
    scale = float(home_of(obj).to_scale()[0])
    rest = np.array([home @ _scaled(np.array(bone.matrix_local), scale) for bone in chosen])
    poses, objects = _seen(context, obj, names, wanted.frames)
    parents = [_parent(bone, names) for bone in chosen]
    height = float(np.ptp(rest[:, 2, 3])) or 1.0
    tops = [index for index, parent in enumerate(parents) if parent < 0]
    if len(tops) > 1 or rest[tops[0], 2, 3] - rest[:, 2, 3].min() > _LOW * height:
        names = [ROOT if ROOT not in names else ROOT + "_motion", *names]
        parents = [-1, *(parent + 1 for parent in parents)]
        rest, poses = np.concatenate([home[None], rest]), np.concatenate([objects[:, None], poses], axis=1)
    order = _parents_first(parents)
    place = {old: new for new, old in enumerate(order)}
    return _Plain(
        [names[index] for index in order],
        [place[parents[index]] if parents[index] >= 0 else -1 for index in order],
        rest[order],
        poses[:, order],
    )


def _parent(bone: bpy.types.Bone, names: list[str]) -> int:
    """The nearest bone above that is written; of Rigify's, for which the ORG bone stands that it follows."""
    for above in bone.parent_recursive:
        for name in (above.name, above.name.replace("ORG-", "DEF-", 1)):
            if name in names and name != bone.name:
                return names.index(name)
    return -1


def _parents_first(parents: list[int]) -> list[int]:
    def depth(index: int) -> int:
        steps = 0
        while parents[index] >= 0:
            index, steps = parents[index], steps + 1
            if steps > len(parents):
                raise RigError("the bones that deform carry one another in a circle; export all bones")
        return steps

    return sorted(range(len(parents)), key=depth)


def _seen(context: bpy.types.Context, obj: bpy.types.Object, names: list[str], frames: tuple[int, int]) -> tuple[Array, Array]:
    """(T, N, 4, 4) bones and (T, 4, 4) the object, in the world and without scale, from the evaluated dependency graph."""
    scene = context.scene
    before = scene.frame_current, scene.frame_subframe
    poses, objects = [], []
    try:
        for frame in range(frames[0], frames[1] + 1):
            scene.frame_set(frame)
            evaluated = obj.evaluated_get(context.evaluated_depsgraph_get())
            world = np.array(evaluated.matrix_world)
            poses.append([_rigid(world @ np.array(evaluated.pose.bones[name].matrix)) for name in names])
            objects.append(_rigid(world))
    finally:
        scene.frame_set(before[0], subframe=before[1])
    return np.array(poses), np.array(objects)


def _rigid(matrix: Array) -> Array:
    """(4, 4) without scale and shear."""
    out = np.eye(4)
    left, _, right = np.linalg.svd(matrix[:3, :3])
    out[:3, :3], out[:3, 3] = left @ right, matrix[:3, 3]
    return out


def _scaled(matrix: Array, scale: float) -> Array:
    out = matrix.copy()
    out[:3, 3] *= scale
    return out


def _armature(context: bpy.types.Context, bones: _Plain, space: _Space, first: int) -> bpy.types.Object:
    """An armature object with these bones in the file's units and axes, which the exporter takes back, and their motion."""
    factor = float(space.inside.to_scale()[0])
    turn = _rigid(np.array(space.inside))

    def turned(matrices: Array) -> Array:
        out = turn @ matrices
        out[..., :3, 3] *= factor
        return np.asarray(out)

    rest, poses = turned(bones.rest), turned(bones.poses)
    height = float(np.ptp(rest[:, :3, 3], axis=0).max()) or 1.0
    data = bpy.data.armatures.new(NODE)
    obj = bpy.data.objects.new(NODE, data)
    context.collection.objects.link(obj)
    context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        made: list[Any] = []
        for name, parent, matrix in zip(bones.names, bones.parents, rest):
            bone = data.edit_bones.new(name)
            bone.head, bone.tail = (0.0, 0.0, 0.0), (0.0, 0.05 * height, 0.0)
            bone.matrix = Matrix(matrix.tolist())
            bone.parent = made[parent] if parent >= 0 else None
            made.append(bone)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    obj.matrix_world = space.outside
    built: Any = np.array([np.array(data.bones[name].matrix_local) for name in bones.names])  # in Blender's precision
    write_action(obj, NODE, _channels(bones, built, poses, first, _STILL * height))
    return obj


def _channels(bones: _Plain, rest: Array, poses: Array, first: int, still: float) -> list[Channel]:
    frames = first + np.arange(len(poses), dtype=np.float64)
    found = []
    for index, (name, parent) in enumerate(zip(bones.names, bones.parents)):
        above = (rest[parent], poses[:, parent]) if parent >= 0 else (np.eye(4), np.eye(4))
        basis = np.linalg.solve(np.linalg.solve(above[0], rest[index]), np.linalg.solve(above[1], poses[:, index]))
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        if parent < 0 or np.abs(basis[:, :3, 3]).max() > still:
            found.append(Channel(path + "location", name, frames, basis[:, :3, 3]))
        found.append(Channel(path + "rotation_quaternion", name, frames, continuous(from_matrix(basis[:, :3, :3]))))
    return found


def _skin(
    context: bpy.types.Context, mesh: bpy.types.Object, obj: bpy.types.Object, armature: bpy.types.Object, space: _Space
) -> bpy.types.Object:
    """A copy of a skin on the armature of the file."""
    at_home = home_of(obj) @ obj.matrix_world.inverted() @ mesh.matrix_world
    copy: Any = mesh.copy()
    copy.data = mesh.data.copy()
    copy.animation_data_clear()
    copy.constraints.clear()
    copy.data.transform(space.inside @ at_home, shape_keys=True)
    context.collection.objects.link(copy)
    copy.parent, copy.parent_type, copy.matrix_parent_inverse = armature, "OBJECT", Matrix.Identity(4)
    copy.matrix_basis = Matrix.Identity(4)
    for one in copy.modifiers:
        if one.type == "ARMATURE" and one.object == obj:
            one.object = armature
    return copy


def _remove(obj: bpy.types.Object) -> None:
    data: Any = obj.data
    action = obj.animation_data.action if obj.animation_data else None
    bpy.data.objects.remove(obj)
    (bpy.data.armatures if isinstance(data, bpy.types.Armature) else bpy.data.meshes).remove(data)
    if action is not None:
        bpy.data.actions.remove(action)


@contextmanager
def _kept(context: bpy.types.Context, frames: tuple[int, int], clip: str) -> Iterator[None]:
    """The scene ends as it was: its range, its name and the selection."""
    scene, layer = context.scene, context.view_layer
    before = scene.frame_start, scene.frame_end, scene.name
    selected, active = list(context.selected_objects), layer.objects.active
    try:
        for obj in selected:
            obj.select_set(False)
        # FBX calls the clip as the scene is called.
        scene.name = clip
        scene.frame_start, scene.frame_end = frames
        yield
    finally:
        scene.frame_start, scene.frame_end, scene.name = before
        for obj in selected:
            obj.select_set(True)
        layer.objects.active = active


@contextmanager
def _named(names: list[str]) -> Iterator[list[str]]:
    """The names are free for the objects of the file; the scene's own have them again at the end."""
    found: dict[str, Any] = {name: bpy.data.objects.get(name) for name in names}
    taken = [(obj, name) for name, obj in found.items() if obj is not None and obj.library is None]
    try:
        for obj, name in taken:
            obj.name = "." + name
        yield names
    finally:
        for obj, name in taken:
            obj.name = name
