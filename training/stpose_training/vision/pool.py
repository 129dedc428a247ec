"""Samples drawn in threads from a changing selection of a folder's shards."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from stpose_core.background import results
from stpose_core.errors import TrainingError
from stpose_training.synth.cache import Shard, read_shard, shards

Sample = TypeVar("Sample")

_MOST = 24  # shards of a pool


class Pool:
    """Up to 24 shards of a part of a folder, exchanged one by one in random order. The folder may grow meanwhile.

    Raises TrainingError if the folder has no shards of the part.
    """

    def __init__(self, folder: Path, part: str, random: np.random.Generator) -> None:
        self._folder, self._part, self._random = folder, part, random
        self._waiting: list[Path] = []
        self._shards: list[Shard] = []
        self._drawn = 0
        while len(self._shards) < min(_MOST, max(1, len(shards(folder, part)))):
            self._load()

    def drawn(self, count: int) -> tuple[tuple[Shard, ...], bool]:
        """The shards that the next `count` samples are drawn from, and whether one was exchanged: after every shard's worth."""
        self._drawn += count
        exchanged = self._drawn >= sum(len(shard.jpeg) for shard in self._shards) / len(self._shards)
        if exchanged:
            self._drawn = 0
            self._load()
        return tuple(self._shards), exchanged

    def _load(self) -> None:
        if not self._waiting:
            self._waiting = shards(self._folder, self._part)
            if not self._waiting:
                raise TrainingError(f"{self._folder} holds no rendered pictures yet: make some with stpose render")
            self._random.shuffle(self._waiting)  # type: ignore[arg-type]
        self._shards = [*self._shards, read_shard(self._waiting.pop())][-_MOST:]


def drawn(
    source: Callable[[int], Callable[[np.random.Generator], Sample]], *, batch: int, random: np.random.Generator, threads: int
) -> Generator[tuple[list[Sample], int], None, None]:
    """Endless batches of samples and a seed for each. Decoding and warping run in threads, which OpenCV allows side by side.

    source: for the number of samples of the next batch, a function that draws one of them.
    """

    def calls() -> Generator[Callable[[], list[Sample]], None, None]:
        while True:
            seeds = random.integers(1 << 62, size=batch).tolist()
            yield partial(_samples, source(batch), seeds)

    for samples in results(calls(), threads=threads, size=2 * threads):
        yield samples, int(random.integers(1 << 62))


def _samples(draw: Callable[[np.random.Generator], Sample], seeds: list[int]) -> list[Sample]:
    return [draw(np.random.default_rng(seed)) for seed in seeds]
