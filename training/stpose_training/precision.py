"""Whether training computes in bfloat16: only where that is faster than single precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from stpose_core.detect.torch_runner import torch_threads
from stpose_core.networks.spatial import Block
from stpose_core.precision import measure

_SHAPE = (4, 32, 32, 24)  # features of a few small pictures: a step takes some 10 ms


@cache
def pays_in_bfloat16(device: str) -> bool:
    """Whether "cpu", "cuda" or "mps" is faster in bfloat16.

    On a CPU this is measured by training steps of a few layers, in a fraction of a second: torch computes in bfloat16 on every CPU,
    but is slower in it without AMX, and many times slower without any instructions for it.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    # Threads that wait for each other take processor time; the choice is the same for one.
    with torch_threads(1), torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        return measure(_step(torch.float32), _step(torch.bfloat16)).half_pays


def _step(kind: torch.dtype) -> Callable[[], object]:
    """A forward and a backward pass of two residual blocks."""
    network = nn.Sequential(*(Block(_SHAPE[1]) for _ in range(2))).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.rand(_SHAPE).contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
            loss = network(pictures).float().square().mean()
        loss.backward()

    return run
