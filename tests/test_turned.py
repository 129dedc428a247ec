"""People who lie or stand on their hands are found in turned views; certain people, and places without people, take few looks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from fakes import STANDING

from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.detect.views import seen_from, view_of
from stpose_core.stills import people_in
from stpose_core.track.person import verified
from stpose_core.track.rejected import RejectedPlaces
from stpose_core.track.tracker import PeopleTracker
from stpose_core.track.turned import quarter_turned
from stpose_core.video import Frame

IMAGE = np.zeros((300, 400, 3), np.uint8)
BOX = Box(120.0, 60.0, 200.0, 240.0)


@dataclass
class OneWayUp(Detector):
    """Is certain of a person in views in which the person is upright. In the others, the first look is as certain, and the second
    takes the person for another pose.

    way: radians by which the person is turned. presence, score: in the wrong views. found, sure: presence and score in the right
    one. moves: pixels between the two looks there. angles, boxes: of all looks.
    """

    way: float
    presence: float = 0.6
    score: float = 0.4
    found: float = 0.97
    sure: float = 0.9
    moves: float = 1.0
    angles: list[int] = field(default_factory=list)
    name = "fake"
    skeleton = "h36m17"

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        return [BOX]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        self.angles.append(round(float(np.degrees(box.angle))))
        again = box.score < 1
        right = abs((box.angle - self.way + np.pi) % (2 * np.pi) - np.pi) < 0.7
        turn = np.array([[np.cos(self.way), -np.sin(self.way)], [np.sin(self.way), np.cos(self.way)]])
        xy = box.centre + 90 * STANDING[:, :2] @ (turn.T if right else np.eye(2)) + self.moves * again * right
        score = self.sure if right else self.score if again else 0.95
        return Pose2D(xy, np.full(17, score), self.found if right else self.presence, replace(box, score=0.5))


def middle(pose: Pose2D | None) -> float:
    """How far a pose of OneWayUp is from where its first look has it, pixels."""
    assert pose is not None
    return float(pose.xy[0, 0] - BOX.centre[0])


@pytest.mark.parametrize("way", [90, 180, -90])
def test_people_who_lie_or_are_upside_down_are_found_in_turned_views(way: int) -> None:
    detector = OneWayUp(np.radians(way))
    pose = verified(detector, IMAGE, BOX, turning=True)
    assert pose is not None
    assert pose.score.mean() == pytest.approx(0.9)
    assert round(np.degrees(pose.box.angle) - way) % 360 == 0
    assert middle(pose) == 1.0, "the second look counts"
    assert len(people_in(IMAGE, detector)) == 1
    assert verified(detector, IMAGE, BOX) is None, "control: without turned views nobody is found"


@pytest.mark.parametrize(("presence", "looks"), [(0.11, 8), (0.1, 1)])
def test_turned_views_are_looked_at_where_a_person_is_possible(presence: float, looks: int) -> None:
    detector = OneWayUp(np.pi, presence=presence)
    assert (verified(detector, IMAGE, BOX, turning=True) is None) == (looks == 1)
    assert len(detector.angles) == looks


def test_certain_poses_take_two_looks() -> None:
    detector = OneWayUp(0.0)
    assert verified(detector, IMAGE, BOX, turning=True) is not None
    assert detector.angles == [0, 0]
    first = detector.pose(IMAGE, BOX)
    detector.angles.clear()
    verified(detector, IMAGE, BOX, first=first, turning=True)
    assert detector.angles == [0], "a first look that is known is not repeated"


@pytest.mark.parametrize(
    ("change", "angle"),
    [
        ({}, 180),
        ({"sure": 0.63}, 0),  # hardly more certain than 0.6
        ({"sure": 0.67}, 180),
        ({"found": 0.6}, 0),  # not a person
        ({"found": 0.89}, 0),
        ({"moves": 80.0}, 0),  # the two looks do not agree
    ],
)
def test_a_turned_view_replaces_the_upright_one_only_if_it_is_sound_and_more_certain(change: dict[str, float], angle: int) -> None:
    """A person who is partly hidden is accepted with a low score, and must not be lost to a turned view."""
    pose = verified(replace(OneWayUp(np.pi, presence=0.95, score=0.6), **change), IMAGE, BOX, turning=True)
    assert pose is not None
    assert abs(round(np.degrees(pose.box.angle))) == angle


@pytest.mark.parametrize("remembered", [True, False])
def test_places_where_turned_views_show_nobody_are_not_turned_again_for_some_time(
    remembered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not remembered:
        monkeypatch.setattr(RejectedPlaces, "holds", lambda places, image, box, time: False)
    detector = OneWayUp(np.pi, presence=0.4, found=0.4)
    tracker = PeopleTracker(detector)
    for number in range(90):
        tracker.update(Frame(number, number / 30, IMAGE))
    searches = detector.angles.count(0) - 1 if remembered else detector.angles.count(0) // 2
    assert searches >= 5
    assert len(detector.angles) == (8 + searches - 1 if remembered else 8 * searches)


def test_a_search_turns_the_view_at_one_place_without_a_person() -> None:
    class Several(OneWayUp):
        def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
            return [BOX.moved(np.array([by, 0.0])) for by in (0.0, 100.0, -100.0)]

    detector = Several(np.pi, presence=0.4, found=0.4)
    tracker, looks = PeopleTracker(detector), []
    for number in range(0, 90, 15):  # a search in each
        detector.angles.clear()
        tracker.update(Frame(number, number / 30, IMAGE))
        looks.append(len(detector.angles))
    assert looks == [10, 10, 10, 3, 3, 3]


def test_an_accepted_pose_in_a_picture_is_not_given_up_for_a_less_certain_one() -> None:
    seen = OneWayUp(np.pi, presence=0.7, score=0.6, sure=0.5)
    (person,) = people_in(IMAGE, seen)
    assert person.joint_score.mean() == pytest.approx(0.6)
    (person,) = people_in(IMAGE, replace(seen, sure=0.68, angles=[]))
    assert person.joint_score.mean() == pytest.approx(0.68)


def test_scores_that_are_missing_count_as_uncertain() -> None:
    pose = verified(OneWayUp(np.pi, presence=0.95, score=np.nan), IMAGE, BOX, turning=True)
    assert pose is not None
    assert abs(round(np.degrees(pose.box.angle))) == 180


@pytest.mark.parametrize("angle", [0.0, 0.4])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4])
def test_turned_boxes_show_the_same_place(angle: float, quarters: int) -> None:
    box = Box(120.0, 60.0, 200.0, 240.0, 0.8, angle)
    found = quarter_turned(box, quarters)
    np.testing.assert_allclose(found.centre, box.centre)
    assert (found.angle - angle - quarters * np.pi / 2 + 0.1) % (2 * np.pi) == pytest.approx(0.1)
    here, there = (corners(one) for one in (box, found))
    np.testing.assert_allclose(sorted(map(tuple, here.round(6))), sorted(map(tuple, there.round(6))), atol=1e-5)
    assert found.score == 0.8
    assert found.x1 - found.x0 == (180 if quarters % 2 else 80)


def corners(box: Box) -> np.ndarray:
    """The corners of a box in the picture."""
    rectangle = np.array([box.x0, box.y0, box.x1, box.y1])
    size = (round(box.x1 - box.x0), round(box.y1 - box.y0))
    matrix = view_of(rectangle, size, margin=1.0, angle=box.angle)
    return seen_from(matrix, np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float))
