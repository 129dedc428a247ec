"""Files that are kept in the user's cache folder: whole or not at all, each with a hash of its content, the oldest dropped in time.

Nothing here has to work: without a folder to write to, nothing is kept and nothing is found.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from uuid import uuid4

MOST_BYTES = 400_000_000
"""Of files that are kept; those that were not used for longest are dropped first."""
_SUFFIXES, _DIGEST = (".network", ".timing"), 32
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`networks` in STPOSE_CACHE, or in the system's place for a user's caches. Raises RuntimeError where there is none, as for a
    user without a home, ImportError without the package platformdirs."""
    named = os.environ.get("STPOSE_CACHE")
    return Path(named or import_module("platformdirs").user_cache_dir("stpose", appauthor=False)) / "networks"


def read(name: str) -> bytes | None:
    """What is kept under a name; None if nothing is, or not as it was written."""
    place = _place(name)
    try:
        content = place.read_bytes() if place is not None else None
    except OSError:
        return None
    if place is None or content is None:
        return None
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        _log.debug("%s is damaged", place)
        return None
    try:
        os.utime(place)
    except OSError as error:  # one that others keep for this user, say
        _log.debug("%s cannot be marked as used: %s", place, error)
    return content[_DIGEST:]


def keep(name: str, content: bytes) -> None:
    """Write a file whole or not at all, and drop the oldest of too many bytes. The name ends in .network or .timing."""
    place = _place(name)
    if place is None:
        return
    # The suffix stays, so that a file that a killed process left is dropped in time, too.
    unfinished = place.with_name(f".{place.stem}-{uuid4().hex[:8]}{place.suffix}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(unfinished, place)
        kept = (file for file in place.parent.iterdir() if file.suffix in _SUFFIXES)
        files = sorted(((file.stat().st_mtime, file) for file in kept), reverse=True)
        total = 0
        for _, file in files:
            total += file.stat().st_size
            if total > MOST_BYTES and file != place:
                file.unlink()
    except OSError as error:
        _log.debug("%s is not kept: %s", place, error)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _place(name: str) -> Path | None:
    try:
        return cache_folder() / name
    except (OSError, ImportError, RuntimeError) as error:
        _log.debug("nothing is kept: %s", error)
        return None
