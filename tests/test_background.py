"""Work ahead in threads: order, bounds, errors, and that threads end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import pytest

from stpose_core.background import ahead, results


def test_items_are_made_ahead_but_not_far() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = ahead(numbers(), size=3)
    assert next(items) == 0
    time.sleep(0.1)
    assert len(made) == 4, "three more than were asked for"
    assert list(items) == list(range(1, 100))


def test_items_are_made_in_another_thread_which_also_closes_them() -> None:
    threads: list[int] = []

    def own() -> Iterator[int]:
        try:
            for number in count():
                threads.append(threading.get_ident())
                yield number
        finally:
            threads.append(threading.get_ident())

    before = threading.active_count()
    for _ in ahead(own()):
        break
    assert threading.active_count() == before, "the thread has ended"
    length = len(threads)
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    time.sleep(0.05)
    assert len(threads) == length


def test_an_error_is_raised_at_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(items)
    assert list(ahead(iter([]))) == []


def slow_first(number: int) -> int:
    time.sleep(0.1 if number == 0 else 0.0)
    return number


def test_results_keep_the_order_of_the_calls_in_several_threads() -> None:
    assert list(results((partial(slow_first, number) for number in range(20)), threads=4)) == list(range(20))


def test_calls_run_at_the_same_time_and_are_dropped_at_the_end() -> None:
    together = threading.Barrier(3, timeout=5)
    ran: list[int] = []

    def meet(number: int) -> int:
        if number < 3:
            together.wait()  # returns only if three calls run at once
        else:
            time.sleep(0.01)
        ran.append(number)
        return number

    def calls() -> Iterator[Callable[[], int]]:
        for number in count():
            yield partial(meet, number)

    found = results(calls(), threads=3, size=50)
    assert next(found) == 0
    found.close()
    assert len(ran) < 50, "calls that had not begun are dropped"


def test_a_call_that_fails_does_not_stop_those_before_it() -> None:
    def fails() -> int:
        raise OSError("disk")

    found = results([partial(int, 1), fails, partial(int, 2)], threads=2)
    assert next(found) == 1
    with pytest.raises(OSError, match="disk"):
        next(found)
