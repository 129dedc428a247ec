"""Views of a camera that turns: when the key frame changes, what is matched with it, and how fast the picture moves."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from turning_camera import wall

from stpose_core.data import Array
from stpose_core.world.key_frames import KeyFrame
from stpose_core.world.turning import Lens, Link, Turns
from stpose_core.world.view_track import Glance, Key, Match, ViewTrack, _roll

SIZE = (240, 160)
FOCAL = 200.0
LENS = Lens(FOCAL, np.array([120.0, 80.0]), SIZE)
NOBODY = np.zeros((0, 4))
FPS = 30.0


WALL = wall(size=(1300, 900))


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, zoom: float = 1.0) -> Turns:
    """A pose by degrees about the camera's axes, and by how much longer the focal length is than at first."""
    return Turns(Rotation.from_euler("xyz", [[x, y, z]], degrees=True).as_matrix(), np.log([zoom]))


def glance(number: int, at: Turns, boxes: Array = NOBODY) -> Glance:
    """What a camera in this pose sees of the wall."""
    first = np.array([[FOCAL, 0, 650], [0, FOCAL, 450], [0, 0, 1]])
    focal = FOCAL * np.exp(at.zoom[0])
    own = np.array([[focal, 0, 120], [0, focal, 80], [0, 0, 1]])
    seen = cv2.warpPerspective(WALL, own @ at.rotation[0].T @ np.linalg.inv(first), SIZE, flags=cv2.INTER_LINEAR)
    return Glance(number, number / FPS, np.asarray(seen, np.uint8), boxes)


def track(first: Turns | None = None) -> ViewTrack:
    return ViewTrack(glance(0, first or pose()), LENS, np.random.default_rng(0))


def degrees(found: Turns, true: Turns) -> float:
    return float(np.degrees(Rotation.from_matrix(found.rotation[0].T @ true.rotation[0]).magnitude()))


def follow(view: ViewTrack, poses: list[Turns], start: int = 1) -> list[Match]:
    """Find and take the frames of these poses one after another."""
    found = []
    for number, at in enumerate(poses, start):
        seen = glance(number, at)
        match = view.find(seen)
        assert match is not None, number
        view.take(seen, match)
        found.append(match)
    return found


def test_a_roll_is_the_angle_about_the_camera() -> None:
    for angle in (-100.0, -20.0, 0.0, 35.0):
        assert np.degrees(_roll(pose(z=angle))) == pytest.approx(angle)
    assert abs(_roll(pose(x=10.0))) < 0.01
    assert np.degrees(_roll(pose(3.0, 4.0, 20.0))) == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize("zoom", [1.0, 1.1])
def test_a_frame_is_matched_where_the_camera_has_turned_and_its_corners_are_those_that_agree(zoom: float) -> None:
    true = pose(1.0, -3.0, 1.0, zoom)
    match = track().find(glance(4, true))
    assert match is not None
    assert degrees(match.pose, true) < 0.1
    assert np.exp(match.pose.zoom[0]) == pytest.approx(zoom, abs=0.003)
    link = match.link
    assert (link.frame, link.key, link.zoom) == (4, 0, 0.0)
    assert len(link.points) == len(link.targets) <= 60
    assert match.agree > 60
    assert 0.7 < link.share < 0.95, "some corners are lost at the edges"
    assert link.still == 0.0
    assert track().find(glance(1, pose())).link.still == 1.0  # type: ignore[union-attr]
    # From the middle of the picture: the corners are on all sides.
    assert (np.abs(np.median(link.points, axis=0)) < 40).all()
    assert (link.points.min(0) < -60).all()
    assert (link.points.max(0) > 60).all()


def test_a_frame_without_enough_corners_in_view_matches_nothing() -> None:
    view = track()
    assert view.find(glance(1, pose(y=75.0))) is None, "another part of the wall"
    assert view.find(glance(1, pose(), np.array([[-1.0, -1.0, 241.0, 161.0]]))) is None, "somebody who fills the picture"
    most = np.array([[-1.0, -1.0, 241.0, 120.0]])
    assert view.find(glance(1, pose(), most)) is not None, "a part of it is enough"
    other = Glance(1, 1 / FPS, np.ascontiguousarray(glance(1, pose()).picture[::-1]), NOBODY)
    assert view.find(other) is None, "another picture"


