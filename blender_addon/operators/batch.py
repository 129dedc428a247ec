"""Several tracks onto several characters in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..action import ACTION, LAYER
from ..armature import RigError, poll_armature
from ..camera import Scenery
from ..preview import stop_preview
from ..properties import shown_map
from ..retarget.motion import TrackError
from ..transfer import Bake, chosen, transfer
from .track import import_track


class Batch:
    """Tracks onto characters, a pair a step. done, total: pairs. failed: what went wrong, a line a pair."""

    def __init__(self, tracks: Sequence[Path], targets: Sequence[bpy.types.Object], sequence: bool) -> None:
        self.pairs = [(track, target) for track in tracks for target in targets]
        self.done, self.total = 0, len(self.pairs)
        self.failed: list[str] = []
        self._sequence = sequence
        self._source: tuple[Path, bpy.types.Object] | None = None
        self._next: dict[bpy.types.Object, int] = {}

    def step(self, context: bpy.types.Context) -> bool:
        """Retarget the next pair; False if there is none."""
        if self.done >= self.total:
            self.close()
            return False
        path, target = self.pairs[self.done]
        self.done += 1
        try:
            self._retarget(context, path, target)
        except (TrackError, RigError, ValueError, KeyError) as error:
            self.failed.append(f"{path.name} on '{target.name}': {error.args[0] if error.args else error}")
        return True

    def _retarget(self, context: bpy.types.Context, path: Path, target: bpy.types.Object) -> None:
        settings = context.scene.stpose
        if self._source is None or self._source[0] != path:
            self.close()
            self._source = path, import_track(context, path, "RESAMPLE", 1, Scenery())[0]
        source = self._source[1]
        options, lock, root = chosen(settings)
        report = transfer(
            context,
            source,
            target,
            (None, shown_map(target)),
            options,
            lock,
            Bake(None, settings.step, LAYER if self._sequence else ACTION, settings.simplify, settings.ik),
            root,
        )
        action = bpy.data.actions[report.action]
        action.use_fake_user = True
        if self._sequence:
            strip = target.animation_data.nla_tracks[-1].strips[0]
            length = strip.frame_end - strip.frame_start
            start = self._next.get(target, context.scene.frame_start)
            # The end first: a strip may not end before it begins.
            strip.frame_end = start + length
            strip.frame_start = start
            strip.frame_end = start + length
            self._next[target] = int(start + length) + 1

    def close(self) -> None:
        """Remove the rig of the last track."""
        if self._source is not None:
            data = self._source[1].data
            bpy.data.objects.remove(self._source[1])
            bpy.data.armatures.remove(data)
            self._source = None


class STPOSE_OT_batch(bpy.types.Operator, ImportHelper):
    """Retarget tracks onto the selected armatures with the settings of the panel: an action each, or NLA strips in sequence"""

    bl_idname = "stpose.batch"
    bl_label = "Retarget Tracks"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH")
    files: CollectionProperty(type=bpy.types.OperatorFileListElement)
    targets: StringProperty(name="Targets", description="Names of armature objects, separated by ';'; the selected ones if empty")
    sequence: BoolProperty(name="Sequence", description="NLA strips, one track after another, instead of an action each")
    wait: BoolProperty(name="Wait", description="Do it all before the call returns: for scripts", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_armature(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        stop_preview(context)
        try:
            self._batch = Batch(self._tracks(), self._targets(context), self.sequence)
        except RigError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        window = context.window_manager
        window.progress_begin(0, self._batch.total)
        if self.wait or bpy.app.background or context.window is None:
            while self._batch.step(context):
                window.progress_update(self._batch.done)
            return self._finish(context)
        self._timer = window.event_timer_add(0.01, window=context.window)
        window.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" or (event.type == "TIMER" and not self._batch.step(context)):
            context.window_manager.event_timer_remove(self._timer)
            context.workspace.status_text_set(None)
            self._batch.close()
            return self._finish(context)
        if event.type == "TIMER":
            context.window_manager.progress_update(self._batch.done)
            context.workspace.status_text_set(f"Retargeted {self._batch.done} of {self._batch.total}. Esc stops")
        return {"RUNNING_MODAL"}

    def _finish(self, context: bpy.types.Context) -> set[str]:
        """Say what was done. What is done before a stop stays, and one undo step takes it back."""
        batch = self._batch
        context.window_manager.progress_end()
        for line in batch.failed:
            self.report({"WARNING"}, line)
        done = batch.done - len(batch.failed)
        self.report({"INFO"} if done else {"ERROR"}, f"{done} of {batch.total} retargeted")
        return {"FINISHED"} if done else {"CANCELLED"}

    def _tracks(self) -> list[Path]:
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else Path(bpy.path.abspath(self.filepath)).parent
        tracks = [folder / one.name for one in self.files if one.name]
        if not tracks and self.filepath:
            tracks = [Path(bpy.path.abspath(self.filepath))]
        if not tracks:
            raise RigError("choose tracks (.npz)")
        return tracks

    def _targets(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        names = [name.strip() for name in self.targets.split(";") if name.strip()]
        missing = [name for name in names if name not in context.scene.objects]
        if missing:
            raise RigError(f"there is no object '{missing[0]}' in the scene")
        found = [context.scene.objects[name] for name in names] or list(context.selected_objects)
        found = [obj for obj in found if obj.type == "ARMATURE"]
        if not found and context.scene.stpose.target is not None:
            found = [context.scene.stpose.target]
        if not found:
            raise RigError("select the armatures of the characters")
        return found


CLASSES = (STPOSE_OT_batch,)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
