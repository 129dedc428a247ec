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
