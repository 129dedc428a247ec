"""A preview video: the joints drawn over the picture, and beside it the 3D skeleton from two sides, on the floor.

Left is red, right is green. Joints that were not seen are hollow, at the place where the 3D pose has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stpose_core.background import ahead
from stpose_core.data import Array, Capture
from stpose_core.frames import FrameSource, open_source
from stpose_core.pipeline import AHEAD, Progress
from stpose_core.preview_figure import FigureView, colour_of_person
from stpose_core.skeletons import H36M17, Skeleton, get_skeleton
from stpose_core.video_writer import PreviewWriter

if TYPE_CHECKING:
    Image = NDArray[np.uint8]

# RGB. The person's own left and right, as on a ship.
LEFT, RIGHT, MIDDLE = (230, 60, 60), (60, 200, 90), (240, 240, 240)
SHADOW = (20, 20, 20)
# Bones with a joint of a lower score are drawn thin.
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
    """Write the video with the joints of all people drawn in, and two views of their motion beside it; as many frames as the
    captures have, at their rate.

    start, end: the range that was captured. video: the captured source, if it is still open; by default, the path in the captures
    is opened again. The file appears whole or not at all; an existing one is replaced.
    Raises VideoError, OutputError.
    """
    info = captures[0].video
    side = max(2, round(info.height / 2))
    views = (FigureView(captures, (side, side), 25.0), FigureView(captures, (side, info.height - side), 110.0))
    with (
        nullcontext(video) if video else open_source(info.path, info.fps) as source,
        PreviewWriter(path, captures[0].motion.fps, (info.width + side, info.height)) as writer,
    ):
        for frame, image in pictures(captures, source, start, end, progress):
            figures = np.vstack([view.draw(frame) for view in views])
            writer.write(np.hstack([drawn(image, captures, frame), figures]))


def pictures(
    captures: Sequence[Capture],
    source: FrameSource,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Image]]:
    """The frame number and the picture for each frame of the captures, whose time grid is even where the video's may not be.

    Where the video has no frame for a point of the grid, the previous picture comes again.
    """
    frames, fps = len(captures[0]), captures[0].motion.fps
    with closing(ahead(source.frames(start, end), AHEAD)) as decoded:
        origin: float | None = None
        written = 0
        before: Image | None = None
        for frame in decoded:
            origin = frame.time if origin is None else origin
            place = min(round((frame.time - origin) * fps), frames - 1)
            while written < place and before is not None:
                yield written, before
                written += 1
            if written == place:
                yield written, frame.image
                written += 1
            before = frame.image
            if progress:
                progress("preview", written, frames)
        while written < frames and before is not None:
            yield written, before
            written += 1
    if progress:
        progress("preview", frames, frames)


def draw_skeleton(image: Image, xy: Array, score: Array, skeleton: Skeleton, middle: tuple[int, int, int] = MIDDLE) -> None:
    """Draw one person's bones and joints into an image, in place.

    image: (H, W, 3) uint8 RGB. xy: (J, 2) pixels; score: (J,), where 0 means unseen and is left out. middle: RGB of bones that are
    neither left nor right.
    """
    import cv2

    thick, points = _thickness(image), _whole(xy, image)
    for joint, parent in enumerate(skeleton.parents):
        if parent < 0 or not (score[joint] > 0 and score[parent] > 0):
            continue
        width = thick if min(score[joint], score[parent]) >= SURE else max(1, thick // 2)
        cv2.line(image, points[parent], points[joint], SHADOW, width + 2, cv2.LINE_AA)
        cv2.line(image, points[parent], points[joint], _colour(skeleton.joints[joint], middle), width, cv2.LINE_AA)
    for joint, point in enumerate(points):
        if score[joint] > 0:
            cv2.circle(image, point, thick + 1, _colour(skeleton.joints[joint], middle), -1, cv2.LINE_AA)


def drawn(image: Image, captures: Sequence[Capture], frame: int) -> Image:
    """A copy of the picture with the joints of all people at this frame of their captures."""
    picture = np.array(image)
    for number, capture in enumerate(captures):
        seen = capture.keypoints
        middle = colour_of_person(number) if len(captures) > 1 else MIDDLE
        _draw_hidden(picture, capture, frame, middle)
        draw_skeleton(picture, seen.xy[frame], seen.score[frame], get_skeleton(seen.skeleton), middle)
    return picture


def _draw_hidden(image: Image, capture: Capture, frame: int, middle: tuple[int, int, int]) -> None:
    """Hollow circles for the hidden joints of the 3D pose, by its own camera."""
    import cv2

    pose, camera = capture.pose3d, capture.pose3d.camera
    points = pose.xyz[frame] + pose.root[frame]
    shown = pose.hidden[frame] & np.isfinite(points).all(axis=1)
    shown &= np.where(shown, points[:, 2], 0.0) > 0.1
    if not shown.any():
        return
    xy = camera.focal * points[:, :2] / np.where(shown, points[:, 2], 1.0)[:, None] + np.asarray(camera.centre)
    thick = _thickness(image)
    for joint, point in enumerate(_whole(xy, image)):
        if shown[joint]:
            cv2.circle(image, point, thick + 3, _colour(H36M17.joints[joint], middle), 1, cv2.LINE_AA)


def _thickness(image: Image) -> int:
    return max(1, round(max(image.shape[:2]) / 400))


def _whole(xy: Array, image: Image) -> list[tuple[int, int]]:
    """Pixels as whole numbers. Ends far outside the picture would overflow OpenCV's."""
    limit = 4 * max(image.shape[:2])
    return [(int(x), int(y)) for x, y in np.clip(np.nan_to_num(xy), -limit, limit)]


def _colour(joint: str, middle: tuple[int, int, int]) -> tuple[int, int, int]:
    return LEFT if joint.startswith("l_") else RIGHT if joint.startswith("r_") else middle
