"""The camera's path in detail: turns, zooms and corners whose truth is known without the code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Camera, CameraPath
from stpose_core.world.camera_path import on_grid, to_camera, to_path
from stpose_core.world.camera_solve import Followed, chained, solve
from stpose_core.world.key_frames import KeyFrame, inside, small_picture, small_step, widened
from stpose_core.world.turning import Lens, Link, Turns, consensus, errors, fit, moved, padded, relative, small_rotations

SIZE = (480, 270)
FOCAL = 400.0
LENS = Lens(FOCAL, np.array([240.0, 135.0]), SIZE)


def turned(degrees: Array | list[float], axis: str = "y") -> Array:
    """(M, 3, 3)."""
    return Rotation.from_euler(axis, np.asarray(degrees, float)[:, None], degrees=True).as_matrix()


def pixels(points: Array, rotation: Array, before: float, after: float) -> Array:
    """Where points (N, 2) from the principal point are after a turn (3, 3), by the homography of the two cameras."""
    homography = np.diag([after, after, 1]) @ rotation @ np.diag([1 / before, 1 / before, 1])
    there = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(there[:, :2] / there[:, 2:])


def corners(count: int = 60, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 2)) * SIZE


def test_points_move_by_the_homography_of_a_turn_and_a_zoom() -> None:
    points, zoom = corners(), np.log([1.3, 0.8])
    rotation = Rotation.from_rotvec([[0.1, -0.2, 0.3], [-0.3, 0.05, 0.0]]).as_matrix()
    there = moved(np.tile(points, (2, 1, 1)), Turns(rotation, zoom), np.array([FOCAL, 300.0]))
    assert there[0] == pytest.approx(pixels(points, rotation[0], FOCAL, 1.3 * FOCAL))
    assert there[1] == pytest.approx(pixels(points, rotation[1], 300.0, 0.8 * 300.0))
    middle = moved(np.zeros((1, 1, 2)), Turns(turned([20.0]), np.zeros(1)), np.array([FOCAL]))
    assert middle[0, 0] == pytest.approx([FOCAL * np.tan(np.radians(20.0)), 0.0])
    behind = Turns(turned([120.0]), np.zeros(1))
    assert np.isnan(moved(np.zeros((1, 1, 2)), behind, np.array([FOCAL]))).all()
    assert np.isinf(errors(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), behind, np.array([FOCAL]))).all()
    off = errors(points[None], there[:1] + [3.0, 4.0], Turns(rotation[:1], zoom[:1]), np.array([FOCAL]))
    assert off == pytest.approx(np.full((1, 60), 5.0))


def test_small_rotations_are_those_of_rotation_vectors() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    assert small_rotations(vectors) == pytest.approx(Rotation.from_rotvec(vectors).as_matrix())
    assert small_rotations(np.zeros((1, 3)))[0] == pytest.approx(np.eye(3))


def test_a_turn_between_two_poses_leads_from_one_to_the_other() -> None:
    a, b = (
        Turns(Rotation.from_rotvec([v]).as_matrix(), np.array([z])) for v, z in (([0.1, 0.2, 0.0], 0.1), ([0.0, -0.3, 0.1], 0.4))
    )
    turn = relative(a, b)
    ray = np.array([0.2, -0.1, 1.0])
    # A pose takes the camera's axes to those of the path: the same direction in both cameras.
    assert b.rotation[0] @ turn.rotation[0] @ ray == pytest.approx(a.rotation[0] @ ray)
    assert turn.zoom[0] == pytest.approx(0.3)


def test_how_far_the_picture_moves_between_two_poses() -> None:
    poses = Turns(turned([0.0, 1.0, 3.0]), np.zeros(3))
    apart = LENS.apart(Turns.none(), poses)
    assert apart[0] == 0
    # Nine points of the picture, where the homography carries them.
    grid = np.array([(x * SIZE[0], y * SIZE[1]) for x in (-0.4, 0.0, 0.4) for y in (-0.4, 0.0, 0.4)])
    for row in (1, 2):
        there = pixels(grid, poses.rotation[row].T, FOCAL, FOCAL)
        assert apart[row] == pytest.approx(np.sqrt(((there - grid) ** 2).sum(1).mean()))
    assert apart[1] == pytest.approx(FOCAL * np.radians(1.0), rel=0.2)
    across, down = 0.4 * SIZE[0], 0.4 * SIZE[1]
    zoomed = Turns(np.tile(np.eye(3), (1, 1, 1)), np.log([1.1]))
    # Columns and rows at -0.4, 0 and 0.4 of the sides: two thirds of them are off the middle.
    assert LENS.apart(Turns.none(), zoomed)[0] == pytest.approx(0.1 * np.sqrt(2 / 3 * (across**2 + down**2)))


@pytest.mark.parametrize("zoom", [0.0, 0.2])
def test_a_fit_finds_the_turn_in_spite_of_outliers(zoom: float) -> None:
    rotation, points = Rotation.from_rotvec([0.05, -0.12, 0.08]).as_matrix(), corners()
    targets = pixels(points, rotation, FOCAL, FOCAL * np.exp(zoom))
    weights = np.ones((1, 60))
    found = fit(points[None], targets[None], weights, np.array([FOCAL]), Turns.none(), 0.5)
    assert found.rotation[0] == pytest.approx(rotation, abs=1e-5)
    assert found.zoom[0] == pytest.approx(zoom, abs=1e-5)
    assert found.rotation[0] @ found.rotation[0].T == pytest.approx(np.eye(3), abs=1e-12)
    wrong = targets.copy()
    wrong[::5] += 60.0
    counted = np.where(np.arange(60) % 5 == 0, 0.0, 1.0)[None]
    exact = fit(points[None], wrong[None], counted, np.array([FOCAL]), Turns.none(), 0.5)
    assert exact.rotation[0] == pytest.approx(rotation, abs=1e-5)
    robust = fit(points[None], wrong[None], weights, np.array([FOCAL]), Turns.none(), 0.5)
    assert robust.rotation[0] == pytest.approx(rotation, abs=1e-3)
    plain = fit(points[None], wrong[None], weights, np.array([FOCAL]), Turns.none(), np.inf)
    assert np.abs(plain.rotation[0] - rotation).max() > 5e-3, "control: without the robust scale"
    fixed = fit(points[None], targets[None], weights, np.array([FOCAL]), Turns(np.eye(3)[None], np.array([zoom])), 0.5, zoom=False)
    assert fixed.zoom[0] == zoom
    assert fixed.rotation[0] == pytest.approx(rotation, abs=1e-5)


def test_most_points_decide_about_the_turn() -> None:
    rotation, points, random = turned([6.0])[0], corners(100), np.random.default_rng(1)
    targets = pixels(points, rotation, FOCAL, FOCAL) + random.normal(0, 0.1, (100, 2))
    targets[:45] = random.uniform(-0.5, 0.5, (45, 2)) * SIZE
    turn, agree = consensus(points, targets, FOCAL, Turns.none(), 1.5, np.random.default_rng(0))
    assert turn.rotation[0] == pytest.approx(rotation, abs=2e-3)
    assert agree[45:].all()
    assert agree[:45].mean() < 0.1
    assert turn.zoom[0] == 0
    zoomed = pixels(points, rotation, FOCAL, 1.15 * FOCAL)
    zoomed[:30] = random.uniform(-0.5, 0.5, (30, 2)) * SIZE
    turn, agree = consensus(points, zoomed, FOCAL, Turns.none(), 1.5, np.random.default_rng(0))
    assert np.exp(turn.zoom[0]) == pytest.approx(1.15, abs=0.01)
    assert agree[30:].all()


def test_a_camera_is_still_where_a_third_of_the_points_is_though_more_of_them_move_alike() -> None:
    points = corners(100)
    for resting, still in ((36, True), (20, False)):
        targets = pixels(points, turned([3.0])[0], FOCAL, FOCAL)
        targets[:resting] = points[:resting]
        turn, agree = consensus(points, targets, FOCAL, Turns.none(), 1.5, np.random.default_rng(0))
        assert (np.degrees(Rotation.from_matrix(turn.rotation[0]).magnitude()) < 0.1) == still
        assert agree[:resting].all() == still
        assert agree[resting:].all() != still


def link(frame: int, key: int, rotation: Array, focal: tuple[float, float], count: int = 60) -> Link:
    """A frame whose corners have moved by the turn from its key frame's camera to its own."""
    points = corners(count, seed=frame)
    targets = pixels(points, rotation, *focal)
    turn = Turns(rotation[None], np.log([focal[1] / focal[0]]))
    return Link(frame, key, points.astype(np.float32), targets.astype(np.float32), turn, float(np.log(focal[0] / FOCAL)), 1.0, 0.0)


