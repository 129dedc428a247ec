"""Capture a video: the command runs outside, Blender stays usable, and the track comes in as a rig."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from .. import preferences
from ..armature import RigError
from ..camera import Scenery
from ..job import CANCELLED, DONE, FAILED, RUNNING, Capture, CaptureJob, ReportJob, find_command
from ..properties import FILMED, RATE
from ..retarget.motion import TrackError, read_track
from .track import import_track

_TICK = 0.1  # s between two looks at the process
_REDRAW = 0.5  # s between two drawings of the panel: each costs a frame


class Current:
    """The capture that runs, or ran last, for the panel to show."""

    def __init__(self) -> None:
        self.job: CaptureJob | None = None

    @property
    def running(self) -> bool:
        return self.job is not None and self.job.state.status == RUNNING

    def cancel(self) -> None:
        """End what runs; nothing of it is left."""
        if self.job is not None:
            self.job.cancel()


current = Current()


class STPOSE_OT_capture_video(bpy.types.Operator):
    """Capture the motion of a person in a video, or of everybody, and add an armature for each"""

    bl_idname = "stpose.capture_video"
    bl_label = "Capture Video"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="Video", subtype="FILE_PATH")
    person: StringProperty(name="Person", description="largest, left, center, right, or a number from 1", default=Capture.person)
    smooth: FloatProperty(name="Smoothing", default=Capture.smooth, min=0, max=1)
    start: FloatProperty(name="Start", description="Seconds", min=0)
    end: FloatProperty(name="End", description="Seconds; 0 for the end of the video", min=0)
    hands: BoolProperty(name="Hands", description="Fingers too")
    face: BoolProperty(name="Face", description="Its curves too")
    filmed: EnumProperty(name="Filmed By", items=FILMED)
    refine: BoolProperty(name="Fit to Picture", default=Capture.refine)
    rate: EnumProperty(name="Frame Rate", items=RATE)
    camera: BoolProperty(name="Camera and Video")
    plane: BoolProperty(name="Video Plane")
    track: StringProperty(
        name="Track", description="File for the track; in the folder of the preferences if empty", subtype="FILE_PATH"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Wait for the capture: for scripts, and where there is no window."""
        if not self._start(context):
            return {"CANCELLED"}
        assert current.job is not None
        current.job.wait()
        return self._finish(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if context.window is None or bpy.app.background:
            return self.execute(context)
        if not self._start(context):
            return {"CANCELLED"}
        window = context.window_manager
        self._drawn = 0.0
        self._timer = window.event_timer_add(_TICK, window=context.window)
        window.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER" or current.job is None:
            return {"PASS_THROUGH"}
        status = current.job.poll().status
        now = time.monotonic()
        if now - self._drawn > _REDRAW or status != RUNNING:
            self._drawn = now
            redraw(context)
        if status == RUNNING:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self._finish(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file was opened, or Blender ends."""
        current.cancel()

    def _start(self, context: bpy.types.Context) -> bool:
        try:
            if current.running:
                raise RigError("a capture is running; cancel it first")
            command, wanted = checked(context, self.filepath, self.start, self.end)
            chosen = {name: getattr(self, name) for name in ("person", "smooth", "hands", "face", "refine")}
            wanted = replace(wanted, **chosen, camera=self.filmed)
            current.job = CaptureJob(command, wanted, self._place(preferences.of(context), wanted.video))
        except (RigError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return False
        return True

    def _place(self, chosen: preferences.STPosePreferences, video: Path) -> Path:
        if self.track:
            return Path(bpy.path.abspath(self.track))
        folder = Path(bpy.path.abspath(chosen.tracks)) if chosen.tracks else video.parent
        return folder / f"{video.stem}.npz"

    def _finish(self, context: bpy.types.Context) -> set[str]:
        job = current.job
        assert job is not None
        if job.state.status == CANCELLED:
            self.report({"INFO"}, "capture cancelled")
            return {"CANCELLED"}
        if job.state.status == FAILED:
            self.report({"ERROR"}, job.state.error)
            return {"CANCELLED"}
        assert job.state.status == DONE
        try:
            rigs, notes = self._bring_in(context, job.tracks)
        except (TrackError, RigError) as error:
            job.state.status, job.state.error = FAILED, str(error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, note)
        names = ", ".join(f"'{rig.name}'" for rig in rigs)
        self.report({"INFO"}, f"captured {names} in {job.state.seconds:.0f} s")
        return {"FINISHED"}

    def _bring_in(self, context: bpy.types.Context, tracks: list[Path]) -> tuple[list[bpy.types.Object], list[str]]:
        """A rig for each track, all at the same frames and in one world. Raises TrackError, RigError."""
        if not tracks:
            raise TrackError("the capture has given no track")
        for track in tracks:  # all or none
            read_track(track)
        rigs, notes = [], []
        for number, track in enumerate(tracks):
            scenery = Scenery(self.camera, self.plane) if number == 0 else Scenery()
            rate = self.rate if number == 0 else "RESAMPLE"
            rig, said = import_track(context, track, rate, context.scene.frame_start, scenery)
            rigs.append(rig)
            notes += said
        for rig in rigs:
            rig.select_set(True)
        context.view_layer.objects.active = rigs[0]
        context.scene.stpose.track, context.scene.stpose.source = str(tracks[0]), rigs[0]
        return rigs, notes


def checked(context: bpy.types.Context, filepath: str, start: float, end: float) -> tuple[Path, Capture]:
    """The command, and what to capture of a video by the preferences. end: 0 for the video's end. Raises RigError."""
    chosen = preferences.of(context)
    command = find_command(bpy.path.abspath(chosen.command))
    if command is None:
        raise RigError("the stpose command was not found; see the add-on's preferences for how to install it")
    video = Path(bpy.path.abspath(filepath))
    if not filepath or not video.is_file():
        raise RigError(f"there is no video '{video}'" if filepath else "choose a video")
    if end and end <= start:
        raise RigError(f"the range from {start:g} s to {end:g} s is empty")
    detector = bpy.path.abspath(chosen.keypoints) if chosen.detector == "file" else chosen.detector
    return command, Capture(video, start=start or None, end=end or None, detector=detector, device=chosen.device)


class STPOSE_OT_cancel_capture(bpy.types.Operator):
    """End the capture that is running; nothing of it is left"""

    bl_idname = "stpose.cancel_capture"
    bl_label = "Cancel Capture"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return current.running

    def execute(self, context: bpy.types.Context) -> set[str]:
        current.cancel()
        redraw(context)
        return {"FINISHED"}


class STPOSE_OT_show_report(bpy.types.Operator):
    """Show the track in the web browser: the motion in 3D beside the video, curves and the quality in words"""

    bl_idname = "stpose.show_report"
    bl_label = "Show Report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(context.scene.stpose.track)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.stpose
        command = find_command(bpy.path.abspath(preferences.of(context).command))
        track, video = (Path(bpy.path.abspath(path)) for path in (settings.track, settings.video))
        if command is None or not track.is_file():
            missing = (
                f"there is no track '{track}'" if command else "the stpose command was not found; see the add-on's preferences"
            )
            self.report({"ERROR"}, missing)
            return {"CANCELLED"}
        try:
            job = ReportJob(command, track, video if settings.video and video.is_file() else None)
        except OSError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if job.wait().status != DONE:
            self.report({"ERROR"}, job.state.error)
            return {"CANCELLED"}
        if not bpy.app.background:
            bpy.ops.wm.path_open(filepath=str(job.page))
        self.report({"INFO"}, f"the report is {job.page}")
        return {"FINISHED"}


class STPOSE_OT_drop_video(bpy.types.Operator):
    """Take a dropped video as the one to capture"""

    bl_idname = "stpose.drop_video"
    bl_label = "Capture with STPose"
    bl_options = {"UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.stpose.video = self.filepath
        self.report({"INFO"}, "the video is in the STPose tab; press Capture there")
        return {"FINISHED"}


class STPOSE_FH_video(bpy.types.FileHandler):
    bl_idname = "STPOSE_FH_video"
    bl_label = "STPose video"
    bl_import_operator = "stpose.drop_video"
    bl_file_extensions = ".mp4;.mov;.mkv;.avi;.webm;.m4v"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class STPOSE_FH_track(bpy.types.FileHandler):
    bl_idname = "STPOSE_FH_track"
    bl_label = "STPose track"
    bl_import_operator = "stpose.import_track"
    bl_file_extensions = ".npz"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type in ("VIEW_3D", "OUTLINER")


def redraw(context: bpy.types.Context) -> None:
    """Draw the sidebars of the 3D views again."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI":  # the panel alone: the scene beside it has not changed
                    region.tag_redraw()


CLASSES = (
    STPOSE_OT_capture_video,
    STPOSE_OT_cancel_capture,
    STPOSE_OT_show_report,
    STPOSE_OT_drop_video,
    STPOSE_FH_video,
    STPOSE_FH_track,
)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    current.cancel()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
