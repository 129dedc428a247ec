"""Live: a rig that follows `stpose live` in the viewport, and keeps the take when it is stopped."""

from __future__ import annotations

import time

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ..livefeed import PORT, LiveFeed, LivePose, Take
from ..retarget.motion import Motion, TrackError
from ..rig import Puppet, animate, build_rig, scene_rate, sized_track

_TICK = 1 / 30  # s
_PATIENCE = 20.0  # s until the first person is seen


class LiveSession:
    """A connection, the rig that follows it, and what was recorded. record: whether the take is kept."""

    def __init__(self, feed: LiveFeed, record: bool) -> None:
        self.feed, self.record, self.take = feed, record, Take()
        self.rig: bpy.types.Object | None = None
        self.puppet: Puppet | None = None
        self.stopped = False
        self.began = time.monotonic()

    def step(self, context: bpy.types.Context) -> None:
        """Shows the newest pose. Raises TrackError when the connection has ended, or no person is detected for too long at the
        start."""
        poses = self.feed.poll()
        for pose in poses:
            if self.record:
                self.take.add(pose)
        shown = [pose for pose in poses if pose.present]
        if shown:
            self._show(context, shown[-1])
        elif self.rig is None and time.monotonic() - self.began > _PATIENCE:
            raise TrackError("the camera shows no person")

    def _show(self, context: bpy.types.Context, pose: LivePose) -> None:
        motion = pose.motion(scene_rate(context.scene))
        if self.rig is None:
            self.rig = build_rig(context, motion, "Live", context.scene.frame_current)
            self.rig.animation_data_clear()
            self.puppet = Puppet(self.rig, sized_track(context, motion))
        assert self.puppet is not None
        try:
            self.puppet.show(sized_track(context, motion))
        except ReferenceError as error:  # the rig was deleted
            raise TrackError("the live rig was deleted") from error

    def finish(self, context: bpy.types.Context) -> int:
        """Keys the take on the rig; the number of its frames, 0 where nothing was recorded."""
        self.feed.close()
        motion = self.take.motion(scene_rate(context.scene))
        if self.rig is None or motion is None:
            return 0
        first = context.scene.frame_start
        try:
            animate(context, self.rig, sized_track(context, _with_bones_of(motion, self.take.poses[0])), first)
        except ReferenceError:
            return 0
        context.scene.frame_end = max(context.scene.frame_end, first + len(motion) - 1)
        context.scene.stpose.source = self.rig
        return len(motion)


def _with_bones_of(motion: Motion, pose: LivePose) -> Motion:
    """The motion on the bones that the rig was built with: those of the first pose."""
    return Motion(pose.names, pose.parents, pose.offsets, motion.rotations, motion.root, motion.contacts, motion.fps)


session: LiveSession | None = None


class STPOSE_OT_start_live(bpy.types.Operator):
    """Let a new rig follow 'stpose live', which has to run"""

    bl_idname = "stpose.start_live"
    bl_label = "Start Live"
    bl_options = {"REGISTER"}

    host: StringProperty(name="Host", default="127.0.0.1")
    port: IntProperty(name="Port", default=PORT, min=1, max=65535)
    record: BoolProperty(name="Record", description="Key the take on the rig when it is stopped", default=True)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        global session
        try:
            session = LiveSession(LiveFeed(self.host, self.port), self.record)
        except TrackError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if bpy.app.background or context.window is None:  # a script calls `session.step` itself
            return {"FINISHED"}
        window = context.window_manager
        self._timer = window.event_timer_add(_TICK, window=context.window)
        window.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER" or session is None:
            return {"PASS_THROUGH"}
        if not session.stopped:
            try:
                session.step(context)
                return {"PASS_THROUGH"}
            except TrackError as error:
                self.report({"WARNING"}, str(error))
        context.window_manager.event_timer_remove(self._timer)
        said = stop(context)
        self.report({"INFO"}, said)
        return {"FINISHED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file was opened, or Blender ends."""
        drop()


class STPOSE_OT_stop_live(bpy.types.Operator):
    """Stop following, and key the take on the rig"""

    bl_idname = "stpose.stop_live"
    bl_label = "Stop Live"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        assert session is not None
        if bpy.app.background or context.window is None:
            self.report({"INFO"}, stop(context))
        else:
            session.stopped = True  # the modal operator ends, which owns the timer
        return {"FINISHED"}


def stop(context: bpy.types.Context) -> str:
    """End the session; what came of it, in words."""
    global session
    assert session is not None
    ended, session = session, None
    frames = ended.finish(context)
    return f"recorded {frames} frames" if frames else "live has ended; nothing was recorded"


def drop() -> None:
    """End the session without keeping anything."""
    global session
    if session is not None:
        session.feed.close()
        session = None


CLASSES = (STPOSE_OT_start_live, STPOSE_OT_stop_live)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    drop()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
