"""One person in a live picture: the largest that a search finds, followed from frame to frame until lost."""

from __future__ import annotations

import numpy as np

from stpose_core.detect.types import Detector, Image, Pose2D
from stpose_core.track.person import HELD, Person, explains, is_in_picture, seen_box, verified
from stpose_core.track.track import Track

SEARCH_SECONDS = 0.4
"""Time between searches of the whole picture while no person is tracked."""

CONFIRM_SECONDS = 4.0
"""A person is confirmed by a search this often; after two searches without a confirmation, the track ends."""


class LivePerson:
    """Follows one person. detector: any `Detector`. Uses no frames but the present one, and memory that does not grow."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._person: Person | None = None
        self._searched = -np.inf
        self._missed = 0

    def update(self, image: Image, time: float) -> Pose2D | None:
        """The person's pose in the next picture; None without a detection. image: (H, W, 3) uint8 RGB. time: seconds, rising."""
        person = self._person
        if person is not None and not self._follow(person, image, time):
            person = self._person = None
            self._searched = -np.inf
        if person is None and time - self._searched >= SEARCH_SECONDS:
            self._searched, self._missed = time, 0
            self._person = person = self._found(image, time)
        elif person is not None and time - self._searched >= CONFIRM_SECONDS:
            self._searched = time
            confirmed = any(explains(person.pose, box) for box in self._detector.find(image))
            self._missed = 0 if confirmed else self._missed + 1
            if self._missed >= 2:
                person = self._person = None
        return None if person is None else person.pose

    def _follow(self, person: Person, image: Image, time: float) -> bool:
        for box in (person.predicted(time), person.pose.box):
            pose = self._detector.pose(image, box)
            if pose.presence >= HELD and is_in_picture(pose, image) and person.can_continue_as(pose, time):
                person.moved_to(pose, time)
                return True
        return False

    def _found(self, image: Image, time: float) -> Person | None:
        poses = [verified(self._detector, image, box) for box in self._detector.find(image)]
        there = [pose for pose in poses if pose is not None]
        if not there:
            return None
        largest = max(there, key=lambda pose: seen_box(pose).size)
        return Person(largest, time, time, Track(1, self._detector.skeleton))
