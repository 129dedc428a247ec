"""Keeping libraries that log from C++ off standard error, which is for the command's own words."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """What is written to file descriptor 2 in this block is lost; Python's own errors are raised as ever."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all, as in a windowed program
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
