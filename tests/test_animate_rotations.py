"""Rotations: what is recovered from joints, and how limbs behave where the joints do not say."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import body, h36m, noisy, seen, turn_speeds, walk
from scipy.spatial.transform import Rotation

from stpose_core.animate import animate
from stpose_core.animate.body import INDEX
from stpose_core.animate.feet import foot_frames
from stpose_core.animate.frames import continuous_quaternions, minimal_rotation
from stpose_core.animate.hinge import LEFT_ARM, LEFT_LEG, limb_frames


def local(motion, name):
    return Rotation.from_quat(motion.rotations[:, INDEX[name]][:, [1, 2, 3, 0]])


def gap(one, other):
    """Degrees between rotations."""
    return np.degrees((one.inv() * other).magnitude())


def test_minimal_rotation_is_exact_also_between_opposite_vectors():
    random = np.random.default_rng(0)
    start, end = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in random.normal(size=(2, 50, 3)))
    end[:5] = -start[:5]
    turns = minimal_rotation(start, end)
    assert np.allclose(np.einsum("tij,tj->ti", turns, start), end, atol=1e-7)
    angle = np.arccos(np.clip((start * end).sum(-1), -1, 1))
    assert np.allclose(Rotation.from_matrix(turns).magnitude(), angle, atol=1e-6)


def test_known_rotations_come_back():
    true = walk(bend=0.6)
    found = animate(seen(h36m(true), 30.0), 0.0)
    for name in ("Hips", "LeftUpLeg", "RightUpLeg", "LeftLeg", "RightLeg"):
        assert gap(local(true, name), local(found, name)).max() < 3.0, name
    for name in ("LeftForeArm", "RightForeArm"):
        assert gap(local(true, name), local(found, name)).max() < 4.0, name
    chest = [local(m, "Hips") * local(m, "Spine") * local(m, "Chest") * local(m, "UpperChest") for m in (true, found)]
    assert gap(*chest).max() < 3.0
    # Negative control: the same check does not pass on another motion's rotations.
    assert gap(local(walk(bend=1.2), "LeftLeg"), local(found, "LeftLeg")).max() > 20.0


def test_elbows_and_knees_bend_in_their_plane_alone():
    """No candy wrapper: the forearm and the shin only turn about the hinge of the joint they hang on."""
    random = np.random.default_rng(3)
    frames = 120
    wave = 2 * np.pi * np.arange(frames)[:, None] / 30.0 * random.uniform(0.2, 0.8, size=(4, 1, 3))
    slow = random.uniform(0.2, 0.6, size=(4, 1, 3)) * np.sin(wave + random.uniform(0, 6, size=(4, 1, 3)))
    turns = {"LeftArm": slow[0], "RightArm": slow[1], "LeftUpLeg": slow[2], "RightUpLeg": slow[3]}
    bend = 1.0 + 0.5 * np.sin(np.arange(frames) / 10)
    none = np.zeros(frames)
    for name, axis, sign in (("LeftForeArm", 1, -1), ("RightForeArm", 1, 1), ("LeftLeg", 0, 1), ("RightLeg", 0, 1)):
        turns[name] = np.stack([sign * bend if axis == k else none for k in range(3)], axis=1)
    found = animate(seen(h36m(body(turns, np.tile([0.0, 0.9, 0.0], (frames, 1)), 30.0)), 30.0), 0.0)
    for name in ("LeftForeArm", "RightForeArm", "LeftLeg", "RightLeg"):
        vector = local(found, name).as_rotvec()
        assert np.allclose(np.linalg.norm(vector, axis=1), bend, atol=0.05)
        axis = 0 if name.endswith("Leg") else 1
        off = np.degrees(np.arcsin(np.linalg.norm(np.delete(vector, axis, axis=1), axis=1) / np.linalg.norm(vector, axis=1)))
        assert np.percentile(off, 95) < 6.0, name
    assert np.allclose(found.rotations[:, INDEX["LeftHand"]], [1, 0, 0, 0], atol=1e-6), "hands go straight on"


def limb(bend, wobble=0.0, seed=0):
    """An arm that hangs forward and a forearm bent by `bend` (T,) rad, with white error of `wobble` in its direction."""
    frames = len(bend)
    parent = np.tile(np.eye(3), (frames, 1, 1))
    first = np.tile(np.array([0.3, -0.9, 0.316]) / np.linalg.norm([0.3, -0.9, 0.316]), (frames, 1))
    hinge = np.cross(first, [0.0, 0.0, 1.0])
    hinge /= np.linalg.norm(hinge, axis=1, keepdims=True)
    second = np.cos(bend)[:, None] * first + np.sin(bend)[:, None] * np.cross(hinge, first)
    second = second + wobble * np.random.default_rng(seed).normal(size=second.shape)
    return parent, first, second / np.linalg.norm(second, axis=1, keepdims=True), hinge


def test_a_straight_arm_keeps_the_plane_it_had_and_does_not_spin():
    bend = np.concatenate([np.full(60, 1.2), np.linspace(1.2, 0.0, 20), np.zeros(60), np.linspace(0, 1.2, 20), np.full(60, 1.2)])
    parent, first, second, hinge = limb(bend, wobble=0.03)
    upper, lower = limb_frames(parent, first, second, LEFT_ARM, 60.0)
    speed = np.degrees((Rotation.from_matrix(upper[:-1]).inv() * Rotation.from_matrix(upper[1:])).magnitude()) * 60
    assert speed.max() < 400.0
    # Negative control: the plane taken frame by frame, as it is seen, whirls while the arm is straight.
    raw = np.cross(first, second)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    naive = np.degrees(np.arccos(np.clip((raw[1:] * raw[:-1]).sum(-1), -1, 1))) * 60
    assert naive.max() > 5 * speed.max()
    seen_axis = np.einsum("tij,j->ti", upper, LEFT_ARM.axis)
    assert (seen_axis[[5, 100, -5]] * hinge[[5, 100, -5]]).sum(-1).min() > 0.8
    assert np.allclose(np.einsum("tij,j->ti", lower, LEFT_ARM.rest)[:60], second[:60], atol=1e-6)


def test_knees_do_not_bend_backwards():
    frames = 90
    parent = np.tile(np.eye(3), (frames, 1, 1))
    first = np.tile([0.0, -1.0, 0.0], (frames, 1))
    bend = np.linspace(-0.3, 0.3, frames)  # to the front at first, which no knee does
    second = np.stack([np.zeros(frames), -np.cos(bend), -np.sin(bend)], axis=1)
    upper, lower = limb_frames(parent, first, second, LEFT_LEG, 30.0)
    bent = Rotation.from_matrix(np.swapaxes(upper, 1, 2) @ lower).as_rotvec()[:, 0]
    assert np.degrees(bent.min()) > -4.0
    assert np.allclose(bent[60:], bend[60:], atol=0.02)
    assert np.degrees(Rotation.from_matrix(upper).magnitude()).max() < 30.0, "the thigh does not turn round to allow it"


@pytest.mark.parametrize("error", [0.0, 0.01])
def test_turning_stays_within_what_limbs_do_when_they_swing_straight(error):
    motion = animate(noisy(seen(h36m(walk(4.0, 60.0, bend=0.02)), 60.0), error), 0.5)
    assert np.degrees(turn_speeds(motion)).max() < 1300.0


def test_quaternions_follow_a_full_turn_and_more():
    angle = np.linspace(0.0, 8 * np.pi, 300)
    matrices = Rotation.from_rotvec(np.stack([0 * angle, angle, 0 * angle], axis=1)).as_matrix()
    found = continuous_quaternions(matrices)
    assert np.allclose(np.abs(found[:, 0]), np.abs(np.cos(angle / 2)), atol=1e-9)
    assert np.allclose(found[:, 0], np.cos(angle / 2), atol=1e-9)


TOE = np.array([0.0, -0.07, 0.2])
STANDS, FLIES = np.ones((30, 2)), np.zeros((30, 2))


@pytest.mark.parametrize("lean", [-0.5, 0.0, 0.5])
def test_a_standing_foot_is_flat_and_points_ahead_however_the_shin_leans(lean):
    shin = np.tile(Rotation.from_rotvec([lean, 0, 0]).as_matrix(), (30, 1, 1))
    foot = foot_frames(shin, np.tile([0.0, 0.07, 0.0], (30, 1)), TOE, 0.07, STANDS, 30.0)
    assert np.allclose(foot, np.eye(3), atol=0.02)


def test_a_foot_in_the_air_is_at_a_right_angle_to_the_shin():
    shin = np.tile(Rotation.from_rotvec([0.6, 0.2, 0]).as_matrix(), (30, 1, 1))
    assert np.allclose(foot_frames(shin, np.tile([0.0, 0.6, 0.0], (30, 1)), TOE, 0.07, FLIES, 30.0), shin, atol=1e-6)


@pytest.mark.parametrize("height", [0.03, 0.07, 0.10, 0.15, 0.2])
@pytest.mark.parametrize("lean", [0.0, 0.8, 1.4])
@pytest.mark.parametrize("contacts", [STANDS, FLIES])
def test_toes_stay_above_the_floor(height, lean, contacts):
    if height < 0.07 and contacts is FLIES:
        pytest.skip("an ankle as low as this stands")
    shin = np.tile(Rotation.from_rotvec([lean, 0, 0]).as_matrix(), (30, 1, 1))
    ankle = np.tile([0.0, height, 0.0], (30, 1))
    tip = ankle + np.einsum("tij,j->ti", foot_frames(shin, ankle, TOE, 0.07, contacts, 30.0), TOE)
    assert tip[:, 1].min() > -0.02
