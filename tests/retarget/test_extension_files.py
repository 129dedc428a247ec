"""The extension as its zip holds it: the shared package is in it, and runs without stpose."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from build_addon import stage


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage(tmp_path_factory.mktemp("staged") / "blender_addon")


def test_every_module_that_the_extension_imports_is_in_it(staged: Path) -> None:
    wanted = set()
    for file in staged.rglob("*.py"):
        for dots, name in re.findall(r"^\s*from (\.+)([\w.]+) import", file.read_text(encoding="utf-8"), re.MULTILINE):
            home = file.parents[len(dots) - 1]
            wanted.add(home.joinpath(*name.split(".")))
    assert len(wanted) > 30
    assert staged / "retarget" / "solver" in wanted
    assert [str(path) for path in wanted if not path.with_suffix(".py").exists() and not path.is_dir()] == []


def test_the_shared_package_runs_without_stpose(staged: Path) -> None:
    lines = [
        "import sys; sys.path.insert(0, sys.argv[1])",
        "import retarget.footlock, retarget.motion, retarget.bonemap",
        "assert len(retarget.bonemap.load_families()) >= 22",
        "assert not [name for name in sys.modules if name.startswith('stpose')]",
    ]
    subprocess.run([sys.executable, "-I", "-c", "\n".join(lines), str(staged)], check=True)
