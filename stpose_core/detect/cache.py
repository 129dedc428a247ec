"""Folders that are kept in the user's cache for the next start: as they were sealed or not at all, the oldest dropped in time.

Nothing here has to work: without a folder to write to, nothing is kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from importlib import import_module
from pathlib import Path

MOST_BYTES = 400_000_000
"""Of all that is kept; what was not used for longest is dropped first."""
SUFFIXES = (".network", ".timing")
"""Of the names of kept folders."""
_SEAL = "seal"
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`networks` in STPOSE_CACHE, or in the system's place for a user's caches. Raises RuntimeError where there is none, as for a
    user without a home, ImportError without the package platformdirs."""
    named = os.environ.get("STPOSE_CACHE")
    return Path(named or import_module("platformdirs").user_cache_dir("stpose", appauthor=False)) / "networks"


def opened(name: str) -> Path | None:
    """The kept folder of this name, which ends in one of SUFFIXES; made, and emptied of files that are not as they were sealed.
    None where there is no such folder to be had."""
    try:
        folder = cache_folder() / name
        folder.mkdir(parents=True, exist_ok=True)
        if _sealed(folder) != _digest(folder):
            for file in folder.iterdir():
                file.unlink()
    except (OSError, ImportError, RuntimeError) as error:
        _log.debug("%s is not kept: %s", name, error)
        return None
    with suppress(OSError):  # a folder that others keep for this user
        os.utime(folder)
    return folder


def seal(folder: Path) -> None:
    """Keep the files in an opened folder as they are now, and drop the oldest folders of too many bytes."""
    try:
        (folder / _SEAL).write_text(_digest(folder), encoding="ascii")
        kept = [entry for entry in folder.parent.iterdir() if entry.suffix in SUFFIXES and entry.is_dir()]
        total = 0
        for entry in sorted(kept, key=lambda entry: entry.stat().st_mtime, reverse=True):
            total += sum(file.stat().st_size for file in entry.iterdir())
            if total > MOST_BYTES and entry != folder:
                shutil.rmtree(entry)
    except OSError as error:  # another process drops the same ones
        _log.debug("%s is not kept: %s", folder, error)


def _sealed(folder: Path) -> str:
    seal = folder / _SEAL
    return seal.read_text(encoding="ascii", errors="replace") if seal.is_file() else ""


def _digest(folder: Path) -> str:
    """A hash of the files in a folder, without the seal."""
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.name != _SEAL:
            content = file.read_bytes()
            total.update(f"{file.name} {len(content)} ".encode())
            total.update(content)
    return total.hexdigest()
