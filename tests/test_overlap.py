"""People who overlap: the person behind is looked for with the person in front painted out, and hidden if nothing shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fakes import STANDING
from test_tracker import BLUE, RED, SIZE, Actor, Stage, follow, share_on

from stpose_core.detect.types import Box, Pose2D
from stpose_core.skeletons import get_skeleton
from stpose_core.track import painting
from stpose_core.track.meeting import groups
from stpose_core.track.painting import Painted
from stpose_core.track.person import Person
from stpose_core.track.track import Track
from stpose_core.video import Frame

HALF, LEAST, NEAR = 14, 900, 45  # half the width of a drawn body; pixels of it that the detector needs; who is taken for one


class Bodies(Stage):
    """A detector that takes people who are near each other for one: the one of whom it sees the largest part."""

    def frame(self, index: int) -> Frame:
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for actor in sorted(self.visible(index), key=lambda actor: -actor.depth):
            joints = actor.joints(index)
            assert joints is not None
            (x, _), (top, low) = (
                joints[0].round().astype(int).tolist(),
                np.ptp(joints[:, 1]) * np.array([0, 1]) + joints[:, 1].min(),
            )
            cv2.rectangle(image, (x - HALF, round(top)), (x + HALF, round(low)), actor.colour, -1)
        image[0, 0] = (index // 256, index % 256, 0)
        return Frame(index, index / 30, image)

    def visible(self, index: int) -> list[Actor]:
        return [actor for actor in self.actors if actor.where(index) is not None]

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        self.searches += 1
        boxes: list[Box] = []
        parts = sorted((np.argwhere((image == actor.colour).all(-1)) for actor in self.actors), key=len, reverse=True)
        for part in parts:
            if len(part) >= LEAST:
                y, x = part.mean(axis=0)
                if all(abs(box.centre[0] - x) > NEAR for box in boxes):
                    boxes.append(Box(x - 60, y - 60, x + 60, y + 60))
        return boxes

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        index = int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])
        parts = {}
        for number, actor in enumerate(self.visible(index)):
            joints = actor.joints(index)
            assert joints is not None
            if abs(joints[0, 0] - box.centre[0]) < NEAR:
                parts[number] = int((image == actor.colour).all(-1).sum())
        best = max(parts, key=lambda number: parts[number], default=None)
        if best is None or parts[best] < LEAST:
            return Pose2D(np.tile(box.centre, (17, 1)), np.full(17, 0.1), 0.1, box)
        actor = self.visible(index)[best]
        x, y = actor.joints(index)[0]  # type: ignore[index]
        return standing(float(x), float(y), actor.height)


def standing(x: float, y: float, height: float = 120.0) -> Pose2D:
    """A person of a height with the pelvis at a place."""
    xy = STANDING[:, :2] * height / 1.6 + [x, y]
    (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
    middle, half = (x0 + x1) / 2, (y1 - y0) / 2
    return Pose2D(xy, np.full(17, 0.9), 1.0, Box(middle - half, y0, middle + half, y1))


def nothing_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "_draw", lambda bodies, xy, skeleton, value: None)


@pytest.mark.parametrize("painted", [True, False])
def test_the_person_beside_and_behind_a_larger_one_is_followed(painted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector would take the larger one for both. Control: without painting, the smaller one is lost."""
    if not painted:
        nothing_painted(monkeypatch)
    front = Actor(lambda i: 200, BLUE, height=150)
    behind = Actor(lambda i: min(60 + 4.0 * i, 164), RED, height=130, depth=2)
    tracks = follow(Bodies(front, behind), 90)
    there = [len(track) >= 85 for track in tracks if share_on(track, behind) > 0.97]
    assert (there == [True]) == painted


def test_a_person_who_stops_behind_another_is_hidden_and_found_again_at_once() -> None:
    """Hidden for more than a second. The path leads elsewhere, as the person stopped; the track has a gap and no foreign joints."""
    front = Actor(lambda i: 200, BLUE, height=150)
    behind = Actor(lambda i: 100 + 4.0 * i if i < 25 else 200 if i < 60 else 200 - 4.0 * (i - 60), RED, height=140, depth=2)
    tracks = follow(Bodies(front, behind), 100)
    assert len(tracks) == 2
    assert sorted(share_on(track, front) for track in tracks)[-1] == 1
    walker = min(tracks, key=len)
    assert share_on(walker, behind) > 0.97
    gap = np.flatnonzero(np.diff(walker.frames) > 1)
    assert len(gap) == 1
    assert walker.frames[gap[0]] < 25
    assert 60 < walker.frames[gap[0] + 1] < 75, "as soon as half of the body shows"


def test_a_search_finds_who_was_never_seen_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    front, behind = Actor(lambda i: 200, BLUE, height=150), Actor(lambda i: 160, RED, height=130, depth=2)
    assert sorted(len(track) for track in follow(Bodies(front, behind), 40)) == [40, 40]
    nothing_painted(monkeypatch)
    assert [share_on(track, front) for track in follow(Bodies(front, behind), 40)] == [1.0]


def test_bodies_are_painted_and_what_lies_on_them_is_covered() -> None:
    image = np.full((240, 320, 3), 200, np.uint8)
    person = standing(100, 120)
    painted = Painted(image, [person], "h36m17")
    assert (image == 200).all()
    wrist, hip = person.xy[get_skeleton("h36m17").index("l_wrist", "l_hip")].round().astype(int)
    assert (painted.image[hip[1], hip[0]] == 128).all()
    assert (painted.image[wrist[1], wrist[0]] == 128).all()
    assert (painted.image[:, :50] == 200).all()
    assert painted.covers(standing(103, 118))
    assert not painted.covers(standing(150, 120))


def test_of_a_person_behind_only_what_is_beside_is_painted() -> None:
    image = np.full((240, 320, 3), 200, np.uint8)
    own, behind = standing(100, 120), standing(140, 120)
    painted = Painted(image, [], "h36m17", [behind], own)
    assert (painted.image[120, 145] == 128).all()
    assert (painted.image[120, 100] == 200).all()
    assert not painted.bodies.any(), "a person behind covers nothing"


def test_people_who_touch_by_way_of_another_are_one_group() -> None:
    def person(x: float) -> Person:
        return Person(standing(x, 120), 0.0, 0.0, Track(1, "h36m17"))

    people = [person(x) for x in (20, 60, 280, 40)]
    assert sorted(len(group) for group in groups(people, 0.0)) == [1, 3]
