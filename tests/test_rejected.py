"""Places in which nobody was: what counts as a change there, by share, brightness, angle and time."""

from __future__ import annotations

import numpy as np

from stpose_core.detect.types import Box
from stpose_core.track.rejected import AGAIN_SECONDS, RejectedPlaces

ROOM = np.random.default_rng(0).integers(60, 200, (12, 16, 3)).astype(np.uint8).repeat(20, 0).repeat(20, 1)
PLACE = Box(40.0, 40.0, 140.0, 200.0)


def test_a_place_is_as_it_was_until_something_comes_there() -> None:
    places = RejectedPlaces()
    places.add(ROOM, PLACE, 0.0)
    noisy = np.clip(ROOM + np.random.default_rng(1).normal(0, 6, ROOM.shape), 0, 255).astype(np.uint8)
    assert places.holds(noisy, PLACE, 1.0)
    assert places.holds(noisy, Box(45.0, 44.0, 140.0, 205.0), 1.0), "a box that differs a little"
    assert not places.holds(noisy, Box(40.0, 40.0, 100.0, 120.0), 1.0), "another box"
    assert not places.holds(noisy, Box(40.0, 40.0, 140.0, 200.0, 1.0, np.pi / 2), 1.0), "the same box, for somebody who lies"
    assert not places.holds(noisy, PLACE, AGAIN_SECONDS + 1), "too long ago"
    come = noisy.copy()
    come[60:200, 70:110] = 20
    assert not places.holds(come, PLACE, 1.0)
    # Half in the picture, and a pixel wide: no place is too small or too far out to be remembered.
    for edge in (Box(-30.0, -50.0, 12.0, 40.0), Box(319.0, 100.0, 320.0, 200.0)):
        places.add(ROOM, edge, 1.0)
        assert places.holds(ROOM, edge, 1.0)
    places.clear()
    assert not places.holds(noisy, PLACE, 1.0)


def test_in_the_dark_less_is_a_change() -> None:
    dark, places = (ROOM // 16).astype(np.uint8), RejectedPlaces()
    places.add(dark, PLACE, 0.0)
    assert places.holds(dark + np.uint8(1), PLACE, 1.0)
    come = dark.copy()
    come[60:200, 70:110] += 9
    assert not places.holds(come, PLACE, 1.0)


def test_the_place_of_a_turned_box_is_where_it_lies_in_the_picture() -> None:
    lying, places = Box(130.0, 60.0, 190.0, 180.0, 1.0, np.pi / 2), RejectedPlaces()  # from 100 to 220 across, from 90 to 150 down
    places.add(ROOM, lying, 0.0)
    above, beside = ROOM.copy(), ROOM.copy()
    above[60:90, 130:190] = 20
    beside[90:150, 100:125] = 20
    assert places.holds(above, lying, 1.0)
    assert not places.holds(beside, lying, 1.0)
