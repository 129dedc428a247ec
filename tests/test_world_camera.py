"""Turns of a camera against homographies, and paths of cameras at other times."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from turning_camera import FOCAL, LENS, SIZE, corners, pan, pixels, turned

from stpose_core.data import CameraPath
from stpose_core.world.camera_path import on_grid, to_camera, to_path
from stpose_core.world.turning import Turns, consensus, errors, fit, moved, padded, relative, small_rotations


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


def test_links_are_padded_with_corners_that_do_not_count() -> None:
    links = pan([1, 2])
    points, targets, weights, start = padded(links)
    assert points.shape == targets.shape == (2, 59, 2)
    assert weights.sum(1).tolist() == [59, 58]
    assert (points[1, :58] == links[1].points).all()
    assert (targets[1, :58] == links[1].targets).all()
    assert (start.rotation == np.concatenate([one.turn.rotation for one in links])).all()


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
