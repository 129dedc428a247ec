"""Atomic writing of files: first under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission to write into {path.parent}")
    if there and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow overwriting")
    return path


@contextmanager
def written_whole(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix. It is renamed to `path` when the block ends, or removed if it fails.

    Raises OutputError if the file cannot be written, or exists and `overwrite` is not set.
    """
    path = check_output(path, overwrite)
    temporary = path.with_name(f".{path.stem[:50]}-{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
