"""Real people without labels: found once in clips and photographs by the network in training, then seen in two ways at a time.

Mean teacher (Tarvainen and Valpola, NeurIPS 2017): where the averaged weights are sure of a joint in a plain view, the network
learns to find it in a changed one.
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
from torch import Tensor

from stpose_core.detect.heatmaps import decode as decode_maps
from stpose_core.detect.heatmaps import with_mirrored
from stpose_core.detect.views import ROOM, cut, seen_at, seen_from, view_of
from stpose_core.errors import FormatError, TrainingError, VideoError
from stpose_core.files import written_whole
from stpose_core.networks.spatial import STRIDE, SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_core.video import read_frames
from stpose_training.spatial.feed import Batch, View, collate, damaged
from stpose_training.synth.cache import decode, pages_of
from stpose_training.synth.pictures import OUTSIDE, VISIBLE

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

_PHOTOS, _CLIPS = (".jpg", ".jpeg", ".png", ".webp"), (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")
_EVERY, _MOST_FRAMES = 1.5, 12  # seconds between the frames of a clip that are looked at; frames of a clip
_WINDOWS = (1.0, 0.6)  # heights of the windows that are searched, of the picture's
_PEOPLE = 3  # in one picture
_SURE, _LEAST_JOINTS = 0.5, 8
_WIDER, _OVERLAP = 1.8, 0.4
_KEPT = 1.8  # sides of a kept crop, of the person's box
_HEIGHT = 320  # pixels, at most, of a kept crop
_AT_ONCE = 32


@dataclass(frozen=True)
class Crops:
    """People that were found: jpeg, N byte arrays; box (N, 4) left, top, right, bottom of the person in its crop, pixels; source
    (N,) what they come from, by name: a photograph, or all clips whose names begin with the same word; clip (N,) which of these."""

    jpeg: list[Picture]
    box: Floats
    source: NDArray[np.str_]
    clip: NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """B people, each seen twice. plain, changed: (B, 3, H, W) pictures. matrix: (B, 2, 3) from places in plain to those in changed
    views. mirrored: (B,) whether left and right are exchanged there."""

    plain: Tensor
    changed: Tensor
    matrix: Tensor
    mirrored: Tensor


def people_in(
    folder: Path, kept: Path, network: SpatialNetwork, size: tuple[int, int], device: torch.device, say: Callable[[str], None]
) -> Crops:
    """The people of the clips and photographs in a folder and those in it, found with the network's help and kept in a file; read
    from there where it exists. Raises TrainingError where nobody is found."""
    if kept.is_file():
        return _read(kept)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOS + _CLIPS)
    if not paths:
        raise TrainingError(f"{folder} holds no clips and no photographs")
    pages, boxes, sources, clips, looked = [], [], [], [], 0
    for path in paths:
        clip = path.suffix.lower() in _CLIPS
        try:
            for picture in _frames(path) if clip else [_photograph(path)]:
                looked += 1
                for box in find_boxes(network, picture, size, device):
                    page, own = _crop(picture, box)
                    pages.append(page)
                    boxes.append(own)
                    sources.append(re.split(r"[\W_\d]", path.stem)[0] or path.stem if clip else path.stem)
                    clips.append(clip)
        except (VideoError, FormatError) as error:
            say(f"left out: {error}")
    if not pages:
        raise TrainingError(f"nobody was found in the {looked} pictures of {folder}: train longer before footage joins in")
    say(f"{folder}: {len(pages)} people in {looked} pictures, of {len(set(sources))} sources")
    with written_whole(kept, overwrite=True) as part, part.open("wb") as handle:
        lengths = np.array([len(page) for page in pages], np.int64)
        np.savez(
            handle,
            bytes=np.concatenate(pages),
            lengths=lengths,
            box=np.stack(boxes),
            source=np.array(sources),
            clip=np.array(clips),
        )
    return _read(kept)


def find_boxes(network: SpatialNetwork, picture: Picture, size: tuple[int, int], device: torch.device) -> list[Floats]:
    """Boxes of at most three people: where in windows of two heights most joints are found, and are found again around those.

    People much smaller than six tenths of the picture's height, or more than three, are not found: it is enough to learn from.
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
    for room in (_WIDER, ROOM):  # a window may have held a part of the person
        boxes = _joint_boxes(network, picture, boxes[:12], room, size, device)
    found: list[Floats] = []
    for box in boxes:
        if len(found) < _PEOPLE and all(_overlap(box, other) < _OVERLAP for other in found):
            found.append(box)
    return found


def pairs(crops: Crops, size: tuple[int, int], count: int, seed: int, device: torch.device) -> Iterator[Pairs]:
    """Batches of `count` people without end: photographs and clips alike often, then each source alike often."""
    random = np.random.default_rng(seed)
    kinds = [np.unique(crops.source[crops.clip == kind]) for kind in (False, True)]
    groups = [(kind, names) for kind, names in zip((False, True), kinds) if len(names)]
    rows = {(kind, name): np.flatnonzero((crops.source == name) & (crops.clip == kind)) for kind, names in groups for name in names}
    while True:
        drawn = []
        for _ in range(count):
            kind, names = groups[int(random.integers(len(groups)))]
            own = rows[kind, names[int(random.integers(len(names)))]]
            row = int(own[int(random.integers(len(own)))])
            drawn.append(_pair(decode(crops.jpeg[row]), crops.box[row], size, random))
        plain, changed, matrices, mirrored = zip(*drawn)
        yield Pairs(
            plain=collate(list(plain), device).pictures,
            changed=collate(list(changed), device, int(random.integers(1 << 62))).pictures,
            matrix=torch.from_numpy(np.stack(matrices).astype(np.float32)).to(device),
            mirrored=torch.tensor(mirrored, device=device),
        )


