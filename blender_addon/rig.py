"""A new rig from a track: an armature with bone shapes and the animation on it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from .action import write_action
from .armature import channels, read_skeleton
from .face import keep_curves
from .retarget.anatomy import Anatomy
from .retarget.attachment import attachments
from .retarget.motion import Motion, to_track
from .retarget.rotation import Array, inverse, multiply, rotate
from .retarget.skeleton import Skeleton, Track
from .retarget.solver import Posed

#: On the action: which feet stand in which frames, for the foot lock.
CONTACTS, FIRST = "stpose_contacts", "stpose_first_frame"
_SHAPE = "STPose bone"


def scene_rate(scene: bpy.types.Scene | None) -> float:
    """Frames a second."""
    assert scene is not None
    return float(scene.render.fps / scene.render.fps_base)


def sized_track(context: bpy.types.Context, motion: Motion) -> Track:
    """The motion as a track in the unit of the scene."""
    return to_track(motion).scaled(units_per_metre(context.scene))


def units_per_metre(scene: bpy.types.Scene | None) -> float:
    """How many of Blender's units a metre of the scene is."""
    assert scene is not None
    return 1 / float(scene.unit_settings.scale_length)


def build_rig(context: bpy.types.Context, motion: Motion, name: str, first: int = 1) -> bpy.types.Object:
    """An armature object with the motion on it, from frame `first` on at the motion's own rate. It becomes the active object.

    Its size is that of the person in the scene's unit.
    """
    track = sized_track(context, motion)
    data = bpy.data.armatures.new(name)
    obj = bpy.data.objects.new(name, data)
    context.collection.objects.link(obj)
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in context.selected_objects:
        other.select_set(False)
    context.view_layer.objects.active = obj
    obj.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        _make_bones(data, track)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    shape = _bone_shape()
    for bone in obj.pose.bones:
        bone.custom_shape = shape
    obj.show_in_front = True
    context.view_layer.update()
    keep_curves(animate(context, obj, track, first), motion.curves, first)
    return obj


def animate(context: bpy.types.Context, obj: bpy.types.Object, track: Track, first: int) -> bpy.types.Action:
    """Key the track's motion on the rig that was made from it."""
    skeleton = read_skeleton(obj)
    order = [track.skeleton.index(name) for name in skeleton.names]
    # Blender has chosen the rolls: the same turns on its axes.
    own = multiply(inverse(track.skeleton.rest[order]), skeleton.rest)
    rotations = multiply(track.rotations[:, order], own)
    mapped = {"hips" if parent < 0 else name: name for name, parent in zip(skeleton.names, skeleton.parents)}
    posed = _Whole(skeleton, mapped, dict(zip(mapped, np.moveaxis(rotations, 1, 0))), track.heads[:, order[0]])
    frames = first + np.arange(len(track), dtype=np.float64)
    keyed = channels(context, obj, posed, frames, attachments(skeleton, mapped))
    action = write_action(obj, obj.name, keyed)
    if track.contacts is not None:
        _set_contacts(action, track.contacts, float(first))
    return action


class Puppet:
    """A rig that was made from a track, posed without keys: what `animate` keys, for one pose at a time."""

    def __init__(self, obj: bpy.types.Object, track: Track) -> None:
        self._obj, self._skeleton = obj, read_skeleton(obj)
        self._order = [track.skeleton.index(name) for name in self._skeleton.names]
        self._own = multiply(inverse(track.skeleton.rest[self._order]), self._skeleton.rest)
        for bone in obj.pose.bones:
            bone.rotation_mode = "QUATERNION"

    def show(self, track: Track) -> None:
        """Pose the rig as the track's first frame. Raises ReferenceError if the rig is gone."""
        skeleton, bones = self._skeleton, self._obj.pose.bones
        turned = multiply(track.rotations[0, self._order], self._own)
        for index, (name, parent) in enumerate(zip(skeleton.names, skeleton.parents)):
            carried = skeleton.rest[index]
            if parent >= 0:
                carried = multiply(turned[parent], multiply(inverse(skeleton.rest[parent]), carried))
            bones[name].rotation_quaternion = multiply(inverse(carried), turned[index]).tolist()
            if parent < 0:
                moved = track.heads[0, self._order[index]] - skeleton.heads[index]
                bones[name].location = rotate(inverse(skeleton.rest[index]), moved).tolist()


