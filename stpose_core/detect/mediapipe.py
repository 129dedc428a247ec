"""MediaPipe's two pose networks (BlazePose), run separately: a search that finds several people, and a pose per person.

The legacy solution follows only one person and hides the scores that distinguish a person from furniture. Here, the networks in
its wheel (up to 0.10.21) run in two small custom graphs. The decoding follows the model cards and graph files of MediaPipe
(https://github.com/google-ai-edge/mediapipe, modules/pose_detection and modules/pose_landmark).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D
from stpose_core.devices import choose_device
from stpose_core.errors import DetectorError
from stpose_core.extras import how_to_install

SEARCH_SIZE, POSE_SIZE = 224, 256  # input sides of the two networks, pixels
ENLARGE = 1.25  # the input of the pose network is this much larger than the circle around the person (as in its training)
# The search gives people a score of 0.7 or more in most frames; chairs, tables and trees reach 0.5, rarely more.
FOUND = 0.6
# Upside-down detections are mostly legs or arms cut off by a tile; a real handstand has a higher score.
FOUND_TURNED = 0.85

# visibility x presence -> share of such joints within 0.1 torso of the truth (see `calibrate`)
RAW = (0.0, 0.2, 0.4, 0.6, 0.8, 0.93, 0.98, 1.0)
SHARE = (0.02, 0.2, 0.3, 0.38, 0.58, 0.77, 0.8, 0.83)

_NETWORK = """
input_stream: "image"
node {{ calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{ output_tensor_width: {size} output_tensor_height: {size}
    output_tensor_float_range {{ min: {low} max: 1.0 }} }} }} }}
node {{ calculator: "InferenceCalculator" input_stream: "TENSORS:input" output_stream: "TENSORS:tensors" {resolver}
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{ model_path: "{model}"
    delegate {{ xnnpack {{ num_threads: 1 }} }} }} }} }}
"""
_RESOLVER = 'node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:resolver" }'
_SEARCH = """
node { calculator: "SplitTensorVectorCalculator" input_stream: "tensors" output_stream: "a" output_stream: "b"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 } } } }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:a" output_stream: "FLOATS:places" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:b" output_stream: "FLOATS:scores" }
"""
_POSE = """
node { calculator: "SplitTensorVectorCalculator" input_stream: "tensors"
  output_stream: "joints" output_stream: "flag" output_stream: "heat"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 } ranges { begin: 3 end: 4 } } } }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:flag" output_stream: "FLOATS:presence" }
node { calculator: "TensorsToLandmarksCalculator" input_stream: "TENSORS:joints" output_stream: "NORM_LANDMARKS:raw"
  options { [mediapipe.TensorsToLandmarksCalculatorOptions.ext] { num_landmarks: 39
    input_image_width: 256 input_image_height: 256 visibility_activation: SIGMOID presence_activation: SIGMOID } } }
node { calculator: "RefineLandmarksFromHeatmapCalculator" input_stream: "NORM_LANDMARKS:raw" input_stream: "TENSORS:heat"
  output_stream: "NORM_LANDMARKS:landmarks"
  options { [mediapipe.RefineLandmarksFromHeatmapCalculatorOptions.ext] { kernel_size: 7 } } }
