"""Armatures: between Blender's bones and the arrays of `retarget`. With `action`, the only module that knows armatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Quaternion

from .action import Channel, curves_of, straight_values
from .retarget import keys
from .retarget.attachment import Attachment, attachments, local_rotations, measured
from .retarget.bonemap import Switch
from .retarget.rootmotion import Carrier
from .retarget.rotation import Array, about, continuous, from_matrix, multiply, unit
from .retarget.skeleton import Skeleton, Track, pose_from_local
from .retarget.slots import FINGER_SLOTS, REQUIRED, SLOTS
from .retarget.solver import Posed

#: On an action that moves the object: the object's transform at rest.
HOME = "stpose_home"
_PROBES = 3  # poses that a rig with constraints is tried in


class RigError(Exception):
    """A rig cannot be used as it is: what is wrong and what to do, in a line."""


def poll_armature(operator: Any, context: bpy.types.Context) -> bool:
    """For operators that need an armature: whether the scene has one; the button says so where not."""
    if any(obj.type == "ARMATURE" for obj in context.scene.objects):
        return True
    operator.poll_message_set("There is no armature in the scene")
    return False


def check_rig(obj: bpy.types.Object | None) -> bpy.types.Object:
    """The armature object, if it can be read. Raises RigError."""
    if obj is None or obj.type != "ARMATURE":
        raise RigError("choose an armature object")
    scale = np.array(obj.matrix_world.to_scale())
    if obj.matrix_world.is_negative or np.ptp(scale) > 1e-3 * scale.max() or scale.min() <= 0:
        raise RigError(f"'{obj.name}' is scaled unevenly or mirrored; apply its scale (Ctrl A)")
    return obj


def check_target(obj: bpy.types.Object | None) -> bpy.types.Object:
    """The armature object, if it can be animated. Raises RigError."""
    obj = check_rig(obj)
    if obj.library is not None:
        raise RigError(f"'{obj.name}' is linked from another file; make a library override of it first (Object > Library Override)")
    if obj.data.pose_position == "REST":
        raise RigError(f"'{obj.data.name}' is shown in rest position; switch it to pose position")
    return obj


def home_of(obj: bpy.types.Object) -> Matrix:
    """The transform of the object in the world; where it stands at rest if a bake of its root motion moves it."""
    action: Any = obj.animation_data.action if obj.animation_data else None
    if action is None or HOME not in action:
        return obj.matrix_world
    return Matrix(np.array(action[HOME]).reshape(4, 4).tolist())


def set_home(action: Any, home: Matrix) -> None:
    """Keep with an action that moves the object where the object stands at rest."""
    action[HOME] = np.array(home).ravel().tolist()


def read_skeleton(obj: bpy.types.Object) -> Skeleton:
    """The rest pose in the world. Bones come parents first."""
    bones = sorted(obj.data.bones, key=lambda bone: len(bone.parent_recursive))
    order = {bone.name: index for index, bone in enumerate(bones)}
    home = home_of(obj)
    world = np.array(home)
    local = np.array([bone.matrix_local for bone in bones]).reshape(-1, 4, 4)
    ends = np.array([[*bone.head_local, *bone.tail_local] for bone in bones]).reshape(-1, 2, 3)
    ends = ends @ world[:3, :3].T + world[:3, 3]
    turned = _rotation(home)
    posed = np.array([obj.pose.bones[bone.name].matrix_basis.to_quaternion() for bone in bones]).reshape(-1, 4)
    return Skeleton(
        tuple(order),
        np.array([order[bone.parent.name] if bone.parent else -1 for bone in bones], dtype=np.int64),
        ends[:, 0],
        ends[:, 1],
        from_matrix(turned @ local[:, :3, :3]),
        from_matrix(turned),
        posed,
    )


def read_motion(context: bpy.types.Context, obj: bpy.types.Object, frames: Sequence[float], names: Sequence[str]) -> Track:
    """The named bones of an armature in motion, in the world; a bone that is not named is left as it is at rest.

    Straight from the keys where they alone move the rig, frame by frame through the dependency graph where not.
    """
    skeleton = read_skeleton(obj)
    fps = context.scene.render.fps / context.scene.render.fps_base
    at = np.asarray(frames, dtype=np.float64)
    return _from_keys(obj, skeleton, at, fps) or _from_scene(context, obj, skeleton, at, names, fps)


def _from_keys(obj: bpy.types.Object, skeleton: Skeleton, frames: Array, fps: float) -> Track | None:
    data = obj.animation_data
    if data is None or data.action is None or len(data.nla_tracks) or len(data.drivers) or obj.parent or len(obj.constraints):
        return None
    local = np.tile([1.0, 0.0, 0.0, 0.0], (len(frames), len(skeleton.names), 1))
    shift = np.zeros((len(frames), 3))
    roots = np.flatnonzero(skeleton.parents < 0)
    paths = {}
    for index, name in enumerate(skeleton.names):
        bone = obj.pose.bones[name]
        plain = bone.rotation_mode == "QUATERNION" and bone.bone.use_inherit_rotation and not bone.constraints
        if not plain or bone.matrix_basis.to_scale() != _ONE or (index not in roots and bone.location.length > 1e-6):
            return None
        paths[bone.path_from_id()] = index
        local[:, index] = bone.rotation_quaternion
    if len(roots) != 1:
        return None
    place = np.array(obj.pose.bones[skeleton.names[roots[0]]].location)
    place = np.tile(place, (len(frames), 1))
    for curve in curves_of(obj):
        path, _, name = curve.data_path.rpartition(".")
        index = paths.get(path, -1)
        values = straight_values(curve, frames)
        if values is None or index < 0 or name not in ("rotation_quaternion", "location"):
            return None
        if name == "location" and index != roots[0]:
            return None
        (local[:, index] if name == "rotation_quaternion" else place)[:, curve.array_index] = values
    shift = place @ (np.array(obj.matrix_world)[:3, :3] @ np.array(obj.data.bones[skeleton.names[roots[0]]].matrix_local)[:3, :3]).T
    return pose_from_local(skeleton, unit(local), shift, fps)


_ONE = Matrix.Identity(4).to_scale()


def _from_scene(
    context: bpy.types.Context, obj: bpy.types.Object, skeleton: Skeleton, frames: Array, names: Sequence[str], fps: float
) -> Track:
    scene, wanted = context.scene, [skeleton.index(name) for name in names]
    rotations = np.tile(skeleton.rest, (len(frames), 1, 1))
    heads = np.tile(skeleton.heads, (len(frames), 1, 1))
    before = scene.frame_current, scene.frame_subframe
    try:
        for number, frame in enumerate(frames):
            scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))
            evaluated = obj.evaluated_get(context.evaluated_depsgraph_get())
            world, turned = np.array(evaluated.matrix_world), _rotation(evaluated.matrix_world)
            bones = evaluated.pose.bones
            local = np.array([bones[name].matrix for name in names])
            rotations[number, wanted] = from_matrix(turned @ _even(local[:, :3, :3]))
            heads[number, wanted] = local[:, :3, 3] @ world[:3, :3].T + world[:3, 3]
    finally:
        scene.frame_set(before[0], subframe=before[1])
    return Track(skeleton, rotations, heads, fps)


def _even(matrices: Array) -> Array:
    """Without scale: columns of length 1."""
    return np.asarray(matrices / np.linalg.norm(matrices, axis=-2, keepdims=True))


def _rotation(matrix: Matrix) -> Array:
    return np.array(matrix.to_quaternion().to_matrix())


def add_root(context: bpy.types.Context, obj: bpy.types.Object) -> str:
    """A new bone at the origin of the armature that all bones without a parent hang on; its name. Raises RigError."""
    if obj.data.library is not None or obj.data.override_library is not None:
        raise RigError(f"'{obj.data.name}' is linked from another file; add a root bone there")
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    length = 0.15 * max((bone.head_local.length for bone in obj.data.bones), default=1.0)
    context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        bones = obj.data.edit_bones
        others = [bone for bone in bones if bone.parent is None]
        root = bones.new("root")
        root.head, root.tail, root.use_deform = (0.0, 0.0, 0.0), (0.0, length, 0.0), False
        for bone in others:
            bone.parent = root
        name = str(root.name)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    return name


def set_switches(obj: bpy.types.Object, switches: Sequence[Switch]) -> list[str]:
    """Set the custom properties that a family's controls need; what was changed, in words."""
    said = []
    for switch in switches:
        bone: Any = obj.pose.bones.get(switch.bone)
        if bone is None or switch.property not in bone:
            continue
        if float(bone[switch.property]) != switch.value:
            said.append(f"{switch.bone}: {switch.property} = {switch.value:g}")
        bone[switch.property] = type(bone[switch.property])(switch.value)
    if said:
        obj.update_tag()
    return said


