"""Still pictures: reading them in their upright orientation, and detecting all people in them with h36m17 joints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stpose_core.data import Keypoints
from stpose_core.detect.boxes import SEEN, extent
from stpose_core.errors import FormatError
from stpose_core.reading import read_list
from stpose_core.skeletons import H36M17, convert
from stpose_core.track.person import HELD, SAME, verified
from stpose_core.track.similarity import joint_similarity
from stpose_core.watchdog import step

if TYPE_CHECKING:
    from stpose_core.detect.types import Box, Detector, Floats, Image, Pose2D

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes of pictures in a folder. A file that is given itself may have any format that OpenCV reads."""
_HALF_AS_SURE, _MOSTLY = 0.5, 0.6  # sureness against that of another person, and share of joints within them: a part of them
_MARGIN = 0.08  # joints end inside the body's outline: boxes are larger than their extent by this share of it on each side


@dataclass(frozen=True)
class StillPerson:
    """A person in a picture. box: left, top, width, height in pixels, around the detected joints, inside the picture. score: 0..1,
    the probability of a person times the mean score of the joints. xy: (17, 2) pixels, origin top left, NaN for joints that were
    not detected. joint_score: (17,) 0..1, 0 for joints that were not detected."""

    box: tuple[float, float, float, float]
    score: float
    xy: Floats
    joint_score: Floats


def list_pictures(names: Iterable[str]) -> list[Path]:
    """The pictures given by files, folders (their pictures, sorted by name, without sub-folders) and @LIST files, each once, in the
    given order.

    A list has one file or folder per line, as on the command line; empty lines are ignored. Raises FormatError if something is
    missing, or a folder or a list contains no picture.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for path in _named(name):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def read_picture(path: Path) -> Image:
    """(H, W, 3) uint8 RGB, turned upright as its EXIF orientation says. Raises FormatError naming the file if it cannot be read."""
    try:
        with step(path):
            data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        with step(path):
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error as error:  # a picture larger than OpenCV accepts
        raise FormatError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if picture is None:
        raise FormatError(f"{path} is not a picture that can be read (or it is damaged)")
    return np.ascontiguousarray(picture[..., ::-1])


def people_in(image: Image, detector: Detector) -> list[StillPerson]:
    """All people in a picture (H, W, 3), by falling score.

    A person counts only if a second detection in the resulting box confirms it. People that repeat one with a higher score, or are
    a part of one with a much higher score, are dropped: such poses result from boxes around legs alone or around two people.
    """
    height, width = image.shape[:2]
    poses = [verified(detector, image, box, sure=HELD, turning=True) for box in detector.find(image, thorough=True)]
    seen = [_person(pose, detector.skeleton, (width, height)) for pose in poses if pose is not None]
    people: list[StillPerson] = []
    for person in sorted(seen, key=lambda person: -person.score):
        if all(_alike(person, other) < SAME and not _is_part(person, other) for other in people):
            people.append(person)
    return people


def _named(name: str) -> list[Path]:
    if name.startswith("@"):
        return _listed(Path(name[1:]))
    path = Path(name)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        inside = [file for file in files if file.suffix.lower() in SUFFIXES]
        if not inside:
            raise FormatError(f"there is no picture in the folder {path} ({', '.join(SUFFIXES)})")
        return inside
    if not path.is_file():
        raise FormatError(f"there is no file {path}")
    return [path]


def _listed(path: Path) -> list[Path]:
    return [file for name in read_list(path) for file in _named(name)]


def _alike(one: StillPerson, other: StillPerson) -> float:
    return joint_similarity(one.xy, one.joint_score, other.xy, other.joint_score)


def _is_part(one: StillPerson, other: StillPerson) -> bool:
    """Whether a person has less than half the score of another one, and most of the joints lie within the other."""
    left, top, width, height = other.box
    seen = one.joint_score >= SEEN
    inside = ((one.xy >= (left, top)) & (one.xy <= (left + width, top + height))).all(axis=1)
    share = inside[seen].mean() if seen.any() else 1.0
    return bool(one.score < _HALF_AS_SURE * other.score and share > _MOSTLY)


def _person(pose: Pose2D, skeleton: str, size: tuple[int, int]) -> StillPerson:
    joints = convert(Keypoints(pose.xy[None], np.clip(pose.score, 0, 1)[None], 1.0, size, skeleton), H36M17.name)
    xy, score = joints.xy[0], joints.score[0]
    return StillPerson(_outline(extent(xy, score), size), float(pose.presence * score.mean()), xy, score)


def _outline(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    grow = _MARGIN * box.size
    left, right = (float(np.clip(value, 0, size[0])) for value in (box.x0 - grow, box.x1 + grow))
    top, bottom = (float(np.clip(value, 0, size[1])) for value in (box.y0 - grow, box.y1 + grow))
    return left, top, right - left, bottom - top