def pan(frames: list[int], zoom: float = 0.0, start: int = 0) -> list[Link]:
    """Matches of a camera that pans by 0.5 degrees a frame and zooms by `zoom` (logarithm). Each tenth frame is a key frame."""
    found = []
    for frame in frames:
        key = start + (frame - 1 - start) // 10 * 10
        poses = turned([0.5 * (key - start), 0.5 * (frame - start)])
        focal = FOCAL * np.exp(zoom * (key - start)), FOCAL * np.exp(zoom * (frame - start))
        found.append(link(frame, key, poses[1].T @ poses[0], focal, 60 - frame % 3))
    return found


def test_links_are_padded_with_corners_that_do_not_count() -> None:
    links = pan([1, 2])
    points, targets, weights, start = padded(links)
    assert points.shape == targets.shape == (2, 59, 2)
    assert weights.sum(1).tolist() == [59, 58]
    assert (points[1, :58] == links[1].points).all()
    assert (targets[1, :58] == links[1].targets).all()
    assert (start.rotation == np.concatenate([one.turn.rotation for one in links])).all()


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


def test_points_of_several_joints_follow_the_camera_and_its_place() -> None:
    rotation = turned([0.0, 90.0])
    position = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    path = CameraPath(np.full(2, FOCAL), (0.0, 0.0), rotation, position, np.ones(2), np.zeros(2, np.int64), False)
    points = np.tile([0.0, 0.0, 1.0], (2, 3, 1))
    there = to_path(path, points)
    assert there[0] == pytest.approx(points[0])
    assert there[1] == pytest.approx(np.tile([2.0, 2.0, 3.0], (3, 1)))  # ahead of a camera that has turned to the right
    assert to_camera(path, there) == pytest.approx(points)
    assert to_path(path, points[:, 0]) == pytest.approx(there[:, 0])


