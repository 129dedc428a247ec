"""The retarget before it is baked: the target follows the source while the frame changes, and is put back when it stops.

The target's action is put aside, and a handler poses its bones in each frame. What was put aside is kept with the object
(`properties.STPosePreview`): after an undo, or when a file is opened that was left in a preview, the object says itself that it
has to be put back.
"""

from __future__ import annotations

import json
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .action import Channel
from .armature import RigError, home_of
from .findmap import guess_map
from .properties import shown_map
from .transfer import Bake, Solved, chosen, solve

_TICK = 0.3  # s between two looks at the settings


class Preview:
    """A preview that runs. error: why the settings that are shown now give none."""

    def __init__(self, context: bpy.types.Context, source: bpy.types.Object, target: bpy.types.Object) -> None:
        """Start it. Raises RigError, ValueError."""
        self.source, self.target = source.name, target.name
        self.error = ""
        self._busy = False
        self._key: object = None
        self._solved: Solved | None = None
        _put_aside(target)
        try:
            self.refresh(context)
        except (RigError, ValueError, KeyError):
            _put_back(target)
            raise

    def refresh(self, context: bpy.types.Context) -> bool:
        """Solve again if a setting has changed. Raises RigError, ValueError."""
        source, target = (bpy.data.objects.get(name) for name in (self.source, self.target))
        if source is None or target is None:
            raise RigError("the source or the target of the preview is gone")
        key = _settings(context, source, target)
        if key == self._key:
            return False
        self._key = key
        settings = context.scene.stpose
        frames = (settings.first, settings.last) if settings.use_frames else None
        self._busy = True  # the frame may be changed to read the source
        try:
            options, lock, root = chosen(settings)
            self._solved = solve(
                context, source, target, (shown_map(source), shown_map(target)), options, lock, Bake(frames, settings.step), root
            )
        finally:
            self._busy = False
        self.show(context.scene)
        return True

    def show(self, scene: bpy.types.Scene) -> None:
        """Pose the target as it is in the scene's frame."""
        target: Any = bpy.data.objects.get(self.target)
        if self._busy or self._solved is None or target is None or not target.stpose_preview.on:
            return
        now = scene.frame_current + scene.frame_subframe
        for channel in self._solved.channels:
            _set(target, channel, now)


def _settings(context: bpy.types.Context, source: bpy.types.Object, target: bpy.types.Object) -> object:
    """All that the preview depends on."""
    settings = context.scene.stpose
    names = [one.identifier for one in settings.bl_rna.properties if one.identifier not in ("rna_type", "name")]
    values = [getattr(settings, name) for name in names if not isinstance(getattr(settings, name), bpy.types.ID)]
    maps = [shown_map(obj) for obj in (source, target)]
    return values, [(one.bones, one.controls) if one is not None else None for one in maps], context.scene.render.fps


def _set(target: Any, channel: Channel, frame: float) -> None:
    owner, _, name = channel.path.rpartition(".")
    values = [np.interp(frame, channel.frames, column) for column in channel.values.T]
    try:
        setattr(target.path_resolve(owner) if owner else target, name, values)
    except (ValueError, AttributeError):  # the bone is gone
        return


_KINDS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


def _put_aside(target: Any) -> None:
    kept = target.stpose_preview
    data = target.animation_data
    slot = getattr(data, "action_slot", None) if data else None
    kept.on, kept.action, kept.slot = True, data.action if data else None, slot.identifier if slot else ""
    kept.use_nla = data.use_nla if data else True
    found = shown_map(target) or guess_map(target)
    switches = [
        [one.bone, one.property, target.pose.bones[one.bone][one.property]]
        for one in found.switches
        if one.bone in target.pose.bones and one.property in target.pose.bones[one.bone]
    ]
    owners = {"": target, **{bone.name: bone for bone in target.pose.bones}}
    pose = {name: {kind: list(getattr(owner, kind)) for kind in _KINDS} for name, owner in owners.items()}
    kept.pose = json.dumps({"pose": pose, "switches": switches})
    if data:
        home = home_of(target).copy()
        data.action, data.use_nla = None, False
        target.matrix_world = home


