"""The tests themselves: no part of them slows down the rest."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.mark.skipif("bpy" in sys.modules, reason="real Blender is held to one processor")
def test_they_may_run_on_every_processor_that_they_were_started_on(processors: set[int]) -> None:
    assert os.sched_getaffinity(0) == processors, "tests/blender/conftest.py"
