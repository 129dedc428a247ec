"""Gaps: bridged without shrinking, eased when long, held at the ends, always marked, never NaN."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import h36m, pose3d, seen, still, walk, without

from stpose_core.animate import animate
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.gaps import Gaps, fill_bones, fill_track


def gaps_of(frames, missing, fps=30.0):
    posed = np.ones(frames, bool)
    posed[missing] = False
    return Gaps(posed, fps)


def test_a_short_gap_is_bridged_near_the_truth_and_marked():
    true = h36m(walk())
    motion = animate(without(seen(true, 30.0), slice(40, 48)))
    error = np.linalg.norm((h36m(motion) - h36m(motion)[:, :1] - true + true[:, :1])[40:48], axis=-1)
    assert error.mean() < 0.05
    assert np.flatnonzero(motion.filled).tolist() == list(range(40, 48))
    held = np.linalg.norm((true - true[:, :1])[40:48] - (true - true[:, :1])[39], axis=-1)
    assert error.mean() < 0.6 * held.mean(), "better than holding the last pose"


def test_bones_keep_their_length_across_a_quick_turn():
    turning = still(60)
    angle = np.linspace(0, 2 * np.pi, 60)
    spin = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    joints = h36m(turning)
    left = joints[..., :1] * spin[:, None] + joints[..., 1:2] * np.array([0.0, 1.0, 0.0])
    bones = bone_vectors(left)
    gaps = gaps_of(60, slice(20, 34))
    blank = bones.copy()
    blank[20:34] = np.nan
    filled = fill_bones(blank, gaps)
    lengths = np.linalg.norm(bones, axis=-1)
    assert np.allclose(np.linalg.norm(filled, axis=-1), lengths, atol=1e-6)
    assert np.abs(filled - bones).max() < 0.05
    part = np.linspace(0, 1, 16)[1:-1, None, None]
    straight = bones[19] * (1 - part) + bones[34] * part
    assert (np.linalg.norm(straight, axis=-1)[:, 4] / lengths[20:34, 4]).min() < 0.8, "what a straight line would do"


def test_the_root_crosses_a_short_gap_at_its_speed():
    track = np.stack([np.arange(60) * 0.1, np.sin(np.arange(60) / 8), np.zeros(60)], axis=1)
    assert np.abs(fill_track(track, gaps_of(60, slice(20, 30))) - track).max() < 0.06


def test_a_long_gap_is_eased_and_the_ends_are_held():
    pose = seen(h36m(walk(6.0)), 30.0)
    frames = np.ones(len(pose), bool)
    frames[60:120] = frames[:10] = frames[170:] = False
    xyz, root = pose.xyz.copy(), pose.root.copy()
    xyz[~frames], root[~frames] = np.nan, np.nan
    motion = animate(pose3d(xyz, root, 30.0), 0.0)
    assert (motion.filled == ~frames).all()
    for array in (motion.rotations, motion.root, motion.contacts):
        assert np.isfinite(array).all()
    joints = h36m(motion)
    assert np.allclose(joints[:10], joints[10], atol=0.02)
    assert np.allclose(joints[170:], joints[169], atol=0.02)
    steps = np.linalg.norm(np.diff(joints - joints[:, :1], axis=0), axis=-1)[60:119]
    assert steps.max() < 0.03, "no movement is made up"
    assert (np.diff(motion.root[60:120, 2]) > -1e-3).all(), "from where it was to where it is next"


@pytest.mark.parametrize(("length", "moving"), [(15, True), (16, False)])
def test_half_a_second_is_the_border(length, moving):
    assert gaps_of(100, slice(40, 40 + length)).moving.all() == moving


def test_gaps_everywhere():
    pose = seen(h36m(walk(4.0)), 30.0)
    keep = np.random.default_rng(0).random(len(pose)) < 0.3
    xyz, root = pose.xyz.copy(), pose.root.copy()
    xyz[~keep], root[~keep] = np.nan, np.nan
    motion = animate(pose3d(xyz, root, 30.0))
    error = h36m(motion) - h36m(motion)[:, :1] - h36m(walk(4.0)) + h36m(walk(4.0))[:, :1]
    assert np.linalg.norm(error, axis=-1).mean() < 0.06
    one = np.full_like(pose.xyz, np.nan), np.full_like(pose.root, np.nan)
    one[0][7], one[1][7] = pose.xyz[7], pose.root[7]
    alone = animate(pose3d(*one, 30.0))
    assert alone.filled.sum() == len(pose) - 1
    assert np.isfinite(alone.rotations).all()