def test_a_path_between_its_frames_but_not_across_a_cut() -> None:
    shot = np.array([0, 0, 0, 1, 1])
    focal = np.array([100.0, 200.0, 300.0, 500.0, 600.0])
    rotation, place = turned([0.0, 10.0, 20.0, 50.0, 60.0]), np.arange(15.0).reshape(5, 3)
    path = CameraPath(focal, (0.0, 0.0), rotation, place, np.linspace(0, 1, 5), shot, False)
    grid = on_grid(path, np.array([0.0, 1.0, 3.0, 4.0, 5.0]), np.array([-1.0, 0.5, 2.0, 3.4, 3.6, 9.0]))
    assert grid.focal == pytest.approx([100, 150, 250, 300, 500, 600])
    assert grid.rotation == pytest.approx(turned([0.0, 5.0, 15.0, 20.0, 50.0, 60.0]))
    assert grid.position[:, 0] == pytest.approx([0, 1.5, 4.5, 6, 9, 12])
    assert grid.confidence == pytest.approx([0, 0.125, 0.375, 0.5, 0.75, 1])
    assert grid.shot.tolist() == [0, 0, 0, 0, 1, 1]
    single = CameraPath(focal[:1], (0.0, 0.0), rotation[:1], place[:1], np.ones(1), shot[:1], False)
    assert on_grid(single, np.zeros(1), np.array([0.0, 2.0])).focal == pytest.approx([100, 100])
