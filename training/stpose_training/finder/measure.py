"""How well a finder finds people: on rendered frames that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.search import Outputs, find_people, shown_as
from stpose_core.detect.types import Box
from stpose_core.errors import FormatError
from stpose_core.networks.finder import FinderNetwork
from stpose_training.finder.feed import FOUND, UNCLEAR, seen_frame
from stpose_training.synth.cache import FRAMES, decode, read_shard, shards

_COUNTS = 0.25  # score of a box from which it counts; the detector looks closer at less sure ones too
_SAME = 0.5  # overlap from which a box is of the person
_SLACK = 0.7  # share of a box inside that of somebody unclear, from which it counts neither way
_SMALL, _LARGE = 40, 120  # pixels of the longer side in a frame of 384 pixels


@dataclass(frozen=True)
class Frame:
    """A held-out frame. picture: (H, W, 3). people: boxes of those to be found. unclear: of those who need not be."""

    picture: NDArray[np.uint8]
    people: list[Box]
    unclear: list[Box]


def held_out_frames(cache: Path, most: int = 500) -> list[Frame]:
    """Raises FormatError if the cache has none."""
    frames: list[Frame] = []
    whole = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
    for path in shards(cache, f"{FRAMES}validation"):
        shard = read_shard(path)
        for row in range(min(len(shard.jpeg), most - len(frames))):
            picture = decode(shard.jpeg[row])
            view = seen_frame(shard, row, picture, whole, (picture.shape[1], picture.shape[0]))
            boxes = [Box(*(float(value) for value in box)) for box in view.boxes]
            frames.append(
                Frame(
                    picture,
                    [box for box, who in zip(boxes, view.who) if who == FOUND],
                    [box for box, who in zip(boxes, view.who) if who == UNCLEAR],
                )
            )
    if not frames:
        raise FormatError(f"{cache} holds no held-out frames: make some with stpose train finder --render and --held-out")
    return frames


@torch.no_grad()
def judge_finder(network: FinderNetwork, frames: list[Frame], device: torch.device) -> dict[str, float]:
    """found: share of the people found (overlap 0.5 or more), of all and by size; false: boxes on nobody, a frame; deserted: share
    of the frames without people that get a box. All at the score from which a detector believes."""
    training = network.training
    network.eval()

    def look(picture: NDArray[np.uint8]) -> Outputs:
        output = network(torch.from_numpy(shown_as(picture)).to(device, memory_format=torch.channels_last))
        centre, sides, up = (values[0].float().cpu().numpy() for values in (output.centre, output.sides, output.up))
        return centre, sides, up

    sizes: list[float] = []
    hit: list[bool] = []
    false, empty, haunted = 0, 0, 0
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
            haunted += bool(boxes)
    network.train(training)
    size, found = np.array(sizes), np.array(hit)
    measures = {"found": found.mean() if len(found) else 0.0, "false": false / len(frames), "deserted": haunted / max(empty, 1)}
    for name, chosen in (("small", size < _SMALL), ("middle", (size >= _SMALL) & (size < _LARGE)), ("large", size >= _LARGE)):
        if chosen.any():
            measures[name] = found[chosen].mean()
    return {name: round(float(value), 4) for name, value in measures.items()}


def _share_in(box: Box, other: Box) -> float:
    """The share of a box that lies in another."""
    width, height = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0) / max((box.x1 - box.x0) * (box.y1 - box.y0), 1e-6)
