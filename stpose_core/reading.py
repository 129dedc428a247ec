"""Helpers for file readers. Files are untrusted: time and memory depend on the size of a file, not on the sizes it claims."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError

# A table may have this many values per number in its file (joints without channels do not move), and always this many in total.
_SPARSE, _ALWAYS = 2, 100_000


def read_bytes(path: str | Path) -> bytes:
    """The content of a file. Raises FormatError if it is missing or not a regular file: a pipe or a device may never end."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise FormatError(f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise FormatError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_text(path: str | Path) -> str:
    """The content of a UTF-8 file; invalid bytes become U+FFFD. Raises FormatError as `read_bytes` does."""
    return read_bytes(path).decode("utf-8-sig", errors="replace")


def read_list(path: str | Path) -> list[str]:
    """The names in a text file in UTF-8, one a line; blank lines are ignored.

    Raises FormatError if the file cannot be read, is no text, holds no name, or names another list (@LIST).
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"the list {path} is not text in UTF-8") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise FormatError(f"the list {path} names no file")
    nested = next((name for name in names if name.startswith("@")), None)
    if nested is not None:
        raise FormatError(f"the list {path} names another list: {nested:.200}")
    return names


def numbers(words: Sequence[str]) -> Array:
    """(N,) numbers, one for each word. Raises ValueError if a word is not a finite number."""
    # np.array(words) would store every word in as many bytes as the longest word.
    values = np.fromiter(map(float, words), np.float64, len(words))
    if not np.isfinite(values).all():
        raise ValueError(f"'{words[int(np.argmin(np.isfinite(values)))][:40]}' is not a number")
    return values


def check_table(path: str | Path, frames: int, columns: int, given: int) -> None:
    """Raise FormatError if a table of frames x columns is much larger than the `given` numbers that describe it."""
    if frames * columns > _SPARSE * given + _ALWAYS:
        raise FormatError(f"{path} describes {columns} joints in {frames} frames with only {given} numbers")


def one_line(error: object, most: int = 200) -> str:
    """The message of an error as one line of at most `most` characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


@contextmanager
def expected(what: str) -> Iterator[None]:
    """Convert errors caused by unexpected types, shapes or values in the block into a FormatError that begins with `what`."""
    try:
        yield
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, struct.error) as error:
        raise FormatError(f"{what} does not have the expected content ({one_line(repr(error))})") from error
