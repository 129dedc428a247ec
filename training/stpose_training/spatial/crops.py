"""Real people without labels: detected in clips and photographs by a network, and kept as crops.

For each person of a clip the same part of the frames shortly before and after is kept, so that joints can be tracked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.detect.views import MARGIN, cut, seen_from, view_of
from stpose_core.errors import FormatError, TrainingError, VideoError
from stpose_core.files import written_whole
from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.video import Frame, read_frames
from stpose_training.precision import pays_in_bfloat16
from stpose_training.spatial.feed import View, collate
from stpose_training.spatial.heatmaps import decode as decode_maps
from stpose_training.synth.cache import pages_of

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

_PHOTOS, _CLIPS = (".jpg", ".jpeg", ".png", ".webp"), (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")
_EVERY, _MOST_FRAMES = 1.5, 12  # seconds between the frames of a clip that are used; frames of a clip, at most
_NEAR, _FAR = 0.099, 0.201  # seconds to the frames before and after: at least, at most
_WINDOWS = (1.0, 0.6)  # heights of the search windows, relative to the picture's
_PEOPLE = 3  # in one picture, at most
_SURE, _LEAST_JOINTS = 0.5, 8
_WIDER, _OVERLAP = 1.8, 0.4
_KEPT = 1.8  # sides of a crop, relative to the person's box
_HEIGHT = 320  # pixels of a crop, at most
_AT_ONCE = 32
_NONE = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Crops:
    """Detected people. jpeg: N byte arrays. box: (N, 4) left, top, right, bottom of the person in its crop, pixels. source:
    (N,) name of the photograph, or the first word of the clip's name. clip: (N,) whether it is a clip. before, after: N byte
    arrays, the same parts of the frames around; empty if there are none, as for photographs."""

    jpeg: list[Picture]
    box: Floats
    source: NDArray[np.str_]
    clip: NDArray[np.bool_]
    before: list[Picture]
    after: list[Picture]


@dataclass(frozen=True)
class _Moment:
    """A picture (H, W, 3), and those before and after it, or none."""

    picture: Picture
    around: tuple[Picture, Picture] | None = None


def people_in(
    folder: Path, *, kept: Path, network: SpatialNetwork, size: tuple[int, int], device: torch.device, say: Callable[[str], None]
) -> Crops:
    """The people in the clips and photographs of a folder and its sub-folders, detected by the network and kept in a file; read
    from that file if it exists. Raises TrainingError if no person is found."""
    if kept.is_file():
        return _read(kept)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOS + _CLIPS)
    if not paths:
        raise TrainingError(f"{folder} holds no clips and no photographs")
    pages: list[tuple[Picture, ...]] = []
    boxes, sources, clips, looked = [], [], [], 0
    for path in paths:
        clip = path.suffix.lower() in _CLIPS
        try:
            for moment in _moments(path) if clip else [_Moment(_photograph(path))]:
                looked += 1
                for box in find_boxes(network, moment.picture, size, device):
                    own_pages, own = _crops(moment, box)
                    pages.append(own_pages)
                    boxes.append(own)
                    sources.append(re.split(r"[\W_\d]", path.stem)[0] or path.stem if clip else path.stem)
                    clips.append(clip)
        except (VideoError, FormatError) as error:
            say(f"skipped: {error}")
    if not pages:
        raise TrainingError(f"no person was found in the {looked} pictures of {folder}: train longer before footage joins in")
    say(f"{folder}: {len(pages)} people in {looked} pictures, of {len(set(sources))} sources")
    with written_whole(kept, overwrite=True) as part, part.open("wb") as handle:
        lengths = np.array([[len(page) for page in own] for own in pages], np.int64)
        np.savez(
            handle,
            bytes=np.concatenate([page for own in pages for page in own]),
            lengths=lengths,
            box=np.stack(boxes),
            source=np.array(sources),
            clip=np.array(clips),
        )
    return _read(kept)


def find_boxes(network: SpatialNetwork, picture: Picture, size: tuple[int, int], device: torch.device) -> list[Floats]:
    """Boxes of at most three people: windows of two heights in which most joints are found, confirmed by a second look around them.

    People much smaller than 0.6 of the picture's height, and more than three, are not found; the others are enough to learn from.
    """
    height, width = picture.shape[:2]
    windows = []
    for share in _WINDOWS:
        tall = share * height
        wide = tall * size[0] / size[1]
        for left in np.linspace(0, max(0.0, width - wide), max(1, int(np.ceil(2 * (width - wide) / wide)) + 1)):
            for top in np.linspace(0, height - tall, max(1, int(np.ceil(2 * (height - tall) / tall)) + 1)):
                windows.append(np.array([left, top, left + wide, top + tall]))
    boxes = _joint_boxes(network, picture, windows, 1.0, size, device)
    for margin in (_WIDER, MARGIN):  # a window may hold only a part of the person
        boxes = _joint_boxes(network, picture, boxes[:12], margin, size, device)
    found: list[Floats] = []
    for box in boxes:
        if len(found) < _PEOPLE and all(_overlap(box, other) < _OVERLAP for other in found):
            found.append(box)
    return found


@torch.no_grad()
def _joint_boxes(
    network: SpatialNetwork, picture: Picture, around: list[Floats], margin: float, size: tuple[int, int], device: torch.device
) -> list[Floats]:
    """Boxes of the reliable joints within each of some boxes, if they are enough; sorted by number of joints, then by
    confidence."""
    found = []
    for at in range(0, len(around), _AT_ONCE):
        matrices = [view_of(box, size, margin) for box in around[at : at + _AT_ONCE]]
        views = [View(cut(picture, matrix, size), np.zeros((17, 2)), np.zeros(17, np.uint8)) for matrix in matrices]
        training = network.training
        with torch.autocast(device.type, torch.bfloat16, enabled=pays_in_bfloat16(device.type)):
            output = network.eval()(collate(views, device).pictures)
        network.train(training)
        places, sure = (values.cpu().double().numpy() for values in decode_maps(output.maps, STRIDE))
        seen = (sure > _SURE) & (output.hidden.cpu().numpy() < 1)
        for matrix, points, share, good in zip(matrices, places, sure, seen):
            if good.sum() >= _LEAST_JOINTS:
                there = seen_from(matrix, points[good])
                found.append((good.sum(), share[good].mean(), np.concatenate([there.min(0), there.max(0)])))
    return [box for *_, box in sorted(found, key=lambda entry: entry[:2], reverse=True)]


def _overlap(one: Floats, other: Floats) -> float:
    """Covered share of the smaller box."""
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(shared / max(1e-6, min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())))


def _crops(moment: _Moment, box: Floats) -> tuple[tuple[Picture, Picture, Picture], Floats]:
    """The surroundings of a box as JPEGs of the frame, of those before and after, and the box in them."""
    middle, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * _KEPT
    height, width = moment.picture.shape[:2]
    low = np.clip(np.floor(middle - extent / 2), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(middle + extent / 2), low + 1, (width, height)).astype(int)
    factor = min(1.0, _HEIGHT / (high[1] - low[1]))

    def page(picture: Picture) -> Picture:
        part = picture[low[1] : high[1], low[0] : high[0]]
        if factor < 1:
            part = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        coded = cv2.imencode(".jpg", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        return np.asarray(coded, np.uint8).reshape(-1)

    before, after = (page(picture) for picture in moment.around) if moment.around else (_NONE, _NONE)
    return (page(moment.picture), before, after), (box - np.tile(low, 2)) * factor


def _photograph(path: Path) -> Picture:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if picture is None:
        raise FormatError(f"{path} is not a picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _moments(path: Path) -> Iterator[_Moment]:
    """Some frames of a clip, evenly spaced, each with those around it if the clip has frames at that distance."""
    passed: list[Frame] = []
    chosen: Frame | None = None
    due, count = _NEAR, 0
    for frame in read_frames(path):
        if chosen is not None and frame.time >= chosen.time + _NEAR:
            yield _between(chosen, passed, frame)
            chosen, count = None, count + 1
            if count == _MOST_FRAMES:
                return
        passed = [before for before in passed if frame.time - before.time <= 2 * _FAR]
        if chosen is None and frame.time >= due:
            chosen, due = frame, due + _EVERY
        passed.append(frame)
    last = chosen or (passed[-1] if passed and not count else None)
    if last is not None:
        yield _Moment(last.image)


def _between(chosen: Frame, passed: list[Frame], after: Frame) -> _Moment:
    earlier = [frame for frame in passed if _NEAR <= chosen.time - frame.time <= _FAR]
    if earlier and after.time - chosen.time <= _FAR:
        return _Moment(chosen.image, (earlier[-1].image, after.image))
    return _Moment(chosen.image)


def _read(path: Path) -> Crops:
    try:
        with np.load(path, allow_pickle=False) as data:
            pages = pages_of(data["bytes"], data["lengths"].reshape(-1))
            now, before, after = (pages[part::3] for part in range(3))
            if data["lengths"].shape != (len(data["box"]), 3):
                raise ValueError("it was written by another version")
            return Crops(now, data["box"], data["source"], data["clip"], before, after)
    except (KeyError, ValueError, OSError) as error:
        raise FormatError(f"{path} does not hold people of footage: {error}; remove it to search again") from error
