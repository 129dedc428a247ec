"""Who searches pictures for people, for detectors that only know poses: the built-in finder, or YOLOX or RTMDet in an ONNX file.

Input and outputs of the ONNX files are those that OpenMMLab publishes (https://github.com/open-mmlab/mmdetection, Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from stpose_core.detect.finder import Finder
from stpose_core.detect.onnx import OnnxNetwork
from stpose_core.detect.types import Box, Floats, Image
from stpose_core.detect.views import cut
from stpose_core.devices import choose_device
from stpose_core.errors import DetectorError
from stpose_core.weights import DETECTOR, FINDER_FILE

OUTSIDE = 114
"""Value of what fills a picture up to a square."""
FOUND, FOUND_AT_ALL = 0.3, 0.1
"""Score from which a box counts as a person, and where there is time to look at every box. The pose network has the last word."""
# Blue, green and red: what is taken off a picture, and what it is divided by. A file does not tell, so its name has to.
_SCALES = {"yolox": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "rtmdet": ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395))}
_PERSON = 0  # COCO's first class


class PersonFinder(Protocol):
    """Searches a picture for people; as `Detector.find`."""

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Boxes around people, the most likely first."""


def open_finder(finder: str | Path | PersonFinder | None, folder: Path, device: str) -> PersonFinder:
    """finder: "builtin", an .onnx file whose name begins with yolox or rtmdet, or one that is loaded already. None: the first such
    file in `folder` by name, else the built-in one.

    Raises DetectorError if a file cannot be used, WeightsError if the built-in one is missing or damaged.
    """
    if finder is None:
        beside = sorted(path for path in folder.glob("*.onnx") if path.name.startswith(tuple(_SCALES)))
        finder = beside[0] if beside else "builtin"
    if not isinstance(finder, str | Path):
        return finder
    if str(finder) == "builtin":
        return Finder(DETECTOR / FINDER_FILE, choose_device(device))
    return OnnxFinder(finder, device)


class OnnxFinder:
    """model: an .onnx file whose name begins with yolox or rtmdet, with non-maximum suppression inside: it gives boxes (1, N, 5) of
    left, top, right, bottom and score, and may give their classes (1, N).

    Raises DetectorError if the file cannot be used.
    """

    def __init__(self, model: str | Path, device: str = "auto") -> None:
        path = Path(model)
        kind = next((kind for kind in _SCALES if path.name.startswith(kind)), None)
        if kind is None:
            kinds = " or ".join(_SCALES)
            raise DetectorError(f"{path}: the name of a person detector has to begin with {kinds}, which says its scaling")
        self._network = OnnxNetwork(path, device)
        self._scale = _SCALES[kind]
        shapes = self._network.outputs
        boxes = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 5]
        labels = [name for name, shape in shapes.items() if len(shape) == 2]
        if len(boxes) != 1 or len(labels) > 1:
            told = ", ".join(f"{name} {'x'.join(str(side) for side in shape)}" for name, shape in shapes.items())
            raise DetectorError(f"{path} gives no boxes (1, N, 5) of people, but {told}")
        self._boxes, self._labels = boxes[0], labels[0] if labels else None

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Search the whole picture, scaled to the network's input, once."""
        width, height = self._network.size
        scale = min(width / image.shape[1], height / image.shape[0])
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
        shown = cut(image, matrix, (width, height), outside=OUTSIDE)
        mean, deviation = self._scale
        outputs = self._network(((shown[..., ::-1] - np.array(mean)) / deviation).transpose(2, 0, 1)[None])
        rows: Floats = outputs[self._boxes][0].astype(np.float64)
        kept = np.isfinite(rows).all(1) & (rows[:, 4] >= (FOUND_AT_ALL if thorough else FOUND))
        if self._labels is not None:
            kept &= outputs[self._labels][0] == _PERSON
        kept &= (rows[:, 2:4] > rows[:, :2]).all(1)
        boxes = []
        for *corners, score in rows[kept].tolist():
            x0, y0, x1, y1 = (corner / scale for corner in corners)
            boxes.append(Box(x0, y0, x1, y1, min(score, 1.0)))
        return sorted(boxes, key=lambda box: -box.score)
