"""Linking of people over time if only their joints are known, as in keypoint files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stpose_core.detect.boxes import SEEN, extent
from stpose_core.detect.types import Box, Floats, Pose2D
from stpose_core.track.similarity import JOINT_SPREAD, area
from stpose_core.track.track import Track

LOST_SECONDS = 1.0  # a person who was not seen for longer is not expected in the same pose
AWAY_SECONDS, AWAY_SIZES = 5.0, 1.0  # but is the same one at the same size near the same place, by the size of the box
LEAST = 0.3  # similarity (of joints, or overlap of boxes) below which two detections are not the same person
FLICKER = 3  # people seen in fewer frames than this are dropped, if anybody is seen in more


@dataclass
class _Linked:
    track: Track
    velocity: Floats

    def predicted(self, time: float) -> tuple[Floats, Floats]:
        last = self.track.pose(-1)
        return last.xy + self.velocity * min(time - float(self.track.times[-1]), 0.25), last.score


def link_people(frames: Iterable[tuple[int, Sequence[tuple[Floats, Floats]]]], fps: float, skeleton: str) -> list[Track]:
    """Tracks of all people. The people of each frame are matched to earlier ones by joints, boxes and constant velocity.

    frames: increasing frame numbers, each with people as (xy (J, 2) pixels, NaN for joints that were not detected; score (J,)).
    """
    # Takes longer to import than all of detection, which does not need it.
    from scipy.optimize import linear_sum_assignment

    people: list[_Linked] = []
    for number, detections in frames:
        time = number / fps
        known = [p for p in people if time - p.track.times[-1] <= LOST_SECONDS]
        similarity = _similarity([p.predicted(time) for p in known], detections)
        linked: dict[int, _Linked] = {}
        for row, column in zip(*linear_sum_assignment(-similarity)):
            if similarity[row, column] >= LEAST:
                linked[int(column)] = known[row]
        away = [p for p in people if time - p.track.times[-1] <= AWAY_SECONDS and p not in linked.values()]
        linked |= _returned(away, {index: extent(*detection) for index, detection in enumerate(detections) if index not in linked})
        for index, (xy, score) in enumerate(detections):
            box = extent(xy, score)
            person = linked.get(index)
            if person is None:
                person = _Linked(Track(len(people) + 1, skeleton), np.zeros(2))
                people.append(person)
            else:
                last = person.track.pose(-1).box
                step = (box.centre - last.centre) / (time - float(person.track.times[-1]))
                person.velocity = 0.5 * person.velocity + 0.5 * step
            person.track.add(time, number, Pose2D(xy, score, float(score.max(initial=0.0)), box))
    tracks = [person.track for person in people]
    lasting = [track for track in tracks if len(track) >= FLICKER]
    return lasting or tracks


def _returned(away: Sequence[_Linked], boxes: dict[int, Box]) -> dict[int, _Linked]:
    """Who of those who were not seen for a while is in which box, by place and size; nobody where two of them could be."""
    if not away or not boxes:
        return {}
    far = np.full((len(away), len(boxes)), np.inf)
    for row, person in enumerate(away):
        last = person.track.pose(-1).box
        for column, box in enumerate(boxes.values()):
            if last.size > 0 and 0.75 < box.size / last.size < 1.33:
                far[row, column] = np.hypot(*(box.centre - last.centre)) / (AWAY_SIZES * last.size)
    near = far <= 1
    alone = near & (near.sum(0, keepdims=True) == 1) & (near.sum(1, keepdims=True) == 1)
    return {list(boxes)[int(column)]: away[int(row)] for row, column in zip(*np.nonzero(alone))}


def _similarity(known: Sequence[tuple[Floats, Floats]], detections: Sequence[tuple[Floats, Floats]]) -> Floats:
    """(K, S) similarity of each known person and each detection: the mean of `joint_similarity` and box overlap."""
    if not known or not detections:
        return np.zeros((len(known), len(detections)))
    # All pairs at once, because a crowd has thousands of pairs per frame.
    a, b = (np.stack([xy for xy, _ in group]) for group in (known, detections))
    score_a, score_b = (np.stack([score for _, score in group]) for group in (known, detections))
    boxes_a, boxes_b = ([extent(xy, score) for xy, score in group] for group in (known, detections))
    spread = JOINT_SPREAD * np.sqrt(np.sqrt(np.outer([area(box) for box in boxes_a], [area(box) for box in boxes_b]))) + 1e-9
    seen_a, seen_b = (np.isfinite(xy).all(-1) & (score >= SEEN) for xy, score in ((a, score_a), (b, score_b)))
    both = seen_a[:, None] & seen_b
    distance = np.linalg.norm(np.where(both[..., None], a[:, None] - b, 0.0), axis=-1)
    joints = (np.exp(-0.5 * (distance / spread[..., None]) ** 2) * both).sum(-1) / np.maximum(both.sum(-1), 1)
    return np.asarray(0.5 * np.where(both.sum(-1) >= 3, joints, 0.0) + 0.5 * _overlap(boxes_a, boxes_b))


def _overlap(a: Sequence[Box], b: Sequence[Box]) -> Floats:
    """(K, S) intersection over union of each pair of boxes, 0..1."""
    one, other = (np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes]) for boxes in (a, b))
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    common = np.clip(high - low, 0.0, None).prod(-1)
    sizes = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other)]
    return np.asarray(common / np.maximum(sizes[0][:, None] + sizes[1] - common, 1e-9))
