"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the processors: threads that wait for others of their process spin, and training takes twice as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
PROCESSORS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None  # before conftest.py of folders is read

# Files with tests that train networks, render, or start many processes: about half the time of the suite.
SLOW = {
    "test_adapt",
    "test_batch",
    "test_benchmark_adapt",
    "test_benchmark_lifter",
    "test_critic",
    "test_demo",
    "test_detector_recipe",
    "test_faults",
    "test_finder",
    "test_graph",
    "test_heatmaps",
    "test_heatmaps_training",
    "test_labelled",
    "test_live",
    "test_live_senders",
    "test_networks",
    "test_pieces",
    "test_setup",
    "test_spatial",
    "test_spatial_feed",
    "test_spatial_footage",
    "test_synth",
    "test_synth_people",
    "test_train_contacts",
    "test_train_lifter",
    "test_train_spatial",
}


@pytest.fixture(scope="session")
def processors() -> set[int]:
    """The processors that the tests were started on."""
    if PROCESSORS is None:
        pytest.skip("this system does not tell")
    return PROCESSORS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of these files as slow."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks that tests compile are not kept among the user's, nor taken from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STPOSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def reading() -> Iterator[Any]:
    """Reads files in another process, and measures time and memory."""
    from hostile_kit import Reading

    if not Path("/proc/self/clear_refs").is_file():
        pytest.skip("peak memory is measured with /proc of Linux")
    child = Reading()
    yield child
    child.process.terminate()
    child.process.wait()
