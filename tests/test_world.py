"""The world: contacts, a root that travels under a camera that turns, feet that stand, legs that keep their bones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from moving_body import CAMERA, body, h36m, noisy, pose3d, seen, still, walk
from scipy.spatial.transform import Rotation

from stpose_core.animate import animate, forward_kinematics
from stpose_core.animate.body import INDEX
from stpose_core.animate.frames import minimal_rotation, unit
from stpose_core.data import Array, CameraPath, Motion, Pose3D
from stpose_core.skeletons import H36M17
from stpose_core.world.contacts import Legs, decided, foot_probabilities, shown
from stpose_core.world.gait import carried, gait_velocity
from stpose_core.world.legs import reach
from stpose_core.world.solve import Stiffness, settle

FIRM = Stiffness(speed=0.003, height=0.01, acceleration=6.0, slip=1.0)
LEGS = (("l_hip", "l_knee", "l_ankle"), ("r_hip", "r_knee", "r_ankle"))
AHEAD = np.tile([0.0, 0.0, -1.0], (90, 1))


def camera_path(rotation: Array, shot: Array | None = None) -> CameraPath:
    frames = len(rotation)
    shots = np.zeros(frames, np.int64) if shot is None else shot
    return CameraPath(np.full(frames, CAMERA.focal), CAMERA.centre, rotation, np.zeros((frames, 3)), np.ones(frames), shots, False)


def through(pose: Pose3D, rotation: Array) -> Pose3D:
    """A pose of the first frame's axes as a camera sees it that turns by `rotation` (T, 3, 3) to those axes."""
    back = np.swapaxes(rotation, -1, -2)
    xyz = np.einsum("tij,tkj->tki", back, pose.xyz)
    return pose3d(xyz, np.einsum("tij,tj->ti", back, pose.root), pose.fps)


def panned(frames: int, degrees: float, axis: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> Array:
    angle = np.radians(degrees) * np.linspace(0, 1, frames)
    return Rotation.from_rotvec(angle[:, None] * np.array(axis)).as_matrix()


def feet(motion: Motion) -> Array:
    """(T, 2, 3) left and right ankle."""
    return forward_kinematics(motion)[:, [INDEX["LeftFoot"], INDEX["RightFoot"]]]


def had(hip: Array, knee: Array, ankle: Array) -> Array:
    """(T,) radians by which knees are bent."""
    upper, lower = knee - hip, ankle - knee
    return np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=1), (upper * lower).sum(1))


def test_a_panning_camera_neither_turns_nor_pins_the_person() -> None:
    pose = seen(h36m(walk(4.0)) * np.array([1.0, 1.0, 1.0]), 30.0)
    rotation = panned(len(pose), 40.0)
    still_camera = animate(pose)
    motion = animate(through(pose, rotation), camera=camera_path(rotation))
    assert np.abs(h36m(motion) - h36m(still_camera)).max() < 0.02
    # Negative control: without the path, the person turns and goes elsewhere.
    ignored = animate(through(pose, rotation))
    assert np.abs(h36m(ignored) - h36m(still_camera)).max() > 0.4


def test_each_shot_is_levelled_by_itself() -> None:
    """The second shot begins with a leaning camera, whose axes are those of its path, and which is soon put upright."""
    pose = seen(h36m(still(120)), 30.0)
    shot = np.repeat([0, 1], 60)
    lean = Rotation.from_rotvec([0.0, 0.0, 0.5]).as_matrix()
    xyz, root = pose.xyz.copy(), pose.root.copy()
    xyz[60:65], root[60:65] = xyz[60:65] @ lean.T, root[60:65] @ lean.T
    rotation = np.tile(np.eye(3), (120, 1, 1))
    rotation[65:] = lean
    motion = animate(pose3d(xyz, root, 30.0), camera=camera_path(rotation, shot))
    spine = h36m(motion)[:, 8] - h36m(motion)[:, 0]
    upright = spine[:, 1] / np.linalg.norm(spine, axis=1)
    assert upright[:57].min() > 0.995
    assert upright[65:].min() > 0.995


def test_a_person_walks_though_the_camera_is_carried_along() -> None:
    true = walk(8.0)
    joints = h36m(true) - true.root[:, None] * np.array([0.0, 0.0, 1.0])  # the operator keeps the same distance
    pose = noisy(seen(joints, 30.0), 0.005)
    still_camera = np.tile(np.eye(3), (len(pose), 1, 1))
    motion = animate(pose, camera=camera_path(still_camera))
    travelled = np.linalg.norm((motion.root[-1] - motion.root[0])[[0, 2]])
    assert travelled == pytest.approx(true.root[-1, 2], rel=0.1)
    # Negative control: before a camera that is known to stand still, the same picture is of someone on a treadmill.
    static = replace(camera_path(still_camera), static=True)
    assert np.linalg.norm((animate(pose, camera=static).root[-1])[[0, 2]]) < 0.6 * true.root[-1, 2]


