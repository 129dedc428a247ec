"""MediaPipe's hand network, run by itself on the picture of one hand.

The network is in the wheel of MediaPipe up to 0.10.21. Its decoding follows the graph files of MediaPipe
(https://github.com/google-ai-edge/mediapipe, modules/hand_landmark): 21 joints in the picture, the same in metres about the middle
of the hand, and how likely there is a hand at all.
"""

from __future__ import annotations

import importlib

import cv2
import numpy as np

from stpose_core.detect.hands import HandView
from stpose_core.detect.mediapipe import Graph, bundled_network, quiet
from stpose_core.detect.types import Box, Image

SIZE = 224  # side of the network's input, pixels
_DECODE = """
node { calculator: "SplitTensorVectorCalculator" input_stream: "tensors"
  output_stream: "a" output_stream: "b" output_stream: "c" output_stream: "d"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 } ranges { begin: 2 end: 3 } ranges { begin: 3 end: 4 } } } }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:a" output_stream: "FLOATS:joints" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:b" output_stream: "FLOATS:presence" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:c" output_stream: "FLOATS:handedness" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:d" output_stream: "FLOATS:metres" }
"""


class MediaPipeHands:
    """The joints of the hand in a box. Raises DetectorError if MediaPipe is missing or carries no hand network."""

    def __init__(self) -> None:
        model = bundled_network("hand", "hand_landmark/hand_landmark_full.tflite")
        floats = importlib.import_module("mediapipe.python.packet_getter").get_float_list
        names = ("joints", "presence", "handedness", "metres")
        with quiet():
            self._graph = Graph(model, SIZE, 0.0, _DECODE, dict.fromkeys(names, floats))
            self._graph(np.zeros((SIZE, SIZE, 3), np.uint8))

    def __call__(self, image: Image, box: Box) -> HandView:
        """The hand in the square of the box's size about its centre, turned by its angle."""
        scale = box.size / SIZE
        cosine, sine = np.cos(box.angle), np.sin(box.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        to_image = np.column_stack([scale * turn, box.centre - scale * turn @ np.full(2, SIZE / 2)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = self._graph(cv2.warpAffine(image, to_image, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_CONSTANT))
        places = np.array(out["joints"], float).reshape(21, 3)
        metres = np.array(out["metres"], float).reshape(21, 3)
        metres[:, :2] = metres[:, :2] @ turn.T
        xy = places[:, :2] @ to_image[:, :2].T + to_image[:, 2]
        return HandView(xy, metres - metres[0], float(out["presence"][0]), float(out["handedness"][0]))
