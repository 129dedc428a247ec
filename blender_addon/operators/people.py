"""Who is in a video: a picture with everybody numbered, so that a person is chosen by number with certainty."""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
from bpy.props import FloatProperty, IntProperty, StringProperty

from ..armature import RigError
from ..job import DONE, FAILED, RUNNING, PeopleJob
from .capture import checked, redraw

_TICK = 0.2  # s


class Shown:
    """The people that were found last. key: of which video and range. lines: a line each. icon: of the picture, 0 for none."""

    def __init__(self) -> None:
        self.job: PeopleJob | None = None
        self.key: tuple[str, float, float] = ("", 0.0, 0.0)
        self.lines: list[str] = []
        self.error = ""
        self.icon = 0
        self._previews: Any = None

    @property
    def running(self) -> bool:
        return self.job is not None and self.job.state.status == RUNNING

    @property
    def picture(self) -> str:
        """The path of the picture; empty without one."""
        return str(self.job.picture) if self.job is not None and self.job.picture.is_file() else ""

    def start(self, job: PeopleJob, key: tuple[str, float, float]) -> None:
        self.clear()
        self.job, self.key = job, key

    def finish(self) -> bool:
        """Take the result in; False if the job failed."""
        assert self.job is not None
        if self.job.state.status != DONE:
            self.error = self.job.state.error
            return False
        self.lines = self.job.people
        if self.picture:
            self._previews = bpy.utils.previews.new()
            self.icon = self._previews.load("people", self.picture, "IMAGE").icon_id
        return True

    def clear(self) -> None:
        """End what runs, and remove the picture."""
        if self.job is not None:
            self.job.cancel()
            self.job.close()
        if self._previews is not None:
            bpy.utils.previews.remove(self._previews)
        self.job, self._previews, self.icon = None, None, 0
        self.lines, self.error, self.key = [], "", ("", 0.0, 0.0)


shown = Shown()


class STPOSE_OT_show_people(bpy.types.Operator):
    """Find everybody in the video, and show a picture with their numbers"""

    bl_idname = "stpose.show_people"
    bl_label = "Show People"
    bl_options = {"REGISTER"}

    filepath: StringProperty(name="Video", subtype="FILE_PATH")
    start: FloatProperty(name="Start", description="Seconds", min=0)
    end: FloatProperty(name="End", description="Seconds; 0 for the end of the video", min=0)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not shown.running

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Wait for the answer: for scripts, and where there is no window."""
        if not self._start(context):
            return {"CANCELLED"}
        assert shown.job is not None
        shown.job.wait()
        return self._finish(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if context.window is None or bpy.app.background:
            return self.execute(context)
        if not self._start(context):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if shown.job is not None and shown.job.poll().status == RUNNING:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        redraw(context)
        return self._finish(context) if shown.job is not None else {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file was opened, or Blender ends."""
        shown.clear()

    def _start(self, context: bpy.types.Context) -> bool:
        try:
            command, wanted = checked(context, self.filepath, self.start, self.end)
            shown.start(PeopleJob(command, wanted), (self.filepath, self.start, self.end))
        except (RigError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return False
        return True

    def _finish(self, context: bpy.types.Context) -> set[str]:
        if not shown.finish():
            assert shown.job is not None
            if shown.job.state.status == FAILED:
                self.report({"ERROR"}, shown.error)
            return {"CANCELLED"}
        self.report({"INFO"}, f"{len(shown.lines)} people: " + "; ".join(shown.lines))
        return {"FINISHED"}


class STPOSE_OT_cancel_people(bpy.types.Operator):
    """Stop looking for people, or close the picture"""

    bl_idname = "stpose.cancel_people"
    bl_label = "Close"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return shown.job is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        shown.clear()
        redraw(context)
        return {"FINISHED"}


class STPOSE_OT_choose_person(bpy.types.Operator):
    """Capture this person"""

    bl_idname = "stpose.choose_person"
    bl_label = "Choose Person"
    bl_options = {"UNDO", "INTERNAL"}

    number: IntProperty(name="Number", default=1, min=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose
        settings.person, settings.number = "number", self.number
        return {"FINISHED"}


CLASSES = (STPOSE_OT_show_people, STPOSE_OT_cancel_people, STPOSE_OT_choose_person)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    shown.clear()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
