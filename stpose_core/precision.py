"""Whether this processor is faster in half precision than in single precision, by a short measurement.

A processor that has instructions for bfloat16 need not be faster in it: without AMX, networks of convolutions were measured to take
1.2 to 1.4 times as long, as every layer converts its inputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

GAIN = 1.2
"""How many times as fast half precision must be to be chosen: for less it is not worth its rounding."""
_ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Processor time of one piece of work, milliseconds: in single precision and in half precision (bfloat16, float16)."""

    single: float
    half: float

    @property
    def half_pays(self) -> bool:
        return self.single > GAIN * self.half


def measure(single: Callable[[], object], half: Callable[[], object]) -> Timing:
    """Run both in turns, after one run of each that prepares.

    Processor time of all threads is summed: unlike time on the clock, other work on the machine hardly changes it, and a sum does
    not suffer from systems that count it in steps of 16 ms.
    """
    single()
    half()
    taken = [0.0, 0.0]
    for _ in range(_ROUNDS):
        for index, run in enumerate((single, half)):
            began = time.process_time()
            run()
            taken[index] += time.process_time() - began
    return Timing(*(1000 * seconds / _ROUNDS for seconds in taken))
