"""MediaPipe's face network with attention, run by itself on the picture of one face.

The network is in the wheel of MediaPipe up to 0.10.21. Its decoding is that of MediaPipe's own graph (modules/face_landmark): 468
points of a face mesh, those around lips and eyes refined, and 5 points of each iris.
"""

from __future__ import annotations

import importlib
from typing import Any

import cv2
import numpy as np

from stpose_core.detect.faces import FaceView
from stpose_core.detect.mediapipe import Graph, bundled_network, quiet
from stpose_core.detect.types import Box, Floats, Image

SIZE = 192  # side of the network's input, pixels
_DECODE = """
node { calculator: "SplitTensorVectorCalculator" input_stream: "tensors" output_stream: "places" output_stream: "flag"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 } } } }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:flag" output_stream: "FLOATS:presence" }
node { calculator: "TensorsToFaceLandmarksWithAttention" input_stream: "TENSORS:places" output_stream: "LANDMARKS:landmarks" }
"""


class MediaPipeFace:
    """The landmarks of the face in a box. Raises DetectorError if MediaPipe is missing or carries no face network."""

    def __init__(self) -> None:
        model = bundled_network("face", "face_landmark/face_landmark_with_attention.tflite")
        getter = importlib.import_module("mediapipe.python.packet_getter")

        def landmarks(packet: Any) -> Floats:
            return np.array([(point.x, point.y, point.z) for point in getter.get_proto(packet).landmark])

        with quiet():
            outputs = {"presence": getter.get_float_list, "landmarks": landmarks}
            self._graph = Graph(model, SIZE, 0.0, _DECODE, outputs, custom=True)
            self._graph(np.zeros((SIZE, SIZE, 3), np.uint8))

    def __call__(self, image: Image, box: Box) -> FaceView:
        """The face in the square of the box's size about its centre, turned by its angle."""
        scale = box.size / SIZE
        cosine, sine = np.cos(box.angle), np.sin(box.angle)
        turn = scale * np.array([[cosine, -sine], [sine, cosine]])
        to_image = np.column_stack([turn, box.centre - turn @ np.full(2, SIZE / 2)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = self._graph(cv2.warpAffine(image, to_image, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_CONSTANT))
        # All three coordinates are in sides of the input.
        points = out["landmarks"] * SIZE
        xy = points[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        presence = 1 / (1 + np.exp(-np.clip(out["presence"][0], -50, 50)))
        return FaceView(np.column_stack([xy, points[:, 2] * scale]), float(presence))
