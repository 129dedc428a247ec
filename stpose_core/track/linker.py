"""People linked over time where only their joints are known, as in files of keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from stpose_core.detect.boxes import box_overlap, extent
from stpose_core.detect.types import Floats, Pose2D
from stpose_core.track.similarity import joint_similarity
from stpose_core.track.track import Track

LOST_SECONDS = 1.0  # somebody not seen for longer comes back as somebody new
LEAST = 0.3  # likeness (of joints, or overlap of boxes) below which two sights are not the same person
FLICKER = 3  # people seen in fewer frames than this are dropped, if anybody is seen in more


@dataclass
class _Linked:
    track: Track
    velocity: Floats

    def predicted(self, time: float) -> tuple[Floats, Floats]:
        last = self.track.pose(-1)
        return last.xy + self.velocity * min(time - float(self.track.times[-1]), 0.25), last.score


def link_people(frames: Iterable[tuple[int, Sequence[tuple[Floats, Floats]]]], fps: float, skeleton: str) -> list[Track]:
    """Tracks of everybody, each frame's people matched to those before by joints, boxes and constant velocity.

    frames: rising frame numbers, each with people as (xy (J, 2) pixels, NaN where not seen; score (J,)).
    """
    people: list[_Linked] = []
    for number, sights in frames:
        time = number / fps
        known = [p for p in people if time - p.track.times[-1] <= LOST_SECONDS]
        likeness = np.array([[_likeness(p.predicted(time), sight) for sight in sights] for p in known])
        likeness = likeness.reshape(len(known), len(sights))
        linked: dict[int, _Linked] = {}
        for row, column in zip(*linear_sum_assignment(-likeness)):
            if likeness[row, column] >= LEAST:
                linked[int(column)] = known[row]
        for index, (xy, score) in enumerate(sights):
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


def _likeness(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
    return 0.5 * joint_similarity(*a, *b) + 0.5 * box_overlap(extent(*a), extent(*b))
