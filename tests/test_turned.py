"""People who lie or stand on their hands are found in turned views; who is certain, or nobody, is not looked at more often."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import STANDING

from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.detect.views import seen_from, view_of
from stpose_core.stills import people_in
from stpose_core.track import turned as module
from stpose_core.track.person import verified
from stpose_core.track.turned import two_looks

IMAGE = np.zeros((300, 400, 3), np.uint8)
BOX = Box(120.0, 60.0, 200.0, 240.0)


class OneWayUp(Detector):
    """Is certain of a person where the view has the person upright, and otherwise takes them for somebody else."""

    name, skeleton = "fake", "h36m17"

    def __init__(self, way: float, unsure: float = 0.4, presence: float = 0.6) -> None:
        self.way, self.unsure, self.presence, self.angles = way, unsure, presence, list[float]()

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        return [BOX]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        self.angles.append(round(float(np.degrees(box.angle))))
        right = abs((box.angle - self.way + np.pi) % (2 * np.pi) - np.pi) < 0.7
        turn = np.array([[np.cos(self.way), -np.sin(self.way)], [np.sin(self.way), np.cos(self.way)]])
        xy = box.centre + 90 * STANDING[:, :2] @ (turn.T if right else np.eye(2))
        following = Box(box.x0, box.y0, box.x1, box.y1, 1.0, box.angle)
        return Pose2D(xy, np.full(17, 0.9 if right else self.unsure), 0.97 if right else self.presence, following)


@pytest.mark.parametrize("way", [90, 180, -90])
def test_who_lies_or_is_upside_down_is_found_in_a_turned_view(way: int, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = OneWayUp(np.radians(way))
    first, second = two_looks(detector, IMAGE, BOX)
    assert second.score.mean() == pytest.approx(0.9)
    np.testing.assert_allclose(first.xy, second.xy)
    assert verified(detector, IMAGE, BOX) is not None
    assert len(people_in(IMAGE, detector)) == 1
    monkeypatch.setattr(module, "CERTAIN", 0.0)
    assert verified(detector, IMAGE, BOX) is None, "control: without turned views nobody is found"


def test_who_is_certain_is_looked_at_twice() -> None:
    detector = OneWayUp(0.0)
    two_looks(detector, IMAGE, BOX)
    assert detector.angles == [0, 0]
    first = detector.pose(IMAGE, BOX)
    detector.angles.clear()
    assert two_looks(detector, IMAGE, BOX, first)[0] is first
    assert detector.angles == [0], "a first look that is known is not repeated"


def test_where_nobody_is_no_other_view_is_looked_at() -> None:
    detector = OneWayUp(np.pi, presence=0.05)
    assert verified(detector, IMAGE, BOX) is None
    assert detector.angles == [0]


def test_a_turned_view_has_to_be_more_certain() -> None:
    detector = OneWayUp(np.pi, unsure=0.87)
    assert two_looks(detector, IMAGE, BOX)[1].box.angle == 0, "certain enough as it is"
    hardly = OneWayUp(np.pi, unsure=0.69)
    hardly_better = two_looks(hardly, IMAGE, BOX)
    assert abs(hardly_better[1].box.angle) == pytest.approx(np.pi)

    class Same(OneWayUp):
        def pose(self, image: np.ndarray, box: Box) -> Pose2D:
            pose = super().pose(image, box)
            return Pose2D(pose.xy, np.full(17, 0.5 + 0.02 * (box.angle != 0)), pose.presence, pose.box)

    assert two_looks(Same(np.pi), IMAGE, BOX)[1].box.angle == 0


@pytest.mark.parametrize("angle", [0.0, 0.4])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4])
def test_turned_boxes_show_the_same_place(angle: float, quarters: int) -> None:
    box = Box(120.0, 60.0, 200.0, 240.0, 0.8, angle)
    found = module.turned(box, quarters)
    np.testing.assert_allclose(found.centre, box.centre)
    assert (found.angle - angle - quarters * np.pi / 2 + 0.1) % (2 * np.pi) == pytest.approx(0.1)
    sides = np.array([found.x1 - found.x0, found.y1 - found.y0])
    here, there = (corners(one) for one in (box, found))
    np.testing.assert_allclose(sorted(map(tuple, here.round(6))), sorted(map(tuple, there.round(6))), atol=1e-5)
    assert found.score == 0.8
    assert sides[0] == (180 if quarters % 2 else 80)


def corners(box: Box) -> np.ndarray:
    """The corners of a box in the picture."""
    rectangle = np.array([box.x0, box.y0, box.x1, box.y1])
    size = (round(box.x1 - box.x0), round(box.y1 - box.y0))
    matrix = view_of(rectangle, size, margin=1.0, angle=box.angle)
    return seen_from(matrix, np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float))
