"""Samples drawn in processes. Not collected with the others: `test_spatial_feed.py` runs it in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from stpose_training.spatial.feed import Source, feed
from stpose_training.spatial.recipe import Recipe
from stpose_training.synth.cache import shards
from stpose_training.synth.pictures import VISIBLE
from stpose_training.vision.workers import in_processes
from test_train_spatial import SIZE, write_cache

from stpose_core.errors import FormatError

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "cache")


def own_process(seed: int) -> Iterator[tuple[int, int]]:
    while True:
        yield os.getpid(), seed


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_draw_each_its_own_and_end_with_the_iterator() -> None:
    drawn = in_processes(own_process, 2, 5)
    found = {next(drawn) for _ in range(6)}
    (first, own), (second, other) = found
    assert len({first, second, os.getpid()}) == 3
    assert own != other, "else both would draw the same samples"
    drawn.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    while (alive(first) or alive(second)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(first)
    assert not alive(second)


def test_a_process_draws_what_a_thread_does(cache: Path) -> None:
    batches = []
    for workers in (0, 1):
        samples = feed(Source(cache, SIZE), batch=8, seed=3, device=CPU, recipe=Recipe(workers=workers))
        batches.append([next(samples) for _ in range(2)])
        samples.close()  # type: ignore[attr-defined]
    for one, other in zip(*batches):
        assert torch.equal(one.pictures, other.pictures)
        assert torch.equal(one.joints, other.joints)
        assert torch.equal(one.state, other.state)


def test_a_process_hears_how_hard_samples_are_to_be(cache: Path) -> None:
    hard = [0.0]
    samples = feed(Source(cache, SIZE), batch=64, seed=3, device=CPU, recipe=Recipe(workers=1), hardness=lambda: hard[0])

    def unseen() -> float:
        return float(sum((next(samples).state != VISIBLE).float().mean() for _ in range(4)) / 4)

    easy, hard[0] = unseen(), 1.0
    for _ in range(8):
        next(samples)  # drawn ahead
    assert unseen() > 1.3 * easy
    samples.close()  # type: ignore[attr-defined]


def test_what_is_wrong_in_a_process_is_told_in_one_line(cache: Path) -> None:
    for path in shards(cache, "train"):
        path.write_bytes(b"no shard")
    with pytest.raises(FormatError, match=r"^\S+ is not a shard of rendered pictures: [^\n]*$"):
        next(feed(Source(cache, SIZE), batch=8, seed=0, device=CPU, recipe=Recipe(workers=1)))
