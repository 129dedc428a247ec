"""The tests themselves: no part of them slows down the rest."""

from __future__ import annotations

import os


def test_they_may_run_on_every_processor_that_they_were_started_on(processors: set[int]) -> None:
    assert os.sched_getaffinity(0) == processors, "real Blender is held to one, where it is installed: tests/blender/conftest.py"
