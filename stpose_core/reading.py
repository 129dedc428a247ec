"""What the readers of files share. Files are not trusted: time and memory grow with their size, never with what they claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError

# Numbers that a table may have for each one that its file holds, and in any case: joints without channels rest.
_SPARSE, _ALWAYS = 2, 100_000


def read_bytes(path: str | Path) -> bytes:
    """The content of a file. Raises FormatError if there is none, or if it is something else: a pipe or a device never ends."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise FormatError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise FormatError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_text(path: str | Path) -> str:
    """The content of a file in UTF-8, with a mark in the place of bytes that are none. Raises FormatError as `read_bytes`."""
    return read_bytes(path).decode("utf-8-sig", errors="replace")


def numbers(words: Sequence[str]) -> Array:
    """(N,) finite numbers, one for each word. Raises ValueError at the first word that is none."""
    # Not np.array(words), in whose text every word takes as much memory as the longest.
    values = np.fromiter(map(float, words), np.float64, len(words))
    if not np.isfinite(values).all():
        raise ValueError(f"'{words[int(np.argmin(np.isfinite(values)))][:40]}' is no number")
    return values


def check_table(path: str | Path, frames: int, columns: int, given: int) -> None:
    """Raises FormatError if a table of frames x columns is far larger than the `given` numbers that it is made from."""
    if frames * columns > _SPARSE * given + _ALWAYS:
        raise FormatError(f"{path}: {columns} joints in {frames} frames are far more than its {given} numbers describe")


def one_line(error: object, most: int = 200) -> str:
    """The message of an error as one line of at most `most` characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


@contextmanager
def expected(what: str) -> Iterator[None]:
    """Content of another type or shape than the block takes for granted raises FormatError, which begins with `what`."""
    try:
        yield
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise FormatError(f"{what} does not hold what is expected ({one_line(repr(error))})") from error