def test_a_third_of_the_corners_in_view_has_to_agree() -> None:
    view, still = track(), glance(1, pose())
    shares = {}
    for rows in (64, 38):
        mixed = np.ascontiguousarray(still.picture[::-1, ::-1])
        mixed[:rows] = still.picture[:rows]
        shares[rows] = view.find(Glance(1, 1 / FPS, mixed, NOBODY))
    assert shares[64] is not None
    assert shares[64].link.share == pytest.approx(0.4, abs=0.15)
    assert shares[38] is None
    key = view._keys[0].frame.points
    assert (key[:, 1] < 38 - 8).sum() >= 10, "control: enough corners agree, in number"


def test_the_speed_of_the_picture_is_in_its_pixels_a_second() -> None:
    view = track()
    for number, angle in ((1, 0.5), (3, 1.5), (4, 1.5)):
        seen = glance(number, pose(y=angle))
        match = view.find(seen)
        assert match is not None
        speed = view.take(seen, match)
        # Half a degree a frame moves what is in the middle by 1.75 pixels, and what is at the edge by up to a third more.
        wanted = 0.0 if number == 4 else FPS * FOCAL * np.radians(0.5)
        assert wanted - 1 < speed < 1.25 * wanted + 1.5
    assert view.last.number == 4
    assert [link.frame for link in view.links] == [1, 3, 4]


def test_a_steady_pan_is_expected_to_go_on_for_half_a_second() -> None:
    view = track()
    follow(view, [pose(y=1.0 * number) for number in range(1, 5)])
    looked: list[Turns] = []
    match = view._match

    def watched(key: Key, seen: Glance, expected: Turns, far: bool) -> Match | None:
        looked.append(expected)
        return match(key, seen, expected, far)

    view._match = watched  # type: ignore[method-assign]
    view.find(glance(7, pose(y=7.0)))
    assert degrees(looked[0], pose(y=7.0)) < 0.15
    view.find(glance(4 + 60, pose(y=7.0)))
    expected = [one for one in looked if degrees(one, pose(y=4.0 + 15.0)) < 0.7]
    assert expected, "no further than half a second ahead"
    assert not [one for one in looked if degrees(one, pose(y=64.0)) < 20.0]


def test_the_key_frame_is_kept_until_the_view_has_changed() -> None:
    view = track()
    keys = [match.link.key for match in follow(view, [pose(y=1.5 * number) for number in range(1, 19)])]
    assert keys[:4] == [0] * 4, "a few degrees are no change"
    assert 1 < len(set(keys)) < 6
    assert view.pose.rotation[0] == pytest.approx(pose(y=27.0).rotation[0], abs=5e-3)


@pytest.mark.parametrize(
    ("turn", "renewed"),
    [
        (pose(z=12.0), False), (pose(z=16.0), True), (pose(z=-16.0), True), (pose(zoom=1.2), False),
        (pose(zoom=1.3), True), (pose(zoom=0.77), True), (pose(zoom=0.85), False),
    ],
)  # fmt: skip
def test_a_roll_or_a_zoom_needs_a_new_key_frame(turn: Turns, renewed: bool) -> None:
    view = track()
    key = view._keys[0]
    points = key.frame.points
    link = Link(1, 0, points, points, turn, 0.0, 1.0, 0.0)
    seen = glance(1, turn)
    view.take(seen, Match(key, link, Turns(turn.rotation.swapaxes(1, 2), turn.zoom), len(points), np.ones(len(points), bool)))
    assert (len(view._keys) == 2) == renewed
    assert view._keys[-1].number == (1 if renewed else 0)


@pytest.mark.parametrize(("agree", "renewed"), [(60, False), (56, False), (54, True)])
def test_a_key_frame_of_which_half_is_gone_is_renewed(agree: int, renewed: bool) -> None:
    view = track()
    key = view._keys[0]
    count = len(key.frame.points)
    found = np.arange(count) % 3 > 0
    link = Link(1, 0, key.frame.points, key.frame.points, Turns.none(), 0.0, 1.0, 0.0)
    match = Match(key, link, Turns.none(), 100, found)
    view.take(glance(1, pose()), match)
    assert (key.best, len(key.frame.points)) == (100, found.sum()), "corners that were not found at first are noise"
    view.take(glance(2, pose()), replace(match, agree=agree, found=found[found]))
    assert (view._keys[-1].number == 2) == renewed


