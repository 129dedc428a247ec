"""A picture of a character with hands: frames of a film, and below each what the extension makes of its capture in Blender.

    stpose mocap FILMS/55_02_5.mp4 -o hands.npz --hands
    python tools/blender_hands.py render hands.npz FOLDER --frames 8 24 40 56      (in an environment with bpy)
    python tools/blender_hands.py join FILMS/55_02_5.mp4 FOLDER docs/images/blender-hands.jpg --frames 8 24 40 56

The films are those of `tools/hands_picture.py`. The character is Rigify's human with the plain body of `tests/window/manikin.py`,
with the default settings of the extension; nothing is corrected. Cycles renders it, which needs no window.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 300  # px of a column


def render(track: Path, folder: Path, frames: list[int]) -> None:
    """The character in these frames of the track, from the front, as FOLDER/<frame>.png."""
    user = tempfile.TemporaryDirectory(prefix="stpose-hands-")
    os.environ["BLENDER_USER_RESOURCES"] = user.name
    if hasattr(os, "sched_setaffinity"):  # Rigify may deadlock bpy on several cores
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "window")]
    import bpy  # first: it brings addon_utils
    import addon_utils  # isort: skip
    from build_addon import build
    from manikin import add_body  # type: ignore[import-not-found]

    addon_utils.enable("rigify", default_set=True)
    with tempfile.TemporaryDirectory() as name:
        bpy.ops.extensions.package_install_files(filepath=str(build(Path(name))), repo="user_default", enable_on_install=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.stpose.import_track(filepath=str(track), rate="SCENE")
    source = bpy.context.object
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    target = bpy.context.object
    bpy.data.objects.remove(metarig)
    add_body(target, 0.005)
    bpy.ops.stpose.retarget(source=source.name, target=target.name, ik=False)
    scene = bpy.context.scene
    for obj in (source, target):
        obj.hide_render = True
    _stage(scene)
    for frame in frames:
        scene.frame_set(frame + 1)
        scene.render.filepath = str(folder / f"{frame:04d}.png")
        bpy.ops.render.render(write_still=True)
    sys.stdout.flush()
    os._exit(0)  # Blender dead-locks at the interpreter's end after Rigify


def _stage(scene) -> None:  # type: ignore[no-untyped-def]
    """A camera at the height of the chest, soft light, and a plain background."""
    import bpy
    from mathutils import Euler

    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, -2.4, 1.45), Euler((1.53, 0, 0))
    camera.data.sensor_fit, camera.data.angle = "VERTICAL", 0.58
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler, sun.data.energy, sun.data.angle = Euler((0.7, 0.2, 0.5)), 1.6, 0.2
    for one in (camera, sun):
        scene.collection.objects.link(one)
    world = scene.world or bpy.data.worlds.new("World")
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.6, 0.63, 0.67, 1)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 24, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = 2 * _WIDTH
    scene.render.resolution_percentage = 50


def join(film: Path, folder: Path, out: Path, frames: list[int]) -> None:
    """The frames of the film above those that were rendered."""
    import cv2
    import numpy as np

    from stpose_core.files import written_whole
    from stpose_core.video import read_frames

    pictures = {frame.index: frame.image for frame in read_frames(film) if frame.index in frames}
    columns = []
    for number in frames:
        height, width = pictures[number].shape[:2]
        above = cv2.resize(pictures[number], (_WIDTH, round(_WIDTH * height / width)), interpolation=cv2.INTER_AREA)[..., ::-1]
        columns.append(np.vstack([above, cv2.resize(cv2.imread(str(folder / f"{number:04d}.png")), (_WIDTH, _WIDTH))]))
    data = cv2.imencode(".jpg", np.hstack(columns), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    with written_whole(out, overwrite=True) as partial:
        partial.write_bytes(data.tobytes())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("render", "join"))
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", required=True)
    options = parser.parse_args()
    files = [path.resolve() for path in options.files]
    if options.step == "render":
        render(*files, options.frames)
    else:
        join(*files, options.frames)


if __name__ == "__main__":
    main()
