"""The path of a camera from its matches: poses, zooms, confidence, and whether it stands still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from turning_camera import FOCAL, LENS, SIZE, link, pan, pixels, turned

from stpose_core.data import Camera
from stpose_core.world.camera_solve import Followed, _is_static, chained, solve
from stpose_core.world.turning import Link, Turns


def test_poses_follow_from_key_frame_to_key_frame() -> None:
    frames = list(range(1, 35))
    poses, error = chained(pan(frames, 0.01), FOCAL, True)
    assert poses.rotation == pytest.approx(turned(0.5 * np.array(frames)), abs=1e-4)
    assert poses.zoom == pytest.approx(0.01 * np.array(frames), abs=1e-4)
    assert error.shape == (34, 60)
    assert np.nanmax(error) < 0.01
    assert np.isnan(error).sum(1).tolist() == [frame % 3 for frame in frames]
    assert chained(pan(frames, 0.01), FOCAL, False)[1][9, :50].mean() > 1.0, "control: without the zoom"


def solved(paths: list[Followed], frames: int, known: bool = True, decide: bool = True):  # type: ignore[no-untyped-def]
    """The path for whole pictures of twice the size."""
    return solve(paths, frames, Camera(2 * FOCAL, (480.0, 270.0)), LENS, known, decide)


def test_the_path_is_that_of_the_matches_and_between_them_on_the_shortest_way() -> None:
    path = solved([Followed(0, pan([3, 6, 10, 13, 20]), [15])], 23)
    assert path.rotation[:21] == pytest.approx(turned(0.5 * np.arange(21)), abs=1e-4)
    assert path.rotation[21:] == pytest.approx(np.tile(path.rotation[20], (2, 1, 1)))
    assert path.focal == pytest.approx(np.full(23, 2 * FOCAL))
    assert path.centre == (480.0, 270.0)
    assert not path.static
    assert path.confidence[15] == 0
    assert path.confidence[[3, 6, 10, 20]] == pytest.approx(np.ones(4))
    assert (path.position == 0).all()
    assert (path.shot == 0).all()


def test_a_zoom_is_believed_where_the_corners_need_it() -> None:
    path = solved([Followed(0, pan(list(range(1, 21)), 0.01), [])], 21)
    assert path.focal == pytest.approx(2 * FOCAL * np.exp(0.01 * np.arange(21)), rel=1e-3)


def test_a_later_path_begins_anew() -> None:
    second = pan(list(range(16, 26)), start=15)
    path = solved([Followed(0, pan(list(range(1, 15))), []), Followed(15, second, [])], 26)
    assert path.shot.tolist() == [0] * 15 + [1] * 11
    assert path.rotation[15] == pytest.approx(np.eye(3))
    assert path.rotation[25] == pytest.approx(turned([5.0])[0], abs=1e-4)
    empty = solved([Followed(0, [], [])], 4)
    assert empty.static
    assert (empty.confidence == 0).all()


def test_a_camera_that_hardly_moves_is_static_only_if_that_is_asked_for() -> None:
    tremble = [link(n, 0, turned([0.03 * (-1) ** n])[0], (FOCAL, FOCAL)) for n in range(1, 30)]
    assert solved([Followed(0, tremble, [])], 30).static
    assert not solved([Followed(0, tremble, [])], 30, decide=False).static
    assert not solved([Followed(0, pan(list(range(1, 30))), [])], 30).static


def test_the_confidence_falls_with_few_corners_in_one_place_that_do_not_agree() -> None:
    def sure(chosen: NDArray[np.bool_], wrong: float = 0.0) -> float:
        every = pan([1, 2, 3])
        random = np.random.default_rng(0)
        for number, one in enumerate(every):
            keep = chosen[: len(one.points)]
            targets = one.targets.copy()
            off = random.random(len(targets)) < wrong
            targets[off] += random.uniform(20, 40, (int(off.sum()), 2)).astype(np.float32)
            every[number] = Link(one.frame, 0, one.points[keep], targets[keep], one.turn, 0.0, 1.0 - wrong, 0.0)
        return float(solved([Followed(0, every, [])], 4, decide=False).confidence[2])

    everything = np.ones(60, bool)
    assert sure(everything) == 1
    assert sure(np.arange(60) < 15) == pytest.approx(0.5, abs=0.02)
    assert sure(everything, 0.7) < 0.7


def test_an_unknown_focal_length_is_measured() -> None:
    links = [replace(link(n, 0, turned([0.6 * n])[0], (1.3 * FOCAL, 1.3 * FOCAL)), zoom=0.0) for n in range(1, 41)]
    path = solved([Followed(0, links, [])], 41, known=False)
    assert path.focal == pytest.approx(np.full(41, 2 * 1.3 * FOCAL), rel=0.02)
    assert solved([Followed(0, links, [])], 41).focal == pytest.approx(np.full(41, 2 * FOCAL)), "control: a known one is kept"


def still_links(count: int = 30, moved: int = 0, by: float = 3.0) -> list[Link]:
    """Matches with the first frame whose corners stay where they are, but for those of some frames, in which they move."""
    found = []
    for number in range(1, count + 1):
        one = link(number, 0, np.eye(3), (FOCAL, FOCAL))
        shift = np.float32(by if number % max(count // max(moved, 1), 1) == 0 and moved else 0.0)
        found.append(replace(one, targets=one.targets + shift))
    return found


def test_the_matches_of_a_camera_that_stands_still_may_shake_by_some_tenths_of_a_pixel() -> None:
    def static(degrees: float) -> bool:
        shaking = [link(n, 0, turned([degrees * (-1) ** n])[0], (FOCAL, FOCAL)) for n in range(1, 31)]
        return bool(solved([Followed(0, shaking, [])], 31).static)

    pixel = float(np.degrees(1 / FOCAL))
    assert static(0.3 * pixel)  # 0.6 from one side to the other
    assert not static(1.2 * pixel)
    # A first frame that is off alone does not count against it.
    off = [link(n, 0, turned([20 * pixel])[0], (FOCAL, FOCAL)) for n in range(1, 31)]
    assert solved([Followed(0, off, [])], 31).static


def test_one_frame_that_moves_among_many_is_a_failure_of_its_match() -> None:
    assert solved([Followed(0, still_links(60, 1), [])], 61).static
    assert not solved([Followed(0, still_links(60, 4), [])], 61).static


def test_a_drift_of_the_key_frames_is_no_movement_unless_corners_move_against_them() -> None:
    degrees = 0.35  # 1.2 pixels to each side of the middle
    turns = Turns(turned(np.linspace(0, degrees, 40)), np.zeros(40))
    error = np.zeros((40, 60))
    for moved, static in ((1, True), (4, False)):
        assert _is_static(still_links(40, moved), turns, error, LENS) == static
    wide = Turns(turned(np.linspace(0, 2.2 * degrees, 40)), np.zeros(40))
    assert not _is_static(still_links(40), wide, error, LENS)
    # Of the corners that agree with the estimated turn, half have to stay.
    half = [replace(one, targets=np.concatenate([one.points[:29], one.points[29:] + np.float32(5)])) for one in still_links(40)]
    assert not _is_static(half, turns, error, LENS)
    assert _is_static(half, turns, np.where(np.arange(60) < 50, 0.0, np.inf) * np.ones((40, 60)), LENS)


def test_a_zoom_is_not_believed_where_a_turn_explains_the_corners() -> None:
    random = np.random.default_rng(0)
    near = []
    for number in range(1, 31):
        one = link(number, 0, turned([0.5 * number])[0], (FOCAL, FOCAL))
        points = random.uniform(-5, 5, (60, 2))  # about the middle, where a zoom hardly shows
        targets = pixels(points, turned([0.5 * number])[0], FOCAL, FOCAL) + random.normal(0, 0.3, (60, 2))
        near.append(replace(one, points=points.astype(np.float32), targets=targets.astype(np.float32)))
    assert np.ptp(chained(near, FOCAL, True)[0].zoom) > 0.03, "control: a fit with zoom zooms"
    assert solved([Followed(0, near, [])], 31).focal == pytest.approx(np.full(31, 2 * FOCAL))
    small = [link(n, 0, np.eye(3), (FOCAL, FOCAL * np.exp(0.02 * n / 30))) for n in range(1, 31)]
    assert solved([Followed(0, small, [])], 31).focal == pytest.approx(np.full(31, 2 * FOCAL)), "2 % are no zoom"
    steady = [link(n, 0, np.eye(3), (FOCAL, 1.05 * FOCAL)) for n in range(1, 31)]
    assert np.ptp(solved([Followed(0, steady, [])], 31).focal) == 0, "nor is one that does not change"
    most = [link(n, 0, np.eye(3), (FOCAL, FOCAL * np.exp(0.05 * n / 30))) for n in range(1, 31)]
    assert solved([Followed(0, most, [])], 31).focal[-1] == pytest.approx(2 * FOCAL * np.exp(0.05), rel=1e-3)


def test_a_path_may_begin_before_its_first_key_frame_and_later_than_the_video() -> None:
    links = pan(list(range(16, 25)), start=15)
    path = solved([Followed(0, [], []), Followed(10, links, [11, 12, 24])], 26, decide=False)
    assert path.rotation[10:16] == pytest.approx(np.tile(np.eye(3), (6, 1, 1)), abs=1e-6)
    assert path.rotation[16] == pytest.approx(turned([0.5])[0], abs=1e-4)
    assert path.rotation[25] == pytest.approx(path.rotation[24])
    assert (path.confidence[:10] == 0).all()
    assert (path.confidence[[11, 12, 24]] == 0).all()
    assert path.confidence[16:24].min() > 0.9


def test_a_frame_that_is_lost_after_the_end_of_its_path_belongs_to_the_next_one() -> None:
    first = Followed(0, pan([1, 2, 3]), [5, 7])
    path = solved([first, Followed(6, pan([7, 8], start=6), [])], 9)
    assert path.confidence[5] == 0
    assert path.confidence[7] > 0.9
    assert path.shot.tolist() == [0] * 6 + [1] * 3


@pytest.mark.parametrize(("share", "confidence"), [(0.2, 0.4), (0.4, 0.8), (0.5, 1.0), (0.9, 1.0)])
def test_the_confidence_grows_with_the_share_of_corners_that_agreed(share: float, confidence: float) -> None:
    links = [replace(one, share=share) for one in pan([1, 2, 3])]
    assert solved([Followed(0, links, [])], 4).confidence[1:] == pytest.approx(np.full(3, confidence))


def test_the_confidence_grows_with_the_twelfths_of_the_picture_that_hold_corners() -> None:
    x, y = np.meshgrid((np.arange(4) - 1.5) * SIZE[0] / 4, (np.arange(3) - 1.0) * SIZE[1] / 3)
    middles = np.stack([x.ravel(), y.ravel()], 1)
    for cells, confidence in ((1, 0.2), (3, 0.6), (5, 1.0), (12, 1.0)):
        points = np.repeat(middles[:cells], 40, axis=0) + np.random.default_rng(0).uniform(-30, 30, (40 * cells, 2))
        both = points.astype(np.float32)
        links = [Link(n, 0, both, both, Turns.none(), 0.0, 1.0, 1.0) for n in (1, 2)]
        assert solved([Followed(0, links, [])], 3).confidence[1] == pytest.approx(confidence), cells
