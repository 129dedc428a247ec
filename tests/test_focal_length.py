"""The focal length of a camera that turns, from the corners of its pictures; none where it cannot be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from stpose_core.world.focal_length import measured_focal
from stpose_core.world.turning import Link, Turns, moved

SIZE = (320, 180)


def links(focal: float, degrees: float, noise: float = 0.1, sideways: float = 0.0, count: int = 20) -> list[Link]:
    """Frames of a camera that pans by up to so many degrees, as a tracker of corners with this focal length would report them.

    sideways: metres that the camera moves in the meantime, in a scene 3 to 30 m deep.
    """
    random = np.random.default_rng(0)
    found = []
    for number in range(1, count + 1):
        points = random.uniform(-0.5, 0.5, (60, 2)) * SIZE
        turn = Turns(Rotation.from_euler("y", degrees * number / count, degrees=True).as_matrix()[None], np.zeros(1))
        shift = np.stack([focal * sideways * number / count / random.uniform(3, 30, 60), np.zeros(60)], axis=-1)
        targets = moved((points + shift)[None], turn, np.array([focal]))[0] + random.normal(0, noise, points.shape)
        found.append(Link(number, 0, points.astype(np.float32), targets.astype(np.float32), turn, 0.0, 1.0, 0.0))
    return found


@pytest.mark.parametrize("focal", [180.0, 260.0, 500.0])
def test_a_turn_shows_the_focal_length(focal: float) -> None:
    found = measured_focal(links(focal, 25.0), SIZE)
    assert found == pytest.approx(focal, rel=0.03)


def test_without_noise_it_is_exact_to_the_last_step_of_the_search() -> None:
    focals = np.geomspace(180.0, 600.0, 6)
    found = [measured_focal(links(focal, 25.0, noise=0.0), SIZE) for focal in focals]
    assert found == pytest.approx(list(focals), rel=0.004)


def test_it_is_that_of_the_first_frame_though_the_camera_has_zoomed_since() -> None:
    zoomed = [replace(link, zoom=float(np.log(1.3))) for link in links(1.3 * 260.0, 25.0)]
    assert measured_focal(zoomed, SIZE) == pytest.approx(260.0, rel=0.03)


def test_what_cannot_be_measured_is_unknown() -> None:
    assert measured_focal(links(260.0, 25.0), SIZE) is not None  # the control
    assert measured_focal([], SIZE) is None
    assert measured_focal(links(260.0, 25.0, count=7), SIZE) is None  # too few frames
    assert measured_focal(links(260.0, 1.5), SIZE) is None  # a turn that is too small
    assert measured_focal(links(260.0, 25.0, noise=4.0), SIZE) is None  # corners that agree with no turn
    assert measured_focal(links(260.0, 25.0, sideways=3.0), SIZE) is None  # a camera that moves along
    assert measured_focal(links(2000.0, 25.0), SIZE) is None  # narrower than any that is looked for
    assert measured_focal(links(80.0, 25.0), SIZE) is None  # wider


def test_how_many_frames_have_to_turn_how_far() -> None:
    assert measured_focal(links(260.0, 25.0, count=8), SIZE) is not None, "eight frames are enough"
    slight = links(260.0, 2.9, noise=0.0, count=40)  # twelve of them turn by more than 2 degrees
    assert measured_focal(slight, SIZE) == pytest.approx(260.0, rel=0.02)
    assert measured_focal(links(260.0, 1.95, noise=0.0, count=40), SIZE) is None


def test_the_largest_turns_are_used() -> None:
    far, near = links(260.0, 25.0, count=40), links(400.0, 4.0, count=200)
    near = [one for one in near if np.degrees(np.arccos(one.turn.rotation[0, 2, 2])) > 2.5]
    both = [*near, *far]
    assert len(near) > 60
    assert measured_focal(both, SIZE) == pytest.approx(260.0, rel=0.05)


def test_corners_may_be_half_a_pixel_off_but_not_more_than_a_pixel() -> None:
    assert measured_focal(links(260.0, 40.0, noise=0.45), SIZE) == pytest.approx(260.0, rel=0.08)
    assert measured_focal(links(260.0, 40.0, noise=1.5), SIZE) is None
    wild = links(260.0, 40.0, noise=0.1)
    for number, one in enumerate(wild):
        one.targets[:3] += np.float32(1e5 * (-1) ** number)  # a twentieth of the corners are nowhere near
    assert measured_focal(wild, SIZE) == pytest.approx(260.0, rel=0.03)


def test_a_camera_that_looks_up_and_down_is_measured_like_one_that_pans() -> None:
    turns = Rotation.from_euler("x", np.linspace(-25, 25, 20)[:, None], degrees=True).as_matrix()
    random, found = np.random.default_rng(0), []
    for number, rotation in enumerate(turns):
        points = random.uniform(-0.5, 0.5, (60, 2)) * SIZE
        turn = Turns(rotation[None], np.zeros(1))
        targets = moved(points[None], turn, np.array([260.0]))[0]
        found.append(Link(number + 1, 0, points.astype(np.float32), targets.astype(np.float32), turn, 0.0, 1.0, 0.0))
    assert measured_focal(found, SIZE) == pytest.approx(260.0, rel=0.01)
    assert measured_focal(found, SIZE[::-1]) == pytest.approx(260.0, rel=0.01), "the longer side counts"


@pytest.mark.parametrize(("field", "known"), [(100.0, True), (24.0, True), (18.0, False), (115.0, False)])
def test_fields_of_view_from_22_to_105_degrees_are_looked_for(field: float, known: bool) -> None:
    focal = 160.0 / np.tan(np.radians(field) / 2)
    found = measured_focal(links(focal, 30.0, noise=0.0), SIZE)
    assert (found == pytest.approx(focal, rel=0.02)) if known else found is None


def test_zooms_count_where_links_have_them() -> None:
    true = []
    for number, one in enumerate(links(260.0, 25.0, noise=0.0)):
        turn = Turns(one.turn.rotation, np.array([0.01 * number]))
        targets = moved(one.points[None].astype(float), turn, np.array([260.0]))[0]
        guess = Turns(one.turn.rotation, turn.zoom + 0.03 * (-1) ** number)  # which is fitted anew for each focal length
        true.append(replace(one, turn=guess, targets=targets.astype(np.float32)))
    assert measured_focal(true, SIZE) == pytest.approx(260.0, rel=0.02)
