"""Floors that move under a person who stands, before a camera that stands still."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import CAMERA, h36m, seen, still
from scipy.ndimage import gaussian_filter1d

from stpose_core.animate import animate
from stpose_core.data import Array, Keypoints
from stpose_core.world.riding import rides

FPS = 30.0
TIME = np.arange(180) / FPS
FEET = np.array([[0.1, -1.2, -4.0], [-0.1, -1.2, -4.0]])
STAND = np.ones((180, 2), bool)


def along(axis: int, metres: Array) -> Array:
    """(T, 3) movement along one axis."""
    return metres[:, None] * np.eye(3)[axis]


SPRING = along(1, 0.1 * np.sin(2 * np.pi * TIME))
CONVEYOR = along(0, 0.4 * TIME)


def test_feet_that_keep_their_places_stand_on_a_floor_at_rest() -> None:
    jitter = np.random.default_rng(0).normal(0.0, 0.1, (180, 2, 3))
    feet = FEET + gaussian_filter1d(jitter, 3.0, axis=0)
    assert not rides(feet, STAND, FPS).any()
    assert rides(feet + CONVEYOR[:, None], STAND, FPS).all(), "control: with the movement of a conveyor"


@pytest.mark.parametrize("movement", [SPRING, CONVEYOR])
@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_feet_that_move_together_ride(movement: Array, fps: float) -> None:
    frames = np.linspace(0, 179, round(180 * fps / FPS))
    feet = FEET + np.stack([np.interp(frames, np.arange(180), column) for column in movement.T], axis=1)[:, None]
    assert rides(feet, np.ones((len(feet), 2), bool), fps).mean() > 0.95


def test_one_foot_that_moves_or_two_that_move_apart_do_not_tell_of_the_floor() -> None:
    alone = np.stack([SPRING, 0 * SPRING], axis=1)
    assert not rides(FEET + 1.5 * alone, STAND, FPS).any()
    assert not rides(FEET + np.stack([SPRING, -SPRING], axis=1), STAND, FPS).any()


def test_only_feet_that_seem_to_stand_are_watched() -> None:
    feet = FEET + CONVEYOR[:, None]
    assert not rides(feet, np.stack([STAND[:, 0], ~STAND[:, 1]], axis=1), FPS).any()
    assert not rides(feet, ~STAND, FPS).any()


def test_a_jump_from_one_place_to_another_is_no_ride() -> None:
    flight = (TIME > 2.8) & (TIME < 3.2)
    feet = FEET + along(0, np.where(TIME < 3.0, 0.0, 0.8))[:, None] + along(1, np.where(flight, 0.4, 0.0))[:, None]
    assert not rides(feet, STAND & ~flight[:, None], FPS).any()
    assert rides(feet, STAND, FPS).any(), "control: the flight is taken for a stance"


def test_what_moves_along_the_ray_may_be_an_error_of_the_distance() -> None:
    feet = FEET * (1 + 0.1 * np.sin(2 * np.pi * TIME))[:, None, None]
    assert not rides(feet, STAND, FPS).any()


def test_who_stands_for_long_keeps_the_contacts_until_the_floor_begins_to_move() -> None:
    start = along(0, 0.5 * np.maximum(0.0, TIME - 4.0))
    found = rides(FEET + start[:, None], STAND, FPS)
    assert not found[:75].any()
    assert found[140:].all()


def captured(movement: Array, picture: bool = True) -> tuple[Array, float]:
    """Contacts (T, 4) of a motion whose person stands on a floor that moves like this, and its mean speed, m/s."""
    pose = seen(h36m(still(180)) + movement[:, None], FPS)
    points = pose.xyz + pose.root[:, None]
    xy = points[..., :2] / points[..., 2:] * CAMERA.focal + np.asarray(CAMERA.centre)
    keypoints = Keypoints(xy, np.full(xy.shape[:2], 0.8), FPS, (1280, 720), "h36m17")
    motion = animate(pose, keypoints=keypoints if picture else None)
    return motion.contacts, float(np.linalg.norm(np.diff(motion.root, axis=0), axis=1).mean() * FPS)


@pytest.mark.parametrize("movement", [CONVEYOR, 1.5 * CONVEYOR])
def test_nothing_holds_who_stands_on_a_floor_that_moves(movement: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    contacts, speed = captured(movement)
    true = float(np.linalg.norm(np.diff(movement, axis=0), axis=1).mean() * FPS)
    assert (contacts > 0.5).mean() < 0.02
    assert captured(0 * movement)[0].min() > 0.5, "control: the floor is at rest"
    assert (captured(movement, picture=False)[0] > 0.5).mean() > 0.3, "what is no picture tells nothing of it"
    monkeypatch.setattr("stpose_core.world.travel.rides", lambda ankles, stand, fps: np.zeros(len(stand), bool))
    held, slow = captured(movement)
    assert (held > 0.5).mean() > 0.3, "control: it is not looked for"
    assert slow < speed < 1.2 * true


def test_who_jumps_on_a_firm_floor_stands_before_and_after() -> None:
    flight = (TIME % 2.0) / 0.5
    jumps = along(1, np.where(flight < 1, 4 * 0.3 * flight * (1 - flight), 0.0))
    contacts, _ = captured(jumps)
    ground = jumps[:, 1] == 0
    ground = np.convolve(ground, np.ones(9), "same") == 9
    assert (contacts[ground] > 0.5).mean() > 0.9
