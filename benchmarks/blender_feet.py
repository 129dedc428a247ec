"""Feet of retargeted motions in Blender, measured on the evaluated skins of three characters.

    stpose mocap examples/walk.mp4 -o walk.bvh
    python benchmarks/blender_feet.py walk.bvh MOCAP/cmu_006.npz:06_01 MOCAP/cmu_009.npz:09_12

Needs `bpy` (`pip install "bpy==4.5.*"`, Python 3.11, an environment of its own). A motion is a .bvh, a track (.npz) of stpose, or
FILE.npz:CLIP of marker mocap (<clip>__quats, __root_pos, __offsets, __parents, __names), which is written as a .bvh first. All
are imported by Blender's own BVH import, or by stpose's for tracks, and go onto Rigify's generated human and bodies with Mixamo's
and Unreal's names, made and skinned by `tests/blender/bodies.py`, with default settings but for the foot lock:
- lowest, median: height of the lowest vertex of the whole skin above the ground, its 1st percentile and its median over the frames;
- slide: cm that a heel or ball moves over the ground between two frames in both of which it stands without the lock (by height and
  speed); "in place" is In Place with the path added again;
- crossed: frames with the ankles crossed that are not without the lock; nearer: cm by which passing ankles come nearer;
- limbs: mean angle by which arms and legs are turned by the lock; pop: largest change of the change of a knee's bend, as a multiple
  of that without the lock. *Never* is the control: it has no lock.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
USER = tempfile.TemporaryDirectory(prefix="stpose-feet-")
os.environ["BLENDER_USER_RESOURCES"] = USER.name
if hasattr(os, "sched_setaffinity"):  # Rigify may deadlock bpy on several cores
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
sys.path[:0] = [str(ROOT / part) for part in ("tools", "tests/retarget", "tests/blender")]

import bpy  # noqa: E402
import numpy as np  # noqa: E402

MODES = ("NEVER", "GROUNDING", "AUTO", "ALWAYS")
COLUMNS = ("lowest", "median", "slide", "slide p95", "in place", "crossed", "nearer", "limbs", "pop")


def bvh_of(path: Path, clip: str, folder: Path) -> Path:
    """A clip of marker mocap as a .bvh in centimetres."""
    with np.load(path) as data:
        names, parents, offsets = (data[f"{clip}__{name}"] for name in ("names", "parents", "offsets"))
        quats, root = data[f"{clip}__quats"].astype(float), data[f"{clip}__root_pos"].astype(float)
    # The files' z up to y up, which their rest pose has already.
    half = np.sqrt(0.5)
    w, x, y, z = np.moveaxis(quats[:, 0], -1, 0)
    quats[:, 0] = half * np.stack([w + x, x - w, y + z, z - y], axis=1)
    root = 100 * np.stack([root[:, 0], root[:, 2], -root[:, 1]], axis=1)
    lines, order = ["HIERARCHY"], []

    def write(joint: int, depth: int) -> None:
        indent, below = "  " * depth, np.flatnonzero(parents == joint)
        kind = "ROOT" if depth == 0 else "JOINT" if len(below) else "End"
        lines.extend([f"{indent}{kind} {names[joint] if len(below) else 'Site'}", indent + "{"])
        lines.append(f"{indent}  OFFSET " + " ".join(f"{100 * value:.5f}" for value in offsets[joint]))
        if len(below):
            place = "Xposition Yposition Zposition " if depth == 0 else ""
            lines.append(f"{indent}  CHANNELS {6 if depth == 0 else 3} {place}Zrotation Xrotation Yrotation")
            order.append(joint)
        for child in below:
            write(int(child), depth + 1)
        lines.append(indent + "}")

    write(0, 0)
    w, x, y, z = np.moveaxis(quats / np.linalg.norm(quats, axis=-1, keepdims=True), -1, 0)
    # R = Rz Rx Ry.
    turn_x = np.arcsin(np.clip(2 * (y * z + w * x), -1, 1))
    turn_z = np.arctan2(-2 * (x * y - w * z), 1 - 2 * (x * x + z * z))
    turn_y = np.arctan2(-2 * (x * z - w * y), 1 - 2 * (x * x + y * y))
    angles = np.degrees(np.stack([turn_z, turn_x, turn_y], axis=-1))[:, order]
    lines += ["MOTION", f"Frames: {len(quats)}", f"Frame Time: {1 / 30:.8f}"]
    lines += [" ".join(f"{value:.5f}" for value in (*place, *turned.ravel())) for place, turned in zip(root, angles)]
    out = folder / f"{clip}.bvh"
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out


def load(path: Path) -> Any:
    """The motion as an armature; the scene takes its frame rate."""
    if path.suffix == ".npz":
        bpy.ops.stpose.import_track(filepath=str(path), rate="SCENE")
    else:
        bpy.ops.import_anim.bvh(filepath=str(path), update_scene_fps=True, update_scene_duration=True)
    return bpy.context.object


def save_skin(path: Path, body: Any, measured: Any) -> None:
    """vertices (T, V, 3) in metres and faces, each as the number of its corners and these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    faces = [corner for face in body.skin.data.polygons for corner in (len(face.vertices), *face.vertices)]
    np.savez_compressed(path, vertices=measured.skin.astype(np.float32), faces=np.array(faces))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("motions", nargs="+", help=".bvh, .npz of stpose, or FILE.npz:CLIP of marker mocap")
    parser.add_argument("--frames", type=int, default=240, help="most frames of a motion")
    parser.add_argument("--bodies", nargs="+", help="of Rigify, Mixamo, Unreal")
    parser.add_argument("--modes", nargs="+", default=MODES)
    parser.add_argument("--save", type=Path, help="folder for the skins in motion, for tools/draw_feet.py")
    options = parser.parse_args()
    import addon_utils
    from bodies import BODIES  # type: ignore[import-not-found]
    from build_addon import build
    from feet import figures, measure  # type: ignore[import-not-found]

    addon_utils.enable("rigify", default_set=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bpy.ops.extensions.package_install_files(filepath=str(build(folder)), repo="user_default", enable_on_install=True)
        motions = []
        for motion in options.motions:
            path, _, clip = motion.rpartition(":")
            motions.append(bvh_of(Path(path), clip, folder) if path.endswith(".npz") else Path(motion).resolve())
        print(f"\nBlender {bpy.app.version_string}\n")
        print("| motion | character | foot lock | " + " | ".join(COLUMNS) + " |")
        print("|---" * (len(COLUMNS) + 3) + "|")
        for path in motions:
            for kind in options.bodies or BODIES:
                bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
                source = load(path)
                first, last = (round(value) for value in source.animation_data.action.frame_range)
                frames = range(first, min(last, first + options.frames - 1) + 1)
                body = BODIES[kind]()
                wanted = {"source": source.name, "target": body.rig.name, "first": frames[0], "last": frames[-1], "ik": False}
                free = None
                for mode in options.modes:
                    bpy.ops.stpose.retarget(**wanted, lock=mode)
                    locked = measure(body, frames)
                    free = free or locked
                    if options.save:
                        save_skin(options.save / f"{path.stem}-{kind}-{mode.lower()}.npz", body, locked)
                    row = figures(locked, free)
                    row["in place"] = float("nan")
                    if mode == "AUTO":
                        bpy.ops.stpose.retarget(**wanted, lock=mode, root_motion="IN_PLACE")
                        still = measure(body, frames)
                        path_over = [one.joints["thigh.L"] + one.joints["thigh.R"] for one in (locked, still)]
                        row["in place"] = figures(still.moved((path_over[0] - path_over[1]) / 2), free)["slide"]
                    cells = " | ".join("" if np.isnan(row[column]) else f"{row[column]:.2f}" for column in COLUMNS)
                    print(f"| {path.stem} | {kind} | {mode.capitalize()} | {cells} |", flush=True)
    sys.stdout.flush()
    USER.cleanup()
    os._exit(0)  # bpy may hang at the end of the interpreter after Rigify


if __name__ == "__main__":
    main()