def _put_back(target: Any) -> None:
    """The action, the pose and the switches that the object had."""
    kept = target.stpose_preview
    if not kept.on:
        return
    known = json.loads(kept.pose)
    for name, values in known["pose"].items():
        owner = target.pose.bones.get(name) if name else target
        for kind, numbers in values.items() if owner is not None else ():
            setattr(owner, kind, numbers)
    for bone, name, value in known["switches"]:
        if bone in target.pose.bones:
            target.pose.bones[bone][name] = type(target.pose.bones[bone][name])(value)
    data = target.animation_data
    if data:
        data.action, data.use_nla = kept.action, kept.use_nla
        slots = {slot.identifier: slot for slot in getattr(kept.action, "slots", ())}
        if kept.slot in slots:
            data.action_slot = slots[kept.slot]
    kept.on, kept.action, kept.slot, kept.pose = False, None, "", ""
    target.update_tag()


running: Preview | None = None


def start_preview(context: bpy.types.Context, source: bpy.types.Object, target: bpy.types.Object) -> None:
    """Let the target follow the source. Raises RigError, ValueError."""
    global running
    stop_preview(context)
    running = Preview(context, source, target)
    context.view_layer.update()
    for handlers, handler in _HANDLERS:
        handlers.append(handler)
    if not bpy.app.background:
        bpy.app.timers.register(_tick, first_interval=_TICK)


def stop_preview(context: bpy.types.Context) -> bool:
    """Put the target back; False if no preview ran."""
    global running
    if running is None:
        return False
    ended, running = running, None
    _without_handlers()
    target: Any = bpy.data.objects.get(ended.target)
    if target is not None:
        _put_back(target)
        context.view_layer.update()
        context.scene.frame_set(context.scene.frame_current, subframe=context.scene.frame_subframe)
    return True


def _without_handlers() -> None:
    for handlers, handler in _HANDLERS:
        while handler in handlers:
            handlers.remove(handler)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    if running is None:
        return None
    try:
        if running.refresh(bpy.context):
            running.error = ""
    except (RigError, ValueError, KeyError) as error:
        running.error = str(error.args[0] if error.args else error)
        if bpy.data.objects.get(running.target) is None or bpy.data.objects.get(running.source) is None:
            stop_preview(bpy.context)
            return None
    return _TICK


@persistent
def _on_frame(scene: bpy.types.Scene, depsgraph: object = None) -> None:
    if running is not None:
        running.show(scene)


@persistent
def _after_undo(scene: object = None, other: object = None) -> None:
    """The preview goes on only where the file, as it is now, is in it."""
    global running
    target: Any = bpy.data.objects.get(running.target) if running is not None else None
    if target is None or not target.stpose_preview.on:
        running = None
        _without_handlers()


@persistent
def put_all_back(scene: object = None, other: object = None) -> None:
    """Nothing is left in a preview that does not run: after an undo, and in a file that was saved in one."""
    for obj in bpy.data.objects:
        one: Any = obj
        if one.stpose_preview.on and not (running is not None and running.target == obj.name):
            _put_back(one)


@persistent
def _before_load(path: object = None, other: object = None) -> None:
    global running
    running = None
    _without_handlers()


@persistent
def _before_save(path: object = None, other: object = None) -> None:
    """A file is not saved in a preview."""
    stop_preview(bpy.context)


_HANDLERS: tuple[tuple[list, Any], ...] = (
    (bpy.app.handlers.frame_change_post, _on_frame),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.save_pre, _before_save),
)
_ALWAYS: tuple[tuple[list, Any], ...] = (
    (bpy.app.handlers.load_post, put_all_back),
    (bpy.app.handlers.undo_post, put_all_back),
    (bpy.app.handlers.redo_post, put_all_back),
)


def register() -> None:
    for handlers, handler in _ALWAYS:
        handlers.append(handler)


def unregister() -> None:
    stop_preview(bpy.context)
    for handlers, handler in _ALWAYS:
        if handler in handlers:
            handlers.remove(handler)
