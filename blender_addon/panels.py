"""The STPose tab: capture, rig, retarget, from top to bottom."""

from __future__ import annotations

from typing import Any

import bpy

from . import preferences, preview
from .job import CANCELLED, FAILED, find_command
from .operators import live
from .operators.capture import current
from .operators.export import ENGINE
from .operators.people import shown
from .operators.retarget import OFFSETS, ONLY_RETARGET, SETTINGS
from .properties import map_of
from .text import paragraph

STAGES = {"start": "Starting", "detect": "Finding the person", "lift": "Lifting to 3D", "preview": "Writing the preview"}


class _Step:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "STPose"


class STPOSE_PT_capture(_Step, bpy.types.Panel):
    bl_label = "1. Capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.stpose
        if find_command(bpy.path.abspath(preferences.of(context).command)) is None:
            preferences.draw_help(layout, context)
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column()
        column.enabled = not current.running
        column.prop(settings, "video")
        column.prop(settings, "person")
        if settings.person == "number":
            column.prop(settings, "number")
        column.prop(settings, "use_range")
        if settings.use_range:
            column.prop(settings, "start")
            column.prop(settings, "end")
        column.prop(settings, "smooth")
        column.prop(settings, "hands_too")
        column.prop(settings, "face_too")
        column.prop(settings, "filmed")
        column.prop(settings, "refine")
        _draw_people(layout, context, settings)
        if current.running:
            _draw_progress(layout)
        else:
            button: Any = layout.operator("stpose.capture_video", text="Capture", icon="RENDER_ANIMATION")
            button.filepath, button.smooth = settings.video, settings.smooth
            button.person = str(settings.number) if settings.person == "number" else settings.person
            button.hands, button.filmed, button.refine = settings.hands_too, settings.filmed, settings.refine
            button.face = settings.face_too
            button.start, button.end = _range(settings)
            _scenery(button, settings)
            _draw_end(layout, context)


def _range(settings: Any) -> tuple[float, float]:
    return (settings.start, settings.end) if settings.use_range else (0.0, 0.0)


def _draw_people(layout: bpy.types.UILayout, context: bpy.types.Context, settings: Any) -> None:
    """The picture of `stpose people`, and a button for each number."""
    row = layout.row(align=True)
    if shown.running:
        row.label(text="Looking for people...", icon="SORTTIME")
        row.operator("stpose.cancel_people", text="", icon="CANCEL")
        return
    button: Any = row.operator("stpose.show_people", icon="COMMUNITY")
    button.filepath = settings.video
    button.start, button.end = _range(settings)
    if shown.job is None or shown.key != (settings.video, *_range(settings)):
        return
    row.operator("stpose.cancel_people", text="", icon="X")
    box = layout.box()
    if shown.error:
        paragraph(box, context, shown.error, "ERROR")
        return
    if shown.icon:
        box.template_icon(icon_value=shown.icon, scale=10)
        button = box.operator("wm.path_open", text="Open Picture", icon="IMAGE_DATA")
        button.filepath = shown.picture
    column = box.column(align=True)
    for line in shown.lines:
        number = int(line.partition(":")[0])
        chosen = settings.person == "number" and settings.number == number
        row = column.row(align=True)
        choice: Any = row.operator("stpose.choose_person", text=str(number), depress=chosen)
        choice.number = number
        row.label(text=line.partition(":")[2].strip())


def _draw_progress(layout: bpy.types.UILayout) -> None:
    job = current.job
    assert job is not None
    state = job.state
    text = STAGES.get(state.stage, state.stage.capitalize())
    if state.eta is not None:
        text += f", {_clock(state.eta)} left"
    row = layout.row(align=True)
    row.progress(factor=state.part or 0.0, text=text)
    row.operator("stpose.cancel_capture", text="", icon="CANCEL")
    layout.label(text=f"{_clock(state.seconds)} so far")


def _draw_end(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    job = current.job
    if job is None or job.state.status not in (FAILED, CANCELLED):
        return
    if job.state.status == CANCELLED:
        layout.label(text="Cancelled", icon="INFO")
        return
    box = layout.box()
    box.alert = True
    paragraph(box, context, job.state.error, "ERROR")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class STPOSE_PT_live(_Step, bpy.types.Panel):
    bl_label = "Live"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        if live.session is None:
            self.layout.operator("stpose.start_live", icon="PLAY")
            return
        self.layout.operator("stpose.stop_live", icon="SNAP_FACE")
        seen = len(live.session.take.poses)
        self.layout.label(text=f"{seen} poses recorded" if live.session.rig else "Waiting for a person")


class STPOSE_PT_rig(_Step, bpy.types.Panel):
    bl_label = "2. Rig"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.stpose
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "rate")
        layout.prop(settings, "camera")
        layout.prop(settings, "plane")
        layout.prop(settings, "track")
        button: Any = layout.operator(
            "stpose.import_track", text="Import Track" if settings.track else "Import Track...", icon="ARMATURE_DATA"
        )
        button.filepath = bpy.path.abspath(settings.track)
        _scenery(button, settings)
        layout.operator("stpose.show_report", icon="URL")


def _scenery(button: Any, settings: Any) -> None:
    button.rate, button.camera, button.plane = settings.rate, settings.camera, settings.plane


