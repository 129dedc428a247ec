"""Networks in ONNX files: a picture in, arrays out. ONNX Runtime runs them where it is installed, else OpenVINO.

A file may come from anywhere, so its structure is checked first (`stpose_core.detect.onnx_file`), the memory of the network is
bounded, and so is the time of its first run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.onnx_file import read_onnx
from stpose_core.detect.sessions import OnnxRuntimeSession, OpenVINOSession, Session, runtime
from stpose_core.errors import DetectorError
from stpose_core.extras import how_to_install
from stpose_core.reading import one_line

TRIAL_SECONDS = 60.0
"""The first run may take this long."""


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
            raise DetectorError(f"{self.path} cannot be run: {one_line(error)}") from error
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}


def _session(path: Path, device: str) -> Session:
    content, name = read_onnx(path), runtime()
    if name is None:
        raise DetectorError(f"{path} needs a package that runs ONNX files; {how_to_install('onnx')}")
    try:
        return OnnxRuntimeSession(content, device) if name == "onnxruntime" else OpenVINOSession(content, device)
    except Exception as error:  # as in OnnxNetwork
        raise DetectorError(f"{path} cannot be loaded by {name}: {one_line(error)}") from error
