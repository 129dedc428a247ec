"""Lifted joints that are fitted to the 2D joints of their clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_mocap import moving

from stpose_core import metrics
from stpose_core.data import Array, Camera, Keypoints, Pose3D
from stpose_core.lift import refine as module
from stpose_core.lift.refine import refine
from stpose_core.skeletons import H36M17

CAMERA = Camera(1000.0, (500.0, 500.0))
FRAMES = 90


def scene(seed: int = 0, noise: float = 3.0) -> tuple[Array, Pose3D, Keypoints]:
    """True joints (T, 17, 3), root-relative; a lifted pose that errs for long by about 50 mm; 2D joints with noise (pixels)."""
    random = np.random.default_rng(seed)
    true = moving(FRAMES, seed).astype(float) @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # z up -> y down
    root = true[:, 0] * [1, 1, 0.1] + [0, 0, 4.0]
    true = true - true[:, :1]
    wrong = random.normal(0, 0.03, (1, 17, 3)) + 0.02 * np.sin(
        np.arange(FRAMES)[:, None, None] / 15 + random.uniform(0, 6, (1, 17, 3))
    )
    wrong[:, 0] = 0
    places = true + root[:, None]
    xy = CAMERA.focal * places[..., :2] / places[..., 2:] + np.array(CAMERA.centre) + random.normal(0, noise, (FRAMES, 17, 2))
    up = np.array([0.0, -1.0, 0.0])
    sigma, hidden = np.full((FRAMES, 17), 0.05), np.zeros((FRAMES, 17), bool)
    pose = Pose3D(true + wrong, root + [0.03, -0.02, 0.1], hidden, sigma, up, 30.0, "h36m17", CAMERA)
    return true, pose, Keypoints(xy, np.full((FRAMES, 17), 0.8), 30.0, (1000, 1000), "h36m17")


def reprojection(pose: Pose3D, keypoints: Keypoints) -> float:
    places = (pose.xyz + pose.root[:, None])[pose.posed]
    xy = pose.camera.focal * places[..., :2] / places[..., 2:] + np.array(pose.camera.centre)
    return float(np.nanmean(np.linalg.norm(xy - keypoints.xy[pose.posed], axis=-1)))


def test_error_in_space_and_in_the_picture_falls_and_the_pose_stays_smooth() -> None:
    true, pose, keypoints = scene()
    better = refine(pose, keypoints)
    assert reprojection(better, keypoints) < 0.5 * reprojection(pose, keypoints)
    assert metrics.mpjpe(better.xyz, true) < 0.85 * metrics.mpjpe(pose.xyz, true)
    assert metrics.pa_mpjpe(better.xyz, true) < 0.9 * metrics.pa_mpjpe(pose.xyz, true)
    assert metrics.acceleration_error(better.xyz, true) < 0.001 + 1.1 * metrics.acceleration_error(pose.xyz, true)
    spread = [metrics.bone_lengths(p.xyz, H36M17.parents).std(0).mean() for p in (better, pose)]
    assert spread[0] < 0.5 * spread[1]
    assert (better.sigma == pose.sigma).all()
    assert (better.hidden == pose.hidden).all()


def test_the_2d_joints_of_someone_else_do_not_help() -> None:
    true, pose, _ = scene()
    _, _, others = scene(seed=5)
    assert metrics.pa_mpjpe(refine(pose, others).xyz, true) > 0.98 * metrics.pa_mpjpe(pose.xyz, true)


def test_without_the_slow_correction_the_jitter_of_the_2d_joints_passes_into_the_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    true, pose, keypoints = scene(noise=8.0)
    slow = metrics.acceleration_error(refine(pose, keypoints).xyz, true)
    monkeypatch.setattr(module, "KNOTS", 30.0)
    assert metrics.acceleration_error(refine(pose, keypoints).xyz, true) > 2 * slow


def test_a_joint_is_moved_by_what_was_seen_of_it_and_little_where_nothing_was() -> None:
    _, pose, keypoints = scene(noise=0.5)
    score = keypoints.score.copy()
    score[:, 13] = 0.0
    far = keypoints.xy.copy()
    far[:, 13] += 200.0
    unseen, misled = replace(keypoints, score=score), replace(keypoints, xy=far, score=score)
    assert np.allclose(refine(pose, unseen).xyz, refine(pose, misled).xyz)
    assert not np.allclose(refine(pose, keypoints).xyz[:, 13], refine(pose, unseen).xyz[:, 13], atol=0.005)
    # One wrong answer of a detector, for a while, is not followed far.
    xy = keypoints.xy.copy()
    xy[40:46, 16] += 150.0
    moved = np.linalg.norm(refine(pose, replace(keypoints, xy=xy)).xyz - refine(pose, keypoints).xyz, axis=-1)
    assert moved[43, 16] < 0.25 * 150.0 / CAMERA.focal * 4


def test_gaps_stay_gaps_and_both_sides_of_them_are_fitted() -> None:
    true, pose, keypoints = scene()
    xyz, root = pose.xyz.copy(), pose.root.copy()
    xyz[30:34], root[30:34] = np.nan, np.nan
    broken = replace(pose, xyz=xyz, root=root)
    better = refine(broken, keypoints)
    assert (better.posed == broken.posed).all()
    for piece in (slice(0, 30), slice(34, FRAMES)):
        assert metrics.mpjpe(better.xyz[piece], true[piece]) < 0.9 * metrics.mpjpe(pose.xyz[piece], true[piece])
    nobody = replace(pose, xyz=np.full_like(xyz, np.nan))
    assert refine(nobody, keypoints) is nobody


def test_frames_that_do_not_belong_together_are_told() -> None:
    _, pose, keypoints = scene()
    with pytest.raises(ValueError, match="belong together"):
        refine(pose, replace(keypoints, xy=keypoints.xy[:-1], score=keypoints.score[:-1]))


@pytest.mark.parametrize("fps", [5.0, 60.0])
def test_a_single_frame_and_other_rates(fps: float) -> None:
    _, pose, keypoints = scene()
    for frames in (1, 2, FRAMES):
        part = replace(pose, xyz=pose.xyz[:frames], root=pose.root[:frames], hidden=pose.hidden[:frames], sigma=pose.sigma[:frames])
        seen = replace(keypoints, xy=keypoints.xy[:frames], score=keypoints.score[:frames], fps=fps)
        better = refine(replace(part, fps=fps), seen)
        assert reprojection(better, seen) < reprojection(part, seen)


def test_pieces_cover_a_clip_and_fade_into_each_other() -> None:
    for frames in (1, 59, 1800, 1801, 9000, 108_000):
        total = np.zeros(frames)
        for piece, share in module._pieces(frames, 30.0):
            assert len(share) == piece.stop - piece.start <= 60 * 30 + 1
            total[piece] += share
        assert np.allclose(total, 1.0)


def test_pieces_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pose, keypoints = scene()
    whole = refine(pose, keypoints)
    monkeypatch.setattr(module, "_PIECE", 1.2)
    monkeypatch.setattr(module, "_OVERLAP", 0.4)
    pieces = refine(pose, keypoints)
    assert np.linalg.norm(pieces.xyz - whole.xyz, axis=-1).mean() < 0.01
    assert metrics.jitter(pieces.xyz) < 1.1 * metrics.jitter(whole.xyz)
    # Negative control: pieces that are only put side by side.
    monkeypatch.setattr(module, "_OVERLAP", 0.034)
    assert metrics.jitter(refine(pose, keypoints).xyz) > 1.15 * metrics.jitter(whole.xyz)


def test_a_straight_arm_is_not_bent_by_what_its_joints_are_off_in_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    true, pose, keypoints = scene(noise=6.0)
    xyz, straight = pose.xyz.copy(), true[:, 11:14].copy()
    direction = np.array([0.8, 0.6, 0.0])
    straight[:, 1], straight[:, 2] = straight[:, 0] + 0.28 * direction, straight[:, 0] + 0.53 * direction
    xyz[:, 11:14] = straight
    places = straight + pose.root[:, None]
    xy = keypoints.xy.copy()
    noise = np.random.default_rng(2).normal(0, 10.0, (1, 3, 2))
    xy[:, 11:14] = CAMERA.focal * places[..., :2] / places[..., 2:] + np.array(CAMERA.centre) + noise

    def bend() -> float:
        arm = refine(replace(pose, xyz=xyz), replace(keypoints, xy=xy)).xyz[:, 11:14]
        upper, lower = arm[:, 1] - arm[:, 0], arm[:, 2] - arm[:, 1]
        across = np.linalg.norm(np.cross(upper, lower), axis=1)
        return float(np.degrees(np.median(np.arctan2(across, (upper * lower).sum(1)))))

    with_term = bend()
    monkeypatch.setattr(module, "_BEND", 1e3)
    assert with_term < 8.0
    assert bend() > with_term + 1.0
