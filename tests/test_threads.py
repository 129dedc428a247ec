"""Lifting uses one thread, and leaves the process as it was."""

from __future__ import annotations

from threading import Event, Thread

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - the BLAS whose threads are counted
from threadpoolctl import threadpool_info, threadpool_limits

from stpose_core.threads import one_thread


def counts() -> dict[str, int]:
    """The threads of each BLAS that is loaded."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def before() -> dict[str, int]:
    """What is to be restored. A BLAS keeps a number that another thread has set, so that not all of them may have two."""
    np.zeros((2, 2)) @ np.zeros((2, 2))
    found = counts()
    if max(found.values()) < 2:
        pytest.skip("every BLAS here has one thread anyway")
    return found


@one_thread()
def _counted() -> dict[str, int]:
    with one_thread():
        assert set(counts().values()) == {1}
    return counts()


def test_the_number_of_threads_is_restored() -> None:
    with threadpool_limits(2, user_api="blas"):
        usual = before()
        one = dict.fromkeys(usual, 1)
        assert [_counted(), counts(), _counted(), counts()] == [one, usual, one, usual]


def test_blocks_in_several_threads_leave_the_number_as_it_was() -> None:
    inside, leave = Event(), Event()

    def held() -> None:
        with one_thread():
            inside.set()
            leave.wait(30)

    with threadpool_limits(2, user_api="blas"):
        usual = before()
        other = Thread(target=held)
        with one_thread():
            other.start()
            assert inside.wait(30)
        leave.set()
        other.join(30)
        assert counts() == usual
