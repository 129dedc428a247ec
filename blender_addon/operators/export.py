"""Write a character for a game engine."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..armature import RigError, check_rig, poll_armature
from ..gameexport import FBX, GLB, Wanted, export
from ..preview import stop_preview
from ..transfer import action_range

ENGINE = [
    ("UNREAL", "Unreal", "FBX in centimetres, facing +Y there, below a bone 'root'"),
    ("UNITY", "Unity", "FBX in centimetres, which Unity converts, facing +Z"),
    ("GODOT", "Godot", "glTF in metres, facing +Z"),
]
_SUFFIX = {"UNREAL": FBX, "UNITY": FBX, "GODOT": GLB}


class STPOSE_OT_export_character(bpy.types.Operator, ExportHelper):
    """Write the character with its motion for a game engine: the bones that deform below one root bone, and the skins"""

    bl_idname = "stpose.export_character"
    bl_label = "Export Character"
    bl_options = {"REGISTER"}

    filename_ext = FBX
    filter_glob: StringProperty(default="*.fbx;*.glb", options={"HIDDEN"})
    engine: EnumProperty(name="Engine", items=ENGINE)
    target: StringProperty(name="Armature", description="Name of the armature object; that of the panel if empty")
    deform_only: BoolProperty(name="Deforming Bones Only", description="Leave out controls and helpers", default=True)
    meshes: BoolProperty(name="Meshes", description="The skins too; off for a clip of an engine's own character", default=True)
    first: IntProperty(name="First", description="First frame; with Last 0, all frames of the motion")
    last: IntProperty(name="Last")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_armature(cls, context)

    def check(self, context: bpy.types.Context) -> bool:
        """The suffix that the engine takes, while the file is chosen."""
        path = Path(str(self.filepath))  # type: ignore[has-type]
        if path.suffix.lower() in (FBX, GLB) and path.suffix.lower() != _SUFFIX[self.engine]:
            self.filepath = str(path.with_suffix(_SUFFIX[self.engine]))
            return True
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):  # type: ignore[no-untyped-def, override]
        self.filename_ext = _SUFFIX[self.engine]
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        stop_preview(context)
        path = Path(bpy.path.abspath(self.filepath))
        if not path.suffix:
            path = path.with_suffix(_SUFFIX[self.engine])
        try:
            obj = self._armature(context)
            frames = (self.first, self.last) if self.last else action_range(obj)
            if frames[1] < frames[0]:
                raise RigError(f"no frames from {frames[0]} to {frames[1]}")
            count = export(context, obj, path, Wanted(frames, self.deform_only, self.meshes))
        except (RigError, RuntimeError) as error:
            self.report({"ERROR"}, str(error).strip().splitlines()[-1])
            return {"CANCELLED"}
        self.report({"INFO"}, f"{count} bones, {frames[1] - frames[0] + 1} frames in {path.name}")
        return {"FINISHED"}

    def _armature(self, context: bpy.types.Context) -> bpy.types.Object:
        if self.target and self.target not in context.scene.objects:
            raise RigError(f"there is no object '{self.target}' in the scene")
        chosen = context.scene.objects[self.target] if self.target else context.scene.stpose.target or context.object
        return check_rig(chosen)


CLASSES = (STPOSE_OT_export_character,)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
