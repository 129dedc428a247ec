"""The camera's rotation and zoom from the background: pictures of a procedural panorama, with people who move in front of it."""

from __future__ import annotations

import gc
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from fakes import BarDetector, film, lift_standing
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import stpose_core as sp
from stpose_core import pipeline
from stpose_core.data import Array, Camera, CameraPath
from stpose_core.world.camera_motion import CameraMotion, can_follow
from stpose_core.world.camera_path import on_grid, to_camera, to_path
from stpose_core.world.camera_solve import _is_static
from stpose_core.world.key_frames import KeyFrame
from stpose_core.world.turning import Lens, Link, Turns, moved
from stpose_core.world.view_track import Glance, ViewTrack

SIZE = (480, 270)
CAMERA = Camera(420.0, (240.0, 135.0))
FPS = 30
Pan = Callable[[int], tuple[float, float, float]]


@pytest.fixture(scope="module")
def plane() -> NDArray[np.uint8]:
    """A wall full of blobs, far larger than what a camera sees of it."""
    rng = np.random.default_rng(1)
    wall = np.zeros((1600, 2600), np.float32)
    for size in (4, 9, 20):
        wall += cv2.GaussianBlur(rng.normal(0, size, wall.shape).astype(np.float32), (0, 0), size) * 6
    return np.clip(128 + wall * 8, 0, 255).astype(np.uint8)


