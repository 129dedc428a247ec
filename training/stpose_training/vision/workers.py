"""Samples drawn in separate processes: threads of one process draw hardly more than one thread does, too few for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stpose_core.errors import StposeError

T = TypeVar("T")


class _Stream(IterableDataset["T | StposeError"]):
    """What one process draws: its own iterator, made from its own seed. A StposeError arrives as the last item: raised in the
    process, its message would be wrapped in the tracebacks of both processes."""

    def __init__(self, make: Callable[[int], Iterator[T]], seed: int) -> None:
        self._make, self._seed = make, seed

    def __iter__(self) -> Iterator[T | StposeError]:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        own = get_worker_info()
        try:
            yield from self._make((self._seed + 1_000_003 * (own.id if own else 0)) % (1 << 62))
        except StposeError as error:
            yield error


def _as_drawn(drawn: T) -> T:
    return drawn


def in_processes(make: Callable[[int], Iterator[T]], workers: int, seed: int) -> Generator[T, None, None]:
    """What `workers` processes draw, in turn; without workers, what this process draws.

    make: makes an endless iterator from a seed. It must be picklable (a function of a module, or `functools.partial` of one),
    as must its items; tensors pass through shared memory. Closing the iterator ends the processes. Errors of a process are
    raised here.
    """
    if not workers:
        yield from make(seed)
        return
    # Spawned, because a fork of a process that uses CUDA or threads may hang.
    stream = _Stream(make, seed)
    loader = DataLoader(stream, None, num_workers=workers, collate_fn=_as_drawn, multiprocessing_context="spawn")
    for drawn in loader:
        if isinstance(drawn, StposeError):
            raise drawn
        yield drawn
