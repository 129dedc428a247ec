"""Which frames are matched, and when a new path begins: the camera's motion with views that match as the test says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Camera
from stpose_core.world import camera_motion
from stpose_core.world.camera_motion import CameraMotion
from stpose_core.world.turning import Lens, Link, Turns
from stpose_core.world.view_track import Glance, Match

FPS = 30.0
SIZE = (160, 90)
FOCAL = 140.0
BRIGHT, DARK = np.full((90, 160), 200, np.uint8), np.full((90, 160), 20, np.uint8)
NOBODY = np.zeros((0, 4))


@dataclass
class Room:
    """What the camera does. angles: degrees of its pan by frame. speed: pixels a second that are reported. unknown: frames that
    match no view but one that began among them. looked: frames that were looked for, with the start of the view."""

    angles: Array
    speed: float = 0.0
    unknown: set[int] = field(default_factory=set)
    hopeless: set[int] = field(default_factory=set)
    blind: bool = False
    looked: list[tuple[int, int]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)


class View:
    """In the place of a ViewTrack."""

    room: Room

    def __init__(self, first: Glance, lens: Lens, draw: np.random.Generator) -> None:
        self.start, self.began = first.number, first.time
        self.links: list[Link] = []
        self.lost: list[int] = []
        self.pose = Turns.none()

    @property
    def blind(self) -> bool:
        return self.room.blind

    def restart(self, glance: Glance) -> None:
        self.room.restarts.append(glance.number)

    def find(self, glance: Glance) -> Match | None:
        room, number = self.room, glance.number
        room.looked.append((number, self.start))
        if number in room.hopeless or (number in room.unknown and self.start not in room.unknown):
            return None
        turn = Turns(
            Rotation.from_euler("y", [[room.angles[number] - room.angles[self.start]]], degrees=True).as_matrix(), np.zeros(1)
        )
        points = np.random.default_rng(0).uniform(-60, 60, (40, 2)).astype(np.float32)
        link = Link(number, self.start, points, points, turn, 0.0, 1.0, 0.0)
        return Match(None, link, turn, 40, np.ones(40, bool))  # type: ignore[arg-type]

    def take(self, glance: Glance, match: Match) -> float:
        self.links.append(match.link)
        self.pose = match.pose
        return self.room.speed


def filmed(
    room: Room, monkeypatch: pytest.MonkeyPatch, pictures: list[NDArray[np.uint8]] | None = None, fps: float = FPS
) -> CameraMotion:
    monkeypatch.setattr(View, "room", room, raising=False)
    monkeypatch.setattr(camera_motion, "ViewTrack", View)
    motion = CameraMotion(SIZE, Camera(FOCAL, (80.0, 45.0)))
    for frame in range(len(room.angles)):
        motion.look(BRIGHT if pictures is None else pictures[frame], frame / fps, NOBODY)
    return motion


def looked(room: Room) -> list[int]:
    return [frame for frame, _ in room.looked]


@pytest.mark.parametrize(("speed", "every"), [(0.0, 6), (2.0, 6), (5.0, 3), (14.0, 2), (100.0, 1)])
def test_while_the_picture_hardly_moves_only_some_frames_are_matched(
    speed: float, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(np.zeros(61), speed)
    path = filmed(room, monkeypatch).path()
    assert looked(room)[:5] == [1, 1 + every, 1 + 2 * every, 1 + 3 * every, 1 + 4 * every]
    assert looked(room)[-1] == 60, "the last frame in any case"
    assert len(path) == 61
    assert (path.confidence > 0).all()


def test_a_fifth_of_a_second_is_the_longest_at_each_frame_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    for fps, every in ((10.0, 2), (60.0, 12), (4.0, 1)):
        room = Room(np.zeros(40))
        filmed(room, monkeypatch, fps=fps)
        assert np.diff(looked(room)).tolist() == [every] * (len(looked(room)) - 1)


def test_frames_that_were_left_out_follow_if_the_picture_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    pixel = float(np.degrees(1 / FOCAL))
    for moved, followed in ((0.7 * pixel, False), (1.2 * pixel, True)):
        angles = np.zeros(14)
        angles[5:] = moved
        room = Room(angles)
        motion = filmed(room, monkeypatch)
        assert looked(room) == ([1, 7, 2, 3, 4, 5, 6, 7, 13] if followed else [1, 7, 13])
        assert motion._paths[0].links[-1].frame == 13
        assert [link.frame for link in motion._paths[0].links] == ([1, 2, 3, 4, 5, 6, 7, 13] if followed else [1, 7, 13])


def test_frames_that_were_left_out_are_looked_at_before_one_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(10), hopeless={7})
    motion = filmed(room, monkeypatch)
    assert looked(room)[:8] == [1, 7, 2, 3, 4, 5, 6, 7]
    assert motion._paths[0].lost == [7]
    assert looked(room)[-1] == 8, "after it, the next frame is looked at at once"


def test_a_cut_begins_a_new_path_at_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(20))
    path = filmed(room, monkeypatch, [BRIGHT] * 9 + [DARK] * 11).path()
    assert path.shot.tolist() == [0] * 9 + [1] * 11
    assert [start for frame, start in room.looked if frame >= 9] == [9] * sum(frame >= 9 for frame in looked(room))
    assert 8 in looked(room), "the frames before it are matched first"
    assert filmed(Room(np.zeros(20)), monkeypatch, [BRIGHT, BRIGHT - 6] * 10).path().shot.max() == 0, "control: a flicker"


def test_a_view_that_matches_nothing_for_half_a_second_begins_a_new_path(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(60), 100.0, unknown=set(range(20, 60)))
    path = filmed(room, monkeypatch).path()
    assert path.shot.tolist() == [0] * 20 + [1] * 40
    assert path.confidence[20:].min() > 0, "it begins where it was seen first"
    assert (36, 0) not in room.looked
    assert (35, 0) in room.looked


def test_half_a_second_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(20), 100.0, unknown=set(range(10, 20)))
    filmed(room, monkeypatch, fps=4.0)
    assert (12, 0) in room.looked
    assert (13, 0) not in room.looked


def test_what_passes_by_for_less_than_half_a_second_begins_none(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(60), 100.0, unknown=set(range(20, 34)))
    path = filmed(room, monkeypatch).path()
    assert path.shot.max() == 0
    assert (path.confidence[20:34] == 0).all()
    assert (path.confidence[34:] > 0).all()
    # A second object long after the first one is waited for anew.
    room = Room(np.zeros(80), 100.0, unknown={*range(20, 30), *range(34, 46)})
    assert filmed(room, monkeypatch).path().shot.max() == 0


def test_a_view_that_does_not_last_from_frame_to_frame_begins_none(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(60), 100.0, hopeless=set(range(20, 60)))
    path = filmed(room, monkeypatch).path()
    assert path.shot.max() == 0
    assert (path.confidence[20:] == 0).all()


def test_where_nothing_can_be_seen_yet_a_later_frame_is_taken_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(np.zeros(31), hopeless=set(range(31)), blind=True)
    path = filmed(room, monkeypatch).path()
    assert room.restarts == list(range(1, 31))
    assert looked(room)[:5] == [1, 4, 2, 3, 4], "looked at each tenth of a second"
    assert path.shot.max() == 0
    assert (path.confidence == 0).all()


def test_boxes_and_focal_length_are_those_of_the_small_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    motion = CameraMotion((1920, 1080), Camera(1600.0, (959.5, 539.5)))
    given: list[tuple[tuple[int, ...], Array]] = []
    monkeypatch.setattr(motion, "look", lambda picture, time, boxes: given.append((picture.shape, boxes)))
    motion.update(np.zeros((1080, 1920, 3), np.uint8), 0.0, [(399.5, 199.5, 799.5, 999.5)])
    motion.update(np.zeros((1080, 1920, 3), np.uint8), 0.1)
    assert given[0][0] == (270, 480)
    # Four pixels are one; the margin is 0.12 of the longer side.
    assert given[0][1] == pytest.approx(np.array([[99.5 - 24, 49.5 - 24, 199.5 + 24, 249.5 + 24]]))
    assert given[1][1].shape == (0, 4)
    assert motion._lens.focal == 400.0
    assert motion._lens.size == (480, 270)
    assert motion._lens.centre == pytest.approx([239.375, 134.375])
    assert CameraMotion((1923, 1083))._lens.size == (480, 270), "what does not divide is cut off"