class STPOSE_UL_bones(bpy.types.UIList):
    """The bone map, a row a part of the body."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_propname, index=0, flt_flag=0) -> None:  # type: ignore[no-untyped-def]
        split = layout.split(factor=0.4)
        split.label(text=item.slot, icon="ERROR" if item.problem else "BLANK1" if not item.bone else "BONE_DATA")
        split.prop_search(item, "bone", item.id_data.data, "bones", text="")


class STPOSE_PT_retarget(_Step, bpy.types.Panel):
    bl_label = "3. Retarget"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.stpose
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "source")
        if settings.source is not None:
            layout.prop(settings, "show_source_map")
            if settings.show_source_map:
                _draw_map(layout.box(), context, settings.source, "SOURCE")
        layout.prop(settings, "target")
        if settings.target is None:
            return
        _draw_map(layout, context, settings.target, "TARGET")
        layout.prop(settings, "root_motion")
        if settings.root_motion in ("ROOT_BONE", "OBJECT"):
            layout.prop(settings, "heading")
        if settings.root_motion == "ROOT_BONE":
            button: Any = layout.operator("stpose.add_root", icon="BONE_DATA")
            button.target = settings.target.name
        for name in ("facing", "match_spine", "hands", "ground"):
            layout.prop(settings, name)
        if settings.ground == "VALUE":
            layout.prop(settings, "ground_height")
        layout.prop(settings, "lock")
        if settings.lock != "NEVER":
            layout.prop(settings, "radius")
            layout.prop(settings, "floor_height")
        layout.prop(settings, "bake")
        layout.prop(settings, "ik")
        layout.prop(settings, "use_frames")
        if settings.use_frames:
            layout.prop(settings, "first")
            layout.prop(settings, "last")
        layout.prop(settings, "step")
        layout.prop(settings, "simplify")
        if preview.running is None:
            layout.operator("stpose.start_preview", icon="PLAY")
        else:
            layout.operator("stpose.stop_preview", icon="SNAP_FACE", depress=True)
            if preview.running.error:
                paragraph(layout, context, preview.running.error, "ERROR")
        button = layout.operator("stpose.retarget", text="Apply", icon="CHECKMARK")
        _fill(button, settings)
        _fill(layout.operator("stpose.foot_lock", text="Lock Feet Only"), settings, skip=ONLY_RETARGET)
        layout.operator("stpose.batch", text="Retarget Tracks...", icon="FILE_FOLDER")
        row = layout.row(align=True)
        row.label(text="Export for")
        for engine, name, _ in ENGINE:
            button = row.operator("stpose.export_character", text=name)
            button.engine, button.target = engine, settings.target.name


class STPOSE_PT_adjust(_Step, bpy.types.Panel):
    bl_label = "4. Adjust"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.stpose.target is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.stpose
        layout.use_property_split, layout.use_property_decorate = True, False
        for name in OFFSETS:
            layout.prop(settings, name)
        layout.prop(settings, "bake")
        button: Any = layout.operator("stpose.adjust", icon="CHECKMARK")
        _fill(button, settings, skip=tuple(name for name in ONLY_RETARGET if name != "ik") + ("lock", "radius", "floor_height"))
        for name in OFFSETS:
            setattr(button, name, getattr(settings, name))


def _fill(button: Any, settings: Any, skip: tuple[str, ...] = ()) -> None:
    for name in SETTINGS:
        if name not in skip:
            setattr(button, name, getattr(settings, name))
    if not settings.use_frames:
        button.first = button.last = 0


def _draw_map(layout: bpy.types.UILayout, context: bpy.types.Context, obj: bpy.types.Object, side: str) -> None:
    table = map_of(obj)
    row = layout.row(align=True)
    names = [("map_bones", "Map Bones", "VIEWZOOM"), ("load_map", "", "FILE_FOLDER")]
    if len(table.rows):
        names += [("save_map", "", "FILE_TICK"), ("check_map", "", "FILE_REFRESH")]
    for name, text, icon in names:
        button: Any = row.operator(f"stpose.{name}", text=text, icon=icon)  # type: ignore[arg-type]
        button.side, button.target = side, obj.name
    row = layout.row(align=True)
    button = row.operator("stpose.use_rest", icon="ARMATURE_DATA")
    button.side, button.target, button.clear = side, obj.name, False
    if table.rest:
        button = row.operator("stpose.use_rest", text="", icon="X")
        button.side, button.target, button.clear = side, obj.name, True
    if not len(table.rows):
        paragraph(layout, context, "Bones are mapped by themselves on Apply", "INFO")
        return
    layout.label(text=f"Names: {table.family}")
    layout.template_list("STPOSE_UL_bones", side, table, "rows", table, "row", rows=6)
    layout.prop(table, "controls")
    if table.row < len(table.rows) and table.rows[table.row].problem:
        paragraph(layout, context, table.rows[table.row].problem, "ERROR")
    if table.note:
        paragraph(layout, context, table.note, "INFO")


CLASSES = (STPOSE_UL_bones, STPOSE_PT_capture, STPOSE_PT_rig, STPOSE_PT_retarget, STPOSE_PT_adjust, STPOSE_PT_live)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
