"""Work in background threads that runs ahead of its use and is delivered in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import repeat
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterable[Item], size: int = 4) -> Generator[Item, None, None]:
    """The same items, produced in one thread up to `size` items ahead of their use.

    An error of the iterable is raised here, in its position. Closing the generator stops the thread. A generator given as `items`
    is closed in that thread, because a decoder belongs to the thread that runs it.
    """
    iterator = iter(items)
    calls = repeat(partial(next, iterator, _END))
    with closing(results(calls, size=size, last=getattr(iterator, "close", None))) as made:
        for item in made:
            if item is _END:
                return
            yield item


def results(
    calls: Iterable[Callable[[], Item]], *, threads: int = 1, size: int = 4, last: Callable[[], object] | None = None
) -> Generator[Item, None, None]:
    """The results of the calls, in order; up to `size` calls run or have run ahead of their use.

    calls: may be endless; it is iterated in the caller's thread. last: called in a thread of the pool at the end. An error of a
    call is raised here, in its position. Closing the generator drops the calls that have not begun and waits for running ones.
    """
    waiting: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for call in calls:
                waiting.append(pool.submit(call))
                if len(waiting) > size:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            if last is not None:
                pool.submit(last).result()