def test_the_legs_tell_the_speed_and_a_camera_that_stays_is_not_carried() -> None:
    true = walk(6.0)
    ankles = feet(true) - true.root[:, None]
    hips = np.tile([0.2, 0.0, 0.0], (len(true), 1))
    speed = gait_velocity(ankles, hips, 30.0)
    wanted = true.root[-1] / 6.0
    assert np.abs(speed[30:-30].mean(axis=0) - wanted * [1, 0, 1]).max() < 0.12
    ahead = np.tile([1.0, 0.0, 0.0], (len(true), 1))
    assert carried(true.root, speed, hips, ahead, 30.0)[1].max() < 0.05
    assert carried(0 * true.root, speed, hips, ahead, 30.0)[1].min() > 0.9
    standing = np.tile(ankles[:1], (len(ankles), 1, 1))
    assert np.abs(gait_velocity(standing, hips, 30.0)).max() < 0.05


def test_the_speed_of_the_legs_turns_with_the_body() -> None:
    true = walk(6.0)
    turn = Rotation.from_rotvec(2 * np.pi / 2.5 * np.arange(len(true))[:, None] / 30.0 * np.array([0.0, 1.0, 0.0])).as_matrix()
    ankles = np.einsum("tij,tkj->tki", turn, feet(true) - true.root[:, None])
    speed = np.linalg.norm(gait_velocity(ankles, turn @ [0.2, 0.0, 0.0], 30.0), axis=1)
    assert speed[30:-30].mean() == pytest.approx(true.root[-1, 2] / 6.0, rel=0.15)


def test_a_path_of_another_length_is_refused() -> None:
    pose = seen(h36m(still()), 30.0)
    with pytest.raises(ValueError, match="29 frames"):
        animate(pose, camera=camera_path(panned(29, 10.0)))


def test_feet_stand_while_the_lifted_root_drifts() -> None:
    clean = seen(h36m(still(240)), 30.0)
    drift = 0.15 * np.sin(np.arange(240) / 40.0)[:, None] * np.array([0.3, 0.0, 1.0])
    pose = noisy(pose3d(clean.xyz, clean.root + drift, 30.0), 0.01)
    motion = animate(pose)
    assert (motion.contacts > 0.5).mean() > 0.95
    steps = np.linalg.norm(np.diff(feet(motion), axis=0)[..., [0, 2]], axis=-1)
    assert 100 * steps.mean() < 0.1
    loose = np.linalg.norm(np.diff(feet(animate(pose, 0.0)), axis=0)[..., [0, 2]], axis=-1)
    assert loose.mean() > 10 * steps.mean()


def test_a_walk_has_contacts_in_turn_and_its_feet_do_not_slide() -> None:
    motion = animate(noisy(seen(h36m(walk(6.0)), 30.0), 0.005))
    on = motion.contacts > 0.5
    assert 0.25 < on[:, 0].mean() < 0.8
    assert np.corrcoef(on[15:-15, 0], on[15:-15, 2])[0, 1] < -0.3
    both = on[1:, [0, 2]] & on[:-1, [0, 2]]
    steps = np.linalg.norm(np.diff(feet(motion), axis=0)[..., [0, 2]], axis=-1)
    assert 100 * steps[both].mean() < 0.15
    assert 100 * steps[~both].mean() > 2.0


def legs_over(ankles: Array) -> Legs:
    """Legs of somebody upright whose ankles (90, 2, 3) are given, 0 where they stand."""
    side = np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    feet = ankles + side
    pelvis = feet.mean(axis=1) + np.array([0.0, 0.82, 0.0])
    hips = pelvis[:, None] + side
    return Legs(pelvis, hips, (hips + feet) / 2 + np.array([0.0, 0.0, 0.03]), feet, AHEAD, 0.85)


def test_nothing_is_in_contact_on_a_floor_that_moves() -> None:
    time = np.arange(90) / 30.0
    ankles = np.zeros((90, 2, 3))
    ankles[:, :, 1] = 0.15 * np.sin(2 * np.pi * 1.5 * time)[:, None] ** 2
    ankles[:, :, 0] = 0.2 * np.sin(2 * np.pi * 1.5 * time)[:, None]
    moving = foot_probabilities(legs_over(ankles), 30.0)
    assert decided(moving).mean() < 0.25
    assert decided(foot_probabilities(legs_over(0 * ankles), 30.0)).all()


