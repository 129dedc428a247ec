"""What Blender finds in .glb, .usdc and .fbx: joints within a millimetre. STPOSE_BLENDER names a Python that has bpy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from test_formats_glb import MILLIMETRE, body_motion

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import OutputError
from stpose_core.formats import fbx, save
from stpose_core.formats.fbx import BLENDER

CHILD = """
import json, os, sys
import bpy
path, fps, frames = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = fps
kind = path.rsplit(".", 1)[1]
{"glb": bpy.ops.import_scene.gltf, "fbx": bpy.ops.import_scene.fbx}.get(kind, bpy.ops.wm.usd_import)(filepath=path)
found, first = [], {"fbx": 1}.get(kind, 0)
for armature in sorted((one for one in bpy.data.objects if one.type == "ARMATURE"), key=lambda one: one.name):
    places = []
    for frame in frames:
        scene.frame_set(frame + first)
        places.append({bone.name: list(armature.matrix_world @ bone.head) for bone in armature.pose.bones})
    found.append(places)
meshes = [one for one in bpy.data.objects if one.type == "MESH"]
print("FOUND " + json.dumps({"people": found, "meshes": len(meshes), "rate": scene.render.fps / scene.render.fps_base}))
sys.stdout.flush()
os._exit(0)
"""


def python_with_bpy() -> str | None:
    named = os.environ.get(BLENDER, "")
    if Path(named).name.startswith("python"):
        return named
    return sys.executable if find_spec("bpy") else None


needs_bpy = pytest.mark.skipif(python_with_bpy() is None, reason="bpy is not installed, and STPOSE_BLENDER names no Python with it")


def errors_in_blender(path: Path, people: list[Motion], frames: tuple[int, ...] = (0, 7, 29)) -> list[float]:
    """The largest distance in metres of any joint of each person, at some frames."""
    words = [str(python_with_bpy()), "-c", CHILD, str(path), str(round(people[0].fps)), json.dumps(frames)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    assert line is not None, done.stderr[-2000:]
    found = json.loads(line.removeprefix("FOUND "))
    assert len(found["people"]) == len(people), [list(one[0]) for one in found["people"]]
    assert found["meshes"] >= len(people)
    assert found["rate"] == pytest.approx(people[0].fps, rel=1e-3)
    errors = []
    for person, motion in zip(found["people"], people):
        places = forward_kinematics(motion)
        worst = 0.0
        for frame, bones in zip(frames, person):
            for joint, name in enumerate(motion.names):
                if name in bones:
                    x, y, z = bones[name]
                    worst = max(worst, float(np.linalg.norm([x, z, -y] - places[frame, joint])))
        assert sum(name in person[0] for name in motion.names) >= 22
        errors.append(worst)
    return errors


@needs_bpy
@pytest.mark.parametrize("suffix", [".glb", ".usdc", ".fbx"])
def test_blender_finds_the_joints_within_a_millimetre(suffix: str, tmp_path: Path) -> None:
    people = [body_motion(seed=1), body_motion(seed=2)]
    path = tmp_path / f"a{suffix}"
    save(people, path)
    assert max(errors_in_blender(path, people)) < MILLIMETRE
    # The control: the two people are not alike.
    assert min(errors_in_blender(path, people[::-1])) > MILLIMETRE


def test_without_blender_a_fbx_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BLENDER, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fbx, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"a \.fbx needs Blender: put it on the search path, name it in STPOSE_BLENDER") as caught:
        save(body_motion(frames=2), tmp_path / "a.fbx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["#!/bin/sh\necho something is wrong >&2\nexit 1\n", "#!/bin/sh\nexit 0\n", "no program"])
def test_a_blender_that_fails_is_one_line_and_leaves_no_file(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "blender"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv(BLENDER, str(program))
    with pytest.raises(OutputError, match=r"cannot write .*/a\.fbx: Blender (failed|does not run)") as caught:
        save(body_motion(frames=2), tmp_path / "a.fbx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [program]