def find_attachments(
    context: bpy.types.Context, obj: bpy.types.Object, skeleton: Skeleton, mapped: dict[str, str]
) -> dict[str, Attachment]:
    """What each mapped bone's channels are relative to: from the hierarchy, or tried out where constraints are in between.

    A bone whose channels do not move it, or that follows no other bone rigidly, has none; raises RigError if it is needed.
    """
    if not _has_constraints(obj, skeleton, mapped):
        return attachments(skeleton, mapped)
    order = [slot for slot in SLOTS if slot in mapped]
    random = np.random.default_rng(7)
    bases = {slot: about(unit(random.normal(size=(_PROBES, 3))), random.uniform(0.2, 0.7, _PROBES)) for slot in order}
    bones: dict[str, list[Array]] = {slot: [] for slot in order}
    with _held(context, obj, [mapped[slot] for slot in order]):
        for number in range(_PROBES):
            for slot in order:
                obj.pose.bones[mapped[slot]].matrix_basis = Quaternion(bases[slot][number]).to_matrix().to_4x4()
            context.view_layer.update()
            turned = _rotation(home_of(obj))
            for slot in order:
                local = np.array(obj.pose.bones[mapped[slot]].matrix)[:3, :3]
                bones[slot].append(from_matrix(turned @ _even(local)))
    found = measured({slot: np.stack(value) for slot, value in bones.items()}, bases, order)
    loose = [slot for slot, hold in found.items() if hold is None]
    if set(loose) & set(REQUIRED):
        names = ", ".join(mapped[slot] for slot in loose)
        raise RigError(f"constraints keep these bones from following their keys: {names}; mute them or map others")
    if loose:
        return find_attachments(context, obj, skeleton, {slot: name for slot, name in mapped.items() if slot not in loose})
    return {slot: hold for slot, hold in found.items() if hold is not None}