def test_a_view_that_comes_back_is_matched_with_its_old_key_frame() -> None:
    view = track()
    there = [pose(y=2.5 * number) for number in range(1, 15)]
    keys = [match.link.key for match in follow(view, there)]
    assert keys[-1] > 0
    back = [match.link.key for match in follow(view, there[::-1] + [pose()], 15)]
    assert back[-3:] == [0, 0, 0]
    assert degrees(view.pose, pose()) < 0.1
    assert [key.number for key in view._keys] == [keys[-1], 0], "each is there once, the current one last"


def test_no_more_than_sixty_key_frames_are_kept() -> None:
    view, turn = track(), pose(z=20.0)
    first = view._keys[0]
    view._keys = [Key(-number, first.frame, pose(y=-number), 1000) for number in range(60, 0, -1)]
    key = view._keys[-1]
    link = Link(1, -1, first.frame.points, first.frame.points, turn, 0.0, 1.0, 0.0)
    there = Turns(turn.rotation.swapaxes(1, 2), turn.zoom)
    view.take(glance(1, there), Match(key, link, there, 1000, np.ones(len(first.frame.points), bool)))
    assert [key.number for key in view._keys] == [*range(-59, 0), 1], "the oldest one goes"


def test_where_the_key_frame_is_lost_the_frame_before_or_an_older_one_helps() -> None:
    view = track()
    follow(view, [pose(y=2.5 * number) for number in range(1, 11)])
    now, next_one = view._keys[-1], glance(11, pose(y=23.0))
    assert now.number > 0
    # The current key frame shows nothing any more; the frame before does.
    now.frame = now.frame.only(np.zeros(len(now.frame.points), bool))
    match = view.find(next_one)
    assert match is not None
    assert match.link.key == 10
    assert degrees(match.pose, pose(y=23.0)) < 0.2
    # Nor does the frame before: there is the first key frame.
    view.last = Glance(10, 10 / FPS, np.full(SIZE[::-1], 128, np.uint8), NOBODY)
    match = view.find(next_one)
    assert match is not None
    assert match.link.key == 0
    assert degrees(match.pose, pose(y=23.0)) < 0.2
    further = view.find(glance(11, pose(y=29.0)))
    assert further is not None, "it is looked for further around than usual"
    assert degrees(further.pose, pose(y=29.0)) < 0.2
    view._keys = view._keys[1:]
    assert view.find(next_one) is None, "control: without it"


def test_a_view_without_corners_is_blind_until_it_has_some() -> None:
    grey = Glance(0, 0.0, np.full(SIZE[::-1], 128, np.uint8), NOBODY)
    view = ViewTrack(grey, LENS, np.random.default_rng(0))
    assert view.blind
    assert view.find(glance(1, pose())) is None
    view.restart(glance(2, pose()))
    assert not view.blind
    assert view.last.number == 2
    match = view.find(glance(3, pose(y=1.0)))
    assert match is not None
    assert match.link.key == 2
    view.take(glance(3, pose(y=1.0)), match)
    view._keys[0].frame = view._keys[0].frame.only(np.zeros(len(view._keys[0].frame.points), bool))
    assert not view.blind, "it has seen something"


@pytest.mark.parametrize(
    ("at", "turned"),
    [
        (pose(y=6.0), False), (pose(z=1.2), False), (pose(z=2.3), True), (pose(z=-2.3), True),
        (pose(zoom=1.03), False), (pose(zoom=1.08), True), (pose(zoom=0.92), True),
    ],
)  # fmt: skip
def test_the_key_frame_is_turned_before_corners_are_tracked_only_where_patches_look_different(
    at: Turns, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned, calls = KeyFrame.aligned, []

    def counted(self: KeyFrame, picture: NDArray[np.uint8], homography: Array) -> KeyFrame:
        calls.append(homography)
        return aligned(self, picture, homography)

    monkeypatch.setattr(KeyFrame, "aligned", counted)
    view = track()
    view.pose = at
    match = view.find(glance(1, at))
    assert match is not None
    assert degrees(match.pose, at) < 0.1
    assert bool(calls) == turned
