"""Walking speed from the legs alone, and the path of a camera that is carried along."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_core.world.gait import carried, gait_velocity, stance_velocity

FPS = 30.0
MIDDLE = slice(45, -45)


def strides(speed: Array | float, fps: float = FPS, heading: float = 0.0, seconds: float = 5.0) -> tuple[Array, Array]:
    """Ankles (T, 2, 3) relative to the pelvis, and hips (T, 3), of somebody who walks ahead at so many m/s (T,): each foot stands
    for half a second and is then swung ahead for half a second, 15 cm up. heading: rad about y from +z."""
    time = np.arange(round(seconds * fps)) / fps
    ankles = np.zeros((len(time), 2, 3))
    for foot, after in enumerate((0.0, 0.5)):
        phase = (time + after) % 1.0
        swing = np.clip(2 * phase - 1, 0.0, 1.0)
        ankles[:, foot, 2] = speed * np.where(phase < 0.5, 0.25 - phase, 0.25 * -np.cos(np.pi * swing))
        ankles[:, foot, 1] = -0.9 + 0.15 * np.sin(np.pi * swing)
        ankles[:, foot, 0] = (0.1, -0.1)[foot]
    turn = Rotation.from_rotvec([0.0, heading, 0.0])
    return turn.apply(ankles.reshape(-1, 3)).reshape(ankles.shape), turn.apply(np.tile([0.2, 0.0, 0.0], (len(time), 1)))


# How much of the speed is found: as a foot begins and ends its swing, it is about as slow as one that stands.
@pytest.mark.parametrize(("speed", "least"), [(0.7, 0.65), (1.0, 0.85), (1.8, 0.94)])
@pytest.mark.parametrize("heading", [0.0, 1.2, -2.5])
def test_the_speed_is_that_of_the_foot_that_stands(speed: float, least: float, heading: float) -> None:
    velocity = gait_velocity(*strides(speed, heading=heading), FPS)[MIDDLE]
    ahead = np.array([np.sin(heading), 0.0, np.cos(heading)])
    along = velocity @ ahead
    assert least * speed < along.min()
    assert along.max() < 1.02 * speed
    assert velocity - along[:, None] * ahead == pytest.approx(np.zeros_like(velocity), abs=0.01)
    assert np.ptp(along) < 0.1 * speed, "it changes little within a stride"


def test_the_speed_does_not_depend_on_the_frame_rate() -> None:
    slow, fast = gait_velocity(*strides(1.2), FPS), gait_velocity(*strides(1.2, 120.0), 120.0)
    assert fast[180:-180:4] == pytest.approx(slow[MIDDLE], abs=0.03)


def test_the_speed_follows_somebody_who_walks_faster_and_faster_but_slowly() -> None:
    wanted = np.linspace(0.8, 1.8, 300)
    found = gait_velocity(*strides(wanted, seconds=10.0), FPS)[:, 2]
    assert (found / wanted)[MIDDLE].min() > 0.8
    assert (found / wanted)[MIDDLE].max() < 1.0
    assert np.diff(found[MIDDLE][::30]).min() > 0.05
    burst = np.where(np.abs(np.arange(300) - 150) < 5, 3.0, 1.0)  # a third of a second
    assert np.ptp(gait_velocity(*strides(burst, seconds=10.0), FPS)[MIDDLE, 2]) < 0.5


@pytest.mark.parametrize("speed", [0.4, 0.7, 1.8])
def test_contacts_tell_the_speed_of_slow_walks_too(speed: float) -> None:
    ankles, hips = strides(speed)
    stands = np.stack([(np.arange(150) / FPS + after) % 1.0 for after in (0.0, 0.5)], axis=1) < 0.5
    found = stance_velocity(ankles, hips, stands.astype(float), FPS)[MIDDLE, 2]
    assert found == pytest.approx(np.full(len(found), 0.9 * speed), rel=0.04), "the same share of any speed"
    wrong = stance_velocity(ankles, hips, (~stands).astype(float), FPS)[MIDDLE, 2]
    assert wrong.max() < 0.0, "control: the feet that swing"
    assert (stance_velocity(ankles[:2], hips[:2], stands[:2], FPS) == 0).all()


def test_of_two_feet_the_lower_one_stands() -> None:
    time = np.arange(150) / FPS - 2.5
    hips = np.tile([0.2, 0.0, 0.0], (150, 1))
    for lower, upper in ((0, 1), (1, 0)):
        ankles = np.zeros((150, 2, 3))
        ankles[:, lower, 2], ankles[:, upper, 2] = -0.8 * time, 0.8 * time
        ankles[:, upper, 1] = 0.15
        assert gait_velocity(ankles, hips, FPS)[MIDDLE, 2] == pytest.approx(0.8, abs=0.02)
    ankles[..., 1] = 0.0
    ankles[:, upper, 2] = -0.6 * time
    assert gait_velocity(ankles, hips, FPS)[MIDDLE, 2] == pytest.approx(0.7, abs=0.05), "level feet both stand"


def test_feet_that_do_not_move_walk_nowhere_and_a_kick_is_no_step() -> None:
    ankles, hips = strides(0.0)
    assert np.abs(gait_velocity(ankles, hips, FPS)).max() < 0.01
    ankles[60:75, 1] += np.array([0.0, 0.3, 0.4]) * np.sin(np.linspace(0, np.pi, 15))[:, None]
    assert np.abs(gait_velocity(ankles, hips, FPS)).max() < 0.05


@pytest.mark.parametrize("frames", [1, 2])
def test_a_frame_or_two_show_no_speed(frames: int) -> None:
    places = np.random.default_rng(0).normal(size=(frames, 3))
    assert (gait_velocity(np.tile(places[:, None], (1, 2, 1)), places, FPS) == 0).all()
    path, share = carried(places, places, places, places, FPS)
    assert path.shape == (frames, 3)
    assert (path == 0).all()
    assert share.tolist() == [0.0] * frames


SIDE = np.tile([0.2, 0.0, 0.0], (300, 1))
RAY = np.tile([0.0, -0.3, -1.0] / np.hypot(0.3, 1.0), (300, 1))


def walked(velocity: Array | list[float], seen: float | Array = 0.0) -> tuple[Array, Array]:
    """Path and share for somebody who walks for 10 s at this velocity, while the picture shows so much of its true share."""
    gait = np.broadcast_to(np.asarray(velocity, float), (300, 3))
    # Feet roll on, and strides along the ray are lifted too short: the true speed is 1.2 or 1.5 times as high.
    root = np.cumsum(gait * [1.2, 0.0, 1.5] * np.broadcast_to(seen, 300)[:, None], axis=0) / FPS
    return carried(root, gait, SIDE, RAY, FPS)


@pytest.mark.parametrize(("velocity", "factor"), [([1.0, 0.0, 0.0], 1.2), ([0.0, 0.0, -1.0], 1.5), ([0.0, 0.0, 1.0], 1.5)])
def test_who_walks_but_stays_in_the_picture_is_followed_by_the_camera(velocity: list[float], factor: float) -> None:
    path, share = walked(velocity)
    assert share.min() > 0.99
    assert path[-1] - path[0] == pytest.approx(factor * 299 / FPS * np.array(velocity), abs=0.02), "across the ray or along it"
    assert np.diff(path, axis=0) == pytest.approx(np.tile(factor / FPS * np.array(velocity), (299, 1)), abs=1e-3)


def test_a_camera_is_carried_where_the_picture_lacks_two_fifths_of_the_walk() -> None:
    shares = [walked([1.0, 0.0, 0.0], seen)[1][150] for seen in (1.0, 0.75, 0.6, 0.45)]
    assert shares == pytest.approx([0.0, 0.0, 0.5, 1.0], abs=0.05)
    assert walked([1.0, 0.0, 0.0], -0.5)[1].min() > 0.99, "also if it seems to go the other way"


def test_who_hardly_moves_the_legs_does_not_walk() -> None:
    assert walked([0.24, 0.0, 0.0])[1].max() < 0.01
    assert 0.2 < walked([0.34, 0.0, 0.0])[1].mean() < 0.8
    assert walked([0.45, 0.0, 0.0])[1].min() > 0.95
    assert walked([0.0, 0.0, 0.0])[1].max() == 0.0


def test_whether_the_camera_is_carried_is_judged_over_some_seconds() -> None:
    share = walked([1.0, 0.0, 0.0], np.where(np.arange(300) < 150, 0.0, 1.0))[1]
    assert share[:90].min() > 0.95
    assert share[210:].max() < 0.05
    assert 0.3 < share[165] < 0.7
    short = np.where(np.abs(np.arange(300) - 150) < 12, 0.0, 1.0)
    assert walked([1.0, 0.0, 0.0], short)[1].max() < 0.1, "0.8 s are too short"
    stops = np.where(np.arange(300)[:, None] < 150, [1.0, 0.0, 0.0], 0.0)
    path, share = walked(stops)
    assert share[:110].min() > 0.95
    assert share[200:].max() < 0.05, "who stands is not carried"
    assert np.ptp(path[200:, 0]) < 0.02


def test_what_the_picture_shows_of_a_carried_camera_is_taken_off() -> None:
    gait = np.tile([1.0, 0.0, 0.0], (300, 1))
    root = np.zeros((300, 3))
    root[:, 0] = 0.2 * np.arange(300) / FPS
    path, share = carried(root, gait, SIDE, RAY, FPS)
    assert share.min() > 0.99
    assert (root + path)[-1, 0] == pytest.approx(1.2 * 10.0, rel=0.02)
    assert np.abs(path[:, 1]).max() == 0
