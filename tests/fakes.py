"""Stand-ins that make the whole way testable in seconds: a filmed bright bar as the person, and who finds and lifts it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stpose_core.data import Camera, Keypoints, Pose3D
from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.skeletons import get_skeleton

SIZE = (160, 120)
# A standing person in H36M order, metres, x right and y down as the camera sees someone who faces it.
STANDING = np.array([
    (0, 0, 0), (-0.13, 0, 0), (-0.13, 0.45, -0.02), (-0.13, 0.88, 0), (0.13, 0, 0), (0.13, 0.45, -0.02),
    (0.13, 0.88, 0), (0, -0.25, 0), (0, -0.5, 0), (0, -0.58, -0.05), (0, -0.72, 0), (0.17, -0.46, 0),
    (0.25, -0.2, 0.02), (0.25, 0.05, 0), (-0.17, -0.46, 0), (-0.25, -0.2, 0.02), (-0.25, 0.05, 0),
])  # fmt: skip


def film(path: Path, fps: float = 25, stamps: Iterable[int] | int = 25, there: Iterable[int] | None = None) -> Path:
    """A video of a bright bar that walks to the right through a dark room.

    stamps: in units of 1/fps, or how many at a constant rate. there: numbers of the frames with the bar; all if None.
    """
    rate = Fraction(fps).limit_denominator(1001)
    numbers = list(range(stamps) if isinstance(stamps, int) else stamps)
    seen = set(range(len(numbers)) if there is None else there)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = 1 / rate
        for number, stamp in enumerate(numbers):
            image = np.full((SIZE[1], SIZE[0], 3), 30, np.uint8)
            if number in seen:
                left = 50 + round(40 * stamp / max(numbers[-1], 1))
                image[20:100, left : left + 24] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class BarDetector(Detector):
    """Finds the bar, and says that its joints are where a standing person's would be."""

    name = "bar"
    skeleton = "h36m17"

    def __init__(self) -> None:
        self.looked = 0

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        box = _bar(image)
        return [] if box is None else [box]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        bar = _bar(image)
        self.looked += bar is not None
        if bar is None:
            return Pose2D(np.zeros((17, 2)), np.zeros(17), 0.0, box)
        scale = (bar.y1 - bar.y0) / (STANDING[:, 1].max() - STANDING[:, 1].min())
        middle = np.array([(bar.x0 + bar.x1) / 2, bar.y1 - 0.88 * scale])
        return Pose2D(middle + scale * STANDING[:, :2], np.full(17, 0.9), 1.0, bar)


def lift_standing(keypoints: Keypoints) -> Pose3D:
    """A lifter that knows one pose: standing, 4 m away, where the pelvis was seen; nothing where nothing was seen."""
    camera = Camera.assumed(keypoints.image_size)
    assert keypoints.skeleton == "h36m17"
    frames, joints = keypoints.score.shape
    assert joints == len(get_skeleton("h36m17").joints)
    xyz = np.broadcast_to(STANDING, (frames, joints, 3)).copy()
    root = np.full((frames, 3), 4.0)
    root[:, :2] = (keypoints.xy[:, 0] - camera.centre) / camera.focal * 4.0
    xyz[~keypoints.seen], root[~keypoints.seen] = np.nan, np.nan
    hidden = np.repeat(~keypoints.seen[:, None], joints, axis=1)
    return Pose3D(xyz, root, hidden, np.full((frames, joints), 0.03), np.array([0.0, -1, 0]), keypoints.fps, "h36m17", camera)


def _bar(image: np.ndarray) -> Box | None:
    rows, columns = np.nonzero(image[..., 1] > 120)
    if len(rows) < 100:
        return None
    return Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