def test_a_foot_that_is_lifted_or_swung_is_not_in_contact() -> None:
    ankles = np.zeros((90, 2, 3))
    ankles[30:60, 0, 1] = 0.3
    on = decided(foot_probabilities(legs_over(ankles), 30.0))
    assert not on[34:56, :2].any()
    assert on[:, 2:].all()
    assert on[:25].all()


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_contacts_are_the_same_at_each_frame_rate(fps: float) -> None:
    motion = animate(seen(h36m(walk(4.0, fps)), fps))
    slow = animate(seen(h36m(walk(4.0, 30.0)), 30.0))
    assert ((motion.contacts[:: int(fps / 30)] > 0.5) == (slow.contacts > 0.5)).mean() > 0.92


def test_contacts_have_hysteresis() -> None:
    wavering = 0.4 + 0.08 * np.sin(np.arange(60) / 2.0)[:, None]
    assert not decided(np.concatenate([np.zeros((5, 1)), wavering]))[5:].any()
    assert decided(np.concatenate([np.ones((5, 1)), wavering]))[5:].all()
    values = shown(wavering)
    assert (values != 0.5).all()


def test_settling_stops_points_in_contact_within_a_few_centimetres_and_without_pops() -> None:
    fps, at = 60.0, np.arange(240) / 60.0
    points = np.zeros((240, 2, 3))
    points[..., 0] = 0.03 * np.sin(2 * np.pi * 0.7 * at)[:, None]
    known = np.tile(np.eye(3) / 0.03**2, (240, 1, 1))
    shift = settle(points, np.ones((240, 2)), np.zeros(2), known, FIRM, fps)
    assert np.abs(np.diff(points[:, 0, 0] + shift[:, 0])).mean() < 0.05 * np.abs(np.diff(points[:, 0, 0])).mean()
    assert np.abs(shift).max() < 0.06
    assert np.allclose(settle(points, np.zeros((240, 2)), np.zeros(2), known, FIRM, fps), 0.0), "no contact, no shift"
    begun = np.repeat((at > 2.0)[:, None], 2, axis=1) * 1.0
    assert np.abs(np.diff(settle(points, begun, np.zeros(2), known, FIRM, fps), 2, axis=0)).max() * fps**2 < 20.0


def test_settling_brings_feet_to_the_floor_and_leaves_steps_alone() -> None:
    points = np.zeros((120, 1, 3))
    known = np.tile(np.eye(3) / 0.1**2, (120, 1, 1))
    points[..., 1] = 0.03
    low = settle(points, np.ones((120, 1)), np.zeros(1), known, FIRM, 30.0)
    assert np.abs(points[:, 0, 1] + low[:, 1]).max() < 0.005
    points[..., 1] = 0.35
    step = settle(points, np.ones((120, 1)), np.zeros(1), known, FIRM, 30.0)
    assert np.abs(step[:, 1]).max() < 0.05


def test_a_movement_along_the_ray_is_no_slip() -> None:
    """A standing person whose distance is misjudged by 0.4 m within a second stays in place; one who slides across does not."""
    at = np.arange(120) / 30.0
    ray = np.tile([0.0, 0.0, -1.0], (120, 1))
    known = np.tile(np.diag([1 / 0.05**2, 1 / 0.05**2, 1 / 0.3**2]), (120, 1, 1))
    moved = {}
    for axis in (0, 2):
        points = np.zeros((120, 2, 3))
        points[..., axis] = 0.2 * np.sin(2 * np.pi * at / 1.5)[:, None]
        shift = settle(points, np.ones((120, 2)), np.zeros(2), known, Stiffness(0.3, 0.03, 4.0, 0.2), 30.0, ray=ray)
        moved[axis] = np.ptp((points[:, 0] + shift)[10:-10, axis]) / np.ptp(points[10:-10, 0, axis])
    assert moved[2] < 0.55
    assert moved[0] > 1.5 * moved[2]


def test_settling_takes_time_in_proportion_to_the_length() -> None:
    import time

    def seconds(frames: int) -> float:
        points = np.random.default_rng(0).normal(size=(frames, 2, 3))
        begun = time.process_time()
        settle(points, np.ones((frames, 2)), np.zeros(2), np.tile(np.eye(3), (frames, 1, 1)), FIRM, 30.0)
        return time.process_time() - begun

    seconds(1000)
    assert seconds(80_000) < 10 * seconds(16_000)


