"""Find, check, save and load bone maps."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..armature import RigError, add_root, check_rig, check_target, read_skeleton
from ..properties import show_map, shown_map
from ..retarget.bonemap import BoneMap, check, find_map, load_families, load_family, match, save_map
from ..retarget.slots import REQUIRED


def _target(context: bpy.types.Context, name: str) -> bpy.types.Object:
    found = context.scene.objects.get(name) if name else context.scene.stpose.target or context.object
    return check_rig(found)


class STPOSE_OT_map_bones(bpy.types.Operator):
    """Find which bone of the target is which part of the body, and show it in the table"""

    bl_idname = "stpose.map_bones"
    bl_label = "Map Bones"
    bl_options = {"REGISTER", "UNDO"}

    target: StringProperty(name="Target", description="Name of the armature object")
    family: StringProperty(name="Family", description="Name of a rig family; found by itself if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            target = _target(context, self.target)
        except RigError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        families = [family for family in load_families() if not self.family or family.name == self.family]
        if not families:
            self.report({"ERROR"}, f"there is no family '{self.family}'")
            return {"CANCELLED"}
        skeleton = read_skeleton(target)
        found = match(skeleton, families[0]) if self.family else find_map(skeleton)
        context.scene.stpose.target = target
        show_map(context.scene.stpose, target, found)
        return _told(self, found)


class STPOSE_OT_check_map(bpy.types.Operator):
    """Look the table over again after it was edited"""

    bl_idname = "stpose.check_map"
    bl_label = "Check"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose
        found = shown_map(settings, settings.target)
        if found is None:
            self.report({"ERROR"}, "map the bones of the target first")
            return {"CANCELLED"}
        problems = check(read_skeleton(settings.target), found.bones, found.controls)
        for row in settings.bone_map:
            row.problem = problems.get(row.slot, "")
        return _told(self, BoneMap(found.bones, found.family, 1.0, problems))


class STPOSE_OT_save_map(bpy.types.Operator, ExportHelper):
    """Save the table as a file that can be loaded for other rigs of its kind"""

    bl_idname = "stpose.save_map"
    bl_label = "Save Bone Map"
    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose
        found = shown_map(settings, settings.target)
        if found is None:
            self.report({"ERROR"}, "map the bones of the target first")
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath))
        try:
            save_map(path, BoneMap(found.bones, path.stem, switches=found.switches, controls=found.controls))
        except OSError as error:
            self.report({"ERROR"}, f"cannot write {path}: {error.strerror}")
            return {"CANCELLED"}
        return {"FINISHED"}


class STPOSE_OT_load_map(bpy.types.Operator, ImportHelper):
    """Load a bone map for the target"""

    bl_idname = "stpose.load_map"
    bl_label = "Load Bone Map"
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            target = _target(context, "")
            found = match(read_skeleton(target), load_family(Path(bpy.path.abspath(self.filepath))))
        except (RigError, ValueError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.scene.stpose.target = target
        show_map(context.scene.stpose, target, found)
        return _told(self, found)


class STPOSE_OT_add_root(bpy.types.Operator):
    """Add a root bone on the ground, which carries all others, for root motion"""

    bl_idname = "stpose.add_root"
    bl_label = "New Root Bone"
    bl_options = {"REGISTER", "UNDO"}

    target: StringProperty(name="Target", description="Name of the armature object")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            target = check_target(_target(context, self.target))
            name = add_root(context, target)
        except RigError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{name}' carries all bones of '{target.name}'")
        return {"FINISHED"}


def _told(operator: bpy.types.Operator, found: BoneMap) -> set[str]:
    serious = [slot for slot in found.problems if slot in REQUIRED]
    if serious:
        operator.report({"WARNING"}, f"{found.family}: {len(serious)} parts have no bone or a wrong one; see the table")
    else:
        operator.report({"INFO"}, f"{found.family}: {len(found.bones)} bones. {found.note}".strip())
    return {"FINISHED"}


CLASSES = (STPOSE_OT_add_root, STPOSE_OT_map_bones, STPOSE_OT_check_map, STPOSE_OT_save_map, STPOSE_OT_load_map)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
