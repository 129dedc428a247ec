"""Atomic writing of files: first under a temporary name, then renamed.

The temporary name of `walk.bvh` is `.walk-HOST-PID-RANDOM.partial.bvh`. A process that is killed leaves it; the next one that
writes `walk.bvh` on the same host removes it, because it finds no process of that number.
"""

from __future__ import annotations

import glob
import os
import re
import socket
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from stpose_core.errors import OutputError


def check_output(path: str | Path, overwrite: bool = False) -> Path:
    """The path, if a file can be written there. Raises OutputError if not, or if it exists and `overwrite` is not set."""
    path = Path(path)
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:  # a name that the system rejects
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    if folder:
        raise OutputError(f"{path} is a folder; give a file name in it")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    try:
        check_folder(path.parent)
    except OutputError as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    if there and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow overwriting (--overwrite)")
    return path


def check_folder(folder: Path) -> None:
    """Raise OutputError if no file can be made in a folder. One is made and removed: permissions alone do not tell, for example
    of the superuser in a folder of a file system that takes no files."""
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (
            "no permission to write" if isinstance(error, PermissionError) else f"no file can be made ({error.strerror or error})"
        )
        raise OutputError(f"{reason} into {folder}") from error


@contextmanager
def written_whole(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix. It is renamed to `path` when the block ends, or removed if it fails.

    Raises OutputError if the file cannot be written, or exists and `overwrite` is not set.
    """
    path = check_output(path, overwrite)
    remove_partials(path)
    temporary = path.with_name(f"{_start(path)}{_host()}-{os.getpid()}-{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_partials(path: str | Path, every: bool = False) -> None:
    """Remove the temporary files of an output `path` whose processes were killed. every: all, if nothing can be writing `path`.

    A file that cannot be removed is left.
    """
    path = Path(path)
    named = re.compile(re.escape(_start(path)) + r"(\w+)-(\d{1,9})-\w+\.partial" + re.escape(path.suffix))
    for file in path.parent.glob(f"{glob.escape(_start(path))}*"):
        found = named.fullmatch(file.name)
        if found and (every or (found[1] == _host() and not _runs(int(found[2])))):
            with suppress(OSError):
                file.unlink()


def _start(path: Path) -> str:
    return f".{path.stem[:50]}-"


def _host() -> str:
    """Tells hosts that share a folder apart."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _runs(pid: int) -> bool:
    if sys.platform == "win32":  # there, os.kill ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
