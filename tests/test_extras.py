"""The command that adds an extra to this copy: from a source folder, and from a wheel, whose source is not there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packed import ROOT, packed

from stpose_core import extras
from stpose_core.extras import install_command

START = "install it with: "
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="the command is run by a POSIX shell")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder like site-packages: the module that answers, and this version's metadata."""
    site = tmp_path / "site"
    copy_module(site)
    packed(site)
    return site


def copy_module(folder: Path) -> None:
    """A copy of the module that answers, to be imported from this folder."""
    (folder / "stpose_core").mkdir(parents=True)
    for name in ("__init__.py", "extras.py"):
        shutil.copy(ROOT / "stpose_core" / name, folder / "stpose_core" / name)


def told_by(site: Path, extra: str) -> str:
    """What the copy in that folder says, in a process of its own."""
    code = f"from stpose_core.extras import how_to_install; print(how_to_install({extra!r}))"
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.check_output([sys.executable, "-c", code], cwd=site, env=environment, text=True).strip()


@on_posix
def test_a_source_folder_is_installed_again_with_the_extra(tmp_path: Path) -> None:
    source = tmp_path / "my projects" / "stpose"
    copy_module(source)
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, source / name)
    command = told_by(source, "onnx").removeprefix(START)
    assert shlex.split(command)[-4:] == ["-c", f"{source}/constraints.txt", "-e", f"{source}[onnx]"]
    # Whether pip takes it, from another folder: all but the downloads.
    trial = f"{command} --dry-run --no-deps --no-build-isolation --no-index --disable-pip-version-check"
    run = subprocess.run(trial, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Would install stpose" in run.stdout


@pytest.mark.parametrize(
    ("extra", "packages"),
    [("fast", ["openvino>=2024.4", "platformdirs>=4"]), ("onnx", ["onnxruntime>=1.17", "platformdirs>=4"])],
)
def test_of_an_installed_wheel_the_packages_are_named(installed: Path, extra: str, packages: list[str]) -> None:
    words = shlex.split(told_by(installed, extra).removeprefix(START))
    assert words[words.index("install") + 1 :] == packages


def test_requirements_that_another_python_has_are_left_out(installed: Path) -> None:
    metadata = next(installed.glob("*.dist-info")) / "METADATA"
    text, changes = re.subn(r"python_version < .3\.13.", 'python_version < "3"', metadata.read_text(encoding="utf-8"))
    assert changes == 1
    metadata.write_text(text, encoding="utf-8")
    assert told_by(installed, "mediapipe") == "its packages are not available for Python {}.{}".format(*sys.version_info)


def test_metadata_that_knows_no_such_extra_is_not_believed(installed: Path) -> None:
    assert told_by(installed, "hands") == "install the packages of stpose's extra 'hands'"


@on_posix
def test_the_command_installs_where_stpose_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Started by its path, as Blender starts it: the shell's pip is another's, or there is none.
    here = tmp_path / "my env" / "bin" / "python"
    here.parent.mkdir(parents=True)
    other = tmp_path / "other" / "pip"
    other.parent.mkdir()
    for file in (here.with_name("pip"), other):
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(here))
    monkeypatch.setenv("PATH", str(other.parent))
    assert shlex.split(install_command("a>=1")) == [str(here), "-m", "pip", "install", "a>=1"]
    monkeypatch.setenv("PATH", f"{here.parent}{os.pathsep}{other.parent}")
    assert install_command("a>=1") == "pip install 'a>=1'"
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert shlex.split(install_command("a")) == ["uv", "pip", "install", "--python", str(here), "a"]


def test_no_other_place_says_how_an_extra_is_installed() -> None:
    places = [ROOT / "stpose_core", ROOT / "cli", ROOT / "training", ROOT / "blender_addon"]
    files = [path for place in places for path in place.rglob("*.py") if path != Path(extras.__file__)]
    assert len(files) > 100
    assert [path for path in files if re.search(r"pip install ['\"]?(\.|stpose|mediapipe|rtmlib)", path.read_text("utf-8"))] == []
