"""Retarget onto a character, and lock the feet of what is animated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..armature import RigError, poll_armature
from ..preview import stop_preview
from ..properties import BAKE, FACING, GROUND, HANDS, LOCK, ROOT_MOTION, Offsets, shown_map
from ..retarget.adjust import Adjust
from ..retarget.footlock import FootLock
from ..transfer import Bake, Report, adjust, chosen, relock, transfer

SETTINGS = (
    "root_motion", "heading", "facing", "match_spine", "hands", "ground", "ground_height", "lock", "radius", "floor_height", "bake",
    "first", "last", "step", "simplify", "ik",
)  # fmt: skip
#: Of these, what a foot lock alone has no use for.
ONLY_RETARGET = ("root_motion", "heading", "facing", "match_spine", "hands", "ground", "ground_height", "ik")

#: The offsets of the operator and of the panel.
OFFSETS = tuple(entry.name for entry in fields(Adjust))


class _Baking:
    """What both operators share: the settings of foot lock and keys."""

    target: StringProperty(name="Target", description="Name of the armature object; the active one if empty")
    lock: EnumProperty(name="Foot Lock", items=LOCK)
    radius: FloatProperty(name="Radius", default=0.15, min=0.01)
    floor_height: FloatProperty(name="Floor Height", default=0.08, min=0)
    bake: EnumProperty(name="Bake To", items=BAKE)
    first: IntProperty(name="First", description="First frame; with Last 0, all frames")
    last: IntProperty(name="Last")
    step: IntProperty(name="Step", default=1, min=1)
    simplify: FloatProperty(name="Simplify", description="Degrees that fewer keys may be off by", min=0, max=10)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_armature(cls, context)

    def foot_lock(self) -> FootLock:
        return FootLock(self.lock, self.radius, self.floor_height)

    def baking(self) -> Bake:
        frames = (self.first, self.last) if self.last else None
        return Bake(frames, self.step, self.bake, self.simplify, getattr(self, "ik", False))

    def run(self, work: Callable[[], Report]) -> set[str]:
        """Do it and say what was done, or what was wrong."""
        stop_preview(bpy.context)
        try:
            done = work()
        except (RigError, ValueError, KeyError) as error:
            self.report({"ERROR"}, str(error.args[0] if error.args else error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        for note in done.notes:
            self.report({"INFO"}, note)  # type: ignore[attr-defined]
        self.report({"INFO"}, f"{done.frames} frames on {done.family} bones in '{done.action}'")  # type: ignore[attr-defined]
        return {"FINISHED"}


def _named(context: bpy.types.Context, name: str, default: bpy.types.Object | None) -> bpy.types.Object | None:
    if not name:
        return default or context.object
    if name not in context.scene.objects:
        raise RigError(f"there is no object '{name}' in the scene")
    return context.scene.objects[name]


class STPOSE_OT_retarget(_Baking, bpy.types.Operator):
    """Put the motion of the source armature on the target: a new action, nothing else of the rig is changed"""

    bl_idname = "stpose.retarget"
    bl_label = "Retarget"
    bl_options = {"REGISTER", "UNDO"}

    source: StringProperty(name="Source", description="Name of the armature object with the motion")
    root_motion: EnumProperty(name="Root Motion", items=ROOT_MOTION)
    heading: BoolProperty(name="Heading", default=True)
    ground: EnumProperty(name="Ground", items=GROUND)
    ground_height: FloatProperty(name="Height", unit="LENGTH")
    ik: BoolProperty(name="IK Controls", default=True)
    facing: EnumProperty(name="Facing", items=FACING)
    match_spine: BoolProperty(name="Match Spine")
    hands: EnumProperty(name="Hands", items=HANDS)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose

        def work() -> Report:
            source = _named(context, self.source, settings.source)
            target = _named(context, self.target, settings.target)
            options, lock, root = chosen(self)
            window = context.window_manager
            window.progress_begin(0, 1)
            try:
                return transfer(
                    context,
                    source,
                    target,
                    (shown_map(source), shown_map(target)),
                    options,
                    lock,
                    self.baking(),
                    root,
                    window.progress_update,
                )
            finally:
                window.progress_end()

        return self.run(work)


class STPOSE_OT_foot_lock(_Baking, bpy.types.Operator):
    """Hold the feet of an animated rig where they stand: a copy of its action with new keys on legs and hips"""

    bl_idname = "stpose.foot_lock"
    bl_label = "Lock Feet"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose

        def work() -> Report:
            target = _named(context, self.target, settings.target)
            return relock(context, target, shown_map(target), self.foot_lock(), self.baking())

        return self.run(work)


class STPOSE_OT_adjust(_Baking, Offsets, bpy.types.Operator):
    """Turn spine, shoulders and arms of an animated rig by constant angles: on a copy of its action, or on a layer"""

    bl_idname = "stpose.adjust"
    bl_label = "Apply Offsets"
    bl_options = {"REGISTER", "UNDO"}

    ik: BoolProperty(name="IK Controls", default=True)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose

        def work() -> Report:
            target = _named(context, self.target, settings.target)
            by = Adjust(**{name: getattr(self, name) for name in OFFSETS})
            return adjust(context, target, shown_map(target), by, self.baking())

        return self.run(work)


CLASSES = (STPOSE_OT_retarget, STPOSE_OT_foot_lock, STPOSE_OT_adjust)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
