"""Foot lock on captures: how far standing feet slide, and what the knees do, on characters that a capture is retargeted onto.

    stpose mocap examples/walk.mp4 -o walk.npz
    python benchmarks/blender_feet.py walk.npz

Needs `bpy` (`pip install "bpy==4.5.*"`, Python 3.11, an environment of its own) and nothing else of this project. Each track is put
on a generated Rigify rig and on Rigify's basic human with legs of another length, with the foot lock off, Auto and Always, and
measured through the evaluated dependency graph:
- slide: cm that a heel or ball moves over the ground between two frames in both of which the capture says that it stands, and the
  share of these steps within the gate of 0.2 cm;
- knee: degrees by which a knee's bend changes from a frame to the next, at most; and its largest change of that change, which is
  what a pop looks like. With the lock off they are the capture's own.
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
if hasattr(os, "sched_setaffinity"):  # Rigify may dead-lock bpy on several cores
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
sys.path.insert(0, str(ROOT / "tools"))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

MODES = ("NEVER", "AUTO", "ALWAYS")
JOINTS = ("thigh", "shin", "foot", "toe")


def rigify() -> tuple[Any, str]:
    """A generated Rigify rig, and how its deforming bones are called."""
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.pose.rigify_generate()
    rig = bpy.context.object
    bpy.data.objects.remove(metarig)
    return rig, "ORG-{}.{}"


def short_legs() -> tuple[Any, str]:
    """Rigify's basic human with thighs and shins of 0.8 times their length."""
    bpy.ops.object.armature_basic_human_metarig_add()
    rig = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    bones = rig.data.edit_bones
    for side in "LR":
        for part, following in (("thigh", "shin"), ("shin", "foot")):
            bone = bones[f"{part}.{side}"]
            shift = -0.2 * (bone.tail - bone.head)
            chain = [bones[f"{part}.{side}"], *bones[f"{part}.{side}"].children_recursive]
            for one in chain[1:]:
                if not one.use_connect:
                    one.head += shift
                one.tail += shift
            bone.tail += shift
            assert (bones[f"{following}.{side}"].head - bone.tail).length < 1e-4
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig, "{}.{}"


def places(rig: Any, form: str, frames: int) -> np.ndarray:
    """(T, 2, 4, 3) hip, knee, ankle and ball of both sides in the world."""
    names = [[form.format(part, side) for part in JOINTS] for side in "LR"]
    found = []
    for frame in range(1, frames + 1):
        bpy.context.scene.frame_set(frame)
        evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        found.append([[evaluated.matrix_world @ evaluated.pose.bones[name].head for name in side] for side in names])
    return np.array(found)


def measure(joints: np.ndarray, contacts: np.ndarray) -> dict[str, float]:
    """Slide (cm a frame) and knees (degrees)."""
    steps = []
    for column in range(4):
        side, point = divmod(column, 2)
        moved = 100 * np.linalg.norm(np.diff(joints[:, side, 2 + point, :2], axis=0), axis=1)
        stands = contacts[:, column] >= 0.5
        if point:  # on the whole foot the ankle is what is held
            stands = stands & (contacts[:, column - 1] < 0.5)
        steps.append(moved[stands[1:] & stands[:-1]])
    slides = np.concatenate(steps)
    first, second = joints[:, :, 1] - joints[:, :, 0], joints[:, :, 2] - joints[:, :, 1]
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    bend = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return {
        "frames": float(len(slides)), "mean": float(slides.mean()), "max": float(slides.max()),
        "within": float(100 * (slides <= 0.2).mean()),
        "knee": float(np.abs(np.diff(bend, axis=0)).max()), "pop": float(np.abs(np.diff(bend, 2, axis=0)).max()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tracks", type=Path, nargs="+", help="tracks (.npz) of stpose mocap")
    options = parser.parse_args()
    import addon_utils
    from build_addon import build

    addon_utils.enable("rigify", default_set=True)
    with tempfile.TemporaryDirectory() as folder:
        package = build(Path(folder))
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default", enable_on_install=True)
    rows = []
    for track in options.tracks:
        for name, make in (("Rigify", rigify), ("basic human, legs x 0.8", short_legs)):
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
            bpy.ops.stpose.import_track(filepath=str(track.resolve()), rate="SCENE")
            source = bpy.context.object
            rig, form = make()
            with np.load(track, allow_pickle=False) as content:
                contacts = content["motion.contacts"]
            for mode in MODES:
                bpy.ops.stpose.retarget(source=source.name, target=rig.name, lock=mode)
                rows.append((track.stem, name, mode, measure(places(rig, form, len(contacts)), contacts)))
    print(f"\nBlender {bpy.app.version_string}\n")
    print("| track | character | foot lock | slide mean / max, cm a frame | within 0.2 cm | knee a frame | its change |")
    print("|---|---|---|---|---|---|---|")
    for stem, name, mode, one in rows:
        slide = f"{one['mean']:.2f} / {one['max']:.2f} | {one['within']:.0f} % of {one['frames']:.0f}"
        print(f"| {stem} | {name} | {mode.capitalize()} | {slide} | {one['knee']:.1f} | {one['pop']:.1f} |")
    sys.stdout.flush()
    USER.cleanup()
    os._exit(0)  # bpy may hang at the end of the interpreter after Rigify


if __name__ == "__main__":
    main()
