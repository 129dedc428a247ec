"""Import a track as an animated rig."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..armature import RigError
from ..camera import Scenery, add_scenery
from ..properties import RATE
from ..retarget.motion import TrackError, read_track
from ..rig import build_rig, scene_rate


def import_track(
    context: bpy.types.Context, path: Path, rate: str, first: int, scenery: Scenery
) -> tuple[bpy.types.Object, list[str]]:
    """The new rig, and what is to be said of it. Raises TrackError."""
    motion = read_track(path)
    scene = context.scene
    if rate == "SCENE":
        scene.render.fps, scene.render.fps_base = max(1, round(motion.fps)), max(1, round(motion.fps)) / motion.fps
    fitted = motion.resampled(scene_rate(scene))
    rig = build_rig(context, fitted, path.stem, first)
    scene.frame_end = max(scene.frame_end, first + len(fitted) - 1)
    notes = add_scenery(context, path, motion, rig, first, scenery)
    scene.stpose.source = rig
    return rig, notes


class STPOSE_OT_import_track(bpy.types.Operator, ImportHelper):
    """Import a captured track (.npz) as an armature with the motion on it"""

    bl_idname = "stpose.import_track"
    bl_label = "Import STPose Track"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    rate: EnumProperty(name="Frame Rate", items=RATE)
    camera: BoolProperty(name="Camera and Video")
    plane: BoolProperty(name="Video Plane")
    first: IntProperty(name="Start Frame", default=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            path, scenery = Path(bpy.path.abspath(self.filepath)), Scenery(self.camera, self.plane)
            rig, notes = import_track(context, path, self.rate, self.first, scenery)
        except (TrackError, RigError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, f"imported '{rig.name}'")
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:  # type: ignore[override]
        if self.filepath and Path(self.filepath).is_file():  # dropped into the window
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


def _menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator(STPOSE_OT_import_track.bl_idname, text="STPose Track (.npz)")


CLASSES = (STPOSE_OT_import_track,)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)
    bpy.types.TOPBAR_MT_file_import.append(_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_menu)
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