def picture(plane: NDArray[np.uint8], rotation: Array, zoom: float = 1.0, noise: float = 0.0, seed: int = 0) -> NDArray[np.uint8]:
    """What a camera with this rotation (from its axes to those of the first frame) sees of the wall."""
    at = np.array([[CAMERA.focal, 0, 1300], [0, CAMERA.focal, 800], [0, 0, 1]])
    own = np.array([[zoom * CAMERA.focal, 0, CAMERA.centre[0]], [0, zoom * CAMERA.focal, CAMERA.centre[1]], [0, 0, 1]])
    seen = cv2.warpPerspective(plane, own @ rotation.T @ np.linalg.inv(at), SIZE, flags=cv2.INTER_AREA)
    rgb = np.repeat(seen[..., None], 3, -1).astype(np.float32)
    rgb += np.random.default_rng(seed).normal(0, noise, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def pan(frame: int) -> tuple[float, float, float]:
    """Degrees about x, y and z: 12 to the side and back a bit, with a trembling hand."""
    return 2 * np.sin(frame / 20), 12 * np.sin(frame / 40), 0.3 * np.sin(frame / 3)


def still(frame: int) -> tuple[float, float, float]:
    return 0.0, 0.0, 0.0


def turns(move: Pan, frames: int) -> Array:
    return Rotation.from_euler("xyz", [move(frame) for frame in range(frames)], degrees=True).as_matrix()


def follow(
    plane: NDArray[np.uint8],
    move: Pan,
    frames: int,
    *,
    known: bool = True,
    boxes: bool = True,
    decide: bool = True,
    noise: float = 4.0,
) -> CameraPath:
    """The estimate from pictures with a bar of another texture that walks through them, covering a fifth of the width."""
    motion = CameraMotion(SIZE, CAMERA)
    for frame, rotation in enumerate(turns(move, frames)):
        image = picture(plane, rotation, noise=noise, seed=frame)
        left = 60 + 3 * frame % 260
        image[40:240, left : left + 100] = picture(plane[::-1, ::-1], np.eye(3), noise=noise, seed=1000 + frame)[40:240, 60:160]
        motion.update(image, frame / FPS, [(left, 40, left + 100, 240)])
    return motion.path()


def worst(path: CameraPath, move: Pan) -> float:
    """Degrees by which the worst frame's rotation is off."""
    true = turns(move, len(path))
    true = true[0].T @ true
    return float(np.degrees(Rotation.from_matrix(path.rotation.swapaxes(1, 2) @ true).magnitude().max()))


def test_a_pan_is_followed_to_half_a_degree(plane: NDArray[np.uint8]) -> None:
    path = follow(plane, pan, 90)
    assert not path.static
    assert worst(path, pan) < 0.5
    assert worst(path, still) > 10, "control: the pan is larger than what is allowed"
    assert worst(path, lambda frame: tuple(-angle for angle in pan(frame))) > 10  # type: ignore[arg-type,return-value]
    assert np.median(path.confidence) > 0.8


def test_corners_are_found_after_a_roll_only_where_the_key_frame_is_turned_with_it(plane: NDArray[np.uint8]) -> None:
    roll, zoom = Rotation.from_euler("z", 25, degrees=True).as_matrix(), 1.2
    key = KeyFrame.of(picture(plane, np.eye(3))[..., 1], np.zeros((0, 4)))
    later = picture(plane, roll, zoom=zoom)[..., 1]
    track = ViewTrack(
        Glance(0, 0.0, later, np.zeros((0, 4))), Lens(CAMERA.focal, np.array(CAMERA.centre), SIZE), np.random.default_rng(0)
    )
    turn = Turns(roll.T[None], np.log([zoom]))
    homography = track._homography(turn, CAMERA.focal)
    there = cv2.perspectiveTransform(key.points[None].astype(float), homography)[0]
    assert np.allclose(there - CAMERA.centre, moved(key.points[None] - CAMERA.centre, turn, np.array([CAMERA.focal]))[0], atol=1e-6)
    inner = ((there > 20) & (there < np.array(SIZE) - 20)).all(1)

    def right(frame: KeyFrame) -> float:
        found, seen = frame.track(later, there, False)
        return float((seen & (np.linalg.norm(found - there, axis=1) < 0.3))[inner].mean())

    assert right(key.aligned(later, homography)) > 0.8
    assert right(key) < 0.4, "control: patches that are not turned are lost"


def test_a_still_camera_is_exactly_static_in_spite_of_noise_and_people(plane: NDArray[np.uint8]) -> None:
    path = follow(plane, still, 60, noise=8.0)
    assert path.static
    assert (path.rotation == np.eye(3)).all()
    assert (path.shot == 0).all()


def creep(frame: int) -> tuple[float, float, float]:
    """Degrees: a slow pan of 0.6 in 60 frames, 4.4 pixels."""
    return 0.0, 0.01 * frame, 0.0


def test_a_slow_pan_is_not_static(plane: NDArray[np.uint8]) -> None:
    path = follow(plane, creep, 61)
    assert not path.static
    assert worst(path, creep) < 0.2


def test_a_static_camera_stays_static_though_key_frames_drift() -> None:
    """Estimated poses that wander by more than the noise limit, while most corners did not move from their key frames."""
    rng = np.random.default_rng(0)
    lens = Lens(CAMERA.focal, np.array(CAMERA.centre), SIZE)
    points = rng.uniform(-100, 100, (40, 2)).astype(np.float32)
    angles = np.radians(np.linspace(0, 0.25, 30))  # 1.8 pixels at the end
    drift = Turns(Rotation.from_rotvec(angles[:, None] * [0.0, 1.0, 0.0]).as_matrix(), np.zeros(30))
    for shifted, static in ((0.0, True), (1.5, False)):
        shift = np.array([shifted, 0.0], np.float32)
        links = [Link(frame, frame - 1, points, points + shift, Turns.none(), 0.0, 1.0, 1.0) for frame in range(1, 31)]
        assert _is_static(links, drift, np.zeros((30, 40)), lens) == static
    wide = Turns(Rotation.from_rotvec(4 * angles[:, None] * [0.0, 1.0, 0.0]).as_matrix(), np.zeros(30))
    still = [Link(frame, frame - 1, points, points, Turns.none(), 0.0, 1.0, 1.0) for frame in range(1, 31)]
    assert not _is_static(still, wide, np.zeros((30, 40)), lens), "a pan so slow that each frame equals the one before"


def test_without_boxes_people_are_taken_for_the_background(plane: NDArray[np.uint8]) -> None:
    """The control of the boxes: a poster that fills most of the picture and slides along is not the room."""
    frames = 40
    with_boxes, without = CameraMotion(SIZE, CAMERA), CameraMotion(SIZE, CAMERA)
    for frame in range(frames):
        image = picture(plane, np.eye(3), noise=3, seed=frame)
        moved = picture(plane[::-1], turns(pan, frames)[frame])[10:260, 50:430]
        image[10:260, 50:430] = moved
        with_boxes.update(image, frame / FPS, [(50, 10, 430, 260)])
        without.update(image, frame / FPS)
    assert worst(with_boxes.path(), still) < 0.5
    assert worst(without.path(), still) > 2


def test_a_cut_begins_a_new_path(plane: NDArray[np.uint8]) -> None:
    motion = CameraMotion(SIZE, CAMERA)
    for frame in range(40):
        shown = plane if frame < 20 else np.ascontiguousarray(255 - plane[::-1, 900:])
        image = picture(np.ascontiguousarray(shown), np.eye(3))
        image[:, :, 1] = image[:, :, 1] if frame < 20 else image[:, :, 1] // 4
        motion.update(image // (1 if frame < 20 else 2), frame / FPS)
    path = motion.path()
    assert path.shot[:20].tolist() == [0] * 20
    assert (path.shot[21:] == path.shot[-1]).all()
    assert path.shot[-1] > 0


@pytest.mark.parametrize(
    ("size", "enough"), [((1920, 1080), True), ((160, 120), True), ((2, 2), False), ((8192, 64), False), ((40, 400), False)]
)
def test_pictures_that_are_too_small_or_narrow_are_not_followed(size: tuple[int, int], enough: bool) -> None:
    assert can_follow(size) == enough


def test_where_nothing_can_be_seen_the_camera_counts_as_still_and_the_confidence_is_nought() -> None:
    motion = CameraMotion(SIZE, CAMERA)
    for frame in range(20):
        motion.update(np.full((*SIZE[::-1], 3), 120, np.uint8), frame / FPS)
    path = motion.path()
    assert path.static
    assert path.confidence.max() == 0


def test_paths_at_other_times_and_points_in_their_axes() -> None:
    frames = 10
    rotation = turns(lambda frame: (0.0, 2.0 * frame, 0.0), frames)
    known, shot = np.ones(frames), np.repeat([0, 1], 5)
    path = CameraPath(np.full(frames, 400.0), (240.0, 135.0), rotation, np.zeros((frames, 3)), known, shot, False)
    between = on_grid(path, np.arange(frames) / FPS, np.array([0.0, 0.5, 1.0, 4.4, 4.6, 20.0]) / FPS)
    angles = Rotation.from_matrix(between.rotation).as_euler("yxz", degrees=True)[:, 0]
    np.testing.assert_allclose(angles, [0, 1, 2, 8, 10, 18], atol=1e-6)
    points = np.random.default_rng(0).normal(size=(frames, 17, 3))
    np.testing.assert_allclose(to_camera(path, to_path(path, points)), points, atol=1e-12)
    with pytest.raises(ValueError, match="10 frames"):
        on_grid(path, np.arange(9.0), np.arange(9.0))


def test_the_camera_reaches_the_animation_unless_it_is_said_to_be_static(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    given: list[CameraPath | None] = []
    animate = pipeline.animate

    def recorded(pose, smooth, *, camera=None, **more):  # type: ignore[no-untyped-def]
        given.append(camera)
        return animate(pose, smooth, camera=camera, **more)

    monkeypatch.setattr(pipeline, "animate", recorded)
    video = film(tmp_path / "a.mp4", 25, 30)
    for camera in ("auto", "static"):
        sp.capture(video, detector=BarDetector(), lifter=lift_standing, camera=camera)  # type: ignore[arg-type]
    assert given[0] is not None
    assert len(given[0]) == 30
    assert given[0].static
    assert given[1] is None


def test_the_pictures_of_paths_that_a_cut_ended_are_not_kept(plane: NDArray[np.uint8]) -> None:
    motion = CameraMotion(SIZE, CAMERA)
    shown = picture(plane, np.eye(3)), np.ascontiguousarray(picture(plane, np.eye(3))[::-1, ::-1] // 3)
    for frame in range(48):
        motion.update(shown[frame // 4 % 2], frame / FPS)
    gc.collect()
    assert motion.path().shot[-1] == 11, "control: there were eleven cuts"
    assert sum(type(thing) is KeyFrame for thing in gc.get_objects()) <= 4
