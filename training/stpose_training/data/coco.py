"""Photographs with labelled people in the JSON format of COCO's keypoints (cocodataset.org/#format-data).

A folder holds one .json file, and the pictures that it names beside it or in `images/`. Each annotation has a box (left, top,
width, height) in pixels; those of people with labelled joints have 17 keypoints (x, y, v), v being 0 not labelled, 1 labelled
but hidden, 2 labelled and visible.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Keypoints
from stpose_core.errors import FormatError
from stpose_core.skeletons import COCO17, H36M17, convert

Floats = NDArray[np.float64]

UNLABELLED, HIDDEN, VISIBLE = 0, 1, 2
_MOST_BYTES = 1 << 29  # of a .json file: COCO's largest has half of that
_MOST_PEOPLE = 1000  # in one picture
_TRUSTED = 0.85  # trust of a conversion from which its joint counts as labelled
_MOSTLY = 0.75  # mean visibility of a joint's sources (1 visible, 0.5 hidden) from which it counts as visible


@dataclass(frozen=True)
class Photo:
    """A picture and its people. path: of the file. size: (width, height), as the labels say. box: (P, 4) left, top, right, bottom,
    pixels. joints: (P, 17, 2) of COCO17, pixels, NaN where not labelled. labels: (P, 17) UNLABELLED, HIDDEN or VISIBLE. area: (P,)
    of the person in square pixels. crowd: (P,) whether the box holds several people, of whom none is labelled."""

    path: Path
    size: tuple[int, int]
    box: Floats
    joints: Floats
    labels: NDArray[np.uint8]
    area: Floats
    crowd: NDArray[np.bool_]


def read_photos(source: Path) -> list[Photo]:
    """The pictures of a folder, or of a .json file, in the order of the file; pictures without people are among them.

    Raises FormatError, naming the file and the entry, if something is missing or is not what the format says.
    """
    path = _labels_in(source)
    content = _read(path)
    images = {_whole(image, "id", path): image for image in _list(content, "images", path)}
    people: dict[int, list[dict[str, Any]]] = {number: [] for number in images}
    kinds = _person_kinds(content, path)
    for annotation in _list(content, "annotations", path):
        number = _whole(annotation, "image_id", path)
        if number not in people:
            raise FormatError(f"{path}: an annotation names picture {number}, which is not in the file")
        if kinds is None or annotation.get("category_id") in kinds:
            people[number].append(annotation)
    if not images:
        raise FormatError(f"{path} names no pictures")
    return [_photo(path, image, people[number]) for number, image in images.items()]


def as_h36m(joints: Floats, labels: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.uint8]]:
    """COCO's joints (P, 17, 2) and labels (P, 17) as those of H36M17: the same joints where both sets have them, hips, ankles,
    trunk and head by the fitted conversion (`stpose_core.conversions`). Joints without enough labelled sources are UNLABELLED
    and NaN."""
    if not len(joints):
        return np.zeros((0, 17, 2)), np.zeros((0, 17), np.uint8)
    known = labels != UNLABELLED
    plain, seen = (
        convert(Keypoints(joints, weights, 1.0, (1, 1), COCO17.name), H36M17.name)
        for weights in (known.astype(np.float64), labels / 2)
    )
    trusted = plain.score >= _TRUSTED
    visible = seen.score >= _MOSTLY * plain.score
    state = np.where(trusted, np.where(visible, VISIBLE, HIDDEN), UNLABELLED).astype(np.uint8)
    return np.where(trusted[..., None], plain.xy, np.nan), state


def _labels_in(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise FormatError(f"there is no folder {source}")
    files = sorted(source.glob("*.json"))
    if len(files) != 1:
        found = (
            "no .json file"
            if not files
            else f"several .json files ({', '.join(file.name for file in files[:5])}); give one of them"
        )
        raise FormatError(f"{source} holds {found}")
    return files[0]


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise FormatError(f"{path} is larger than {_MOST_BYTES >> 20} MB")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path} is not a file of COCO labels: the outermost value is no object")
    return content


def _list(content: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    values = content.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise FormatError(f"{path} is not a file of COCO labels: '{name}' is no list of objects")
    return values


def _whole(entry: dict[str, Any], name: str, path: Path) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"{path}: '{name}' must be a whole number, got {value!r:.40}")
    return value


def _person_kinds(content: dict[str, Any], path: Path) -> set[int] | None:
    """Numbers of the categories of people; None for a file without categories, in which all are people."""
    if "categories" not in content:
        return None
    people = [kind for kind in _list(content, "categories", path) if kind.get("name") == "person"]
    names = list(COCO17.joints)
    for kind in people:
        given = kind.get("keypoints", names)
        if not isinstance(given, list) or [str(name).replace("left_", "l_").replace("right_", "r_") for name in given] != names:
            raise FormatError(f"{path}: the keypoints of 'person' are not the 17 of COCO in their order")
    return {_whole(kind, "id", path) for kind in people}


def _photo(path: Path, image: dict[str, Any], people: list[dict[str, Any]]) -> Photo:
    name, size = image.get("file_name"), (_whole(image, "width", path), _whole(image, "height", path))
    if not isinstance(name, str) or not name or min(size) < 1:
        raise FormatError(f"{path}: picture {image['id']} needs a file_name, a width and a height")
    if len(people) > _MOST_PEOPLE:
        raise FormatError(f"{path}: {name} has more than {_MOST_PEOPLE} people")
    folder = path.parent.resolve()
    found = [place for place in ((folder / name).resolve(), (folder / "images" / name).resolve()) if place.is_file()]
    if not found or not found[0].is_relative_to(folder):
        raise FormatError(f"{path} names the picture {name!r:.100}, which is not in {path.parent} or its folder images")
    box = np.array([_numbers(person, "bbox", 4, path) for person in people]).reshape(-1, 4)
    points = np.array([_numbers(person, "keypoints", 51, path, missing=0.0) for person in people]).reshape(-1, 17, 3)
    labels = points[..., 2].clip(0, 2).astype(np.uint8)
    if (labels != points[..., 2]).any():
        raise FormatError(f"{path}: the labels v of keypoints in {name} are not all 0, 1 or 2")
    area = np.array([_numbers(person, "area", 1, path, missing=-1.0)[0] for person in people])
    return Photo(
        path=found[0],
        size=size,
        box=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:].clip(0)], 1),
        joints=np.where(labels[..., None] > 0, points[..., :2], np.nan),
        labels=labels,
        # COCO's area is that of the outline. Without one, the box stands for it: people fill about half of theirs.
        area=np.where(area > 0, area, 0.5 * box[:, 2:].clip(0).prod(1)),
        crowd=np.array([bool(person.get("iscrowd", 0)) for person in people], bool),
    )


def _numbers(entry: dict[str, Any], name: str, count: int, path: Path, missing: float | None = None) -> list[float]:
    value = entry.get(name)
    if value is None and missing is not None:
        return [missing] * count
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) != count or not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e7 for v in values):
        raise FormatError(f"{path}: '{name}' of an annotation must be {count} finite numbers, got {value!r:.60}")
    return [float(v) for v in values]
