"""What `run` has Blender do in its window, one step a tick: the tab, a capture that is cancelled, one in full, a retarget."""

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
from mathutils import Euler

WORK = Path(os.environ["STPOSE_WORK"])
sys.path.insert(0, str(WORK / "retarget"))
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
    """Let Blender run; leaves the ms between ticks in `pace`: Blender's main loop, with whatever it has to draw."""
    pace.clear()
    end, last = time.monotonic() + seconds, time.perf_counter()
    while time.monotonic() < end and not (until and until()):
        yield 0.0
        now = time.perf_counter()
        pace.append(1000 * (now - last))
        last = now


pace: list[float] = []


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
    slow = WORK / "slow.mp4"
    slow.touch()
    settings.video = str(slow)
    yield from paced(4)
    found["ms a tick of the main loop, idle, p95"] = round(float(np.percentile(pace[5:], 95)), 1)
    with bpy.context.temp_override(**override()):
        assert bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=str(slow)) == {"RUNNING_MODAL"}
    yield from paced(7)
    found["ms a tick of the main loop, during a capture, p95"] = round(float(np.percentile(pace[5:], 95)), 1)
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

    # One in full.
    video = os.environ.get("STPOSE_VIDEO") or str(WORK / "good.mp4")
    Path(video).touch()
    if os.environ.get("STPOSE_COMMAND"):
        chosen.command = os.environ["STPOSE_COMMAND"]
    settings.video = video
    with bpy.context.temp_override(**override()):
        bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=video)
    yield from paced(240, lambda: not capture_module().current.running)
    if os.environ.get("STPOSE_COMMAND"):
        found["ms a tick of the main loop, during a true capture, p95"] = round(float(np.percentile(pace[5:-2], 95)), 1)
        found["s of the true capture"] = round(capture_module().current.job.state.seconds, 1)
    yield from ticks(1)
    state = capture_module().current.job.state
    assert state.status == "DONE", state.error
    rig = settings.source
    assert rig is not None
    assert rig.animation_data.action

    # Onto a rig of Rigify.
    with bpy.context.temp_override(**override()):
        bpy.ops.object.armature_human_metarig_add()
        metarig = bpy.context.object
        bpy.ops.pose.rigify_generate()
        target = bpy.context.object
        bpy.ops.object.mode_set(mode="OBJECT")
        bpy.data.objects.remove(metarig)
        settings.target = target
        assert bpy.ops.stpose.map_bones(target=target.name) == {"FINISHED"}
        assert settings.map_family == "Rigify (generated)"
        assert bpy.ops.stpose.retarget(source=rig.name, target=target.name) == {"FINISHED"}
    target.location.y += 1.1
    rig.show_in_front = True
    for collection in target.data.collections_all:  # what is keyed: the FK controls
        collection.is_visible = collection.name in ("Torso", "Root") or collection.name.endswith("(FK)")
    body(target)
    scene = bpy.context.scene
    scene.frame_set(round(rig.animation_data.action.frame_range[1] / 2))
    yield from ticks(0.5)
    with bpy.context.temp_override(**override()):
        bpy.ops.object.select_all(action="DESELECT")
        bpy.context.view_layer.objects.active = target
    space = view().spaces.active
    space.overlay.show_relationship_lines = False
    place = rig.matrix_world @ rig.pose.bones["Hips"].head
    place.y += 0.5
    region = space.region_3d
    region.view_perspective = "PERSP"
    region.view_rotation = Euler((1.4, 0.0, 0.45)).to_quaternion()
    region.view_location, region.view_distance = place, 4.2
    yield from ticks(2)
    picture("blender-retarget")

    # One that fails: its error stands in the panel.
    chosen.command = str(command)
    bad = WORK / "bad.mp4"
    bad.touch()
    with bpy.context.temp_override(**override()):
        bpy.ops.stpose.capture_video("INVOKE_DEFAULT", filepath=str(bad))
    yield from ticks(2)
    assert "nobody" in capture_module().current.job.state.error
    picture("blender-error")
    found["passed"] = True


def body(rig: bpy.types.Object) -> None:
    """A manikin on the deforming bones, so that the picture shows a character and not controls alone."""
    thick = {"spine": 0.13, "thigh": 0.075, "shin": 0.055, "upper_arm": 0.045, "forearm": 0.038, "foot": 0.045, "hand": 0.035,
             "shoulder": 0.04, "toe": 0.035}  # fmt: skip
    material = bpy.data.materials.new("Manikin")
    material.diffuse_color = (0.85, 0.45, 0.2, 1)
    for bone in rig.data.bones:
        part = bone.name.removeprefix("DEF-").split(".")[0]
        if not bone.name.startswith("DEF-") or part not in thick:
            continue
        wide = thick[part]
        if part == "spine":
            number = int((bone.name + ".000").split(".")[1])
            wide = (0.14, 0.13, 0.14, 0.15, 0.055, 0.055, 0.10)[min(number, 6)]
        bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=12)
        ball = bpy.context.object
        ball.data.materials.append(material)
        ball.parent, ball.parent_type, ball.parent_bone = rig, "BONE", bone.name
        ball.matrix_parent_inverse.identity()
        ball.scale, ball.location = (wide, 0.62 * bone.length, wide), (0, -bone.length / 2, 0)
        ball.rotation_euler = (0, 0, 0)
        ball.select_set(False)


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
