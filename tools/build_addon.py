"""Build and validate the Blender extension: dist/stpose-<version>.zip.

The zip holds blender_addon and, as its package `retarget`, a copy of stpose_core/retarget: Blender has no stpose_core.

Run with a Python that has `bpy` (pip install bpy), or give a Blender: python tools/build_addon.py [--blender PATH] [--out dist]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release import version_of

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "blender_addon"
SHARED = ROOT / "stpose_core" / "retarget"


def packager(blender: str | None) -> list[str]:
    """The command that knows `build` and `validate`. Raises SystemExit where neither bpy nor a Blender is there."""
    if blender:
        return [blender, "--command", "extension"]
    found = importlib.util.find_spec("bpy")
    places = (
        list(Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")) if found and found.origin else []
    )
    if not places:
        raise SystemExit("no bpy in this Python: pip install bpy, or give --blender PATH")
    return [sys.executable, str(places[0])]


def stage(folder: Path) -> Path:
    """Put the whole extension into a folder, which must not exist. Returns the folder."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SHARED, folder / SHARED.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def build(out: Path, blender: str | None = None) -> Path:
    """Build, validate, and give the zip. Raises SystemExit if the versions differ, CalledProcessError if a step fails."""
    version = version_of(ROOT)
    out.mkdir(parents=True, exist_ok=True)
    command = packager(blender)
    with tempfile.TemporaryDirectory() as work:
        whole = stage(Path(work) / SOURCE.name)
        subprocess.run([*command, "validate", str(whole)], check=True)
        subprocess.run([*command, "build", "--source-dir", str(whole), "--output-dir", str(out)], check=True)
    file = out / f"stpose-{version}.zip"
    subprocess.run([*command, "validate", str(file)], check=True)
    return file


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--blender", help="a Blender to build with, instead of bpy")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--stage", metavar="FOLDER", type=Path, help="only put the sources into this folder, without Blender")
    options = parser.parse_args()
    print(stage(options.stage) if options.stage else build(options.out, options.blender))
