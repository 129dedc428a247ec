"""The built-in detector's networks run by torch: on graphics cards, and where no runtime for ONNX graphs is installed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stpose_core.detect.sessions import spare_threads


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch works with so many threads within."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def folded(network: nn.Module) -> nn.Module:
    """A copy for use, in which every batch norm behind a convolution is part of it: the same outputs, half as many layers."""
    network = copy.deepcopy(network).eval()
    for layers in [layers for layers in network.modules() if isinstance(layers, nn.Sequential)]:
        for place, (layer, following) in enumerate(zip(list(layers), list(layers)[1:])):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                layers[place], layers[place + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()
    return network


class TorchRunner:
    """Runs a network in torch, in float32: a picture (1, 3, H, W) -> its outputs by name, those of its dataclass."""

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = folded(network).to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def description(self) -> str:
        return f"torch {torch.__version__} on {self._device}, in single precision"

    def __call__(self, picture: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        with torch_threads(spare_threads()), torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(picture)).to(self._device)
            output: Any = self._network(given.contiguous(memory_format=torch.channels_last))
            return {name: values.float().cpu().numpy() for name, values in vars(output).items()}