def test_a_leg_reaches_its_goal_with_its_bones_and_the_plane_of_its_knee() -> None:
    rng = np.random.default_rng(1)
    hip = np.zeros((50, 3))
    knee = np.tile([0.02, -0.40, 0.12], (50, 1))
    ankle = knee + np.array([0.0, -0.40, -0.10])
    goal = ankle + 0.01 * rng.normal(size=(50, 3))
    moved, end = reach(hip, knee, ankle, goal, np.tile([0.0, 0.0, 1.0], (len(hip), 1)), had(hip, knee, ankle))
    assert np.allclose(np.linalg.norm(moved - hip, axis=1), np.linalg.norm(knee, axis=1))
    assert np.allclose(np.linalg.norm(end - moved, axis=1), np.linalg.norm(ankle - knee, axis=1))
    assert np.linalg.norm(end - goal, axis=1).mean() < 0.01
    plane, before = np.cross(moved - hip, end - moved), np.cross(knee - hip, ankle - knee)
    cosine = (plane * before).sum(1) / np.linalg.norm(plane, axis=1) / np.linalg.norm(before, axis=1)
    assert cosine.min() > 0.95
    turned = minimal_rotation(unit(ankle - hip), unit(end - hip))
    assert np.allclose(unit(plane), np.einsum("tij,tj->ti", turned, unit(before)))
    same, there = reach(hip, knee, ankle, ankle, np.tile([0.0, 0.0, 1.0], (len(hip), 1)), had(hip, knee, ankle))
    assert np.allclose(same, knee)
    assert np.allclose(there, ankle)


def test_the_pelvis_gives_way_to_legs_that_stand_and_not_their_knees() -> None:
    turned = {"UpLeg": -0.1, "Leg": 0.2}
    fold = {side + joint: np.tile([angle, 0.0, 0.0], (120, 1)) for side in ("Left", "Right") for joint, angle in turned.items()}
    joints = h36m(body(fold, np.tile([0.0, 0.90, 0.0], (120, 1)), 30.0))
    joints[:, H36M17.index("l_hip", "l_knee", "l_ankle"), 1] -= 0.02
    motion = animate(noisy(seen(joints, 30.0), 0.002))
    found = h36m(motion)
    assert np.abs(feet(motion)[30:-30, 0, 1] - feet(motion)[30:-30, 1, 1]).max() < 0.012, "both feet are on the floor"
    bends = [np.degrees(np.median(had(*(found[30:-30, joint] for joint in H36M17.index(*names))))) for names in LEGS]
    assert abs(bends[0] - bends[1]) < 10.0, "they would be at 0 and 17 degrees, if each knee took up its centimetre"
    assert np.mean(bends) == pytest.approx(np.degrees(0.2), abs=4.0)


def test_a_goal_out_of_reach_moves_the_knee_without_a_pop() -> None:
    hip, knee, ankle = (np.tile(p, (101, 1)) for p in ([0.0, 0, 0], [0.0, -0.4, 0.05], [0.0, -0.8, 0.0]))
    goal = ankle + np.linspace(-0.2, 0.2, 101)[:, None] * np.array([0.0, -1.0, 0.0])
    moved, end = reach(hip, knee, ankle, goal, np.tile([0.0, 0.0, 1.0], (len(hip), 1)), had(hip, knee, ankle))
    bend = np.degrees(had(hip, moved, end))
    # 0.4 cm a frame, in a leg that is nearly straight: closing the gap exactly would turn the knee by 24 degrees at once.
    assert np.abs(np.diff(bend)).max() < 8.0
    assert np.isfinite(bend).all()
    assert bend.min() >= 0.0


def lying(frames: int) -> Array:
    """(T, 17, 3) joints of a person on the back, 10 cm above the floor, who moves a little."""
    joints = h36m(still(frames)) @ Rotation.from_rotvec([-np.pi / 2, 0.0, 0.0]).as_matrix().T
    joints[..., 1] += 0.10 - joints[..., 1].min()
    return joints + 0.01 * np.sin(np.arange(frames) / 15.0)[:, None, None] * np.array([1.0, 0.0, 0.0])


def sitting(frames: int) -> Array:
    """(T, 17, 3) joints of a person on the floor with straight legs ahead; the pelvis is 10 cm above the floor."""
    fold = np.tile([-np.pi / 2, 0.0, 0.0], (frames, 1))
    root = np.tile([0.0, 0.10, 0.0], (frames, 1))
    return h36m(body({"LeftUpLeg": fold, "RightUpLeg": fold}, root, 30.0))


def legs_up(frames: int) -> Array:
    """(T, 17, 3) joints of a person on the back whose legs point upwards."""
    fold = np.tile([-np.pi / 2, 0.0, 0.0], (frames, 1))
    return h36m(body({"Hips": fold, "LeftUpLeg": fold, "RightUpLeg": fold}, np.tile([0.0, 0.10, 0.0], (frames, 1)), 30.0))


@pytest.mark.parametrize("posture", [lying, sitting, legs_up])
def test_who_lies_or_sits_is_not_pushed_through_the_floor(posture: Callable[[int], Array]) -> None:
    true = posture(150)
    motion = animate(noisy(seen(true, 30.0), 0.005))
    found = h36m(motion)[..., 1]
    assert found.min() > -0.02
    assert np.abs(found[:, 0] - true[:, 0, 1]).max() < 0.06, "the pelvis keeps its height"
    legs = [3, 6]
    assert np.abs(found[:, legs] - true[:, legs, 1]).max() < 0.12
