"""People who meet: a detector that looks for the person behind finds the joints of the person in front.

Therefore people who overlap are looked for from front to back, with everybody else painted out of the picture. A person who is not
found is hidden. Who is who is decided by the path on which each of them came, the heights of shoulders, hips and feet in the
picture, the joints in the frame before, and the clothes. `claimed` corrects a track that went over to a person who entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stpose_core.detect.boxes import box_overlap, snapped
from stpose_core.detect.types import Detector, Pose2D
from stpose_core.track.painting import Painted
from stpose_core.track.person import HELD, SAME, Person, apart, is_in_picture, pose_at, seen_box, similarity, verified
from stpose_core.track.similarity import torso_colours

if TYPE_CHECKING:
    from stpose_core.video import Frame

Detections = list[tuple[float, int, Pose2D]]

EXCHANGED, STRANGE = 1.5, 6.0  # of `Person.unlike`: a larger difference means exchanged poses; a larger value, another person
HIDDEN_SECONDS = 2.0  # a lost person may stay behind another person for this long
CLAIM_FRAMES = 5  # of a new person's first detections are compared with those of the people who are followed


def touch(person: Person, other: Person, time: float) -> bool:
    """Whether two people may be taken for each other: their boxes overlap, or the other one was lost near there just now."""
    if not other.lost:
        return box_overlap(seen_box(person.pose), seen_box(other.pose)) > 0
    if time - other.time > HIDDEN_SECONDS:
        return False
    expected, box = other.expected(time), seen_box(person.pose)
    place = seen_box(other.pose).centre if expected is None else expected[1][:2]
    return bool(np.hypot(*(box.centre - place)) < box.size)


def beside(person: Person, other: Person) -> bool:
    """Whether two people who touch can be told apart nevertheless, as both are followed and stand beside each other."""
    return not other.lost and apart(person.pose, other.pose, person.track.skeleton)


def groups(people: Iterable[Person], time: float) -> list[list[Person]]:
    """The people in groups of those who touch one another, also by way of others."""
    result: list[list[Person]] = []
    for person in people:
        near = [group for group in result if any(touch(person, other, time) for other in group)]
        result = [group for group in result if group not in near] + [[person, *(one for group in near for one in group)]]
    return result


def meet(people: Sequence[Person], detector: Detector, frame: Frame) -> dict[Person, Pose2D]:
    """The poses of people who touch, and of hidden people near them; those who are not found are not among them.

    They are looked for from front to back, each in a picture from which the others are painted out. A pose belongs to the person
    whose path, joints and clothes it fits best.
    """
    waiting = sorted(people, key=lambda person: -person.ground())
    found: dict[Person, Pose2D] = {}
    while waiting:
        first = waiting[0]
        pose = _look(first, found, waiting[1:], detector, frame)
        if pose is None:
            waiting.remove(first)
            continue
        costs = [unlike(person, pose, frame) for person in waiting]
        owner = waiting[int(np.argmin(costs))]
        if all(min(costs) < unlike(other, pose, frame) for other in found):
            found[owner] = pose
        else:
            owner = first
        waiting.remove(owner)
    return found


def _look(person: Person, found: dict[Person, Pose2D], behind: Iterable[Person], detector: Detector, frame: Frame) -> Pose2D | None:
    """The pose of a person, with those who were found painted out, and what shows of those `behind`; None if hidden."""
    others = [pose for pose in (other.moved(frame.time) for other in behind) if pose is not None]
    painted = Painted(frame.image, found.values(), detector.skeleton, others, person.moved(frame.time))
    frame = replace(frame, image=painted.image)
    pose = again(detector, person, frame) if person.lost else next_pose(detector, person, frame)
    if pose is None or painted.covers(pose) or any(similarity(pose, other) >= SAME for other in found.values()):
        return None
    return pose


def again(detector: Detector, person: Person, frame: Frame) -> Pose2D | None:
    """The pose of a hidden person who appears where the path leads, or near the last place; None if there is none."""
    for box in person.places_to_look(frame.time):
        pose = verified(detector, frame.image, box)
        if pose is not None and unlike(person, pose, frame) < STRANGE:
            return pose
    return None


def next_pose(detector: Detector, person: Person, frame: Frame) -> Pose2D | None:
    """The person's pose in the next (or previous) frame; None if it cannot be determined."""
    expected = person.predicted(frame.time)
    boxes = [snapped(box) for box in (expected, person.pose.box, expected.moved(np.zeros(2), 1.3))]
    for box in dict.fromkeys(boxes):  # of a person who stands still, the first two are the same
        pose = detector.pose(frame.image, box)
        if pose.presence >= HELD and is_in_picture(pose, frame.image) and person.can_continue_as(pose, frame.time):
            return pose
    return None


def claimed(stretch: Detections, followed: Sequence[Person], frames: Sequence[Frame]) -> Detections:
    """The detections of a new person. Where they are those of a person who is followed, whose pose went over to the new one: those
    that this person gives up for them. frames: pictures of these detections."""
    pictures = {frame.index: frame for frame in frames}
    for person in followed:
        clear = person.track.frames[min(person.clear, len(person.track)) - 1] if person.clear else -1
        gains = []
        for time, index, pose in stretch[:CLAIM_FRAMES]:
            own = pose_at(person.track, index, time)
            if own is not None and clear < index:
                gains.append(unlike(person, own, pictures[index]) - unlike(person, pose, pictures[index]))
        if gains and np.mean(gains) > EXCHANGED:
            rest = person.track.taken(int(np.searchsorted(person.track.times, stretch[0][0])))
            for detection in stretch:
                person.track.add(*detection)
            person.pose, person.velocity = stretch[-1][2], np.zeros(2)
            return rest
    return stretch


def unlike(person: Person, pose: Pose2D, frame: Frame) -> float:
    """`Person.unlike` with the colours of a pose in a picture."""
    return person.unlike(pose, torso_colours(frame.image, pose.xy, pose.score, person.track.skeleton), frame.time)
