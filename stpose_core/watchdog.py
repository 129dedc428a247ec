"""A watchdog over steps that can hang in code of other libraries, such as the decoding of a packet by FFmpeg.

A thread that hangs in such code cannot be stopped, only its process can. So a program that owns its process starts the watchdog;
without it, steps are not watched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# The step that each thread is in: a new object for every step.
_steps: dict[int, tuple[object, Path]] = {}


@contextmanager
def step(path: Path) -> Iterator[None]:
    """A step in the work on a file that normally takes far less than a second."""
    thread = threading.get_ident()
    _steps[thread] = (object(), path)
    try:
        yield
    finally:
        _steps.pop(thread, None)


@contextmanager
def watching(seconds: float, hung: Callable[[Path], None]) -> Iterator[None]:
    """Within the block, call `hung` from another thread with the file of a step that takes longer than `seconds`."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(seconds, hung, ended), name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(seconds: float, hung: Callable[[Path], None], ended: threading.Event) -> None:
    # Rounds of this thread are counted, not the clock: they stop with the process when it is suspended.
    pause = min(1.0, seconds / 4)
    ages: dict[int, tuple[object, float]] = {}
    while not ended.wait(pause):
        current = dict(_steps)
        ages = {
            thread: (mark, ages[thread][1] + pause if thread in ages and ages[thread][0] is mark else 0.0)
            for thread, (mark, _) in current.items()
        }
        for thread, (_, age) in ages.items():
            if age >= seconds:
                hung(current[thread][1])
                return
