"""Top-down pose networks in ONNX files: RTMPose and others with SimCC outputs, HRNet, ViTPose and others with heat maps.

Input and decoding are those of OpenMMLab's mmpose, which publishes them in the pipeline.json beside each exported model
(https://github.com/open-mmlab/mmpose, Apache-2.0). Jiang et al., RTMPose, arXiv 2303.07399. Li et al., SimCC, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from stpose_core.data import Keypoints
from stpose_core.detect.builtin import next_box
from stpose_core.detect.heatmaps import decode
from stpose_core.detect.onnx import OnnxNetwork
from stpose_core.detect.onnx_finder import PersonFinder, open_finder
from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D
from stpose_core.detect.views import cut, seen_from, view_of
from stpose_core.devices import choose_device
from stpose_core.errors import DetectorError
from stpose_core.skeletons import H36M17, convert, get_skeleton

PADDING = 1.25
"""The view is this much larger than the box (mmpose: GetBBoxCenterScale)."""
OUTSIDE = 0
"""Value of the view where it lies outside of the picture (mmpose: TopdownAffine)."""
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue in ImageNet, 0..255: what is taken off a picture, and what it is divided by (mmpose, torchvision)."""
SKELETONS = {17: "coco17", 26: "halpe26", 133: "coco17"}
"""By the number of joints: COCO, Halpe, COCO-WholeBody, whose first 17 are COCO's."""

Outputs = Mapping[str, Floats]
Decoder = Callable[[Outputs], tuple[Floats, Floats]]
"""Outputs of a network -> places (J, 2) in pixels of the view from its top left corner, and heights (J,) of the peaks there."""


class OnnxDetector(Detector):
    """model: an .onnx file that takes a person's picture and gives SimCC vectors or heat maps of 17 joints of COCO, 26 of Halpe or
    133 of COCO-WholeBody. finder: who searches pictures for people, as `open_finder` takes it. device: "auto", "cpu", "cuda" or
    "mps"; networks in ONNX files run on the processor with "mps".

    Raises DetectorError if one of the files cannot be used, StposeError if this machine does not have the device.
    """

    def __init__(
        self, model: str | Path, finder: str | Path | PersonFinder | None = None, device: str = "auto", name: str | None = None
    ) -> None:
        path = Path(model)
        place = choose_device(device)
        device = "auto" if device == "auto" else "cuda" if place == "cuda" else "cpu"
        self.name = name or path.stem
        self._network = OnnxNetwork(path, device)
        try:
            self._decode, joints = decoder_of(self._network.outputs, self._network.size)
        except ValueError as error:
            raise DetectorError(f"{path} is no pose network that is known: {error}") from error
        self.skeleton = SKELETONS[joints]
        self._finder = open_finder(finder, path.parent, device)

    def find(self, image: Image, thorough: bool = False) -> list[Box]:
        """The people that the finder finds in the whole picture."""
        return self._finder.find(image, thorough)

    def pose(self, image: Image, box: Box) -> Pose2D:
        """The joints of the person in the box."""
        size = self._network.size
        matrix = view_of(np.array([box.x0, box.y0, box.x1, box.y1]), size, PADDING, box.angle)
        places, peaks = self._decode(self._network(normalised(cut(image, matrix, size, outside=OUTSIDE))))
        count = len(get_skeleton(self.skeleton).joints)
        score = calibrate(peaks[:count])
        xy = np.where(score[:, None] > 0, seen_from(matrix, places[:count]), np.nan)
        height, width = image.shape[:2]
        joints = convert(Keypoints(xy[None], score[None], 1.0, (width, height), self.skeleton), H36M17.name)
        following = next_box(joints.xy[0], joints.score[0], box.angle) if joints.seen.any() else box
        return Pose2D(xy, score, presence(score), following)


def normalised(picture: Image) -> Floats:
    """A picture (H, W, 3), RGB, as the networks take it: (1, 3, H, W)."""
    return ((picture - np.array(MEAN)) / DEVIATION).transpose(2, 0, 1)[None]


