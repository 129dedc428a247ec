"""Knees and elbows: straight limbs come out straight, bent ones stay bent, and what is not seen stays as it was lifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_mocap import REST

from stpose_core import metrics
from stpose_core.data import Array, Camera, Keypoints, Pose3D
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift import flexion as library
from stpose_core.lift import refine as fitting
from stpose_core.lift.flexion import CENTRES, LIMBS, bend, features, flexion, reading
from stpose_core.lift.refine import refine
from stpose_core.skeletons import H36M17
from stpose_core.world import contacts

CAMERA = Camera(1000.0, (500.0, 500.0))
KNEES = slice(0, 2)
FRAMES = 90


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    return load_lifter()


def person(knee: Array, turn: float = 0.0) -> Array:
    """(T, 17, 3) joints in camera axes of a person who stands before the camera, with knees bent by `knee` (T,) degrees.

    turn: degrees away from the camera. Feet stay in place; the trunk leans forward as far as a person who squats does.
    """
    frames = len(knee)
    joints = np.tile(REST.astype(float), (frames, 1, 1))
    thigh = shin = 0.41
    bent = np.radians(knee)[:, None]
    ahead, up = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    lean, tilt = 0.45 * bent, 0.35 * bent  # of the shin, and of the trunk
    for hip, middle, end in LIMBS[KNEES]:
        ankle = joints[:, end] * [1.0, 0.0, 1.0]
        joints[:, end] = ankle
        joints[:, middle] = ankle + shin * (np.cos(lean) * up + np.sin(lean) * ahead)
        back = bent - lean
        joints[:, hip] = joints[:, middle] + thigh * (np.cos(back) * up - np.sin(back) * ahead)
    trunk = joints[:, 7:] - joints[:, :1]
    pelvis = (joints[:, 1] + joints[:, 4]) / 2
    rise, front = trunk[..., 2:], trunk[..., 1:2]
    cos, sin = np.cos(tilt)[..., None], np.sin(tilt)[..., None]
    joints[:, 7:] = pelvis[:, None] + np.concatenate([trunk[..., :1], cos * front + sin * rise, cos * rise - sin * front], axis=-1)
    joints[:, 0] = pelvis
    angle = np.radians(turn)
    spin = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    # A person who faces the camera: its left is on the right of the picture, ahead is towards the camera, z down.
    to_camera = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
    return joints @ spin.T @ to_camera.T + [0.0, 0.9, 4.0]


def shown(joints: Array, noise: float = 2.0) -> Keypoints:
    """The joints as a detector finds them, with noise in pixels that lasts for a third of a second."""
    slow = np.repeat(np.random.default_rng(0).normal(0, noise, (len(joints) // 10 + 1, 17, 2)), 10, axis=0)[: len(joints)]
    xy = CAMERA.focal * joints[..., :2] / joints[..., 2:] + np.array(CAMERA.centre) + slow
    return Keypoints(xy, np.full(xy.shape[:2], 0.8), 30.0, (1000, 1000), H36M17.name)


def as_lifted(pose: Pose3D, _: Keypoints) -> tuple[Array, Array]:
    """Instead of `flexion`: the angles of the lifter."""
    said = bend(pose.xyz)
    return said, said


def knees(pose: Pose3D) -> float:
    """Median degrees."""
    return float(np.degrees(np.median(bend(pose.xyz)[:, KNEES])))


@pytest.mark.parametrize("turn", [0.0, 30.0, 180.0])
def test_a_straight_leg_that_was_lifted_bent_comes_out_straight(
    lifter: Lifter, monkeypatch: pytest.MonkeyPatch, turn: float
) -> None:
    keypoints = shown(person(np.full(FRAMES, 3.0), turn))
    lifted = lifter(keypoints, CAMERA)
    assert knees(lifted) > 8.0
    assert knees(refine(lifted, keypoints)) < min(10.0, knees(lifted) - 2.0)
    monkeypatch.setattr(fitting, "flexion", as_lifted)
    assert knees(refine(lifted, keypoints)) > knees(lifted) - 0.2, "control: as the lifter bends them"


@pytest.mark.parametrize("turn", [45.0, 90.0])
def test_a_squat_stays_deep_and_bends_without_a_pop(lifter: Lifter, turn: float) -> None:
    wave = 0.5 - 0.5 * np.cos(np.arange(120) / 120 * 2 * np.pi)
    joints = person(3.0 + 97.0 * wave, turn)
    keypoints = shown(joints)
    fitted = refine(lifter(keypoints, CAMERA), keypoints)
    angles = np.degrees(bend(fitted.xyz)[:, KNEES])
    assert np.median(angles[54:66]) > 88.0
    assert np.abs(np.diff(angles, 2, axis=0)).max() < 3.0
    lengths = metrics.bone_lengths(fitted.xyz, H36M17.parents)
    assert (lengths.std(0) / lengths.mean(0)).max() < 0.06


def test_what_is_not_seen_stays_as_it_was_lifted(lifter: Lifter) -> None:
    keypoints = shown(person(np.full(FRAMES, 3.0)))
    score = keypoints.score.copy()
    score[:, [1, 2, 3, 4, 5, 6]] = 0.0
    hidden = replace(keypoints, score=score, xy=np.where(score[..., None] > 0, keypoints.xy, np.nan))
    lifted = lifter(hidden, CAMERA)
    said, _ = flexion(lifted, hidden)
    seen, _ = flexion(lifter(keypoints, CAMERA), keypoints)
    left = np.abs(said - bend(lifted.xyz))[:, KNEES]
    assert np.degrees(np.median(left)) < 0.5
    assert np.degrees(np.median(np.abs(seen - bend(lifter(keypoints, CAMERA).xyz))[:, KNEES])) > 1.5, "control: visible legs change"


def test_angles_do_not_depend_on_side_size_place_or_rate(lifter: Lifter) -> None:
    joints = person(np.linspace(3.0, 60.0, FRAMES), 40.0)
    keypoints = shown(joints)
    lifted = lifter(keypoints, CAMERA)
    angles, _ = flexion(lifted, keypoints)
    flip = np.array([-1.0, 1.0, 1.0])
    mirror = list(H36M17.mirror)
    mirrored = replace(
        lifted, xyz=lifted.xyz[:, mirror] * flip, root=lifted.root * flip, sigma=lifted.sigma[:, mirror], up=lifted.up * flip
    )
    xy = np.array([1000.0, 0.0]) + keypoints.xy[:, mirror] * [-1.0, 1.0]
    other, _ = flexion(mirrored, replace(keypoints, xy=xy))
    np.testing.assert_allclose(other[:, [1, 0, 3, 2]], angles, atol=1e-4)
    giant = replace(lifted, xyz=2 * lifted.xyz, root=2 * lifted.root, sigma=2 * lifted.sigma)
    np.testing.assert_allclose(flexion(giant, keypoints)[0], angles, atol=1e-4)
    slow = replace(lifted, xyz=lifted.xyz[::3], root=lifted.root[::3], sigma=lifted.sigma[::3], hidden=lifted.hidden[::3], fps=10.0)
    thinned = replace(keypoints, xy=keypoints.xy[::3], score=keypoints.score[::3], fps=10.0)
    assert np.degrees(np.abs(flexion(slow, thinned)[0] - angles[::3]).mean()) < 3.0


def test_gaps_and_short_clips(lifter: Lifter) -> None:
    keypoints = shown(person(np.full(FRAMES, 3.0)))
    lifted = lifter(keypoints, CAMERA)
    xyz, root = lifted.xyz.copy(), lifted.root.copy()
    xyz[:5], root[:5], xyz[40:60], root[40:60] = np.nan, np.nan, np.nan, np.nan
    broken = replace(lifted, xyz=xyz, root=root)
    angles, spread = flexion(broken, keypoints)
    assert np.isfinite(angles).all()
    assert (angles[~broken.posed] == 0).all()
    assert (spread[broken.posed] > 0).all()
    assert np.isfinite(features(broken, keypoints)).all()
    nobody = replace(lifted, xyz=np.full_like(xyz, np.nan), root=np.full_like(root, np.nan))
    assert (flexion(nobody, keypoints)[0] == 0).all()
    single = Pose3D(lifted.xyz[:1], lifted.root[:1], lifted.hidden[:1], lifted.sigma[:1], lifted.up, 30.0, H36M17.name, CAMERA)
    one = replace(keypoints, xy=keypoints.xy[:1], score=keypoints.score[:1])
    assert np.isfinite(flexion(single, one)[0]).all()


def test_angles_do_not_depend_on_the_blocks(lifter: Lifter, monkeypatch: pytest.MonkeyPatch) -> None:
    keypoints = shown(person(np.linspace(3.0, 90.0, FRAMES)))
    lifted = lifter(keypoints, CAMERA)
    xyz = lifted.xyz.copy()
    xyz[:5], xyz[40:60] = np.nan, np.nan
    for fps in (24.0, 30.0, 50.0):
        broken = replace(lifted, xyz=xyz, fps=fps)
        monkeypatch.undo()
        whole = flexion(broken, keypoints)
        monkeypatch.setattr(contacts, "BLOCK", 17)
        np.testing.assert_array_equal(flexion(broken, keypoints), whole)
    monkeypatch.setattr(library, "network_blocks", lambda frames, fps, reach: contacts.network_blocks(frames, fps, 0))
    assert np.abs(np.subtract(flexion(broken, keypoints), whole)).max() > 1e-3, "control: without the frames around a block"


def test_the_reading_of_a_distribution_is_its_peak_and_its_width() -> None:
    two = np.zeros((2, len(CENTRES)))
    two[0, [0, 5]] = 0.7, 0.3  # 0 and 25 degrees
    two[1] = 1.0 / len(CENTRES)
    angle, width = reading(two)
    assert angle[0] < 5.0
    assert two[0] @ CENTRES > 7.0, "control: the mean is not the peak"
    assert width[1] > 40.0 > width[0]
