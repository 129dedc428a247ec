"""ONNX graphs, loaded by ONNX Runtime or OpenVINO: a picture in, arrays out."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from math import prod
from threading import Timer
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.compiling import SINGLE, Precision, compiled, faster_precision
from stpose_core.detect.onnx_file import MOST_BYTES

RUNTIMES = ("onnxruntime", "openvino")
"""Packages that run ONNX graphs."""
MOST_MEMORY = 2 * MOST_BYTES
"""Of a network at work: weights of the largest file, and as much again."""
MOST_TENSOR = 2**30
"""Of one array inside a network."""
MOST_SIDE = 2048
"""Of the pictures that a file states, pixels."""
MOST_THREADS = 4  # more hardly help with networks this small

_SLOW = "a picture takes it longer than a minute"
_NO_CUDA = "it runs networks on the processor here; install onnxruntime-gpu, or use --device cpu"
_FATAL = 4  # what ONNX Runtime logs: errors are raised as well
_log = logging.getLogger(__name__)


class Session(Protocol):
    """A loaded network. size: (width, height) of its only input, dtype: the type of that. description: the runtime, and the
    precision it computes in."""

    size: tuple[int, int]
    dtype: Any
    description: str

    def run(self, picture: NDArray[Any], seconds: float | None = None) -> dict[str, Any]:
        """The outputs by name. seconds: when to give up; raises TimeoutError then."""


def runtime(order: Sequence[str] = RUNTIMES) -> str | None:
    """The first of these packages that is installed and loads; None if there is none."""
    for name in order:
        try:
            import_module(name)
        except ImportError:
            continue
        return name
    return None


def spare_threads() -> int:
    """Threads for a network: all cores, as the decoder of the video waits for it most of the time, or OMP_NUM_THREADS of them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(MOST_THREADS, int(given) if given.isdecimal() else os.cpu_count() or 1))


class OnnxRuntimeSession:
    """content: an .onnx file. device: "cpu", "cuda", or "auto", the faster that is there. size: (width, height) of the pictures,
    where the file leaves it open. Raises what the package raises, and ValueError for a file that does not take a picture."""

    def __init__(self, content: bytes, device: str = "cpu", size: tuple[int, int] | None = None) -> None:
        package = import_module("onnxruntime")
        package.disable_telemetry_events()  # for Windows, where no variable does so; see stpose_core/__init__.py
        _bound_memory()
        providers = ["CPUExecutionProvider"]
        if device in ("cuda", "auto") and "CUDAExecutionProvider" in package.get_available_providers():
            providers.insert(0, "CUDAExecutionProvider")
        elif device == "cuda":
            raise ValueError(_NO_CUDA)
        options = package.SessionOptions()
        options.intra_op_num_threads = spare_threads()
        options.log_severity_level = _FATAL
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Threads that spin while they wait take processors from the decoder, and a third more processor time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Its fall-back prints to standard output, which is the command's.
        self._session = package.InferenceSession(content, options, providers=providers, enable_fallback=0)
        self._options = package.RunOptions
        inputs = self._session.get_inputs()
        self.size = size or _size([entry.shape for entry in inputs])
        self.dtype = _dtype(inputs[0].type.removeprefix("tensor(").removesuffix(")"))
        self.description = f"ONNX Runtime {package.__version__} in {Precision(SINGLE, 'its default')}"
        self._input = inputs[0].name
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, picture: NDArray[Any], seconds: float | None = None) -> dict[str, Any]:
        options = self._options()
        options.log_severity_level = _FATAL
        timer = Timer(seconds or 0, setattr, (options, "terminate", True))
        try:
            if seconds is not None:
                timer.start()
            return dict(zip(self._names, self._session.run(None, {self._input: picture}, options)))
        except Exception as error:
            if options.terminate:
                raise TimeoutError(_SLOW) from error
            raise
        finally:
            timer.cancel()


