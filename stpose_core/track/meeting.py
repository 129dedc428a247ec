"""Who is who where people meet: a detector that looks for the one finds the joints of the other, or of both in one place.

A pose is compared with each of two people by `Person.unlike`: the path that they came on, and the colours of their clothes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpose_core.detect.boxes import box_overlap
from stpose_core.detect.types import Pose2D
from stpose_core.track.person import Person, apart, pose_at, seen_box, similarity
from stpose_core.track.similarity import torso_colours

if TYPE_CHECKING:
    from stpose_core.video import Frame

Detections = list[tuple[float, int, Pose2D]]

ALIKE, EXCHANGED = 0.2, 0.8  # of `Person.unlike`: smaller differences mean nothing; larger ones, exchanged poses
HIDDEN_SECONDS = 1.0  # a lost person may have walked on behind another person for this long
MERGING = 0.3  # if two people merge into one pose, the hidden one is cut back to where their joints were less similar
CLAIM_FRAMES = 5  # of a new person's first detections are compared with those of the people who are followed


def touch(person: Person, other: Person, time: float) -> bool:
    """Whether two people may be taken for each other: their boxes overlap, or the other one was lost near there just now."""
    if not other.lost:
        return box_overlap(seen_box(person.pose), seen_box(other.pose)) > 0
    if time - other.time > HIDDEN_SECONDS:
        return False
    expected, box = other.expected(time), seen_box(person.pose)
    place = seen_box(other.pose).centre if expected is None else expected[0][:2]
    return bool(np.hypot(*(box.centre - place)) < box.size)


def beside(person: Person, other: Person) -> bool:
    """Whether two people who touch can be told apart nevertheless, as both are followed and stand beside each other."""
    return not other.lost and apart(person.pose, other.pose, person.track.skeleton)


def hidden_one(person: Person, other: Person, frame: Frame) -> Person:
    """The one of two people whom the pose that both share looks less like, cut back to where the two were distinguished."""
    costs = [_unlike(who, person.pose, frame) for who in (person, other)]
    if abs(costs[0] - costs[1]) > ALIKE:
        hidden = person if costs[0] > costs[1] else other
    else:
        hidden = person if len(person.track) < len(other.track) else other
    keeper = other if hidden is person else person
    rows = len(hidden.track)
    while rows and similarity(hidden.track.pose(rows - 1), pose_at(keeper.track, hidden.track.frames[rows - 1])) > MERGING:
        rows -= 1
    hidden.track.cut(rows)
    return hidden


def exchange(person: Person, other: Person, frames: Sequence[Frame]) -> None:
    """Give each of two people the other's detections, as far back as they look like it. frames: falling in time."""
    rows = 0
    clear = max(who.track.times[min(who.clear, len(who.track)) - 1] if who.clear else -np.inf for who in (person, other))
    for frame in frames:
        mine, theirs = pose_at(person.track, frame.index), pose_at(other.track, frame.index)
        if mine is None or theirs is None or frame.time <= clear:
            break
        kept = _unlike(person, mine, frame) + _unlike(other, theirs, frame)
        if kept - _unlike(person, theirs, frame) - _unlike(other, mine, frame) <= (0 if rows else EXCHANGED):
            break
        rows += 1
    if rows:
        mine_, theirs_ = (who.track.taken(len(who.track) - rows) for who in (person, other))
        for who, detections in ((person, theirs_), (other, mine_)):
            for detection in detections:
                who.track.add(*detection)
        person.pose, other.pose = other.pose, person.pose
        person.velocity, other.velocity = other.velocity, person.velocity


def hand_over(person: Person, other: Person, frames: Sequence[Frame]) -> bool:
    """Give the detections of a person to one who was lost, as far back as they look like that one; whether there are any.
    frames: falling in time."""
    rows = 0
    for frame in frames:
        pose = pose_at(person.track, frame.index)
        if pose is None or frame.index <= other.track.frames[-1] or len(person.track) - rows <= person.clear:
            break
        if _unlike(person, pose, frame) - _unlike(other, pose, frame) <= (0 if rows else EXCHANGED):
            break
        rows += 1
    if rows:
        other.since = len(other.track)
        for detection in person.track.taken(len(person.track) - rows):
            other.track.add(*detection)
        other.pose, other.time, other.velocity, other.found = person.pose, person.time, person.velocity, person.found
        other.lost = other.behind_cut = False
    return bool(rows)


def claimed(stretch: Detections, followed: Sequence[Person], frames: Sequence[Frame]) -> Detections:
    """The detections of a new person. Where they are those of a person who is followed, whose pose went over to the new one: those
    that this person gives up for them. frames: pictures of these detections."""
    pictures = {frame.index: frame for frame in frames}
    for person in followed:
        clear = person.track.frames[min(person.clear, len(person.track)) - 1] if person.clear else -1
        gains = []
        for _, index, pose in stretch[:CLAIM_FRAMES]:
            own = pose_at(person.track, index)
            if own is not None and clear < index:
                gains.append(_unlike(person, own, pictures[index]) - _unlike(person, pose, pictures[index]))
        if gains and np.mean(gains) > EXCHANGED:
            rest = person.track.taken(int(np.searchsorted(person.track.times, stretch[0][0])))
            for detection in stretch:
                person.track.add(*detection)
            person.pose, person.velocity = stretch[-1][2], np.zeros(2)
            return rest
    return stretch


def _unlike(person: Person, pose: Pose2D, frame: Frame) -> float:
    return person.unlike(pose, torso_colours(frame.image, pose.xy, pose.score, person.track.skeleton), frame.time)
