"""A short measurement of whether this processor is faster in half precision than in single precision.

A processor with bfloat16 instructions is not necessarily faster with them: without AMX, convolutional networks took 1.2 to 1.4
times as long in measurements, because every layer converts its inputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

GAIN = 1.2
"""Speed-up from which half precision is chosen. A smaller one does not justify its rounding errors."""
_ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Processor time of one workload, milliseconds: in single precision and in half precision (bfloat16, float16)."""

    single: float
    half: float

    @property
    def half_pays(self) -> bool:
        return self.single > GAIN * self.half


def measure(single: Callable[[], object], half: Callable[[], object]) -> Timing:
    """Run both alternately, after one warm-up run of each.

    The processor time of all threads is summed: unlike wall time, it hardly depends on other work on the machine, and a sum is not
    affected by systems that count it in steps of 16 ms.
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
