"""A preview video: the joints as they were seen, drawn over the picture, on the even time grid of the captures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stpose_core.background import ahead
from stpose_core.data import Array, Capture
from stpose_core.frames import FrameSource, open_source
from stpose_core.pipeline import AHEAD, Progress
from stpose_core.skeletons import Skeleton, get_skeleton
from stpose_core.video_writer import PreviewWriter

if TYPE_CHECKING:
    Image = NDArray[np.uint8]

# RGB. The person's own left and right, as on a ship.
LEFT, RIGHT, MIDDLE = (230, 60, 60), (60, 200, 90), (240, 240, 240)
SHADOW = (20, 20, 20)
# Bones with a joint that is less sure than this are drawn thin.
SURE = 0.5


def write_preview(
    captures: Sequence[Capture],
    path: str | Path,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
    *,
    video: FrameSource | None = None,
) -> None:
    """Write the video again with everybody's joints drawn over it: as many frames as the captures have, at their rate.

    start, end: the range that was captured. video: the source that was captured, if it is still open; by default the file or folder
    that the captures name is opened again. The file appears whole or not at all; an existing one is replaced.
    Raises VideoError, OutputError.
    """
    info = captures[0].video
    with nullcontext(video) if video else open_source(info.path, info.fps) as source:
        _write(captures, path, source, start, end, progress)


def _write(
    captures: Sequence[Capture],
    path: str | Path,
    source: FrameSource,
    start: float | None,
    end: float | None,
    progress: Progress | None,
) -> None:
    first = captures[0]
    frames, fps, info = len(first), first.motion.fps, first.video
    with PreviewWriter(path, fps, (info.width, info.height)) as writer, closing(ahead(source.frames(start, end), AHEAD)) as decoded:
        origin: float | None = None
        written = 0
        before: Image | None = None
        for frame in decoded:
            origin = frame.time if origin is None else origin
            place = min(round((frame.time - origin) * fps), frames - 1)
            # Frames of the grid that the video jumps over show the picture before.
            while written < place and before is not None:
                writer.write(_drawn(before, captures, written))
                written += 1
            if written == place:
                writer.write(_drawn(frame.image, captures, written))
                written += 1
            before = frame.image
            if progress:
                progress("preview", written, frames)
        while written < frames and before is not None:
            writer.write(_drawn(before, captures, written))
            written += 1
    if progress:
        progress("preview", frames, frames)


def draw_skeleton(image: Image, xy: Array, score: Array, skeleton: Skeleton) -> None:
    """Draw one person's bones and joints into an image, in place.

    image: (H, W, 3) uint8 RGB. xy: (J, 2) pixels; score: (J,), where 0 means unseen and is left out.
    """
    import cv2

    thick = max(1, round(max(image.shape[:2]) / 400))
    # Ends far outside the picture would overflow OpenCV's integers.
    limit = 4 * max(image.shape[:2])
    points = [tuple(int(value) for value in np.clip(np.nan_to_num(point), -limit, limit)) for point in xy]
    for joint, parent in enumerate(skeleton.parents):
        if parent < 0 or not (score[joint] > 0 and score[parent] > 0):
            continue
        width = thick if min(score[joint], score[parent]) >= SURE else max(1, thick // 2)
        cv2.line(image, points[parent], points[joint], SHADOW, width + 2, cv2.LINE_AA)
        cv2.line(image, points[parent], points[joint], _colour(skeleton.joints[joint]), width, cv2.LINE_AA)
    for joint, point in enumerate(points):
        if score[joint] > 0:
            cv2.circle(image, point, thick + 1, _colour(skeleton.joints[joint]), -1, cv2.LINE_AA)


def _drawn(image: Image, captures: Sequence[Capture], frame: int) -> Image:
    picture = np.array(image)
    for capture in captures:
        seen = capture.keypoints
        draw_skeleton(picture, seen.xy[frame], seen.score[frame], get_skeleton(seen.skeleton))
    return picture


def _colour(joint: str) -> tuple[int, int, int]:
    return LEFT if joint.startswith("l_") else RIGHT if joint.startswith("r_") else MIDDLE