"""
_OPTIONS = (
    "core.split_vector", "tensor.image_to_tensor", "tensor.inference", "tensor.tensors_to_landmarks",
    "util.refine_landmarks_from_heatmap",
)  # fmt: skip


class MediaPipeDetector(Detector):
    """The networks in the wheel of MediaPipe 0.10.21 and before.

    device: checked as for any detector, but MediaPipe always runs on the CPU. Raises DetectorError if the wheel is missing or has
    no networks, StposeError if this machine does not have the device.
    """

    name = "mediapipe"
    skeleton = "blazepose33"

    def __init__(self, device: str = "auto") -> None:
        choose_device(device)
        search, pose = bundled_models()
        getter = importlib.import_module("mediapipe.python.packet_getter")

        def landmarks(packet: Any) -> Floats:
            rows = [(p.x, p.y, p.visibility, p.presence) for p in getter.get_proto(packet).landmark]
            return np.array(rows)

        floats = getter.get_float_list
        with quiet():
            self._search = Graph(search, SEARCH_SIZE, -1.0, _SEARCH, {"places": floats, "scores": floats})
            self._pose = Graph(pose, POSE_SIZE, 0.0, _POSE, {"presence": floats, "landmarks": landmarks})
            for graph, size in ((self._search, SEARCH_SIZE), (self._pose, POSE_SIZE)):
                graph(np.zeros((size, size, 3), np.uint8))

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """Search the whole picture and the squares that cover it, which separates two people in a wide picture."""
        found: list[Box] = []
        for x, y, tile in tiles(image):
            found += [box.moved(np.array([x, y])) for box in self._find_in(tile)]
        return without_repeats(found)

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The 33 joints of the person in the (rotated) square around the box's centre."""
        to_image = square_to_image(box, POSE_SIZE)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = self._pose(cv2.warpAffine(image, to_image, (POSE_SIZE, POSE_SIZE), flags=flags, borderMode=cv2.BORDER_CONSTANT))
        rows = out["landmarks"]
        xy = rows[:, :2] * POSE_SIZE @ to_image[:, :2].T + to_image[:, 2]
        presence = float(out["presence"][0])
        # Landmarks 33 and 34 are helpers: the middle of the hips, and a point on the circle around the person above the head.
        return Pose2D(xy[:33], calibrate(rows[:33, 2] * rows[:33, 3]), presence, circle_box(xy[33], xy[34], presence))

    def _find_in(self, image: Image) -> list[Box]:
        height, width = image.shape[:2]
        scale = SEARCH_SIZE / max(height, width)
        # The picture is subsampled first: averaging all pixels of a large picture takes longer than the search.
        step = max(1, max(height, width) // (2 * SEARCH_SIZE))
        small = cv2.resize(
            image[::step, ::step], (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        top, left = (SEARCH_SIZE - small.shape[0]) // 2, (SEARCH_SIZE - small.shape[1]) // 2
        padded = np.zeros((SEARCH_SIZE, SEARCH_SIZE, 3), np.uint8)
        padded[top : top + small.shape[0], left : left + small.shape[1]] = small
        out = self._search(padded)
        places, logits = np.asarray(out["places"], np.float32), np.asarray(out["scores"], np.float32)
        if len(places) < len(logits):
            places, logits = logits, places
        score = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        kept = np.flatnonzero(score >= FOUND)
        kept = kept[np.argsort(-score[kept])]
        # Of the 12 numbers per anchor, 4..5 are the middle of the hips and 6..7 the point on the circle around the whole body.
        points = places.reshape(-1, 12)[kept, 4:8].reshape(-1, 2, 2) + _ANCHORS[kept, None]
        points = (points - (left, top)) / scale
        return [circle_box(hip, rim, float(s)) for (hip, rim), s in zip(points, score[kept])]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the log of MediaPipe's C++ code at start, which is written directly to standard error and has no switch."""
    try:
        kept: int | None = os.dup(2)
    except OSError:
        kept = None
    if kept is None or sys.stderr is None:  # standard error is closed: there is nothing to suppress
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def bundled_models() -> tuple[Path, Path]:
    """The search and the pose network inside the installed wheel. Raises DetectorError with the remedy if there are none."""
    try:
        package = importlib.import_module("mediapipe")
    except (ImportError, OSError) as error:
        raise DetectorError(f"mediapipe cannot be imported ({error}); {how_to_install('mediapipe')}") from error
    modules = Path(str(package.__file__)).parent / "modules"
    paths = modules / "pose_detection" / "pose_detection.tflite", modules / "pose_landmark" / "pose_landmark_full.tflite"
    if not all(path.is_file() for path in paths):
        version = getattr(package, "__version__", "?")
        raise DetectorError(
            f"mediapipe {version} has no pose models; give the path of a pose_landmarker .task file, or use mediapipe 0.10.21; "
            f"{how_to_install('mediapipe')}"
        )
    return paths


def bundled_network(part: str, path: str) -> Path:
    """The network of a part of the body ("hand") inside the installed wheel, by its path below `mediapipe/modules`.

    Raises DetectorError with the remedy if there is none.
    """
    try:
        package = importlib.import_module("mediapipe")
    except (ImportError, OSError) as error:
        raise DetectorError(f"{part}s need mediapipe, which cannot be imported ({error}); {how_to_install('mediapipe')}") from error
    model = Path(str(package.__file__)).parent / "modules" / path
    if not model.is_file():
        version = getattr(package, "__version__", "?")
        raise DetectorError(f"mediapipe {version} carries no {part} network; use 0.10.21; {how_to_install('mediapipe')}")
    return model


def calibrate(raw: Floats) -> Floats:
    """Visibility x presence (each 0..1) as the share of such joints that lie within 0.1 torso of the truth.

    Measured with MediaPipe 0.10.21 on 5642 shoulders, elbows, wrists, hips, knees and ankles against a triangulated reference:
    200 frames of one man from two static cameras (Pose2Sim's "balance" clip, BSD-3-Clause), and 300 copies of them in which 1 to 3
    random rectangles hide parts of him. The score is limited to 0.83, because the two definitions of hips and shoulders differ by
    about 0.1 torso. Joints of the face, hands and feet use the same calibration, because there was no reference to measure them.
    """
    return np.interp(raw, RAW, SHARE)


def tiles(image: Image) -> list[tuple[int, int, Image]]:
    """(x, y, part): the whole picture; if it is oblong, also squares of its shorter side that overlap by half or more.

    At most 15 squares: in a picture more than eight times as long as wide, their side is an eighth of its length."""
    height, width = image.shape[:2]
    longer = max(height, width)
    side = max(min(height, width), -(-longer // 8))
    parts = [(0, 0, image)]
    if longer > 1.2 * side:
        for start in np.linspace(0, longer - side, int(np.ceil((longer - side) / (0.5 * side))) + 1).astype(int):
            x, y = (start, 0) if width > height else (0, start)
            parts.append((int(x), int(y), image[y : y + side, x : x + side]))
    return parts


def circle_box(hip: Floats, rim: Floats, score: float) -> Box:
    """The box of the circle around `hip` through `rim`, turned so that `rim` is up. hip, rim: (2,) pixels."""
    (x, y), (right, down) = (float(v) for v in hip), (float(v) for v in rim - hip)
    radius = float(np.hypot(right, down))
    return Box(x - radius, y - radius, x + radius, y + radius, score, float(np.arctan2(right, -down)))


def square_to_image(box: Box, size: int) -> Floats:
    """(2, 3) affine map from the pixels of the turned square of side `size` to those of the image."""
    scale = box.size * ENLARGE / size
    turn = scale * np.array([[np.cos(box.angle), -np.sin(box.angle)], [np.sin(box.angle), np.cos(box.angle)]])
    return np.column_stack([turn, box.centre - turn @ np.full(2, size / 2)])


def without_repeats(boxes: list[Box]) -> list[Box]:
    """For boxes around nearly the same centre, the one with the highest score; upside-down ones only if their score is high."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if abs(box.angle) > 2 and box.score < FOUND_TURNED:
            continue
        if all(np.hypot(*(box.centre - other.centre)) > 0.25 * max(box.size, other.size) for other in kept):
            kept.append(box)
    return kept


def _anchors() -> Floats:
    """(2254, 2) anchor centres in pixels of the search network: grids of stride 8, 16, 32 with 2, 2, 6 anchors a cell."""
    grids = []
    for stride, count in ((8, 2), (16, 2), (32, 6)):
        line = (np.arange(SEARCH_SIZE // stride) + 0.5) * stride
        grids.append(np.repeat(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(grids)


_ANCHORS = _anchors()


class Graph:
    """One network as a MediaPipe graph: a picture in, named outputs out. custom: it has operations that only MediaPipe knows."""

    def __init__(
        self, model: Path, size: int, low: float, decode: str, outputs: dict[str, Callable[[Any], Any]], custom: bool = False
    ) -> None:
        for name in _OPTIONS:  # the text format supports the options of a calculator only after its module was imported
            importlib.import_module(f"mediapipe.calculators.{name}_calculator_pb2")
        self._package = importlib.import_module("mediapipe")
        self._creator = importlib.import_module("mediapipe.python.packet_creator")
        bindings = importlib.import_module("mediapipe.python._framework_bindings")
        text_format = importlib.import_module("google.protobuf.text_format")
        config = importlib.import_module("mediapipe.framework.calculator_pb2").CalculatorGraphConfig()
        resolver = 'input_side_packet: "OP_RESOLVER:resolver"' if custom else ""
        text = _NETWORK.format(size=size, low=low, model=str(model).replace("\\", "/"), resolver=resolver) + decode
        text += _RESOLVER if custom else ""
        self._graph = bindings.calculator_graph.CalculatorGraph(graph_config=text_format.Parse(text, config))
        self._out: dict[str, Any] = {}
        self._names = outputs.keys()
        for name, read in outputs.items():
            self._graph.observe_output_stream(name, lambda name, packet, read=read: self._out.__setitem__(name, read(packet)))
        self._graph.start_run()
        self._time = 0

    def __call__(self, image: Image) -> dict[str, Any]:
        self._time += 1
        self._out.clear()  # a packet without an output must not receive that of the previous one
        picture = self._package.Image(image_format=self._package.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        self._graph.add_packet_to_input_stream("image", self._creator.create_image(picture).at(self._time))
        self._graph.wait_until_idle()
        if missing := self._names - self._out.keys():
            raise DetectorError(f"mediapipe's network gave no {' and no '.join(sorted(missing))} for a picture")
        return dict(self._out)
