"""Networks in ONNX files: a picture in, arrays out. ONNX Runtime runs them where it is installed, else OpenVINO.

A file may come from anywhere, so its structure is checked first (`stpose_core.detect.onnx_file`), the memory of the network is
bounded, and so is the time of its first run.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module
from math import prod
from pathlib import Path
from threading import Timer
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.onnx_file import MOST_BYTES, read_onnx
from stpose_core.detect.runtime import spare_threads
from stpose_core.errors import DetectorError
from stpose_core.extras import how_to_install

RUNTIMES = ("onnxruntime", "openvino")
MOST_MEMORY = 2 * MOST_BYTES
"""Of a network at work: weights of the largest file, and as much again."""
MOST_TENSOR = 2**30
"""Of one array inside a network."""
MOST_SIDE = 2048
"""Of the pictures that a network takes, pixels."""
TRIAL_SECONDS = 60.0
"""The first run may take this long."""

_SLOW = "a picture takes it longer than a minute"
_NO_CUDA = "it runs networks on the processor here; install onnxruntime-gpu, or use --device cpu"
_FATAL = 4  # what ONNX Runtime logs: errors are raised as well
_log = logging.getLogger(__name__)


class OnnxNetwork:
    """A network that takes one picture (1, 3, H, W).

    path: the .onnx file. device: "cpu", "cuda" (by an ONNX Runtime made for it), or "auto", the faster that is there.
    size: (width, height) of the pictures. outputs: the name and shape of each array that comes out.
    Raises DetectorError if the file is missing, damaged, too large or not such a network, or if no runtime is installed.
    """

    def __init__(self, path: str | Path, device: str = "auto") -> None:
        self.path = Path(path)
        self._session = _session(self.path, device)
        self.size = width, height = self._session.size
        arrays = self._run(np.zeros((1, 3, height, width)), TRIAL_SECONDS)
        self.outputs = {name: values.shape for name, values in arrays.items()}

    def __call__(self, picture: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
        """A picture (1, 3, H, W), scaled as the network wants it -> its outputs by name. Raises DetectorError if it fails."""
        return self._run(picture)

    def _run(self, picture: NDArray[np.floating], seconds: float | None = None) -> dict[str, NDArray[np.float32]]:
        try:
            outputs = self._session.run(np.ascontiguousarray(picture, self._session.dtype), seconds)
        except Exception as error:  # runtimes raise classes of their own, which have no base in common
            raise DetectorError(f"{self.path} cannot be run: {_reason(error)}") from error
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}


def runtime() -> str | None:
    """The package that runs ONNX files here; None if there is none."""
    for name in RUNTIMES:
        try:
            import_module(name)
        except ImportError:
            continue
        return name
    return None


class _Session(Protocol):
    """A network that a runtime has loaded. size: (width, height) of its only input, dtype: the type of that."""

    size: tuple[int, int]
    dtype: Any

    def run(self, picture: NDArray[Any], seconds: float | None) -> dict[str, Any]:
        """The outputs by name. seconds: when to give up; raises TimeoutError then."""


def _session(path: Path, device: str) -> _Session:
    content, name = read_onnx(path), runtime()
    if name is None:
        raise DetectorError(f"{path} needs a package that runs ONNX files; {how_to_install('onnx')}")
    try:
        return _OnnxRuntime(content, device) if name == "onnxruntime" else _OpenVINO(content, device)
    except Exception as error:  # as in OnnxNetwork
        raise DetectorError(f"{path} cannot be loaded by {name}: {_reason(error)}") from error


class _OnnxRuntime:
    def __init__(self, content: bytes, device: str) -> None:
        package = import_module("onnxruntime")
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
        # Its fall-back prints to standard output, which is the command's.
        self._session = package.InferenceSession(content, options, providers=providers, enable_fallback=0)
        self._options = package.RunOptions
        inputs = self._session.get_inputs()
        self.size = _size([entry.shape for entry in inputs])
        self.dtype = _dtype(inputs[0].type.removeprefix("tensor(").removesuffix(")"))
        self._input = inputs[0].name
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, picture: NDArray[Any], seconds: float | None) -> dict[str, Any]:
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


class _OpenVINO:
    def __init__(self, content: bytes, device: str) -> None:
        if device == "cuda":
            raise ValueError(_NO_CUDA)
        core = import_module("openvino").Core()
        model = core.read_model(content)
        shapes = [source.get_partial_shape() for source in model.inputs]
        self.size = _size([[] if shape.rank.is_dynamic else [_length(side) for side in shape] for shape in shapes])
        element = model.inputs[0].get_element_type().get_type_name()
        self.dtype = _dtype({"f32": "float", "f16": "float16"}.get(element, element))
        model.reshape({model.inputs[0]: [1, 3, self.size[1], self.size[0]]})
        for output in (output for operation in model.get_ops() for output in operation.outputs()):
            shape = output.get_partial_shape()
            if shape.is_static and prod(shape.to_shape()) * output.get_element_type().size > MOST_TENSOR:
                raise ValueError(f"an array inside would be larger than {MOST_TENSOR / 1e9:.1f} GB")
        # In float32, as the networks were trained: what processors compute faster in moves peaks.
        settings = {"INFERENCE_NUM_THREADS": spare_threads(), "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(model, "CPU", settings)
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._request = compiled.create_infer_request()

    def run(self, picture: NDArray[Any], seconds: float | None) -> dict[str, Any]:
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


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
