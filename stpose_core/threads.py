"""One thread for the small products of lifting, fitting and animating."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block, or in the decorated function, BLAS and OpenMP use one thread.

    More do not pay for products this small, and on a busy machine they wait for each other: several took up to forty times as long.
    The number is the process's, and OpenBLAS does not take it back from another thread than the one that set it: nothing happens in
    other threads than the main one.
    """
    if current_thread() is not main_thread():
        yield
        return
    with threadpool_limits(1):
        yield
