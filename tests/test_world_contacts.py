"""Contacts of the feet: what the network reads of a stride, in blocks, and what is decided from its probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import h36m, walk
from scipy.spatial.transform import Rotation

from stpose_core.data import Array
from stpose_core.world import contacts as contact_network
from stpose_core.world.contacts import NETWORK_FPS, Legs, decided, features, foot_probabilities, network_blocks, resampled, shown

FPS = 30.0


def strider() -> Legs:
    """Somebody who faces +z and the camera. The left ankle moves by (0.3, 0.1, -0.5) m/s, the right one stands still; the left knee
    moves by 0.8 m/s upwards, the pelvis by (0.2, 0, 0.1) m/s. In the middle, at 1.5 s, all is at the places below."""
    at = (np.arange(91) - 45)[:, None] / FPS

    def moving(place: tuple[float, float, float], velocity: tuple[float, float, float]) -> Array:
        return np.array(place) + at * np.array(velocity)

    pelvis = moving((0.0, 0.9, 0.0), (0.2, 0.0, 0.1))
    hips = np.stack([pelvis + [0.1, 0.0, 0.0], pelvis - [0.1, 0.0, 0.0]], axis=1)
    knees = np.stack([moving((0.1, 0.5, 0.2), (0.0, 0.8, 0.0)), moving((-0.1, 0.45, 0.05), (0.0, 0.0, 0.0))], axis=1)
    ankles = np.stack([moving((0.12, 0.15, 0.3), (0.3, 0.1, -0.5)), moving((-0.1, 0.02, -0.1), (0.0, 0.0, 0.0))], axis=1)
    return Legs(pelvis, hips, knees, ankles, np.tile([0.0, 0.0, -1.0], (91, 1)), 0.85)


def test_the_features_of_a_known_stride() -> None:
    left, right = features(strider(), FPS)[45]
    slow = 0.05
    across, body = np.hypot(0.3, 0.1), np.log([0.2 + slow, 0.1 + slow])
    place, other = np.array([0.12, -0.75, 0.3]), np.array([-0.1, -0.88, -0.1])
    expected = [
        *np.log([across + slow, 0.5 + slow, slow, slow]),
        *(0.1, 0.0),  # rising
        *(0.15, 0.02),  # heights
        *(0.13, 0.0),  # above the lowest place nearby
        np.log(0.8 + 0.1),
        *(place[2], other[2]),
        place[0],  # outward
        place[1],
        *(-0.5 - 0.1, -0.1),  # passing the pelvis, forward
        np.linalg.norm([0.02, 0.75, 0.3]),
        *(0.2 - 0.3, 0.0 - 0.2),  # of shin and thigh, forward
        *body,
        # The same ankles as in the picture, none of which is known: speed, rise, height, above the ground, score, ahead; outward.
        *(np.log(across + slow), 0.1, 0.15, 0.13, 0.0, 0.0),
        *(np.log(slow), 0.0, 0.02, 0.0, 0.0, 0.0),
        *(np.log(across + slow), np.log(slow), 0.1, 0.3),
    ]
    assert left == pytest.approx(expected, abs=2e-3)
    swapped = [2, 3, 0, 1, 5, 4, 7, 6, 9, 8]
    assert right[:10] == pytest.approx(left[swapped], abs=1e-9)
    assert right[[10, 11, 12, 13]] == pytest.approx([np.log(0.1), other[2], place[2], 0.1], abs=2e-3)
    assert right[[15, 16, 17, 18, 19]] == pytest.approx([-0.1, -0.6, np.hypot(0.88, 0.1), 0.15, -0.05], abs=2e-3)


def test_the_picture_shows_the_ankles_that_the_body_smooths_away() -> None:
    legs, (at, frames) = strider(), ((np.arange(91) - 45) / FPS, 91)
    off, score = np.zeros((frames, 2, 3)), np.full((frames, 2), 0.7)
    off[:, 1] = at[:, None] * [0.4, 0.2, 0.0]
    shown_by, without = features(replace(legs, off=off, score=score), FPS), features(legs, FPS)
    assert shown_by[..., :22] == pytest.approx(without[..., :22]), "the body stays as it is"
    right = shown_by[45, 1, 22:]
    moving = np.log(np.hypot(0.4, 0.2) + 0.05)
    assert right[:6] == pytest.approx([moving, 0.2, 0.02, 0.02 - (0.02 - 0.2 * 0.5), 0.7, 0.0], abs=0.02)
    assert right[[12, 14, 15]] == pytest.approx([moving, 0.2, -0.4], abs=0.02)
    assert shown_by[45, 0, [28, 29, 30, 32]] == pytest.approx(right[[0, 1, 2, 4]]), "the other foot is told of it"
    assert without[45, 1, 26] == 0.0


def test_features_depend_neither_on_the_size_nor_the_side_nor_the_heading() -> None:
    legs = strider()
    same = features(legs, FPS)
    large = Legs(*(2 * part for part in (legs.pelvis, legs.hips, legs.knees, legs.ankles)), legs.ray, 2 * legs.length)
    assert np.allclose(features(large, FPS), same)
    assert not np.allclose(features(replace(large, length=legs.length), FPS), same), "control: twice the size of the same length"
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = Legs(legs.pelvis * flip, *((part * flip)[:, ::-1] for part in (legs.hips, legs.knees, legs.ankles)), legs.ray, 0.85)
    assert np.allclose(features(mirrored, FPS)[:, ::-1], same)
    turn = Rotation.from_rotvec([0.0, 1.1, 0.0]).as_matrix().T
    turned = Legs(*(part @ turn for part in (legs.pelvis, legs.hips, legs.knees, legs.ankles, legs.ray)), 0.85)
    assert np.allclose(features(turned, FPS), same)
    assert np.allclose(features(legs.at(np.tile([3.0, 0.0, -7.0], (91, 1))), FPS), same)


def test_the_ground_under_a_foot_is_looked_for_within_half_a_second() -> None:
    legs = strider()
    heights = np.where(np.arange(91) < 45, 0.0, 0.2)
    ankles = legs.ankles.copy()
    ankles[..., 1] = heights[:, None]
    above = features(replace(legs, ankles=ankles), FPS)[:, 0, 8]
    assert (above[:45] == 0).all()
    assert above[45:59] == pytest.approx(0.2)
    assert (above[61:] == 0).all()
    ankles[..., 1] = 5 * heights[:, None]
    assert features(replace(legs, ankles=ankles), FPS)[50, 0, 8] == pytest.approx(0.3), "and no further up than 0.3 m"


@pytest.mark.parametrize("fps", [24.0, 30.0, 50.0, 120.0])
def test_contacts_do_not_depend_on_the_blocks(fps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    joints = h36m(walk(8.0, fps))
    hips, knees, ankles = joints[:, [4, 1]], joints[:, [5, 2]], joints[:, [6, 3]]
    legs = Legs(joints[:, 0], hips, knees, ankles - [0.0, 0.07, 0.0], np.tile([0.0, 0.0, -1.0], (len(joints), 1)), 0.83)
    whole = foot_probabilities(legs, fps)
    assert np.ptp(whole, axis=0).min() > 0.5, "control: contacts come and go"
    monkeypatch.setattr(contact_network, "BLOCK", 37)
    np.testing.assert_array_equal(foot_probabilities(legs, fps), whole)
    monkeypatch.setattr(contact_network, "network_blocks", lambda frames, fps, reach: network_blocks(frames, fps, 0))
    assert np.abs(foot_probabilities(legs, fps) - whole).max() > 1e-3, "control: without the frames around a block"


@pytest.mark.parametrize(("frames", "fps"), [(1, 30.0), (2, 30.0), (500, 30.0), (333, 24.0), (700, 59.94)])
def test_blocks_cover_the_clip_once(frames: int, fps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_network, "BLOCK", 50)
    values = np.arange(frames, dtype=float)
    parts = [resampled(values[chosen], at)[kept] for chosen, at, kept in network_blocks(frames, fps, 7)]
    joined = np.concatenate(parts)
    times = np.arange(len(joined)) * fps / NETWORK_FPS
    assert joined == pytest.approx(np.minimum(times, frames - 1))
    assert len(joined) == max(2, round((frames - 1) * NETWORK_FPS / fps) + 1)
    assert all(len(part) <= 50 for part in parts)


def test_values_between_frames_lie_on_straight_lines() -> None:
    values = np.array([[0.0, 10.0], [2.0, 20.0], [8.0, 0.0]])
    np.testing.assert_allclose(resampled(values, np.array([-1.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0])),
        [[0, 10], [0, 10], [0.5, 12.5], [2, 20], [5, 10], [8, 0], [8, 0]])  # fmt: skip
    np.testing.assert_allclose(resampled(values[:1], np.array([0.0, 3.0])), [[0, 10], [0, 10]])


def test_a_contact_begins_and_ends_at_different_probabilities() -> None:
    wave = np.array([0.1, 0.4, 0.6, 0.4, 0.35, 0.25, 0.4, 0.5, 0.51, 0.3, 0.29])[:, None]
    assert decided(wave)[:, 0].tolist() == [False, False, True, True, True, False, False, False, True, True, False]
    assert decided(wave, 0.3, 0.15)[:, 0].tolist() == [False] + [True] * 10
    assert decided(np.array([[0.45], [0.45], [0.2]]))[:, 0].tolist() == [False, False, False]
    assert shown(wave)[:, 0] == pytest.approx([0.1, 0.4, 0.6, 0.51, 0.51, 0.25, 0.4, 0.49, 0.51, 0.51, 0.29])


def test_who_holds_a_foot_up_high_does_not_stand_on_it() -> None:
    heights = np.concatenate([np.zeros(60), np.linspace(0, 0.29, 15), np.full(120, 0.29)])
    ankles = np.zeros((len(heights), 2, 3)) + np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    ankles[:, 0, 1] = heights
    pelvis = np.tile([0.0, 0.82, 0.0], (len(heights), 1))
    hips = pelvis[:, None] + np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    legs = Legs(pelvis, hips, (hips + ankles) / 2 + [0, 0, 0.03], ankles, np.tile([0.0, 0.0, -1.0], (len(heights), 1)), 0.85)
    chance = foot_probabilities(legs, FPS)
    assert (chance[90:, :2] == 0).all()
    assert chance[:50].min() > 0.5
    assert chance[:, 2:].min() > 0.5
