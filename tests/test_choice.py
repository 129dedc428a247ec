"""Which person is chosen, and tracks on an even grid of times."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import STANDING
from test_tracker import FPS, SIZE

from stpose_core.errors import NoPersonError
from stpose_core.track.choice import choose_people
from stpose_core.track.resample import track_to_keypoints
from stpose_core.track.track import Track


def made(places: list[tuple[float, float, range]]) -> list[Track]:
    """Tracks of people standing at x, of a height, in these frames."""
    tracks = []
    for number, (x, height, frames) in enumerate(places, 1):
        xy = np.repeat((np.array([x, 120.0]) + STANDING[:, :2] * height / 1.6)[None], len(frames), axis=0)
        index = np.array(frames)
        tracks.append(Track.of(number, "h36m17", index / FPS, index, xy, np.full(xy.shape[:2], 0.9)))
    return tracks


@pytest.mark.parametrize(
    ("person", "ids"),
    [("largest", [2]), ("left", [1]), ("right", [3]), ("center", [2]), ("all", [2, 3, 1]), ("1", [2]), ("3", [1])],
)
def test_the_choice_among_people(person: str, ids: list[int]) -> None:
    everyone = range(100)
    tracks = made([(50, 60, everyone), (180, 120, everyone), (280, 90, everyone), (10, 200, range(5))])[:4]
    chosen = choose_people(tracks, person, SIZE, 100)
    assert [track.id for track in chosen if track.id != 4] == ids


def test_a_choice_that_cannot_be_met() -> None:
    tracks = made([(50, 60, range(10))])
    for wrong in ("2", "0", "middle"):
        with pytest.raises(NoPersonError):
            choose_people(tracks, wrong, SIZE, 10)
    with pytest.raises(NoPersonError):
        choose_people([], "largest", SIZE, 10)


def test_stamps_on_the_grid_are_copied() -> None:
    (track,) = made([(50, 100, range(10, 40))])
    keypoints = track_to_keypoints(track, np.arange(60) / FPS + 0.004, FPS, SIZE)
    assert len(keypoints) == 60
    np.testing.assert_array_equal(np.flatnonzero(keypoints.seen), np.arange(10, 40))
    np.testing.assert_allclose(keypoints.xy[10:40], track.xy)


def test_uneven_stamps_are_interpolated_and_gaps_kept() -> None:
    times = np.array([0, 0.05, 0.09, 0.16, 0.2, 0.55, 0.6])
    xy = np.repeat(times[:, None, None] * 100, 17, axis=1).repeat(2, axis=2)
    frames = np.array([0, 1, 2, 3, 4, 20, 21])
    track = Track.of(1, "h36m17", times, frames, xy, np.full((7, 17), 0.8))
    keypoints = track_to_keypoints(track, np.linspace(0, 0.6, 22), 20, SIZE)
    assert len(keypoints) == 13
    np.testing.assert_allclose(keypoints.xy[:5, 0, 0], [0, 5, 10, 15, 20], atol=1.01)
    np.testing.assert_allclose(keypoints.xy[2:4, 0, 0], [9, 15], atol=1.01)
    assert list(np.flatnonzero(~keypoints.seen)) == [5, 6, 7, 8, 9, 10]
    assert np.isnan(keypoints.xy[7]).all()


def test_a_slow_video_is_no_row_of_gaps() -> None:
    (track,) = made([(50, 100, range(6))])
    slow = Track.of(1, "h36m17", track.times * FPS / 2, track.frames, track.xy, track.score)
    assert track_to_keypoints(slow, slow.times, 8, SIZE).seen.all()
