"""Where training computes in bfloat16: where that is faster than single precision."""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE = 256  # of the matrices that are multiplied to find out
_ROUNDS = 5
_GAIN = 1.2  # what bfloat16 must be worth to be taken: about as fast is not worth its rounding


@cache
def pays_in_bfloat16(device: str) -> bool:
    """Whether "cpu", "cuda" or "mps" is faster in bfloat16.

    Measured on a processor, which takes a fraction of a second: torch computes in bfloat16 on all of them, but multiplies matrices
    a hundred times slower on those without instructions for it, as those of many laptops.
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
