"""How the built-in detector's networks are run on a processor, one picture at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Arrays = tuple[NDArray[np.float32], ...]
Runner = Callable[[NDArray[np.float32]], Arrays]
"""Pictures (B, 3, H, W) -> the network's outputs, in the order of its dataclass."""


def torch_runner(network: nn.Module, device: str = "cpu") -> Runner:
    """The network in torch. On a processor it takes all cores but the one that decodes the video."""
    place = torch.device(device)
    network = network.eval().to(place, memory_format=torch.channels_last)
    threads = max(1, min(4, (os.cpu_count() or 1) - 1))

    def run(pictures: NDArray[np.float32]) -> Arrays:
        before = torch.get_num_threads()
        if place.type == "cpu" and before != threads:
            torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                output: Any = network(torch.from_numpy(pictures).to(place).contiguous(memory_format=torch.channels_last))
        finally:
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)
        return tuple(values.float().cpu().numpy() for values in vars(output).values())

    return run
