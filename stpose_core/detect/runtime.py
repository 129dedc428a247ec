"""Runtimes of the built-in detector's networks: OpenVINO if it is installed, else torch.

`python benchmarks/runtimes.py` compares them; docs/benchmarks.md lists the results.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stpose_core.detect.prepared import Precision, compiled
from stpose_core.errors import DetectorError

Arrays = tuple[NDArray[np.float32], ...]
MOST_THREADS = 4  # more threads hardly help with networks this small


class Runner(Protocol):
    """Runs a network: pictures (B, 3, H, W) -> its outputs, in the order of the fields of its dataclass."""

    def __call__(self, pictures: NDArray[np.float32]) -> Arrays: ...

    @property
    def description(self) -> str:
        """Runtime, precision, and the reason for them."""


def make_runner(network: nn.Module, device: str = "cpu", shape: tuple[int, ...] | None = None) -> Runner:
    """The fastest available runtime of a network. shape: (B, 3, H, W) if it is fixed; the network is then prepared immediately.

    Raises DetectorError if OpenVINO is installed but cannot run it.
    """
    if device == "cpu" and find_spec("openvino") is not None:
        return OpenVINORunner(network, shape)
    return TorchRunner(network, device)


def spare_threads() -> int:
    """Number of threads of a network: all cores, because the decoder of the video mostly waits for the network."""
    return max(1, min(MOST_THREADS, os.cpu_count() or 1))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of threads of torch within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def folded(network: nn.Module) -> nn.Module:
    """A copy for inference in which batch norms are fused into the preceding convolutions: same outputs, half as many layers."""
    network = copy.deepcopy(network).eval()
    for layers in [layers for layers in network.modules() if isinstance(layers, nn.Sequential)]:
        for place, (layer, following) in enumerate(zip(list(layers), list(layers)[1:])):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                layers[place], layers[place + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()
    return network


class Plain(nn.Module):
    """A network whose outputs are a plain tuple, as exporters require."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(vars(self.network(pictures)).values())


class TorchRunner:
    """Runs a network in torch, in float32."""

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = folded(network).to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def description(self) -> str:
        return f"torch {torch.__version__} on {self._device}, in single precision"

    def __call__(self, pictures: NDArray[np.float32]) -> Arrays:
        with torch_threads(spare_threads()), torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device)
            output: Any = self._network(given.contiguous(memory_format=torch.channels_last))
            return tuple(values.float().cpu().numpy() for values in vars(output).values())


class OpenVINORunner:
    """Runs a network in OpenVINO, in the faster precision of this processor. It is compiled for each size of pictures, which takes
    about a second the first time on a machine, and a tenth of that afterwards (see `stpose_core.detect.prepared`).

    Raises DetectorError if it cannot be prepared.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...] | None = None) -> None:
        self._network = network.eval()
        self._requests: dict[tuple[int, ...], Any] = {}
        self._precision: Precision | None = None
        if shape is not None:
            self._request(shape)

    @property
    def description(self) -> str:
        """The precision is determined when the first size of pictures is prepared."""
        version = import_module("openvino").__version__.split("-")[0]
        return f"OpenVINO {version}" + (f" in {self._precision}" if self._precision else "")

    def __call__(self, pictures: NDArray[np.float32]) -> Arrays:
        outputs = self._request(pictures.shape).infer([np.ascontiguousarray(pictures)])
        return tuple(np.array(outputs[port], np.float32) for port in range(len(outputs)))

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._requests:
            settings = {"INFERENCE_NUM_THREADS": spare_threads(), "PERFORMANCE_HINT": "LATENCY"}
            try:
                model, self._precision = compiled(self._network, shape, settings, lambda: self._converted(shape))
                self._requests[shape] = model.create_infer_request()
            except (RuntimeError, ImportError) as error:
                reason = " ".join(str(error).split())[:200]
                message = f"OpenVINO cannot run the networks ({reason}); without the package openvino torch does"
                raise DetectorError(message) from error
        return self._requests[shape]

    def _converted(self, shape: tuple[int, ...]) -> Any:
        """The network as OpenVINO's model, for pictures of this shape."""
        # Not with convert_model(), which sends telemetry.
        frontend = import_module("openvino.frontend")
        decoder_of = import_module("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder
        network = Plain(folded(self._network)).eval().requires_grad_(False)
        with warnings.catch_warnings():
            # The trace is valid only for pictures of this size.
            warnings.simplefilter("ignore")
            # A function, not the module: scripting hundreds of layers takes longer than everything else.
            traced = torch.jit.trace(lambda pictures: network(pictures), torch.zeros(shape), check_trace=False)
            decoder = decoder_of(traced)  # must stay alive until the model is converted
            reader = frontend.FrontEndManager().load_by_framework("pytorch")
            model = reader.convert(reader.load(decoder))
        model.reshape({model.input(0): list(shape)})
        return model