@torch.no_grad()
def taught(teacher: SpatialNetwork, seen: Pairs, trust: float) -> Batch:
    """The changed views with the joints that the teacher finds in the plain ones: those that it trusts as VISIBLE, if they are four
    or more of a person's and inside of the changed view, all others as OUTSIDE."""
    training = teacher.training
    # The mirror images as well: where the two readings differ, as a front that once is taken for a back, neither is trusted.
    output = teacher.eval()(torch.cat((seen.plain, seen.plain.flip(-1))))
    teacher.train(training)
    both = [part for values in (output.maps, output.hidden) for part in values.chunk(2)]
    places, sure = decode_maps(with_mirrored(both[0], both[2], both[1], both[3])[0], STRIDE)
    places = torch.einsum("bij,bkj->bki", seen.matrix[:, :, :2], places) + seen.matrix[:, None, :, 2]
    order = torch.tensor(H36M17.mirror, device=places.device)
    other = seen.mirrored[:, None]
    places = torch.where(other[..., None], places[:, order], places)
    sure = torch.where(other, sure[:, order], sure)
    size = places.new_tensor([seen.changed.shape[3], seen.changed.shape[2]])
    known = (sure >= trust) & ((places >= 0) & (places < size)).all(-1)
    known &= known.sum(1, keepdim=True) >= 4
    return Batch(seen.changed, places, torch.where(known, VISIBLE, OUTSIDE))


def _pair(picture: Picture, box: Floats, size: tuple[int, int], random: np.random.Generator) -> tuple[View, View, Floats, bool]:
    """A plain and a changed view of a crop, the matrix from the one to the other, and whether that mirrors."""
    plain = view_of(box, size, ROOM * float(np.exp(random.uniform(-0.1, 0.1))))
    extent = max(box[2] - box[0], box[3] - box[1])
    shift = np.tile(np.clip(random.normal(size=2) * 0.06, -0.2, 0.2) * extent, 2)
    angle = float(np.clip(random.normal() * 0.35, -0.9, 0.9)) if random.random() < 0.7 else 0.0
    mirrored = bool(random.random() < 0.5)
    changed = view_of(box + shift, size, ROOM * float(np.exp(random.uniform(-0.25, 0.35))), angle, mirrored)
    nobody = np.full((17, 2), -1.0), np.full(17, OUTSIDE, np.uint8)
    # Holes are made around joints: some places within the box stand for them.
    around = seen_at(changed, random.uniform(box[:2], box[2:], (17, 2)))
    altered = damaged(cut(picture, changed, size), around, nobody[1].copy(), random)
    return View(cut(picture, plain, size), *nobody), altered, _compose(changed, plain), mirrored


def _compose(second: Floats, first: Floats) -> Floats:
    """The matrix (2, 3) from the view of `first` to that of `second`."""
    origin = seen_from(first, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    at = seen_at(second, origin)
    return np.column_stack([at[1] - at[0], at[2] - at[0], at[0]])


@torch.no_grad()
def _joint_boxes(
    network: SpatialNetwork, picture: Picture, around: list[Floats], room: float, size: tuple[int, int], device: torch.device
) -> list[Floats]:
    """Boxes of the sure joints within each of some boxes, where they are enough; those of most joints, then the surest, first."""
    found = []
    for at in range(0, len(around), _AT_ONCE):
        matrices = [view_of(box, size, room) for box in around[at : at + _AT_ONCE]]
        views = [View(cut(picture, matrix, size), np.zeros((17, 2)), np.zeros(17, np.uint8)) for matrix in matrices]
        training = network.training
        with torch.autocast(device.type, torch.bfloat16):
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
    """Share of the smaller box that the other covers."""
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(shared / max(1e-6, min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())))


def _crop(picture: Picture, box: Floats) -> tuple[Picture, Floats]:
    """The surroundings of a box as a JPEG, and the box in it."""
    middle, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * _KEPT
    height, width = picture.shape[:2]
    low = np.clip(np.floor(middle - extent / 2), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(middle + extent / 2), low + 1, (width, height)).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    factor = min(1.0, _HEIGHT / part.shape[0])
    if factor < 1:
        part = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    page = cv2.imencode(".jpg", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return np.asarray(page, np.uint8).reshape(-1), (box - np.tile(low, 2)) * factor


def _photograph(path: Path) -> Picture:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if picture is None:
        raise FormatError(f"{path} is not a picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _frames(path: Path) -> Iterator[Picture]:
    """Some frames of a clip, evenly spaced."""
    due, count = 0.0, 0
    for frame in read_frames(path):
        if count == _MOST_FRAMES:
            return
        if frame.time >= due:
            due, count = due + _EVERY, count + 1
            yield frame.image


def _read(path: Path) -> Crops:
    try:
        with np.load(path, allow_pickle=False) as data:
            return Crops(pages_of(data["bytes"], data["lengths"]), data["box"], data["source"], data["clip"])
    except (KeyError, ValueError, OSError) as error:
        raise FormatError(f"{path} does not hold people of footage: {error}; remove it, and they are searched again") from error
