"""Start and stop the preview of a retarget."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import preview
from ..armature import RigError, check_rig, check_target


class STPOSE_OT_start_preview(bpy.types.Operator):
    """Let the target follow the source with the settings of the panel, before anything is baked"""

    bl_idname = "stpose.start_preview"
    bl_label = "Preview"
    bl_options = {"REGISTER", "UNDO"}

    source: StringProperty(name="Source", description="Name of the armature object with the motion; that of the panel if empty")
    target: StringProperty(name="Target", description="Name of the armature object; that of the panel if empty")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preview.running is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, objects = context.scene.stpose, context.scene.objects
        try:
            source = check_rig(objects.get(self.source) if self.source else settings.source)
            target = check_target(objects.get(self.target) if self.target else settings.target)
            preview.start_preview(context, source, target)
        except (RigError, ValueError, KeyError) as error:
            self.report({"ERROR"}, str(error.args[0] if error.args else error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{target.name}' follows '{source.name}'")
        return {"FINISHED"}


class STPOSE_OT_stop_preview(bpy.types.Operator):
    """Put the target back as it was before the preview"""

    bl_idname = "stpose.stop_preview"
    bl_label = "Stop Preview"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preview.running is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        return {"FINISHED"} if preview.stop_preview(context) else {"CANCELLED"}


CLASSES = (STPOSE_OT_start_preview, STPOSE_OT_stop_preview)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
