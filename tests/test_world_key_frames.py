"""Key frames: which corners they have, and in which pictures these are found again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from turning_camera import wall

from stpose_core.world.key_frames import KeyFrame, _shown, inside, small_picture, small_step, widened

NOBODY = np.zeros((0, 4))


WALL = wall()


def part(x: int, y: int, width: int = 240, height: int = 160) -> NDArray[np.uint8]:
    """What a camera sees of the wall from (x, y) on."""
    return np.ascontiguousarray(WALL[y : y + height, x : x + width])


def right(
    key: KeyFrame, picture: NDArray[np.uint8], shift: tuple[float, float], far: bool, guess: tuple[float, float] = (0, 0)
) -> float:
    """Share of the corners that stay in view which are found where they are: `shift` pixels further."""
    there = key.points + np.array(shift, np.float32)
    height, width = picture.shape
    inner = ((there > 12) & (there < (width - 13, height - 13))).all(1)
    found, seen = key.track(picture, key.points + np.array(guess), far)
    off = np.linalg.norm(found - there, axis=1)
    assert off[seen & inner].max(initial=0) < 1.0, "none is found elsewhere"
    return float((seen & (off < 0.3))[inner].mean())


@pytest.mark.parametrize(("shift", "near", "far"), [((3, -2), True, True), ((9, 4), True, True), ((26, 12), False, True)])
def test_how_far_corners_are_looked_for(shift: tuple[int, int], near: bool, far: bool) -> None:
    key = KeyFrame.of(part(60, 60), NOBODY)
    later = part(60 - shift[0], 60 - shift[1])
    for wide, found in ((False, near), (True, far)):
        share = right(key, later, shift, wide)
        assert share > 0.75 if found else share < 0.25
    assert right(key, later, shift, False, shift) > 0.9, "where they are expected"


def test_a_cell_has_one_corner_and_the_strongest_are_kept() -> None:
    points = KeyFrame.of(part(0, 0), NOBODY).points
    cells = {(int(x) // 12, int(y) // 12) for x, y in points}
    assert len(cells) == len(points), "one in each of the 20 x 13 cells"
    assert len(points) == 120
    assert points[:, 0].min() >= 8
    assert points[:, 0].max() < 240 - 8
    assert points[:, 1].min() >= 8
    assert points[:, 1].max() < 160 - 8
    # A tall picture has its 20 cells along the other side.
    tall = KeyFrame.of(np.ascontiguousarray(part(0, 0).T), NOBODY).points
    assert len({(int(x) // 12, int(y) // 12) for x, y in tall}) == len(tall) == 120
    # Where one half of the picture has far less contrast, the corners of the other one come first.
    faint = part(0, 0)
    faint[:, 120:] = 128 + (faint[:, 120:].astype(int) - 128) // 6
    order = KeyFrame.of(faint, NOBODY).points[:, 0] < 120
    assert order[:60].mean() > 0.95
    assert not order[60:].all()


def test_a_plain_wall_has_no_corners_and_noise_of_a_grey_level_neither() -> None:
    noise = 128 + np.random.default_rng(0).integers(0, 2, (160, 240)).astype(np.uint8)
    assert len(KeyFrame.of(cv2.blur(noise, (5, 5)), NOBODY).points) == 0
    assert len(KeyFrame.of(part(0, 0), np.array([[-1.0, -1.0, 241.0, 161.0]])).points) == 0, "all of it is a person"


def test_the_contrast_of_a_corner_is_that_of_its_patch() -> None:
    picture = part(0, 0)
    key = KeyFrame.of(picture, NOBODY)
    around = np.abs(picture - uniform_filter(picture.astype(float), 15))  # from the mean of the 15 x 15 pixels around each
    patches = [around[int(y) - 7 : int(y) + 8, int(x) - 7 : int(x) + 8] for x, y in key.points]
    assert all(patch.shape == (15, 15) for patch in patches)
    assert key.contrast == pytest.approx(np.array([patch.mean() for patch in patches]), abs=1.0)
    assert np.ptp(key.contrast) > 5, "control: it differs"


def test_a_patch_that_looks_different_is_not_found() -> None:
    key = KeyFrame.of(part(60, 60), NOBODY)
    later = part(60, 60).astype(float)
    random = np.random.default_rng(0)
    slightly = np.clip(later + random.normal(0, 4, later.shape), 0, 255).astype(np.uint8)
    assert key.track(slightly, key.points, False)[1].mean() > 0.9
    blend = np.clip(0.35 * later + 0.65 * wall(3, (240, 160)), 0, 255).astype(np.uint8)
    assert key.track(blend, key.points, False)[1].mean() < 0.2
    assert not key.track(wall(7, (240, 160)), key.points, True)[1].mean() > 0.05, "another wall"


def test_corners_that_leave_the_picture_are_not_found() -> None:
    key = KeyFrame.of(part(60, 60), NOBODY)
    for shift in ((30, 0), (-30, 0), (0, 30), (0, -30)):
        there = key.points + shift
        outside = ((there < 2) | (there > (237, 157))).any(1)
        _, seen = key.track(part(60 - shift[0], 60 - shift[1]), there, True)
        assert outside.sum() > 5
        assert not seen[outside].any()
        assert seen[~outside].mean() > 0.8


@pytest.mark.parametrize(
    ("left", "top", "right", "bottom"), [(0, 0, 40, 30), (5, 0, 40, 30), (0, 4, 40, 27), (6, 3, 33, 22), (39, 29, 40, 30)]
)
def test_the_shown_part_is_what_is_not_black_from_the_edge_on(left: int, top: int, right: int, bottom: int) -> None:
    picture = np.full((30, 40), 24, np.uint8)
    picture[top:bottom, left:right] = 25
    assert _shown(picture) == (left, top, right, bottom)
    picture[(top + bottom) // 2, (left + right) // 2] = 25
    picture[top:bottom, left:right][1:-1, 1:-1] = 0
    assert _shown(picture) == (left, top, right, bottom), "darkness inside is no bar"


def test_a_dark_picture_is_shown_as_a_whole() -> None:
    assert _shown(np.full((30, 40), 24, np.uint8)) == (0, 0, 40, 30)


def test_corners_keep_away_from_bars_on_each_side_alike() -> None:
    barred = np.zeros((160, 240), np.uint8)
    barred[40:130, 50:200] = part(0, 0)[40:130, 50:200]
    points = KeyFrame.of(barred, NOBODY).points
    assert len(points) > 20
    assert points.min(0) == pytest.approx([58, 48], abs=6)
    assert (points >= [58, 48]).all()
    assert (points < [192, 122]).all()
    assert points.max(0) == pytest.approx([191, 121], abs=6)


def test_a_key_frame_is_turned_with_its_corners() -> None:
    key = KeyFrame.of(part(60, 60), NOBODY)
    quarter = np.array([[0.0, -1.0, 199.0], [1.0, 0.0, -40.0], [0.0, 0.0, 1.0]])  # about the middle
    turned = key.aligned(part(60, 60), quarter)
    assert turned.picture.shape == key.picture.shape
    assert turned.points == pytest.approx(np.stack([199 - key.points[:, 1], key.points[:, 0] - 40], 1), abs=1e-3)
    assert (turned.contrast == key.contrast).all()
    for before, after in zip(key.points, turned.points):
        if (after > 10).all() and (after < (229, 149)).all():
            x, y = np.round(after).astype(int)
            assert abs(int(turned.picture[y, x]) - int(key.picture[int(before[1]), int(before[0])])) <= 2


@pytest.mark.parametrize(("longer", "step"), [(470, 1), (678, 1), (680, 2), (1350, 2), (1360, 4), (2700, 4), (2720, 8), (10, 1)])
def test_the_step_is_the_power_of_two_that_comes_nearest(longer: int, step: int) -> None:
    assert small_step(longer, 10) == small_step(10, longer) == step
    assert isinstance(small_step(longer, 10), int)


def test_sizes_that_do_not_divide_lose_their_last_rows_and_columns() -> None:
    image = np.zeros((46, 53, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 255
    image[:40, :48, 1] = 100
    small = small_picture(image, 8)
    assert small.shape == (5, 6)
    assert (small == 100).all()


@pytest.mark.parametrize(
    ("size", "step"), [((480, 270), 1), ((640, 480), 1), ((1280, 720), 2), ((1080, 1920), 4), ((3840, 2160), 8), ((100, 80), 1)]
)
def test_pictures_are_brought_near_to_480_pixels(size: tuple[int, int], step: int) -> None:
    assert small_step(*size) == step


def test_a_small_picture_is_the_mean_of_its_green_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (41, 50, 3), dtype=np.uint8)
    small = small_picture(image, 4)
    assert small.shape == (10, 12)
    mean = image[:40, :48, 1].reshape(10, 4, 12, 4).mean((1, 3))
    assert np.abs(small - mean).max() <= 1.0
    assert (small_picture(image, 1) == image[..., 1]).all()


def test_points_in_boxes() -> None:
    points = np.array([[1.0, 1.0], [5.0, 5.0], [5.0, 9.0], [10.0, 20.0]])
    assert inside(points, np.array([[4.0, 4.0, 6.0, 8.0], [10.0, 20.0, 12.0, 22.0]])).tolist() == [False, True, False, True]
    assert not inside(points, np.zeros((0, 4))).any()
    wide = widened(np.array([[10.0, 20.0, 30.0, 120.0]]))
    assert wide[0] == pytest.approx([-2.0, 8.0, 42.0, 132.0])
    assert widened(np.zeros((0, 4))).shape == (0, 4)


def spotted(spots: list[tuple[int, int]], shift: tuple[int, int] = (0, 0)) -> NDArray[np.uint8]:
    """A grey picture, 160 x 90, with bright squares of 3 x 3 pixels at these places."""
    picture = np.full((90, 160), 100, np.uint8)
    for x, y in spots:
        x, y = x + shift[0], y + shift[1]
        picture[y - 1 : y + 2, x - 1 : x + 2] = 220
    return picture


SPOTS = [(20, 20), (44, 28), (76, 20), (108, 44), (140, 68), (28, 68), (92, 68)]


def test_corners_are_the_spots_outside_people_and_black_bars() -> None:
    key = KeyFrame.of(spotted(SPOTS), np.zeros((0, 4)))
    near = np.linalg.norm(key.points[:, None] - np.array(SPOTS), axis=-1)
    assert (near.min(0) < 3).all(), "each spot has a corner"
    assert (near.min(1) < 6).all(), "and there are no others"
    assert (key.contrast > 0).all()
    boxed = KeyFrame.of(spotted(SPOTS), np.array([[100.0, 30.0, 159.0, 89.0]]))
    away = np.linalg.norm(boxed.points[:, None] - np.array(SPOTS), axis=-1).min(0)
    assert (away[[0, 1, 2, 5, 6]] < 3).all()
    assert (away[[3, 4]] > 3).all()
    barred = spotted(SPOTS)
    barred[:30] = 5
    points = KeyFrame.of(barred, np.zeros((0, 4))).points
    assert len(points)
    assert points[:, 1].min() > 36
    assert not len(KeyFrame.of(np.full((90, 160), 100, np.uint8), np.zeros((0, 4))).points)
    some = np.arange(len(key.points)) % 2 == 0
    assert (key.only(some).points == key.points[some]).all()


def test_corners_are_tracked_there_and_only_where_they_are() -> None:
    rng = np.random.default_rng(0)
    wall = rng.integers(60, 200, (30, 60)).astype(np.uint8)
    wall = np.kron(wall, np.ones((6, 6), np.uint8))
    first = wall[20:110, 20:180]
    key = KeyFrame.of(first, np.zeros((0, 4)))
    for shift, far in (((2, -1), False), ((2, -1), True)):
        later = wall[20 - shift[1] : 110 - shift[1], 20 - shift[0] : 180 - shift[0]]
        found, seen = key.track(later, key.points, far)
        assert seen.mean() > 0.5
        off = np.linalg.norm(found - key.points - shift, axis=1)[seen]
        assert np.median(off) < 0.1
        _, other = key.track(255 - later, key.points, far)
        assert other.mean() < 0.3 * seen.mean(), "another picture"
    assert key.aligned(first, np.eye(3)).points == pytest.approx(key.points, abs=1e-4)
    found, seen = key.only(np.zeros(len(key.points), bool)).track(first, np.zeros((0, 2)), False)
    assert found.shape == (0, 2)
    assert seen.shape == (0,)
