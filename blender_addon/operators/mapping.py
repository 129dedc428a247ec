"""Find, check, save and load bone maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..armature import RigError, add_root, check_rig, check_target
from ..findmap import guess_map
from ..properties import map_of, show_map, shown_map
from ..restpose import keep_rest, rest_of
from ..retarget.bonemap import BoneMap, check, load_families, load_family, match, save_map
from ..retarget.slots import REQUIRED

SIDES = [("TARGET", "Target", "The bones of the character"), ("SOURCE", "Source", "The bones of the armature with the motion")]


class _OnMap:
    """What the operators on a bone map share. side: whose map; target: name of the armature object, where it is not the panel's."""

    side: EnumProperty(name="Side", items=SIDES)
    target: StringProperty(name="Armature", description="Name of the armature object; that of the panel if empty")

    def armature(self, context: bpy.types.Context) -> bpy.types.Object:
        settings = context.scene.stpose
        chosen = settings.source if self.side == "SOURCE" else settings.target
        return check_rig(context.scene.objects.get(self.target) if self.target else chosen or context.object)

    def table(self, context: bpy.types.Context) -> tuple[bpy.types.Object, BoneMap]:
        """The armature and the map that it has. Raises RigError if it has none."""
        obj = self.armature(context)
        found = shown_map(obj)
        if found is None:
            raise RigError(f"map the bones of the {self.side.lower()} '{obj.name}' first")
        return obj, found

    def refused(self, error: Exception) -> set[str]:
        self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
        return {"CANCELLED"}


class STPOSE_OT_map_bones(_OnMap, bpy.types.Operator):
    """Find which bone is which part of the body, and show it in the table"""

    bl_idname = "stpose.map_bones"
    bl_label = "Map Bones"
    bl_options = {"REGISTER", "UNDO"}

    family: StringProperty(name="Family", description="Name of a rig family; found by itself if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            obj = self.armature(context)
        except RigError as error:
            return self.refused(error)
        families = [family for family in load_families() if not self.family or family.name == self.family]
        if not families:
            return self.refused(RigError(f"there is no family '{self.family}'"))
        found = match(rest_of(obj), families[0]) if self.family else guess_map(obj)
        _choose(context, self.side, obj)
        show_map(obj, found)
        return _told(self, found)


class STPOSE_OT_check_map(_OnMap, bpy.types.Operator):
    """Check the table again after it was edited"""

    bl_idname = "stpose.check_map"
    bl_label = "Check"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            obj, found = self.table(context)
        except RigError as error:
            return self.refused(error)
        problems = check(rest_of(obj), found.bones, found.controls)
        for row in map_of(obj).rows:
            row.problem = problems.get(row.slot, "")
        return _told(self, BoneMap(found.bones, found.family, 1.0, problems))


class STPOSE_OT_save_map(_OnMap, bpy.types.Operator, ExportHelper):
    """Save the table as a file that can be loaded for other rigs of its kind"""

    bl_idname = "stpose.save_map"
    bl_label = "Save Bone Map"
    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        try:
            _, found = self.table(context)
            save_map(path, replace(found, family=path.stem, note=""))
        except RigError as error:
            return self.refused(error)
        except OSError as error:
            return self.refused(RigError(f"cannot write {path}: {error.strerror}"))
        return {"FINISHED"}


class STPOSE_OT_load_map(_OnMap, bpy.types.Operator, ImportHelper):
    """Load a bone map from a file"""

    bl_idname = "stpose.load_map"
    bl_label = "Load Bone Map"
    bl_options = {"REGISTER", "UNDO"}
    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            obj = self.armature(context)
            found = match(rest_of(obj), load_family(Path(bpy.path.abspath(self.filepath))))
        except (RigError, ValueError) as error:
            return self.refused(error)
        _choose(context, self.side, obj)
        show_map(obj, found)
        return _told(self, found)


class STPOSE_OT_use_rest(_OnMap, bpy.types.Operator):
    """Take the pose of this frame as the rest pose that both bodies are compared in, as if the armature had been built so"""

    bl_idname = "stpose.use_rest"
    bl_label = "Use This Frame as Rest Pose"
    bl_options = {"REGISTER", "UNDO"}

    clear: BoolProperty(name="Clear", description="The armature's own rest pose again")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            obj = self.armature(context)
        except RigError as error:
            return self.refused(error)
        keep_rest(context, obj, self.clear)
        _choose(context, self.side, obj)
        return {"FINISHED"}


class STPOSE_OT_add_root(_OnMap, bpy.types.Operator):
    """Add a root bone on the ground, which carries all others, for root motion"""

    bl_idname = "stpose.add_root"
    bl_label = "New Root Bone"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            obj = check_target(self.armature(context))
            name = add_root(context, obj)
        except RigError as error:
            return self.refused(error)
        if len(map_of(obj).rows):
            map_of(obj).rows["root"].bone = name
        self.report({"INFO"}, f"'{name}' carries all bones of '{obj.name}'")
        return {"FINISHED"}


def _choose(context: bpy.types.Context, side: str, obj: bpy.types.Object) -> None:
    setattr(context.scene.stpose, "source" if side == "SOURCE" else "target", obj)


def _told(operator: bpy.types.Operator, found: BoneMap) -> set[str]:
    serious = [slot for slot in found.problems if slot in REQUIRED]
    if serious:
        operator.report({"WARNING"}, f"{found.family}: {len(serious)} parts have no bone or a wrong one; see the table")
    else:
        operator.report({"INFO"}, f"{found.family}: {len(found.bones)} bones. {found.note}".strip())
    return {"FINISHED"}


CLASSES = (
    STPOSE_OT_map_bones, STPOSE_OT_check_map, STPOSE_OT_save_map, STPOSE_OT_load_map, STPOSE_OT_use_rest, STPOSE_OT_add_root,
)  # fmt: skip


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
