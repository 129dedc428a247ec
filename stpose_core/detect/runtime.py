"""How the built-in detector's networks are run, a picture at a time: by OpenVINO or ONNX Runtime where one of them is installed,
else by torch. In single precision ONNX Runtime is no slower and loads faster; in half precision OpenVINO is faster, on some
processors.

`python benchmarks/runtimes.py` compares them; docs/benchmarks.md holds what was measured.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.compiling import may_have_half
from stpose_core.detect.networks import NetworkFile
from stpose_core.detect.sessions import OnnxRuntimeSession, OpenVINOSession, Session, runtime
from stpose_core.errors import DetectorError
from stpose_core.reading import one_line

Arrays = dict[str, NDArray[np.float32]]
PACKAGES = ("openvino", "onnxruntime")
"""Packages that run the networks: in this order where the processor may have half precision, else in the reverse order."""


class Runner(Protocol):
    """Runs a network: a picture (1, 3, H, W) -> its outputs by name."""

    def __call__(self, picture: NDArray[np.float32]) -> Arrays: ...

    @property
    def description(self) -> str:
        """Where and in which precision it runs, and why."""


def make_runner(network: NetworkFile[Any], device: str = "cpu", size: tuple[int, int] | None = None) -> Runner:
    """The fastest way at hand to run a network. size: (width, height) of the pictures, if all are alike: it is ready at once then.

    Raises DetectorError if a runtime is installed but cannot run it, WeightsError if torch cannot load it.
    """
    package = runtime(PACKAGES if may_have_half() else PACKAGES[::-1]) if device == "cpu" else None
    if package is not None:
        return GraphRunner(network, package, size)
    from stpose_core.detect.torch_runner import TorchRunner

    return TorchRunner(network.module(), device)


class GraphRunner:
    """Runs a network's graph in a package, one of PACKAGES. Loaded for each size of pictures.

    Raises DetectorError if it cannot be loaded.
    """

    def __init__(self, network: NetworkFile[Any], package: str, size: tuple[int, int] | None = None) -> None:
        self._graph, self._package = network.graph, package
        self._sessions: dict[tuple[int, int], Session] = {}
        if size is not None:
            self._session(size)

    @property
    def description(self) -> str:
        """The precision is known once the first size of pictures is loaded."""
        return next((session.description for session in self._sessions.values()), self._package)

    def __call__(self, picture: NDArray[np.float32]) -> Arrays:
        outputs = self._session((picture.shape[3], picture.shape[2])).run(np.ascontiguousarray(picture))
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}

    def _session(self, size: tuple[int, int]) -> Session:
        if size not in self._sessions:
            try:
                self._sessions[size] = (
                    OpenVINOSession(self._graph, size=size, own=True)
                    if self._package == "openvino"
                    else OnnxRuntimeSession(self._graph, size=size)
                )
            except Exception as error:  # runtimes raise classes of their own, which have no base in common
                message = f"{self._package} cannot run the networks ({one_line(error)}); without that package torch does"
                raise DetectorError(message) from error
        return self._sessions[size]
