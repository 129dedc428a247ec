"""FBX: skeletons with their motion and a dressed figure each, for Maya, MotionBuilder, Unreal and Unity; written by Blender.

FBX is a closed format without a small library, so Blender's exporter writes it, in a process of its own: the figure goes there as
a .glb. Blender is the package bpy, the program `blender` on the search path, or what the variable STPOSE_BLENDER names: the
program, or a Python that has bpy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from stpose_core.data import Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.extras import how_to_install
from stpose_core.formats import motion_of
from stpose_core.formats.glb import write_glb
from stpose_core.reading import one_line

BLENDER = "STPOSE_BLENDER"
_SCRIPT = Path(__file__).with_name("fbx_script.py")
_LONGEST = 900.0  # s


def write(people: Sequence[Motion | Capture], path: str | Path, units: str = "cm") -> None:
    """Write the motions of people, as a `Format` does; units as Blender writes them, centimetres.

    All people get the frame rate of the first. Raises OutputError if there is no Blender, or if it fails.
    """
    command = blender_command()
    motions = [motion_of(person) for person in people]
    with TemporaryDirectory(prefix="stpose-fbx-") as folder:
        scene = Path(folder) / "scene.glb"
        write_glb(motions, scene)
        seconds = max((len(motion) - 1) / motion.fps for motion in motions)
        rate = motions[0].fps
        words = [*command, str(scene), str(Path(path).absolute()), repr(rate), str(round(seconds * rate) + 1)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_LONGEST, cwd=folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutputError(f"cannot write {path}: Blender does not run: {one_line(error)}") from error
    if done.returncode or not Path(path).is_file():
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise OutputError(f"cannot write {path}: Blender failed: {one_line(lines[-1] if lines else 'no message')}")


def check_packages(suffix: str) -> None:
    """Raise OutputError if there is no Blender."""
    blender_command()


def blender_command() -> list[str]:
    """The words that run the script which exports. Raises OutputError if there is no Blender."""
    chosen = os.environ.get(BLENDER)
    if chosen:
        python = Path(chosen).name.lower().startswith("python")
        return _python(chosen) if python else _program(chosen)
    if find_spec("bpy"):
        return _python(sys.executable)
    program = shutil.which("blender")
    if program:
        return _program(program)
    raise OutputError(f"a .fbx needs Blender: put it on the search path, name it in {BLENDER}, or {how_to_install('blender')}")


def _python(interpreter: str) -> list[str]:
    # -P: the folder of the script holds modules named json and csv, which are not those of the library.
    return [interpreter, "-P", str(_SCRIPT)]


def _program(program: str) -> list[str]:
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(_SCRIPT), "--"]
