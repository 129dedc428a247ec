"""Work that runs in background threads ahead of its use and arrives in order."""

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
    """The same items, made in one thread up to `size` items before they are asked for.

    An error of the iterable is raised here, at its place. Closing the generator stops the thread; a generator given as `items` is
    closed in that thread, because a decoder belongs to the thread that runs it.
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
    """What each call returns, in the order of the calls; up to `size` of them run or have run before they are asked for.

    calls: may be endless; it is iterated in the caller's thread. last: called in a thread of the pool at the end. An error of a
    call is raised here, at its place. Closing the generator drops the calls that have not begun and waits for those that run.
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
