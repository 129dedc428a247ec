"""Smoothing: calm where nothing moves, quick where something does, no lag, the same at each frame rate; and the root."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import h36m, noisy, pose3d, seen, walk

from stpose_core.animate import animate
from stpose_core.animate.root import from_ray, remove_steps, smooth_root, to_ray
from stpose_core.animate.smooth import bridge, confidence, cutoff, find_spikes, smooth_bones, whittaker

LIMBS = [2, 3, 5, 6, 12, 13, 15, 16]


def jitter(joints):
    """Mean second difference of the limb joints in mm."""
    return 1000 * np.linalg.norm(np.diff((joints - joints[:, :1])[:, LIMBS], 2, axis=0), axis=-1).mean()


def wrist_speed(joints, fps):
    """Peak speed in m/s: the 98th percentile, as the highest value of all is the noise's."""
    return np.percentile(np.linalg.norm(np.diff((joints - joints[:, :1])[:, [13, 16]], axis=0), axis=-1), 98) * fps


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_the_cutoff_halves_a_wave_of_its_frequency(order, fps):
    time = np.arange(round(20 * fps)) / fps
    wave = np.sin(2 * np.pi * 3.0 * time)[:, None]
    smooth = whittaker(wave, np.ones(len(time)), 3.0, fps, order)
    middle = slice(len(time) // 4, 3 * len(time) // 4)
    gain = (smooth * wave)[middle].sum() / (wave * wave)[middle].sum()
    assert gain == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("hertz", [0.15, 0.6, 5.0])
@pytest.mark.parametrize("fps", [30.0, 240.0, 1000.0])
def test_a_cutoff_far_below_the_frame_rate_keeps_lines_and_smooths_the_rest(fps, hertz):
    time = np.arange(3000) / fps
    line = np.stack([np.full(3000, 1.6), 1.6 - 0.3 * time, 40 * time], axis=1)
    weights = np.where(np.arange(3000) % 7 < 2, 0.1, 1.0)
    assert np.abs(whittaker(line, np.ones(3000), hertz, fps) - line).max() < 1e-6
    assert np.abs(whittaker(line, weights, hertz * (1 + 20 * time / time[-1]), fps) - line).max() < 1e-6
    noise = np.random.default_rng(0).normal(size=(3000, 3)) * 0.02
    smooth = whittaker(line + noise, np.ones(3000), hertz, fps)
    passing = 2 * hertz / fps + 4 / 3000  # the share of the band below the cut-off, and what a parabola takes up
    assert (smooth - line).std() < 1.4 * np.sqrt(passing) * noise.std()
    turned = whittaker(np.exp(1j * line), np.ones(3000), hertz, fps)
    assert np.isfinite(turned).all()


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("fps", [240.0, 1000.0])
def test_a_low_cutoff_halves_a_wave_of_its_frequency_too(order, fps):
    time = np.arange(round(20 * fps)) / fps
    wave = np.sin(2 * np.pi * 0.6 * time)[:, None]
    smooth = whittaker(wave, np.ones(len(time)), 0.6, fps, order)
    middle = slice(len(time) // 4, 3 * len(time) // 4)
    assert (smooth * wave)[middle].sum() / (wave * wave)[middle].sum() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("fps", [240.0, 1000.0])
def test_the_strongest_smoothing_leaves_an_even_walk_where_it_was(fps):
    time = np.arange(2400) / fps
    track = np.stack([0.3 * time, 0 * time + 0.1, 5 + 0 * time], axis=1)
    # Not to rounding: the direction to who walks straight on does not turn evenly.
    assert np.abs(smooth_root(track, np.ones(2400), 1.0, fps) - track).max() < 5e-3


def test_no_lag_either_way():
    pulse = np.exp(-0.5 * ((np.arange(201) - 100) / 6.0) ** 2)[:, None]
    smooth = whittaker(pulse, np.ones(201), 2.0, 60.0)
    assert smooth.argmax() == 100
    assert np.allclose(smooth, smooth[::-1], atol=1e-6)


def test_a_sample_of_no_weight_is_bridged():
    track = np.sin(np.arange(60) / 10)[:, None]
    wrong, weights = track.copy(), np.ones(60)
    wrong[30:33], weights[30:33] = 5.0, 0.0
    assert np.abs(whittaker(wrong, weights, 10.0, 30.0) - track).max() < 0.02
    assert np.abs(whittaker(wrong, np.ones(60), 10.0, 30.0) - track).max() > 1.0


def test_strength_nought_changes_nothing_and_more_is_smoother():
    pose = noisy(seen(h36m(walk(3.0, 60.0)), 60.0), 0.004)
    bones = np.random.default_rng(0).normal(size=(50, 16, 3))
    assert (smooth_bones(bones, np.ones((50, 16)), 0.0, 60.0) == bones).all()
    assert cutoff(0.0) == np.inf
    assert cutoff(1.0) > 0
    figures = [jitter(h36m(animate(pose, strength))) for strength in (0.0, 0.05, 0.25, 0.5, 0.75, 1.0)]
    assert (np.diff(figures) < 0).all()


def test_jitter_falls_to_the_goal_and_the_movement_is_kept():
    true = h36m(walk(5.0, 60.0))
    pose = noisy(seen(true, 60.0), 0.004)  # 15 to 16 mm a frame^2, as a detector's 3D shows
    smooth = h36m(animate(pose, 0.5))
    assert jitter(pose.xyz) > 14
    assert jitter(smooth) < 6
    assert wrist_speed(smooth, 60.0) == pytest.approx(wrist_speed(true, 60.0), rel=0.15)
    # It is nearer to the truth than before, not only calmer. Legs are left out: they follow the feet's contacts, too.
    rested = np.linalg.norm((smooth - smooth[:, :1]) - (true - true[:, :1]), axis=-1)[:, 7:].mean()
    raw = np.linalg.norm(pose.xyz * [1, -1, -1] - (true - true[:, :1]), axis=-1)[:, 7:].mean()
    assert rested < 0.75 * raw


def test_quick_movements_keep_their_peak_where_a_fixed_cutoff_would_cut_it():
    fps = 60.0
    time = np.arange(180) / fps
    angle = 2.2 * np.exp(-0.5 * ((time - 1.5) / 0.07) ** 2)  # out and back in about 0.3 s, as a punch
    bone = 0.3 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    noise = np.random.default_rng(0).normal(size=bone.shape) * 0.002
    smooth = smooth_bones((bone + noise)[:, None], np.ones((180, 1)), 0.5, fps)[:, 0]
    speed = lambda track: np.linalg.norm(np.diff(track, axis=0), axis=1).max()  # noqa: E731
    assert speed(smooth) > 0.85 * speed(bone)
    assert speed(whittaker(bone + noise, np.ones(180), cutoff(0.5), fps)) < 0.85 * speed(bone)
    assert np.linalg.norm(np.diff(smooth[:50], 2, axis=0), axis=1).mean() < 0.0005


def test_spikes_of_up_to_three_frames_go_and_quick_movements_stay():
    true = h36m(walk(3.0, 60.0))
    pose = seen(true, 60.0)
    xyz = pose.xyz.copy()
    xyz[60, 13] += [0.3, 0.2, 0.0]
    xyz[90:93, 3] += [0.0, 0.0, 0.4]
    spikes = find_spikes(xyz, 60.0)
    assert np.argwhere(spikes).tolist() == [[60, 13], [90, 3], [91, 3], [92, 3]]
    assert not find_spikes(pose.xyz, 60.0).any()
    motion = h36m(animate(pose3d(xyz, pose.root, 60.0)))
    clean = h36m(animate(pose))
    assert np.linalg.norm(motion - clean, axis=-1).max() < 0.05
    assert np.allclose(bridge(np.arange(5.0)[:, None], np.array([0, 1, 1, 0, 1], bool))[:, 0], [0, 1, 2, 3, 3])


def test_hidden_uncertain_and_filled_samples_count_less():
    sigma = np.full((10, 17), 0.02)
    sigma[3, 5] = 0.06
    hidden = np.zeros((10, 17), bool)
    hidden[4, 5] = True
    weights = confidence(sigma, hidden, np.arange(10) == 6)
    assert weights[0, 5] == 1
    assert weights[3, 5] < 0.2
    assert weights[4, 5] < 0.5
    assert weights[6].max() <= 0.1
    assert np.isfinite(confidence(np.full((4, 17), np.nan), np.zeros((4, 17), bool), np.zeros(4, bool))).all()


def test_ray_coordinates_come_back():
    track = np.random.default_rng(0).normal(size=(20, 3)) + [0.0, 0.0, 6.0]
    assert np.allclose(from_ray(to_ray(track)), track)


def test_the_root_is_smoothed_more_along_the_ray_than_across():
    frames, fps = 600, 60.0
    true = np.stack([np.linspace(-1, 1, frames), np.zeros(frames), np.full(frames, 5.0)], axis=1)
    noise = np.random.default_rng(0).normal(size=true.shape) * 0.02
    error = smooth_root(true + noise, np.ones(frames), 0.5, fps) - true
    assert error[:, 2].std() < 0.7 * error[:, 0].std()
    assert error.std() < 0.4 * noise.std()


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_the_root_never_jumps(fps):
    time = np.arange(round(4 * fps)) / fps
    true = np.stack([0.3 * time, 0 * time, 4 + 0 * time], axis=1)
    track = true + np.random.default_rng(0).normal(size=true.shape) * [0.002, 0.002, 0.05]
    track[len(track) // 2 :, 2] += 6.0  # the tracker now sees them twice as far
    track[20:22] += [0.0, 0.0, 3.0]
    smooth = smooth_root(track, np.ones(len(track)), 0.5, fps)
    assert np.linalg.norm(np.diff(smooth, axis=0), axis=1).max() * fps < 10.0
    assert np.linalg.norm(np.diff(track, axis=0), axis=1).max() * fps > 100.0
    assert np.abs(smooth[:, 2] - 4).max() < 0.3
    walking = true + np.stack([0 * time, 0 * time, 3.0 * np.sin(time)], axis=1)
    assert np.allclose(remove_steps(walking, fps), walking), "who moves like a person is left alone"