def _has_constraints(obj: bpy.types.Object, skeleton: Skeleton, mapped: dict[str, str]) -> bool:
    chain = set()
    for name in mapped.values():
        bone = skeleton.index(name)
        chain.update([name, *(skeleton.names[parent] for parent in skeleton.ancestors(bone))])
    return any(
        not obj.data.bones[name].use_inherit_rotation
        or any(not one.mute and one.influence > 0 for one in obj.pose.bones[name].constraints)
        for name in chain
    )


@contextmanager
def _held(context: bpy.types.Context, obj: bpy.types.Object, names: Sequence[str]) -> Iterator[None]:
    """Leave the pose of these bones as it was, and let no animation touch it meanwhile."""
    before = {name: obj.pose.bones[name].matrix_basis.copy() for name in names}
    data: Any = obj.animation_data
    kept = (data.action, getattr(data, "action_slot", None), data.use_nla) if data else None
    try:
        if data:
            data.action, data.use_nla = None, False
        yield
    finally:
        if data and kept:
            data.action, data.use_nla = kept[0], kept[2]
            if kept[1] is not None:
                data.action_slot = kept[1]
        for name, matrix in before.items():
            obj.pose.bones[name].matrix_basis = matrix
        context.view_layer.update()


def place_of(context: bpy.types.Context, obj: bpy.types.Object, name: str, mapped: dict[str, str]) -> Matrix:
    """Where a bone is in the world while its own channels, and those of all mapped bones, are at rest."""
    home = home_of(obj)
    with _held(context, obj, list(mapped.values())):
        for bone in mapped.values():
            obj.pose.bones[bone].matrix_basis = Matrix.Identity(4)
        context.view_layer.update()
        return home @ obj.pose.bones[name].matrix


