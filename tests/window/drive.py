"""What `run` has Blender do in its window, one step a tick: the tab, dropped files, captures, a retarget, the preferences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Vector

WORK = Path(os.environ["STPOSE_WORK"])
sys.path[:0] = [str(WORK), str(WORK / "retarget")]
ADDON = "bl_ext.user_default.stpose"
found: dict[str, object] = {"blender": bpy.app.version_string, "passed": False}


def view() -> bpy.types.Area:
    return next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")


def picture(name: str) -> None:
    """A screenshot by X: Blender's own are black here."""
    subprocess.run(["import", "-window", "root", str(WORK / f"{name}.png")], check=True)


def override() -> dict:
    area = view()
    return {"window": bpy.context.window, "area": area, "region": next(r for r in area.regions if r.type == "WINDOW")}


def sidebar() -> bpy.types.Region:
    return next(region for region in view().regions if region.type == "UI")


def ticks(seconds: float) -> Iterator[float]:
    """Let Blender run for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield 0.02


def paced(seconds: float, until=None) -> Iterator[float]:
    """Let Blender run; leaves the ms between ticks in `pace`: Blender's main loop, with whatever it has to draw.

    For the seconds and for 30 ticks at least, or until something is so.
    """
    pace.clear()
    end, last = time.monotonic() + seconds, time.perf_counter()
    while (time.monotonic() < end or (until is None and len(pace) < 30)) and not (until and until()):
        yield 0.0
        now = time.perf_counter()
        pace.append(1000 * (now - last))
        last = now


pace: list[float] = []


def p95(values: list[float]) -> float:
    return float(np.percentile(values, 95)) if values else float("nan")


def capture_module():
    return sys.modules[ADDON + ".operators.capture"]


def script() -> Iterator[float]:
    """The test itself: yields the seconds until it goes on."""
    from commands import alive, fake_command
    from walks import dance

    settings = bpy.context.scene.stpose
    chosen = bpy.context.preferences.addons[ADDON].preferences
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    view().spaces.active.show_region_ui = True
    yield from ticks(1)
    with bpy.context.temp_override(**override()):
        sidebar().active_panel_category = "STPose"
    yield from ticks(1)

    # A capture that is cancelled.
    track = WORK / "prepared.npz"
    content = {f"motion.{name}": np.array(value) for name, value in dance(60)[0].items()}
    np.savez_compressed(track, format=np.array("stpose"), version=np.array(1), **content)
    command, pids = fake_command(WORK, track)
    chosen.command = str(command)

    # A track that is dropped.
    with bpy.context.temp_override(**override()):
        assert bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=f"{WORK}/", files=[{"name": track.name}]) == {"FINISHED"}
    assert settings.source is not None
    assert settings.source.animation_data.action
    bpy.data.objects.remove(settings.source)
    slow = WORK / "slow.mp4"
    slow.touch()
    settings.video = str(slow)
    yield from paced(4)
    found["ms a tick of the main loop, idle, p95"] = round(p95(pace[5:]), 1)
    with bpy.context.temp_override(**override()):
        assert bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=str(slow)) == {"RUNNING_MODAL"}
    yield from paced(7)
    found["ms a tick of the main loop, during a capture, p95"] = round(p95(pace[5:]), 1)
    state = capture_module().current.job.state
    assert state.status == "RUNNING"
    assert state.stage == "detect"
    assert state.part
    picture("blender-capture")
    before = set(bpy.data.objects)
    began = time.monotonic()
    assert bpy.ops.stpose.cancel_capture() == {"FINISHED"}
    found["s to cancel"] = round(time.monotonic() - began, 3)
    yield from ticks(0.5)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    assert not slow.with_suffix(".npz").exists()
    assert set(bpy.data.objects) == before
    assert found["s to cancel"] < 1.0

    # One in full, with the film on a plane behind the rig.
    video = os.environ.get("STPOSE_VIDEO") or str(WORK / "good.mp4")
    Path(video).touch()
    if os.environ.get("STPOSE_COMMAND"):
        chosen.command = os.environ["STPOSE_COMMAND"]
    settings.video, settings.plane, settings.rate = video, True, "SCENE"
    with bpy.context.temp_override(**override()):
        bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=video, plane=True, rate="SCENE")
    yield from paced(400, lambda: not capture_module().current.running)
    if os.environ.get("STPOSE_COMMAND"):
        found["ms a tick of the main loop, during a true capture, p95"] = round(p95(pace[5:-2]), 1)
        found["s of the true capture"] = round(capture_module().current.job.state.seconds, 1)
    yield from ticks(1)
    state = capture_module().current.job.state
    assert state.status == "DONE", state.error
    rig = settings.source
    assert rig is not None
    assert rig.animation_data.action

    # Who is in the video, and a choice by number.
    shown = sys.modules[ADDON + ".operators.people"].shown
    with bpy.context.temp_override(**override()):
        assert bpy.ops.stpose.show_people("INVOKE_DEFAULT", filepath=video) == {"RUNNING_MODAL"}
    yield from paced(200, lambda: bool(shown.lines or shown.error))
    assert shown.lines, shown.error
    assert shown.icon > 0
    assert bpy.ops.stpose.choose_person(number=1) == {"FINISHED"}
    sidebar().tag_redraw()
    yield from ticks(5)  # the panel unfolds
    picture("blender-people")
    assert bpy.ops.stpose.cancel_people() == {"FINISHED"}
    settings.person = "largest"

    # Onto a rig of Rigify.
    with bpy.context.temp_override(**override()):
        target = character()
        settings.target = target
        assert bpy.ops.stpose.map_bones(target=target.name) == {"FINISHED"}
        assert settings.target.stpose_map.family == "Rigify (generated)"
        yield from previewed(settings, target)
        assert bpy.ops.stpose.retarget(source=rig.name, target=target.name) == {"FINISHED"}
    yield from show(rig, target)
    picture("blender-retarget")

    # One that fails: its error stands in the panel.
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    chosen.command = str(command)
    bad = WORK / "bad.mp4"
    bad.touch()
    with bpy.context.temp_override(**override()):
        bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=str(bad))
    yield from ticks(2)
    assert "nobody" in capture_module().current.job.state.error
    picture("blender-error")

    # Without the command: how it is installed. And the test of the command, in the preferences.
    chosen.command = str(WORK / "nowhere")
    yield from ticks(1)
    picture("blender-help")
    chosen.command = str(command)
    assert bpy.ops.stpose.test_command("INVOKE_DEFAULT") == {"FINISHED"}
    tested = sys.modules[ADDON + ".preferences"].tested
    yield from paced(60, lambda: tested.job is None)
    assert "ready" in tested.lines
    bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="ADDONS")
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "stpose"
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.preferences.addon_expand(module=ADDON)
    yield from ticks(2)
    picture("blender-preferences")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield from ticks(1)

    # A video that is dropped: Blender has uses for it too, and asks.
    with bpy.context.temp_override(**override()):
        bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=f"{WORK}/", files=[{"name": bad.name}])
    yield from ticks(1)
    picture("blender-drop")
    found["passed"] = True


def previewed(settings, target: bpy.types.Object) -> Iterator[float]:
    """A preview follows the frame, and a setting that changes by itself; and leaves nothing."""
    preview = sys.modules[ADDON + ".preview"]

    def ahead() -> float:
        """How far the hips come from the first frame to the 30th."""
        places = []
        for frame in (1, 30):
            bpy.context.scene.frame_set(frame)
            places.append((target.matrix_world @ target.pose.bones["ORG-spine"].head).xy)
        return (places[1] - places[0]).length

    before = ahead()
    assert bpy.ops.stpose.start_preview() == {"FINISHED"}
    yield from ticks(1)
    full = ahead()
    settings.root_motion = "IN_PLACE"
    yield from ticks(2)
    still = ahead()
    picture("blender-preview")
    assert bpy.ops.stpose.stop_preview() == {"FINISHED"}
    settings.root_motion = "FULL"
    assert preview.running is None
    found["m that the hips travel: before, in the preview, in place, after"] = [round(v, 3) for v in (before, full, still, ahead())]
    assert full > 0.2 > 0.05 > still
    assert abs(ahead() - before) < 1e-4


def character() -> bpy.types.Object:
    """A generated rig of Rigify with a body on it, of which the FK controls are shown."""
    from manikin import add_body

    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    target = bpy.context.object
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.data.objects.remove(metarig)
    add_body(target)
    for collection in target.data.collections_all:
        collection.is_visible = collection.name == "Torso" or collection.name.endswith("(FK)")
    return target


def show(rig: bpy.types.Object, target: bpy.types.Object) -> Iterator[float]:
    """The film, the captured rig before it, and the character beside it in the 3D view, in the widest step."""
    scene, action = bpy.context.scene, rig.animation_data.action
    widest = (0.0, 1)
    for frame in range(10, round(action.frame_range[1]) // 2):
        scene.frame_set(frame)
        feet = [rig.pose.bones[name].head for name in ("LeftFoot", "RightFoot")]
        widest = max(widest, ((feet[0] - feet[1]).length, frame))
    scene.frame_set(widest[1])
    scene.frame_end = round(action.frame_range[1])
    right, place = Vector((1, 0, 0)), rig.matrix_world @ rig.pose.bones["Hips"].head
    if scene.camera is not None:
        right = scene.camera.matrix_world.to_3x3() @ right
        scene.camera.hide_set(True)
    target.location = 1.0 * right
    yield from ticks(0.5)
    with bpy.context.temp_override(**override()):
        bpy.ops.object.select_all(action="DESELECT")
        bpy.context.view_layer.objects.active = target
    space = view().spaces.active
    space.overlay.show_relationship_lines = space.overlay.show_cursor = False
    region = space.region_3d
    region.view_perspective = "PERSP"
    heading = np.arctan2(right.y, right.x)
    region.view_rotation = Euler((1.45, 0.0, heading - 0.2)).to_quaternion()
    region.view_location = place + 0.75 * right + Vector((0, 0, 0.05))
    region.view_distance = 4.6
    yield from ticks(2)


def main() -> None:
    import addon_utils

    bpy.context.preferences.view.show_splash = False
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.extensions.package_install_files(filepath=os.environ["STPOSE_ZIP"], repo="user_default", enable_on_install=True)
    steps = script()

    def step() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            pass
        except Exception:
            traceback.print_exc()
            found["error"] = traceback.format_exc()
            picture("blender-problem")
        (WORK / "window.json").write_text(json.dumps(found, indent=1) + "\n")
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=2.0)


main()
