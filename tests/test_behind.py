"""The search for people behind others: whom it finds, what it shows to the detector, and where it does not look again."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import STANDING

from stpose_core.detect.boxes import extent
from stpose_core.detect.types import Box, Pose2D
from stpose_core.frames import Frame
from stpose_core.track import behind
from stpose_core.track.behind import find_behind
from stpose_core.track.painting import Painted
from stpose_core.track.person import Person
from stpose_core.track.rejected import RejectedPlaces
from stpose_core.track.track import Track

SKELETON, SIZE = "h36m17", (1920, 1080)
RED, GREEN, BLUE = (200, 30, 30), (30, 180, 40), (40, 60, 210)
SURE = np.full(17, 0.9)


def body(x: float, y: float = 540, height: float = 600) -> Pose2D:
    """Somebody who stands there."""
    xy = STANDING[:, :2] * height / 1.6 + [x, y]
    return Pose2D(xy, SURE, 1.0, extent(xy, SURE))


def followed(pose: Pose2D) -> Person:
    return Person(pose, 0.0, 0.0, Track(1, SKELETON))


def frame(*people: tuple[Pose2D, tuple[int, int, int]], time: float = 0.0) -> Frame:
    """A picture of people from back to front, each in one colour."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for pose, colour in people:
        image[Painted(image, [pose], SKELETON).bodies > 0] = colour
    return Frame(0, time, image)


class Seer:
    """Finds each colour in a picture, and says that its person is there."""

    name, skeleton = "seer", SKELETON

    def __init__(self, people: dict[tuple[int, int, int], Pose2D]) -> None:
        self.people, self.shown, self.looks = people, [(0, 0)][:0], 0

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        self.shown.append(image.shape[1::-1])
        return [box for colour in self.people for box in _places(image, colour)]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        self.looks += 1
        x0, y0, x1, y1 = (max(0, round(side)) for side in (box.x0, box.y0, box.x1, box.y1))
        counts = {colour: _mask(image[y0:y1, x0:x1], colour).sum() for colour in self.people}
        return self.people[max(counts, key=lambda colour: counts[colour])]


def _mask(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((np.abs(image.astype(int) - colour) < 30).all(-1))


def _places(image: np.ndarray, colour: tuple[int, int, int]) -> list[Box]:
    rows, columns = np.nonzero(_mask(image, colour))
    if len(rows) < 30:
        return []
    return [Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))]


@pytest.mark.parametrize(("x", "y", "beside"), [(960, 540, 190), (250, 400, 190), (1750, 700, -190)])
def test_who_stands_half_behind_somebody_is_found(x: float, y: float, beside: float) -> None:
    """Also near the edges of the picture; in a small window of the picture's shape. Control: nobody behind."""
    front, back = body(x, y), body(x + beside, y)
    seer = Seer({RED: front, GREEN: back})
    found = list(find_behind(seer, [followed(front)], frame((back, GREEN), (front, RED)), [followed(front)], RejectedPlaces()))
    assert [pose is back for pose in found] == [True]
    ((width, height),) = seer.shown
    assert max(width, height) == 400
    assert width / height == pytest.approx(SIZE[0] / SIZE[1], rel=0.01)
    assert list(find_behind(seer, [followed(front)], frame((front, RED)), [followed(front)], RejectedPlaces())) == []


def test_boxes_are_where_the_people_are() -> None:
    lone = body(700, 500, 300)
    ((found),) = behind._searched(Seer({GREEN: lone}), frame((lone, GREEN)).image, Box(450, 250, 1000, 800), 400.0)
    (true,) = _places(frame((lone, GREEN)).image, GREEN)
    assert [found.x0, found.y0, found.x1, found.y1] == pytest.approx([true.x0, true.y0, true.x1, true.y1], abs=4)
    # Outside the part nobody is looked for, though the window shows more.
    assert list(behind._searched(Seer({GREEN: lone}), frame((lone, GREEN)).image, Box(750, 250, 1000, 800), 400.0)) == []


def test_a_wide_group_is_searched_finely_enough_for_each_of_them() -> None:
    group = [followed(body(150 + 200 * number, height=200)) for number in range(9)]
    seer = Seer({})
    list(find_behind(seer, group, frame(*((person.pose, RED) for person in group)), group, RejectedPlaces()))
    ((width, _),) = seer.shown
    assert 200 * width / SIZE[0] == pytest.approx(behind._LARGEST, rel=0.15)


def test_what_is_no_person_is_not_looked_at_again_while_nothing_changes() -> None:
    front, thing = body(960), body(1150)
    nothing = Pose2D(thing.xy, thing.score, 0.1, thing.box)
    seer, rejected, person = Seer({GREEN: nothing}), RejectedPlaces(), followed(front)
    for time, looks in ((0.0, 1), (0.5, 1), (1.0, 1)):
        assert list(find_behind(seer, [person], frame((thing, GREEN), (front, RED), time=time), [person], rejected)) == []
        assert seer.looks == looks
    # Control: somebody comes there.
    seer.people[BLUE], seer.people[GREEN] = thing, nothing
    assert len(list(find_behind(seer, [person], frame((thing, BLUE), (front, RED), time=1.5), [person], rejected))) == 1


@pytest.mark.parametrize(("others", "looks"), [("nobody", 2), ("there", 0), ("seen from another box", 1)])
def test_who_is_followed_is_not_looked_at_again(others: str, looks: int) -> None:
    """Somebody beside the painted person is new, followed there, or followed where a look from a box elsewhere leads to."""
    front, other = body(960), body(1200)
    seer, people = Seer({GREEN: other}), [followed(front)]
    if others != "nobody":
        people.append(followed(other))
    if others == "seen from another box":
        seer.find = lambda image, thorough=False: [Box(217.0, 90.0, 277.0, 150.0)]  # type: ignore[method-assign]
    found = list(find_behind(seer, people[:1], frame((other, GREEN), (front, RED)), people, RejectedPlaces()))
    assert (len(found), seer.looks) == (int(others == "nobody"), looks)