def channels(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    posed: Posed,
    frames: Array,
    attached: dict[str, Attachment],
    tolerance: tuple[float, float] = (0.0, 0.0),
    slots: Sequence[str] | None = None,
    root: Carrier | None = None,
) -> list[Channel]:
    """What to key on the target. frames: (T,). tolerance: rad and metres that fewer keys may be off by; slots: all if None.

    root: how the bone of the slot "root" carries the others, if it is mapped. Raises RigError if the hips, or the root bone,
    cannot be moved.
    """
    mapped, found = posed.anatomy.mapped, []
    for slot, turns in local_rotations(posed, attached).items():
        if slots is not None and slot not in slots:
            continue
        # A relaxed hand does not move: one key.
        count = 1 if slot in FINGER_SLOTS and len(turns) and np.ptp(turns, axis=0).max() < 1e-7 else len(turns)
        found.append(rotation_channel(obj.pose.bones[mapped[slot]], frames[:count], turns[:count], tolerance[0]))
    hips = posed.hips if root is None else root.inside(posed.hips)
    for slot in ("hips", "root"):
        if slot not in mapped or (slots is not None and slot not in slots) or (slot == "root" and root is None):
            continue
        bone = obj.pose.bones[mapped[slot]]
        if bone.parent and bone.bone.use_connect:
            raise RigError(f"'{bone.name}' is connected to its parent and cannot be moved; choose another bone for the {slot}")
        rest = place_of(context, obj, bone.name, mapped)
        place = np.array(rest.translation)
        shift = (hips if slot == "hips" or root is None else root.carried(place)) - place
        basis = np.array(rest)[:3, :3] if bone.bone.use_local_location else np.array(home_of(obj))[:3, :3]
        values = np.linalg.solve(basis, shift.T).T
        size = float(np.linalg.norm(basis[:, 0]))
        keep = keys.fewer_values(frames, values, tolerance[1] / size)
        found.append(Channel(bone.path_from_id("location"), bone.name, frames[keep], values[keep]))
    return found


def rotation_channel(owner: Any, frames: Array, turns: Array, tolerance: float, group: str = "") -> Channel:
    """Turns (T, 4) of a bone, or of an object, in its own rotation mode, without jumps. tolerance: rad for fewer keys."""
    prefix = "" if isinstance(owner, bpy.types.Object) else owner.path_from_id() + "."
    group = group or owner.name
    if owner.rotation_mode == "QUATERNION":
        # The half of the quaternions that the pose has now: no flip for what comes before the first key.
        sign = -1.0 if float(turns[0] @ np.array(owner.rotation_quaternion)) < 0 else 1.0
        keep = keys.fewer_rotations(frames, turns, tolerance)
        return Channel(prefix + "rotation_quaternion", group, frames[keep], sign * turns[keep])
    order = owner.rotation_mode
    back: Callable[[Array], Array]
    if order == "AXIS_ANGLE":
        name, values, back = "rotation_axis_angle", keys.axis_angles(turns), keys.turns_from_axis_angles
    else:
        name, values, back = "rotation_euler", keys.euler_angles(turns, order), partial(keys.turns_from_euler, order=order)
    keep = keys.fewer_angles(frames, values, turns, back, tolerance)
    return Channel(prefix + name, group, frames[keep], values[keep])


def object_channels(obj: bpy.types.Object, root: Carrier, frames: Array, tolerance: tuple[float, float]) -> list[Channel]:
    """The object itself carried over the ground, from where it is now. Raises RigError if something else moves it."""
    if obj.parent is not None or any(not one.mute for one in obj.constraints):
        raise RigError(f"'{obj.name}' has a parent or constraints, which move it; use a root bone for the root motion")
    home = home_of(obj)
    places = root.carried(np.array(home.translation))
    turns = continuous(multiply(root.turn, from_matrix(_rotation(home))))
    keep = keys.fewer_values(frames, places, tolerance[1])
    group = "Object Transforms"
    return [
        Channel("location", group, frames[keep], places[keep]),
        rotation_channel(obj, frames, turns, tolerance[0], group=group),
    ]