@lru_cache(maxsize=1)
def _bound_memory() -> None:
    """ONNX Runtime's sessions in this process get MOST_MEMORY at most, together."""
    package = import_module("onnxruntime")
    place = package.OrtMemoryInfo("Cpu", package.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, package.OrtMemType.DEFAULT)
    same_as_requested = 1
    try:
        package.create_and_register_allocator(
            place, package.OrtArenaCfg({"max_mem": MOST_MEMORY, "arena_extend_strategy": same_as_requested})
        )
    except Exception as error:  # other code in this process has set one
        _log.debug("the memory of onnxruntime is not bounded: %s", error)


@lru_cache(maxsize=1)
def _openvino_core() -> Any:
    """OpenVINO's core, one for the process until it ends.

    Each core gives signals of its thread a stack of their own, and takes it back when it goes: of two that go in the order in which
    they came, the second one puts back the stack that the first one freed, and the next signal, such as Ctrl-C, ends the process.
    """
    return import_module("openvino").Core()


class OpenVINOSession:
    """As OnnxRuntimeSession; on the processor only. own: a network of this project, which runs in the faster precision and is
    kept compiled for the next start."""

    def __init__(self, content: bytes, device: str = "cpu", size: tuple[int, int] | None = None, own: bool = False) -> None:
        if device == "cuda":
            raise ValueError(_NO_CUDA)
        package = import_module("openvino")
        core = _openvino_core()
        model = core.read_model(content)
        shapes = [source.get_partial_shape() for source in model.inputs]
        self.size = size or _size([[] if shape.rank.is_dynamic else [_length(side) for side in shape] for shape in shapes])
        element = model.inputs[0].get_element_type().get_type_name()
        self.dtype = _dtype({"f32": "float", "f16": "float16"}.get(element, element))
        model.reshape({model.inputs[0]: [1, 3, self.size[1], self.size[0]]})
        for output in (output for operation in model.get_ops() for output in operation.outputs()):
            shape = output.get_partial_shape()
            if shape.is_static and prod(shape.to_shape()) * output.get_element_type().size > MOST_TENSOR:
                raise ValueError(f"an array inside would be larger than {MOST_TENSOR / 1e9:.1f} GB")
        # Bound to processors, the threads of all workers of a batch would share the first ones.
        settings = {"INFERENCE_NUM_THREADS": spare_threads(), "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        # Foreign networks in float32, as they were trained: what processors compute faster in moves peaks.
        self.precision = faster_precision(core, model, settings) if own else Precision(SINGLE, "as it was trained")
        self.description = f"OpenVINO {package.__version__.split('-')[0]} in {self.precision}"
        self._names = [output.get_any_name() for output in model.outputs]
        network = compiled(core, model, {**settings, **self.precision.setting}, content if own else None)
        self._request = network.create_infer_request()

    def run(self, picture: NDArray[Any], seconds: float | None = None) -> dict[str, Any]:
        self._request.start_async([picture])
        if seconds is None:
            self._request.wait()
        elif not self._request.wait_for(round(1000 * seconds)):
            self._request.cancel()
            raise TimeoutError(_SLOW)
        return {name: np.array(self._request.get_output_tensor(n).data) for n, name in enumerate(self._names)}


def _length(side: Any) -> int | None:
    return side.get_length() if side.is_static else None


def _size(shapes: list[Any]) -> tuple[int, int]:
    """(width, height) of the only input, of the shapes of all. Raises ValueError if that is no picture of a fixed size."""
    fixed = [[side if isinstance(side, int) and side > 0 else None for side in shape] for shape in shapes]
    told = " and ".join("x".join(str(side or "?") for side in shape) for shape in fixed) or "nothing"
    if len(fixed) != 1 or len(fixed[0]) != 4:
        raise ValueError(f"it takes {told}, not one picture")
    batch, colours, height, width = fixed[0]
    if batch not in (None, 1) or colours != 3 or height is None or width is None:
        raise ValueError(f"it takes {told}; a picture 1x3xHEIGHTxWIDTH of a fixed size is needed")
    if max(height, width) > MOST_SIDE:
        raise ValueError(f"it takes {told}; {MOST_SIDE} pixels a side are the most")
    return width, height


def _dtype(name: str) -> Any:
    if name not in ("float", "float16"):
        raise ValueError(f"its input is of type {name}, not float")
    return np.float32 if name == "float" else np.float16
