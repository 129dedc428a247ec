"""Extras: the optional packages of stpose, and the command that adds them to this copy of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement


def how_to_install(extra: str) -> str:
    """The end of a message about a missing package, such as "install it with: pip install mediapipe==0.10.21".

    extra: a name from pyproject.toml that adds packages, such as "mediapipe" or "train". From a source folder, the command installs
    the folder again with the extra, editable, with the versions in constraints.txt. A copy installed from a wheel has no source
    folder, and pip's index may lack stpose; then the command lists the packages in the metadata of the copy.
    """
    packages = _packages(extra)
    if packages == []:
        return f"its packages are not available for Python {sys.version_info[0]}.{sys.version_info[1]}"
    source = Path(__file__).resolve().parents[1]
    if _is_source(source):
        words = ["-c", str(source / "constraints.txt"), "-e", f"{source}[{extra}]"]
    elif packages is not None:
        words = packages
    else:
        return f"install the packages of stpose's extra '{extra}'"
    return f"install it with: {install_command(*words)}"


def install_command(*words: str) -> str:
    """A shell command that installs into the environment of this process, regardless of the active environment of the shell.

    words: the arguments of `pip install`, quoted where necessary.
    """
    return " ".join([_installer(), *map(_quoted, words)])


def _installer() -> str:
    on_path = shutil.which("pip")
    if on_path and Path(on_path).parent == Path(sys.executable).parent:
        return "pip install"
    if find_spec("pip"):
        return f"{_quoted(sys.executable)} -m pip install"
    return f"uv pip install --python {_quoted(sys.executable)}"  # environments made by uv have no pip


def _packages(extra: str) -> list[str] | None:
    """The requirements of an extra that apply to this Python; None if the metadata of this copy does not list the extra."""
    try:
        about = metadata.metadata("stpose")
    except metadata.PackageNotFoundError:
        return None
    if extra not in (about.get_all("Provides-Extra") or []):
        return None
    needed = [Requirement(text) for text in about.get_all("Requires-Dist") or []]
    optional = [one for one in needed if one.marker and not one.marker.evaluate({"extra": ""})]
    return [f"{one.name}{one.specifier}" for one in optional if one.marker and one.marker.evaluate({"extra": extra})]


def _is_source(folder: Path) -> bool:
    try:
        return 'name = "stpose"' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return False


def _quoted(word: str) -> str:
    if os.name != "nt":
        return shlex.quote(word)
    return word if re.fullmatch(r"[\w.:=/\\-]+", word) else f'"{word}"'
