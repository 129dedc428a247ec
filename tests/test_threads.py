"""Lifting uses one thread, and leaves the process as it was."""

from __future__ import annotations

from threading import Event, Thread

import numpy as np
import scipy.linalg  # noqa: F401 - the BLAS whose threads are counted
from threadpoolctl import threadpool_info, threadpool_limits

from stpose_core.threads import one_thread


def counts() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@one_thread()
def _counted() -> set[int]:
    with one_thread():
        assert counts() == {1}
    return counts()


def test_the_number_of_threads_is_restored() -> None:
    np.zeros((2, 2)) @ np.zeros((2, 2))
    with threadpool_limits(2, user_api="blas"):
        assert [_counted(), counts(), _counted(), counts()] == [{1}, {2}, {1}, {2}]


def test_blocks_in_several_threads_leave_the_number_as_it_was() -> None:
    inside, leave = Event(), Event()

    def held() -> None:
        with one_thread():
            inside.set()
            leave.wait(30)

    with threadpool_limits(2, user_api="blas"):
        other = Thread(target=held)
        with one_thread():
            other.start()
            assert inside.wait(30)
        leave.set()
        other.join(30)
        assert counts() == {2}
