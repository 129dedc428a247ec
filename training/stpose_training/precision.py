"""Whether training computes in bfloat16: only where that is faster than single precision."""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE = 256  # side of the matrices in the measurement
_ROUNDS = 5
_GAIN = 1.2  # speed-up from which bfloat16 is used: less is not worth its rounding errors


@cache
def pays_in_bfloat16(device: str) -> bool:
    """Whether "cpu", "cuda" or "mps" is faster in bfloat16.

    On a CPU this is measured, in a fraction of a second: torch computes in bfloat16 on every CPU, but a hundred times slower on
    those without instructions for it, as in many laptops.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    full, half = (_least_seconds(torch.ones(_SIDE, _SIDE, dtype=kind)) for kind in (torch.float32, torch.bfloat16))
    return full > _GAIN * half


def _least_seconds(matrix: torch.Tensor) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        taken.append(time.perf_counter() - start)
    return min(taken)