def decoder_of(outputs: Mapping[str, tuple[int, ...]], size: tuple[int, int]) -> tuple[Decoder, int]:
    """How the outputs of these names and shapes are decoded, and of how many joints they are. size: (width, height) of the view.

    Raises ValueError where they are neither SimCC vectors (1, J, r * width) and (1, J, r * height) nor heat maps (1, J, h, w).
    """
    width, height = size
    names = sorted(outputs) if set(outputs) == {"simcc_x", "simcc_y"} else list(outputs)
    ranks = [len(outputs[name]) for name in names]
    if ranks == [3, 3]:
        for across, down in (names, names[::-1]):  # exporters order them either way
            (_, joints, columns), (_, others, rows) = outputs[across], outputs[down]
            bins = columns // width
            if bins and joints == others and (columns, rows) == (bins * width, bins * height):
                return partial(_simcc_of, across=across, down=down, bins=bins), _known(joints)
    if ranks == [4]:
        _, joints, rows, columns = outputs[names[0]]
        if min(columns, rows) > 1 and columns * height == rows * width:
            return partial(_maps_of, maps=names[0], size=size), _known(joints)
    told = ", ".join(f"{name} {'x'.join(str(side) for side in shape)}" for name, shape in outputs.items())
    raise ValueError(f"its outputs are {told}; simcc_x and simcc_y, or heat maps, are needed for pictures of {width}x{height}")


def _known(joints: int) -> int:
    if joints not in SKELETONS:
        raise ValueError(f"it finds {joints} joints; {', '.join(str(count) for count in SKELETONS)} are known")
    return joints


def _simcc_of(outputs: Outputs, across: str, down: str, bins: int) -> tuple[Floats, Floats]:
    return decode_simcc(outputs[across][0], outputs[down][0], bins)


def _maps_of(outputs: Outputs, maps: str, size: tuple[int, int]) -> tuple[Floats, Floats]:
    return decode_maps(outputs[maps], size)


def decode_simcc(across: Floats, down: Floats, bins: int) -> tuple[Floats, Floats]:
    """Vectors (J, bins * width) and (J, bins * height), `bins` a pixel -> places (J, 2) from the corner of the view, heights (J,).

    A joint is where both vectors are highest, and as high as the lower of the two peaks. The vectors count from the centre of the
    first pixel. What is not a number is nowhere.
    """
    across, down = (np.nan_to_num(vectors, nan=-np.inf, posinf=-np.inf, neginf=-np.inf) for vectors in (across, down))
    places = np.stack([across.argmax(1), down.argmax(1)], -1) / bins + 0.5
    return places, np.minimum(across.max(1), down.max(1))


def decode_maps(maps: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Maps (1, J, h, w) of Gaussians of height 1 -> places (J, 2) from the corner of a view of `size`; heights (J,) of the peaks.

    The first and last cells are taken to lie on the centres of the first and last pixels, as in Huang et al., The Devil is in the
    Details: Unbiased Data Processing for Human Pose Estimation (CVPR 2020), which ViTPose is trained with. Networks trained
    before it, in which a cell is a fixed number of pixels wide, come out up to half a cell off at the edges of the view.
    """
    finite = np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)
    cells = decode(np.log(np.clip(finite[0], 1e-6, None)), 1)[0] - 0.5
    rows, columns = maps.shape[2:]
    return cells * (np.array(size) - 1) / (columns - 1, rows - 1) + 0.5, finite.max((2, 3))[0]


def calibrate(peaks: Floats) -> Floats:
    """Heights of peaks (J,) as scores: cut to 0..1, and 0 where there is none.

    Not measured. Networks learn peaks of height 1; they are lower where a joint is hard to see. mmpose gives these heights as
    scores, too.
    """
    return np.clip(np.where(np.isfinite(peaks), peaks, 0.0), 0.0, 1.0).astype(np.float64)


def presence(score: Floats) -> float:
    """0..1 how likely there is a person: the mean score of the better half of the joints, 0.25 as none and 0.55 as sure.

    A rule, not a measurement. A top-down network gives a pose for anything; on furniture most of its peaks are low. Half of the
    joints may be hidden or outside of the picture.
    """
    better = np.sort(score)[len(score) // 2 :].mean()
    return float(np.clip((better - 0.25) / 0.3, 0.0, 1.0))
