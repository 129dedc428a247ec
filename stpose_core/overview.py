"""The people in a video with the numbers that `person` accepts, and a picture with their boxes and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stpose_core.detect import KeypointFile
from stpose_core.detect.boxes import extent
from stpose_core.detect.types import Box, Detector, Floats, Image
from stpose_core.errors import VideoError
from stpose_core.files import written_whole
from stpose_core.frames import FrameSource
from stpose_core.pipeline import Progress, observe
from stpose_core.track.choice import choose_people
from stpose_core.track.track import Track

MOST_FRAMES = 6  # of the video in a picture
_WIDEST = 1280  # pixels of each of them
_MARGIN = 0.08  # joints end inside the body: boxes are larger than their extent by this share of it on each side
# RGB, told apart by brightness as well.
_COLOURS = ((255, 214, 10), (64, 156, 255), (255, 105, 97), (90, 220, 120), (200, 130, 255), (255, 160, 60), (120, 230, 230))


@dataclass(frozen=True)
class PersonInVideo:
    """One person. number: by size times presence from 1, as `person` takes it. first, last: seconds in the video between which the
    person is seen. seen: 0..1, share of all frames of the range. size: pixels, median of the longer side of the box around the
    joints. track: the detections."""

    number: int
    first: float
    last: float
    seen: float
    size: float
    track: Track


def find_people(
    video: FrameSource,
    detector: Detector | KeypointFile,
    start: float | None = None,
    end: float | None = None,
    progress: Progress | None = None,
) -> list[PersonInVideo]:
    """All people in the range of a video, the largest first. Raises NoPersonError if there are none, VideoError."""
    seen = observe(video, detector, start, end, progress)
    chosen = choose_people(seen.tracks, "all", (video.info.width, video.info.height), len(seen.times))
    return [
        PersonInVideo(
            number=number,
            first=float(track.times[0]),
            last=float(track.times[-1]),
            seen=len(track) / len(seen.times),
            size=float(np.median(track.sizes())),
            track=track,
        )
        for number, track in enumerate(chosen, 1)
    ]


def write_overview(people: Sequence[PersonInVideo], path: str | Path, video: FrameSource, overwrite: bool = False) -> None:
    """A picture of the frames of the video that show all people, at most six, below one another, with boxes and numbers.

    The file appears whole or not at all. Raises OutputError, VideoError.
    """
    frames = frames_of_all([person.track for person in people])
    times = [float(person.track.times[person.track.frames == frame][0]) for frame in frames for person in _in(people, frame)[:1]]
    pages: list[Image] = []
    for frame in video.frames(min(times), max(times) + 1e-3):
        if frame.index in frames:
            pages.append(_page(frame.image, _in(people, frame.index), frame.index))
    if not pages:
        raise VideoError(f"{video.info.path}: the frames with people cannot be read again")
    ok, data = cv2.imencode(Path(path).suffix.lower(), np.vstack(pages)[..., ::-1])
    assert ok
    with written_whole(path, overwrite) as part:
        part.write_bytes(data.tobytes())


def frames_of_all(tracks: Sequence[Track], most: int = MOST_FRAMES) -> list[int]:
    """The numbers of few frames in which all people are seen at least once, rising: each is the one with most of those who are not
    shown yet, and, of several, the one in which they are seen best. At most `most` frames; people beyond that are left out."""
    left, chosen = list(tracks), list[int]()
    while left and len(chosen) < most:
        worth: dict[int, float] = {}
        for track in left:
            score = track.score.mean(axis=1)
            for frame, value in zip(track.frames.tolist(), score.tolist()):
                worth[frame] = worth.get(frame, 0.0) + 1.0 + 0.5 * value / len(left)
        best = max(worth, key=lambda frame: worth[frame])
        chosen.append(best)
        left = [track for track in left if best not in track.frames]
    return sorted(chosen)


def _in(people: Sequence[PersonInVideo], frame: int) -> list[PersonInVideo]:
    return [person for person in people if frame in person.track.frames]


def _page(image: Image, people: Sequence[PersonInVideo], frame: int) -> Image:
    scale = min(1.0, _WIDEST / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    page = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy())
    thick = max(2, round(max(size) / 320))
    for person in reversed(people):  # the largest last, above the others
        row = int(np.flatnonzero(person.track.frames == frame)[0])
        box = extent(person.track.xy[row].astype(float), person.track.score[row].astype(float))
        _draw_box(page, box, scale, str(person.number), _COLOURS[(person.number - 1) % len(_COLOURS)], thick)
    return np.asarray(page, np.uint8)


def _draw_box(page: Image, box: Box, scale: float, text: str, colour: tuple[int, int, int], thick: int) -> None:
    height, width = page.shape[:2]
    margin = _MARGIN * box.size
    corners: Floats = np.array([box.x0 - margin, box.y0 - margin, box.x1 + margin, box.y1 + margin]) * scale
    x0, y0, x1, y1 = (int(v) for v in np.clip(corners, thick, [width - thick, height - thick] * 2))
    cv2.rectangle(page, (x0, y0), (x1, y1), (20, 20, 20), thick + 2)
    cv2.rectangle(page, (x0, y0), (x1, y1), colour, thick)
    font, size = cv2.FONT_HERSHEY_SIMPLEX, thick / 3
    (wide, high), _ = cv2.getTextSize(text, font, size, thick)
    # Inside the box at its upper left corner, where it is in the picture in any case.
    cv2.rectangle(page, (x0, y0), (x0 + wide + 4 * thick, y0 + high + 4 * thick), colour, -1)
    cv2.putText(page, text, (x0 + 2 * thick, y0 + high + 2 * thick), font, size, (20, 20, 20), thick, cv2.LINE_AA)
