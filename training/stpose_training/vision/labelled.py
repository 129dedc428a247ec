"""Labelled photographs as shards: people cut out for the spatial network, whole pictures for the finder.

Every twentieth picture is kept apart, to measure on. Joints that the set does not label are UNKNOWN, and no loss counts them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import FormatError, TrainingError
from stpose_core.skeletons import H36M17
from stpose_core.stills import read_picture
from stpose_training.data import coco
from stpose_training.data.coco import Photo, as_h36m, read_photos
from stpose_training.synth.cache import Shard, shard_path, write_shard
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, UNKNOWN, VISIBLE

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

PEOPLE, PICTURES = "people", "pictures"
"""Parts of a folder of shards, each with "-train" and "-validation" behind it."""
CROWD = 30
"""People of a whole picture, at most; pictures with more are left out."""
_HELD_OUT = 20  # every so manieth picture is kept apart
_SHARD = 500
_ROOM = 2.0  # sides of a crop, of the person's box
_CROP, _PICTURE = 448, 640  # pixels of the longer side, at most
_LEAST_JOINTS, _LEAST_SIDE = 4, 24  # labelled joints and pixels of a person who is worth a crop
_STATES = {coco.UNLABELLED: UNKNOWN, coco.HIDDEN: HIDDEN, coco.VISIBLE: VISIBLE}
_QUALITY = 92


def prepare(source: Path, folder: Path, say: Callable[[str], None]) -> Path:
    """Makes the shards of a set of labelled photographs, unless the folder holds those of the same file already; the folder.

    Raises FormatError if the set is damaged, TrainingError if no person in it is labelled well enough.
    """
    stamp = {"source": str(source.resolve()), "files": _stamps(source)}
    note = folder / "source.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == stamp:
        return folder
    photos = read_photos(source)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    held = [number % _HELD_OUT == _HELD_OUT - 1 for number in range(len(photos))]
    count = 0
    for name, chosen in (("train", False), ("validation", True)):
        own = [photo for photo, apart in zip(photos, held) if apart == chosen]
        people = _write(part, f"{PEOPLE}-{name}", people_of(own))
        count += people if name == "train" else 0
        _write(part, f"{PICTURES}-{name}", pictures_of(own))
    if not count:
        raise TrainingError(f"{source}: no person has {_LEAST_JOINTS} labelled joints and {_LEAST_SIDE} pixels")
    (part / note.name).write_text(json.dumps(stamp), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    say(f"{source}: {count} labelled people to train on, in {len(photos) - sum(held)} pictures; {sum(held)} pictures to measure on")
    return folder


def people_of(photos: Iterable[Photo]) -> Iterator[Shard]:
    """Each person of some photographs who is labelled well enough, cut out with room around, as a shard of one. `pixels` is the
    root of the person's area in the crop."""
    for photo in photos:
        picture = _read(photo)
        joints, state = _joints(photo)
        known = (state == HIDDEN) | (state == VISIBLE)
        inside = photo.box.clip(0, np.tile(photo.size, 2))
        longer = (inside[:, 2:] - inside[:, :2]).max(1, initial=0)
        for person in np.flatnonzero(~photo.crowd & (known.sum(1) >= _LEAST_JOINTS) & (longer >= _LEAST_SIDE)):
            box = inside[person]
            middle, extent = (box[:2] + box[2:]) / 2, longer[person] * _ROOM
            low = np.clip(np.floor(middle - extent / 2), 0, None).astype(int)
            high = np.clip(np.ceil(middle + extent / 2), 0, photo.size).astype(int)
            crop, factor = _smaller(picture[low[1] : high[1], low[0] : high[0]], _CROP)
            yield _shard(
                crop,
                (joints[person] - low) * factor,
                state[person],
                (box - np.tile(low, 2)) * factor,
                float(np.sqrt(photo.area[person])) * factor,
            )


def pictures_of(photos: Iterable[Photo]) -> Iterator[Shard]:
    """Whole photographs with the boxes of all their people, as shards of one. Of people in a crowd, no joint is known."""
    for photo in photos:
        if len(photo.box) > CROWD:
            continue
        picture, factor = _smaller(_read(photo), _PICTURE)
        joints, state = _joints(photo)
        state = np.where(photo.crowd[:, None], UNKNOWN, state)
        yield _shard(picture, joints * factor, state, photo.box * factor, 0.0, CROWD)


def joined(parts: Iterable[Shard]) -> Shard:
    """Several shards as one."""
    own = list(parts)
    arrays = {name: np.concatenate([getattr(shard, name) for shard in own]) for name in vars(own[0]) if name != "jpeg"}
    return Shard(jpeg=[page for shard in own for page in shard.jpeg], **arrays)


def _write(folder: Path, part: str, parts: Iterator[Shard]) -> int:
    """Writes shards of 500 pictures; the number of pictures."""
    count = number = 0
    while chosen := list(islice(parts, _SHARD)):
        write_shard(shard_path(folder, part, number), joined(chosen))
        count, number = count + len(chosen), number + 1
    return count


def _stamps(source: Path) -> list[list[object]]:
    """Names, sizes and times of the label files: what tells another set from the same."""
    files = [source] if source.is_file() else sorted(source.glob("*.json"))
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _read(photo: Photo) -> Picture:
    picture = read_picture(photo.path)
    if (picture.shape[1], picture.shape[0]) != photo.size:
        shape, size = f"{picture.shape[1]} x {picture.shape[0]}", "{} x {}".format(*photo.size)
        raise FormatError(f"{photo.path} has {shape} pixels, its labels are for {size}")
    return picture


def _joints(photo: Photo) -> tuple[Floats, NDArray[np.uint8]]:
    """Joints (P, 17, 2) of H36M17, 0 where unknown, and their state (P, 17). A labelled joint past the edge is OUTSIDE."""
    joints, labels = as_h36m(photo.joints, photo.labels)
    state = np.array([_STATES[value] for value in range(3)], np.uint8)[labels]
    outside = ((joints < 0) | (joints >= photo.size)).any(-1)  # false for NaN
    return np.nan_to_num(joints), np.where(outside, OUTSIDE, state).astype(np.uint8)


def _smaller(picture: Picture, side: int) -> tuple[Picture, float]:
    factor = min(1.0, side / max(picture.shape[:2]))
    if factor < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return picture, factor


def _shard(picture: Picture, joints: Floats, state: NDArray[np.uint8], box: Floats, pixels: float, places: int = 1) -> Shard:
    """A shard of one picture with places for so many people."""
    page = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    people = joints.reshape(-1, 17, 2)
    count, number = len(people), len(H36M17.joints)
    all_joints, all_boxes = np.zeros((1, places, number, 2), np.float32), np.zeros((1, places, 4), np.float32)
    states = np.full((1, places, number), UNKNOWN, np.uint8)
    all_joints[0, :count], all_boxes[0, :count], states[0, :count] = people, box.reshape(-1, 4), state.reshape(-1, number)
    return Shard(
        jpeg=[np.asarray(page, np.uint8).reshape(-1)],
        joints=all_joints,
        state=states,
        box=all_boxes,
        xyz=np.zeros((1, places, number, 3), np.float32),
        mask=np.zeros((1, 0, 0), np.uint8),
        pixels=np.array([pixels], np.float32),
        tilt=np.zeros(1, np.float32),
    )
