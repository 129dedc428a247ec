"""Opens BVH files in Blender without a window, and checks what an animator would see.

    python benchmarks/blender_open.py walk.bvh turn.bvh=front squat.bvh=any

Needs `bpy` (`pip install "bpy==4.5.*"`, Python 3.11, an environment of its own) and nothing else of this project. For each file:
- frames: the action runs from frame 1 to the number of frames that the file announces, and the scene is long enough;
- fps: the scene's rate is the inverse of the file's frame time;
- upright: in 90 % of the frames the head is above both feet (world z);
- facing: the mean angle from Blender's front view (-y): 0 faces the viewer, 90 turns to the person's left, 180 is the back.
  It is checked where a file is given as FILE=front or FILE=back (within 60 degrees), or for all with --expect-facing.
Prints a table, and exits with 1 if a check failed.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD, FEET, HIPS = "Head", ("LeftFoot", "RightFoot"), ("LeftUpLeg", "RightUpLeg")
UPRIGHT_SHARE = 0.9
FACING = {"front": 0.0, "back": 180.0}
FACING_TOLERANCE = 60.0


@dataclass
class Row:
    """What was found in a file. facing: degrees; height: the head's mean height above the lower foot, in units of the file."""

    path: Path
    frames: int = 0
    fps: float = 0.0
    upright: float = 0.0
    facing: float = 0.0
    height: float = 0.0
    faults: list[str] = field(default_factory=list)


def announced(path: Path) -> tuple[int, float]:
    """The number of frames and the frame rate as the file's header says them."""
    text = path.read_text(encoding="utf-8", errors="replace")
    frames = re.search(r"^\s*Frames:\s*(\d+)", text, re.MULTILINE)
    step = re.search(r"^\s*Frame Time:\s*(\S+)", text, re.MULTILINE)
    if frames is None or step is None:
        raise ValueError("no 'Frames:' and 'Frame Time:' in the file")
    return int(frames[1]), 1 / float(step[1])


def open_file(bpy: Any, path: Path, expect: str) -> Row:
    """Import a file into an empty scene and measure it through the evaluated dependency graph."""
    row = Row(path)
    try:
        frames, fps = announced(path)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.import_anim.bvh(filepath=str(path.absolute()), update_scene_fps=True, update_scene_duration=True)
        scene, rig = bpy.context.scene, bpy.context.object
        action = rig.animation_data.action
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        row.faults.append(f"does not open: {str(error).strip().splitlines()[-1]}")
        return row
    first, last = (round(value) for value in action.frame_range)
    row.frames, row.fps = last - first + 1, scene.render.fps / scene.render.fps_base
    if (first, last) != (1, frames) or scene.frame_end < frames:
        row.faults.append(f"frames {first}..{last}, scene to {scene.frame_end}, file {frames}")
    if abs(row.fps - fps) > 1e-4 * fps:
        row.faults.append(f"{row.fps:.4f} fps, file {fps:.4f}")
    missing = [name for name in (HEAD, *FEET, *HIPS) if name not in rig.pose.bones]
    if missing:
        row.faults.append(f"no bone {', '.join(missing)}")
        return row
    upright, height, east, north = 0, 0.0, 0.0, 0.0
    for frame in range(first, last + 1):
        scene.frame_set(frame)
        seen = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        place = {name: seen.matrix_world @ seen.pose.bones[name].head for name in (HEAD, *FEET, *HIPS)}
        upright += all(place[HEAD].z > place[foot].z for foot in FEET)
        height += (place[HEAD].z - min(place[foot].z for foot in FEET)) / row.frames
        left = place[HIPS[0]] - place[HIPS[1]]
        length = math.hypot(left.x, left.y) or 1.0
        # The person's front is left x up = (left.y, -left.x); seen from -y, "front" is (0, -1) and their left is +x.
        east, north = east + left.y / length, north - left.x / length
    row.upright, row.height = upright / row.frames, height
    row.facing = math.degrees(math.atan2(east, -north))
    if row.upright < UPRIGHT_SHARE:
        row.faults.append(f"upright in {row.upright:.0%} of the frames only")
    if expect in FACING:
        off = abs((row.facing - FACING[expect] + 180) % 360 - 180)
        if off > FACING_TOLERANCE:
            row.faults.append(f"faces {abs(row.facing):.0f} degrees off the front, {expect} expected")
    return row


def main(arguments: list[str] | None = None) -> int:
    """Check the files; the exit status."""
    parser = argparse.ArgumentParser(description="Opens BVH files in headless Blender and checks them.")
    parser.add_argument("files", nargs="+", help="BVH file, or FILE=front, FILE=back, FILE=any")
    parser.add_argument("--expect-facing", choices=["front", "back", "any"], default="any", help="for files without =")
    options = parser.parse_args(arguments)
    try:
        import bpy
    except ImportError as error:
        print(f"needs Blender's Python module: pip install 'bpy==4.5.*' ({error})", file=sys.stderr)
        return 1
    rows = []
    for name in options.files:
        path, _, expect = name.rpartition("=") if name.endswith(("=front", "=back", "=any")) else (name, "", "")
        rows.append(open_file(bpy, Path(path), expect or options.expect_facing))
    print(f"\nBlender {bpy.app.version_string}\n")
    print("| file | frames | fps | upright | facing (deg from front) | head above foot | verdict |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        facing = round(row.facing) if round(row.facing) != -180 else 180
        print(
            f"| {row.path.name} | {row.frames} | {row.fps:.3f} | {row.upright:.0%} | {facing} | {row.height:.2f} "
            f"| {'; '.join(row.faults) or 'good'} |"
        )
    return int(any(row.faults for row in rows))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Blender's module can hang while the interpreter shuts down; everything is written by now.
    os._exit(status)
