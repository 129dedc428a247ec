"""How well a finder finds people in frames that it was not trained on, rendered or photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.search import Outputs, find_people, shown_as
from stpose_core.detect.types import Box
from stpose_core.errors import FormatError
from stpose_core.networks.finder import FinderNetwork
from stpose_training.data.coco import read_photos
from stpose_training.finder.feed import FOUND, UNCLEAR, seen_frame
from stpose_training.synth.cache import FRAMES, Shard, decode, read_shard, shards
from stpose_training.vision.labelled import PICTURES, pictures_of

_COUNTS = 0.25  # score from which a box counts; the detector also examines boxes with lower scores
_SAME = 0.5  # overlap from which a box is that of the person
_SLACK = 0.7  # share of a box inside an unclear person's box from which it is ignored
_SMALL, _LARGE = 40, 120  # pixels of the longer side in a frame of 384 pixels


@dataclass(frozen=True)
class Frame:
    """A held-out frame. picture: (H, W, 3). people: boxes of people to find. unclear: boxes of people who may be missed."""

    picture: NDArray[np.uint8]
    people: list[Box]
    unclear: list[Box]


def held_out_frames(cache: Path, most: int = 500) -> list[Frame]:
    """Rendered frames. Raises FormatError if the cache has none."""
    frames = _frames(cache, f"{FRAMES}validation", most)
    if not frames:
        raise FormatError(f"{cache} holds no held-out frames: make some with stpose render --frames --held-out")
    return frames


def held_out_photos(folder: Path, most: int = 500) -> list[Frame]:
    """The pictures that a run keeps apart (`vision.labelled`); none if there are fewer than twenty in the set."""
    return _frames(folder, f"{PICTURES}-validation", most)


def photo_frames(source: Path, most: int = 500) -> list[Frame]:
    """The first pictures of a set of labelled photographs."""
    return [frame for photo in islice(pictures_of(read_photos(source)), most) for frame in _frames_of(photo)]


def _frames(folder: Path, part: str, most: int) -> list[Frame]:
    return list(islice((frame for path in shards(folder, part) for frame in _frames_of(read_shard(path))), most))


def _frames_of(shard: Shard) -> Iterator[Frame]:
    whole = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
    for row in range(len(shard.jpeg)):
        picture = decode(shard.jpeg[row])
        view = seen_frame(shard, row, picture, whole, (picture.shape[1], picture.shape[0]))
        boxes = [Box(*(float(value) for value in box)) for box in view.boxes]
        found, unclear = ([box for box, who in zip(boxes, view.who) if who == kind] for kind in (FOUND, UNCLEAR))
        yield Frame(picture, found, unclear)


@torch.no_grad()
def judge_finder(network: FinderNetwork, frames: list[Frame], device: torch.device) -> dict[str, float]:
    """found: share of people found (overlap of 0.5 or more), of all and by size; false: false boxes a frame; deserted: share of
    frames without people that get a box. All at the score from which a box counts."""
    training = network.training
    network.eval()

    def look(picture: NDArray[np.uint8]) -> Outputs:
        output = network(torch.from_numpy(shown_as(picture)).to(device, memory_format=torch.channels_last))
        centre, sides, up = (values[0].float().cpu().numpy() for values in (output.centre, output.sides, output.up))
        return centre, sides, up

    sizes: list[float] = []
    hit: list[bool] = []
    false = empty = deserted = 0
    for frame in frames:
        boxes = find_people(frame.picture, look, network.config.side, _COUNTS)
        left = list(boxes)
        for person in frame.people:
            best = max(left, key=lambda box: box_overlap(box, person), default=None)
            sizes.append(person.size)
            hit.append(best is not None and box_overlap(best, person) >= _SAME)
            if best is not None and hit[-1]:
                left.remove(best)
        left = [box for box in left if all(_share_in(box, other) < _SLACK for other in frame.unclear)]
        false += len(left)
        if not frame.people and not frame.unclear:
            empty += 1
            deserted += bool(boxes)
    network.train(training)
    size, found = np.array(sizes), np.array(hit)
    measures = {"found": found.mean() if len(found) else 0.0, "false": false / len(frames), "deserted": deserted / max(empty, 1)}
    for name, chosen in (("small", size < _SMALL), ("middle", (size >= _SMALL) & (size < _LARGE)), ("large", size >= _LARGE)):
        if chosen.any():
            measures[name] = found[chosen].mean()
    return {name: round(float(value), 4) for name, value in measures.items()}


def _share_in(box: Box, other: Box) -> float:
    """Share of a box that lies in another."""
    width, height = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0) / max((box.x1 - box.x0) * (box.y1 - box.y0), 1e-6)
