"""Real Blender: the extension is built, installed from the zip into an empty user folder, and driven through its operators.

Run in a virtual environment with bpy: pytest tests/blender. Without bpy these tests are skipped.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "retarget"), str(ROOT / "tools"), str(Path(__file__).parent)]
USER = tempfile.TemporaryDirectory(prefix="stpose-blender-")
os.environ["BLENDER_USER_RESOURCES"] = USER.name
# More than one thread may dead-lock the dependency graph of bpy while Rigify generates. Before bpy starts its threads.
_processors = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
if _processors:
    os.sched_setaffinity(0, {max(_processors)})

try:
    import bpy
except ImportError:
    bpy = None
    collect_ignore_glob = ["test_*.py"]
    if _processors:
        os.sched_setaffinity(0, _processors)  # this process runs all other tests

_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, as a table; also written to the file that STPOSE_FIGURES names."""
    figures = sys.modules["scenes"].FIGURES if "scenes" in sys.modules else []
    if not figures:
        return
    terminalreporter.section(f"measured in Blender {bpy.app.version_string}")
    lines = [f"{what}: {value:.4g} {unit}" for what, value, unit in figures]
    terminalreporter.write("".join(line + "\n" for line in lines))
    if os.environ.get("STPOSE_FIGURES"):
        Path(os.environ["STPOSE_FIGURES"]).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Blender dead-locks at the end of the interpreter after some operators: leave without its goodbye."""
    if bpy is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        USER.cleanup()
        os._exit(_status)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built zip."""
    from build_addon import build

    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(package: Path) -> Path:
    """The zip, installed from disk and enabled."""
    import addon_utils

    addon_utils.enable("rigify", default_set=True)
    bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default", enable_on_install=True)
    return package


@pytest.fixture
def scene(installed: Path) -> bpy.types.Scene:
    """An empty scene at 30 frames a second."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 30
    bpy.context.scene.render.fps_base = 1.0
    return bpy.context.scene


@pytest.fixture(scope="session")
def rigify_file(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .blend with Rigify's human metarig and the rig generated from it: generating takes many seconds."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.object.armature_human_metarig_add()
    bpy.context.object.name = "metarig"
    bpy.ops.pose.rigify_generate()
    bpy.context.object.name = "rig"
    path = tmp_path_factory.mktemp("rigify") / "rigify.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path
