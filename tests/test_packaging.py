"""What goes into the wheel and the source distribution, by setuptools' own lists. tools/test_wheel.py builds and installs both."""

from __future__ import annotations

import subprocess
import sys

import pytest
from packed import ROOT, packed

PACKAGES = ("stpose_core", "cli/stpose_cli", "training/stpose_training")


@pytest.fixture(scope="module")
def packed_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return packed(tmp_path_factory.mktemp("packed"))


def files_below(*folders: str) -> set[str]:
    """All files in folders of the project, relative to it, but what Python and tools leave there."""
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_packages(packed_files: dict[str, set[str]]) -> None:
    expected = {name.removeprefix("cli/").removeprefix("training/") for name in files_below(*PACKAGES)}
    assert "stpose_training/presets/default.toml" in expected
    assert packed_files["wheel"] == expected


def test_the_source_distribution_holds_what_its_tests_need(packed_files: dict[str, set[str]]) -> None:
    expected = files_below(*PACKAGES, ".ci", "benchmarks", "blender_addon", "docs", "examples", "tests", "tools")
    expected |= {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "constraints.txt", "pyproject.toml"}
    assert "tests/retarget/conftest.py" in expected
    assert expected - packed_files["sdist"] == set()
    assert not [name for name in packed_files["sdist"] if name.endswith(".pyc")]


def test_the_mocap_that_the_check_of_the_wheel_trains_on_is_written_without_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import small_mocap"  # tools/test_wheel.py, in a bare environment
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", check=True)