class _Whole(Posed):
    """A rig whose every bone is keyed: slots are bone names, and nothing is asked of its anatomy but the map."""

    def __init__(self, skeleton: Skeleton, mapped: dict[str, str], rotations: dict[str, Array], hips: Array) -> None:
        anatomy = Anatomy.__new__(Anatomy)
        anatomy.skeleton, anatomy.mapped = skeleton, mapped
        anatomy.bones = {slot: skeleton.index(name) for slot, name in mapped.items()}
        super().__init__(anatomy, rotations, hips, np.array([0.0, 0.0, 1.0]), 0.0)


def _make_bones(data: bpy.types.Armature, track: Track) -> None:
    skeleton = track.skeleton
    for index, name in enumerate(skeleton.names):
        bone = data.edit_bones.new(name)
        bone.head, bone.tail = Vector(skeleton.heads[index]), Vector(skeleton.tails[index])
        bone.align_roll(Vector(rotate(skeleton.rest[index], [0.0, 0.0, 1.0]).tolist()))
        if skeleton.parents[index] >= 0:
            bone.parent = data.edit_bones[skeleton.names[skeleton.parents[index]]]


def _bone_shape() -> bpy.types.Object:
    """A slim octahedron of wires, shared by all rigs, in no scene."""
    found = bpy.data.objects.get(_SHAPE)
    if found is not None and found.library is None:
        return found
    mesh = bpy.data.meshes.new(_SHAPE)
    ring = [(x, 0.12, z) for x, z in ((0.06, 0.06), (-0.06, 0.06), (-0.06, -0.06), (0.06, -0.06))]
    sides = [(1 + i, 1 + (i + 1) % 4) for i in range(4)]
    spokes = [(end, 1 + i) for i in range(4) for end in (0, 5)]
    mesh.from_pydata([(0, 0, 0), *ring, (0, 1, 0)], sides + spokes, [])
    return bpy.data.objects.new(_SHAPE, mesh)


def _set_contacts(action: Any, contacts: Array, first: float) -> None:
    action[CONTACTS] = contacts.ravel().tolist()
    action[FIRST] = first


def keep_contacts(action: Any, source: bpy.types.Object, frames: Array) -> None:
    """Keep with a baked action which feet stand, where the source says it. frames: those that were baked."""
    every = np.arange(frames[0], frames[-1] + 1)
    contacts = contacts_at(source, every)
    if contacts is not None:
        _set_contacts(action, contacts, float(frames[0]))


def contacts_at(obj: bpy.types.Object, frames: Array) -> Array | None:
    """(T, 4) which feet stand, as the action of the rig has it, or the uppermost of its NLA strips; None if none says it."""
    data: Any = obj.animation_data
    if data is None:
        return None
    if data.action is not None:
        return _contacts_of(data.action, frames) if CONTACTS in data.action else None
    found = None
    for strip in [strip for track in data.nla_tracks if not track.mute for strip in track.strips]:
        inside = (frames >= strip.frame_start) & (frames <= strip.frame_end)
        if strip.action is not None and CONTACTS in strip.action and inside.any():
            found = np.zeros((len(frames), 4)) if found is None else found
            at = (frames[inside] - strip.frame_start) / strip.scale + strip.action_frame_start
            found[inside] = _contacts_of(strip.action, at)
    return found


def _contacts_of(action: Any, frames: Array) -> Array:
    known = np.array(action[CONTACTS], dtype=np.float64).reshape(-1, 4)
    return known[np.clip(np.round(frames - float(action[FIRST])).astype(int), 0, len(known) - 1)]
