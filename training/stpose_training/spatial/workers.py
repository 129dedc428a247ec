"""Samples drawn in processes of their own: threads of one process draw hardly more than one of them would, too few for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stpose_core.errors import StposeError

T = TypeVar("T")


class _Stream(IterableDataset["T | StposeError"]):
    """What one process draws: its own iterator, made of its own seed. An error of the user's comes as the last thing drawn: raised
    there, it would arrive with the story of two processes around it."""

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


def in_processes(make: Callable[[int], Iterator[T]], workers: int, seed: int) -> Iterator[T]:
    """What `workers` processes draw, by turns; with none of them, what this process draws.

    make: of a seed, an iterator without end; it can be pickled (a function of a module, or `functools.partial` of one), and so can
    what it draws: tensors pass through shared memory. Closing the iterator ends the processes. What one of them raises is raised
    here.
    """
    if not workers:
        yield from make(seed)
        return
    # Not forked: a copy of a process that uses CUDA or threads may hang.
    stream = _Stream(make, seed)
    loader = DataLoader(stream, None, num_workers=workers, collate_fn=_as_drawn, multiprocessing_context="spawn")
    for drawn in loader:
        if isinstance(drawn, StposeError):
            raise drawn
        yield drawn
