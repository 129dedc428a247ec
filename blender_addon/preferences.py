"""Preferences: where the `stpose` command is, and what a capture uses unless told otherwise."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, StringProperty

from .job import DETECTORS, RUNNING, Job, find_command
from .text import paragraph

DEVICES = [
    ("auto", "Auto", "The fastest at hand"),
    ("cpu", "CPU", ""),
    ("cuda", "CUDA", "Nvidia GPU"),
    ("mps", "Metal", "Apple GPU"),
]
HOW_TO_INSTALL = (
    "The stpose command was not found. Install it once, outside Blender:",
    "    python3 -m venv ~/stpose/.venv",
    "    ~/stpose/.venv/bin/pip install SOURCE",
    "SOURCE is stpose's wheel (a .whl file), or a folder with a copy of its repository.",
    "On Windows: py -m venv %USERPROFILE%\\stpose\\.venv, then .venv\\Scripts\\pip.",
    "It is then found by itself; or choose the command below. It comes with its built-in detector;",
    "Test says which others are installed, and how each is added.",
)


class STPosePreferences(bpy.types.AddonPreferences):
    """Shown in Blender's preferences under Add-ons."""

    bl_idname = __package__ or "stpose"

    command: StringProperty(
        name="Command", description="The stpose command, or its folder; found by itself if empty", subtype="FILE_PATH"
    )
    device: EnumProperty(name="Device", items=DEVICES)
    detector: EnumProperty(name="Detector", items=DETECTORS)
    keypoints: StringProperty(name="Keypoints", description="File or folder with the video's keypoints", subtype="FILE_PATH")
    tracks: StringProperty(name="Tracks", description="Folder for captured tracks; beside the video if empty", subtype="DIR_PATH")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        found = find_command(bpy.path.abspath(self.command))
        if found is None:
            draw_help(layout, context)
        layout.prop(self, "command")
        row = layout.row()
        row.label(text=f"Found: {found}" if found else "Not found", icon="CHECKMARK" if found else "ERROR")
        row.operator("stpose.test_command", text="Test")
        paragraph(layout, context, "\n".join(tested.lines))
        layout.prop(self, "device")
        layout.prop(self, "detector")
        if self.detector == "file":
            layout.prop(self, "keypoints")
        layout.prop(self, "tracks")


def draw_help(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How the command is installed."""
    paragraph(layout.box(), context, "\n".join(HOW_TO_INSTALL), "INFO")


def of(context: bpy.types.Context) -> STPosePreferences:
    """The preferences of this add-on."""
    return context.preferences.addons[__package__].preferences  # type: ignore[return-value]


class _Tested:
    """What the last test said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.job: Job | None = None

    def tick(self) -> float | None:
        """For Blender's timers: again in a while, or never."""
        if self.job is None:
            return None
        state = self.job.poll()
        self.lines = state.output if state.status != RUNNING else ["Testing..."]
        if state.status == RUNNING:
            return 0.2
        if not self.lines:
            self.lines = state.error.splitlines()
        self.job = None
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        return None


tested = _Tested()


class STPOSE_OT_test_command(bpy.types.Operator):
    """Ask the command for its version, its devices and its detectors"""

    bl_idname = "stpose.test_command"
    bl_label = "Test stpose"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Wait for the answer: for scripts."""
        if not self._start(context):
            return {"CANCELLED"}
        assert tested.job is not None
        tested.job.wait()
        tested.tick()
        self.report({"INFO"}, "; ".join(tested.lines))
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self._start(context):
            return {"CANCELLED"}
        bpy.app.timers.register(tested.tick)
        return {"FINISHED"}

    def _start(self, context: bpy.types.Context) -> bool:
        command = find_command(bpy.path.abspath(of(context).command))
        try:
            if command is None:
                raise OSError("the stpose command was not found")
            tested.job, tested.lines = Job([command, "doctor"]), ["Testing..."]
        except OSError as error:
            tested.lines = [str(error)]
            self.report({"ERROR"}, str(error))
            return False
        return True


CLASSES = (STPosePreferences, STPOSE_OT_test_command)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    if tested.job is not None:
        tested.job.cancel()
        tested.job = None
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
