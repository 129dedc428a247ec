"""The benchmark of rendered people: who is looked at how, and that a joint that is elsewhere does not count as found."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from stpose_training.spatial.measure import LIMBS, held_out
from test_train_spatial import SIZE, STANDING, write_cache

from stpose_core.detect.types import Box, Pose2D
from stpose_core.skeletons import H36M17


@pytest.fixture
def benchmark() -> ModuleType:
    import rendered

    return rendered


class Fixed:
    """A detector that says the same pose of every picture, moved when it is asked again in the box that it gave."""

    name, skeleton = "fixed", "h36m17"

    def __init__(self, xy: np.ndarray, again: float = 0.0) -> None:
        self.xy, self.moved = xy, again
        self.box = Box(0.0, 0.0, 10.0, 10.0, 1.0, 1.5)

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        return []

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        return Pose2D(self.xy + (self.moved if box == self.box else 0.0), np.ones(17), 1.0, self.box)


def test_joints_count_where_they_are_found(benchmark: ModuleType, tmp_path: Path) -> None:
    people, groups = held_out(write_cache(tmp_path / "cache"), SIZE)
    joints = np.array(STANDING, float)  # the made-up people stand within twelve pixels of it; their torso measures about 60
    seen = benchmark.measure(Fixed(joints), people, groups)
    far = benchmark.measure(Fixed(joints, again=200.0), people, groups)
    assert seen["visible"]["once"] > 0.6
    assert seen["visible"]["again"] == seen["visible"]["once"] == far["visible"]["once"]
    assert far["visible"]["again"] == 0, "the second look is another"
    assert seen["visible"]["searched"] == 0, "whoever is not found is missed"
    exchanged = benchmark.measure(Fixed(joints[list(H36M17.mirror)]), people, groups)
    assert exchanged["visible"]["once"] < 0.1


def test_uncertain_people_are_looked_for_in_turned_views(benchmark: ModuleType, tmp_path: Path) -> None:
    class Lying(Fixed):
        def pose(self, image: np.ndarray, box: Box) -> Pose2D:
            right = abs(box.angle - np.pi / 2) < 0.1
            here = Box(box.x0, box.y0, box.x1, box.y1, 1.0, box.angle)
            return Pose2D(self.xy + (0.0 if right else 150.0), np.full(17, 0.9 if right else 0.3), 0.95 if right else 0.5, here)

    people, groups = held_out(write_cache(tmp_path / "cache"), SIZE)
    seen = benchmark.measure(Lying(np.array(STANDING, float)), people, groups)
    assert seen["visible"]["again"] == 0
    assert seen["visible"]["turned"] > 0.6


def test_the_nearest_of_those_who_are_found_is_the_subject(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.array(STANDING, float)
    people = [SimpleNamespace(xy=truth + by) for by in (90.0, 4.0, -60.0)]
    unseen = SimpleNamespace(xy=np.full((17, 2), np.nan))
    monkeypatch.setattr(benchmark, "people_in", lambda picture, detector: [unseen, *people])
    subject = SimpleNamespace(picture=np.zeros((4, 4, 3), np.uint8), joints=truth[H36M17.index(*LIMBS)])
    np.testing.assert_allclose(benchmark.searched(None, subject), subject.joints + 4.0)
