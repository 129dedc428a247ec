"""Legs that reach for their contacts, and feet that stay in them."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import LENGTHS, REST, ROOT_HEIGHT, body, h36m, still
from scipy.spatial.transform import Rotation

from stpose_core.animate.body import INDEX, ankle_height
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.frames import unit
from stpose_core.animate.rotations import Body, pose_body, world_positions
from stpose_core.data import Array
from stpose_core.world import legs as legs_module
from stpose_core.world.legs import plant, reach

FPS = 30.0
HIP = np.zeros((1, 3))
FRONT = np.array([[0.0, 0.0, 1.0]])


def leg(degrees: float) -> tuple[Array, Array]:
    """Knee and ankle of a leg of 0.4 + 0.4 m that hangs down and is bent by so many degrees, the knee to the front."""
    half = np.radians(degrees) / 2
    return np.array([[0.0, -0.4 * np.cos(half), 0.4 * np.sin(half)]]), np.array([[0.0, -0.8 * np.cos(half), 0.0]])


def bent(hip: Array, knee: Array, ankle: Array) -> float:
    """Degrees."""
    upper, lower = (knee - hip)[0], (ankle - knee)[0]
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower)), upper @ lower)))


@pytest.mark.parametrize("degrees", [20.0, 60.0, 110.0])
def test_a_knee_bends_as_far_as_the_goal_asks_and_by_no_more_than_14_degrees(degrees: float) -> None:
    knee, ankle = leg(degrees)
    for more in (-4.0, 4.0):
        goal = leg(degrees + more)[1]
        moved, end = reach(HIP, knee, ankle, goal, FRONT, np.radians([degrees]))
        assert bent(HIP, moved, end) == pytest.approx(degrees + more, abs=0.15)
    for goal, way in ((0.5 * ankle, 1.0), (1.5 * ankle, -1.0)):
        moved, end = reach(HIP, knee, ankle, goal, FRONT, np.radians([degrees]))
        assert 12.0 < way * (bent(HIP, moved, end) - degrees) <= 14.0 + 1e-6
        assert end[0] / np.linalg.norm(end) == pytest.approx(goal[0] / np.linalg.norm(goal)), "in the goal's direction"


def test_a_leg_that_may_not_straighten_turns_to_a_far_goal_and_bends_to_a_near_one() -> None:
    knee, ankle = leg(40.0)
    far, near = leg(34.0)[1] + [0.05, 0.0, 0.0], leg(46.0)[1]
    moved, end = reach(HIP, knee, ankle, far, FRONT, np.radians([40.0]), straighter=np.zeros(1))
    assert bent(HIP, moved, end) == pytest.approx(40.0, abs=1e-3)
    assert unit(end) == pytest.approx(unit(far))
    moved, end = reach(HIP, knee, ankle, near, FRONT, np.radians([40.0]), straighter=np.zeros(1))
    assert bent(HIP, moved, end) == pytest.approx(46.0, abs=0.4)
    assert bent(HIP, *reach(HIP, knee, ankle, far, FRONT, np.radians([40.0]))) < 36.0, "control: as if it stood"


def test_a_leg_turns_to_a_goal_aside_with_its_knee() -> None:
    knee, ankle = leg(40.0)
    turn = Rotation.from_rotvec([0.0, 0.0, 0.3]).as_matrix().T
    moved, end = reach(HIP, knee, ankle, ankle @ turn, FRONT, np.radians([40.0]))
    assert moved == pytest.approx(knee @ turn)
    assert end == pytest.approx(ankle @ turn)


def test_a_straight_leg_that_bends_backwards_by_a_hair_bends_to_the_front() -> None:
    knee, ankle = leg(4.0)
    moved, _ = reach(HIP, knee * [1.0, 1.0, -1.0], ankle, 0.99 * ankle, FRONT, np.radians([4.0]))
    assert moved[0, 2] > 0
    knee, ankle = leg(30.0)
    moved, _ = reach(HIP, knee * [1.0, 1.0, -1.0], ankle, 0.99 * ankle, FRONT, np.radians([30.0]))
    assert moved[0, 2] < 0, "a bent knee is where it is"


def planted(lift: float, slide: float, frames: int = 60) -> tuple[Array, Array]:
    """The ankles (T, 2, 3) of a standing body before and after its feet, in contact all the time, are held."""
    ankle = ankle_height(LENGTHS)
    bones = bone_vectors(h36m(still(frames)))
    body = pose_body(bones, LENGTHS, REST, FPS)
    root = np.zeros((frames, 3))
    root[:, 1] = ankle - world_positions(body, root)[0, INDEX["LeftFoot"], 1] + lift
    root[:, 0] = slide * np.sin(np.arange(frames) / 4.0)
    feet = [INDEX["LeftFoot"], INDEX["RightFoot"]]
    before = world_positions(body, root)[:, feet]
    root = plant(body, root, np.ones((frames, 4)), ankle, FPS)
    if lift < 0.1:
        flat = body["LeftFoot"][:, :, 1]
        assert flat == pytest.approx(np.tile([0.0, 1.0, 0.0], (frames, 1)), abs=0.12), "a foot that stands is flat"
        assert body["LeftFoot"][:, 2, 2].min() > 0.95, "and points ahead"
    assert body["LeftToeBase"] == pytest.approx(body["LeftFoot"])
    return before, world_positions(body, root)[:, feet]


def test_feet_that_hover_or_slide_a_little_are_held_on_the_floor() -> None:
    ankle = ankle_height(LENGTHS)
    before, after = planted(0.02, 0.02)
    assert np.abs(before[..., 1] - ankle).max() > 0.019
    assert np.abs(after[10:-10, :, 1] - ankle).max() < 0.008
    slid = [np.abs(np.diff(feet[..., 0], axis=0))[10:-10].mean() for feet in (before, after)]
    assert slid[1] < 0.15 * slid[0]


def test_a_leg_that_swings_between_two_low_stances_keeps_its_bend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The left foot hovers where it stands, so that the goal of its swing lies lower than the foot, too."""
    ankle, frames = ankle_height(LENGTHS), 60
    at, swing = np.arange(frames), (np.arange(frames) >= 20) & (np.arange(frames) < 38)
    lifted = np.where(swing, np.sin(np.pi * (at - 19) / 19), 0.0)
    folds = {"LeftUpLeg": -0.35 - 0.1 * lifted, "LeftLeg": 0.7 + 0.2 * lifted, "RightUpLeg": -0.2, "RightLeg": 0.4}
    turns = {name: np.stack([np.broadcast_to(angle, frames), 0 * at, 0 * at], axis=1) for name, angle in folds.items()}
    bones = bone_vectors(h36m(body(turns, np.zeros((frames, 3)), FPS)))
    contacts = np.ones((frames, 4))
    contacts[swing, :2] = 0.0

    def straightened() -> float:
        """Degrees by which the swinging knee loses of its bend, mean over the swing."""
        posed = pose_body(bones, LENGTHS, REST, FPS)
        bends = []
        root = np.zeros((frames, 3))
        root[:, 1] = ankle - world_positions(posed, root)[:, INDEX["RightFoot"], 1].mean()
        for _ in range(2):
            places = world_positions(posed, root)
            upper, lower = (
                places[:, INDEX[b]] - places[:, INDEX[a]] for a, b in (("LeftUpLeg", "LeftLeg"), ("LeftLeg", "LeftFoot"))
            )
            bends.append(np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=1), (upper * lower).sum(1))))
            root = plant(posed, root, contacts, ankle, FPS) if len(bends) == 1 else root
        return float((bends[0] - bends[1])[swing].mean())

    assert straightened() < 1.0
    monkeypatch.setattr(legs_module, "_GRIP_HERTZ", 1e-2)
    assert straightened() > 1.5, "control: a leg that gives way in the air as on the floor"


def test_a_contact_far_off_the_floor_is_not_believed() -> None:
    before, after = planted(0.6, 0.0)
    assert np.abs(after - before).max() < 0.06


def test_a_clip_too_short_to_show_who_stands_keeps_its_legs() -> None:
    before, after = planted(0.02, 0.0, frames=8)  # 0.27 s
    assert after == pytest.approx(before)
    before, after = planted(0.02, 0.0, frames=12)
    assert np.abs(after - before).max() > 0.01


def pose(fold: float = 0.0, frames: int = 60) -> tuple[Body, Array, float]:
    """A standing body whose thighs are raised by so many rad, shins upright, its root (T, 3) so that ankles are where they stand,
    and the height of the ankles."""
    turns = {"UpLeg": -fold, "Leg": fold}
    bent = {side + joint: np.tile([angle, 0.0, 0.0], (frames, 1)) for side in ("Left", "Right") for joint, angle in turns.items()}
    joints = h36m(body(bent, np.tile([0.0, ROOT_HEIGHT, 0.0], (frames, 1)), FPS))
    found, ankle = pose_body(bone_vectors(joints), LENGTHS, REST, FPS), ankle_height(LENGTHS)
    root = np.zeros((frames, 3))
    root[:, 1] = ankle - world_positions(found, root)[0, INDEX["LeftFoot"], 1]
    return found, root, ankle


def pitch(found: Body, side: str) -> float:
    """Degrees by which the toes of a foot point down, in the middle of the clip."""
    ahead = found[side + "Foot"][30, :, 2]
    return float(np.degrees(np.arctan2(-ahead[1], ahead[2])))


def test_a_foot_in_the_air_points_as_it_was_seen_and_one_that_stands_is_flat() -> None:
    for raised, angle in ((0.5, 25.0), (0.5, -15.0), (0.0, 25.0)):
        found, root, ankle = pose()
        toes = {"Left": Rotation.from_euler("x", np.full((60, 1), angle), degrees=True).as_matrix()}
        contacts = np.full((60, 4), 0.0 if raised else 1.0)
        plant(found, root + [0.0, raised, 0.0], contacts, ankle, FPS, toes=toes)
        assert pitch(found, "Left") == pytest.approx(angle if raised else 0.0, abs=2.0 if raised else 6.0)
        assert pitch(found, "Right") == pytest.approx(0.0, abs=6.0), "nothing shows the other one"


def test_a_foot_that_was_seen_turned_out_is_turned_out() -> None:
    found, root, ankle = pose()
    toes = {"Right": Rotation.from_euler("y", np.full((60, 1), -30.0), degrees=True).as_matrix()}
    plant(found, root, np.ones((60, 4)), ankle, FPS, toes=toes)
    heading = {side: np.degrees(np.arctan2(*found[side + "Foot"][30, [0, 2], 2])) for side in ("Left", "Right")}
    assert heading["Right"] == pytest.approx(-30.0, abs=3.0)
    assert heading["Left"] == pytest.approx(0.0, abs=3.0)
    found, root, ankle = pose()
    plant(found, root + [0.0, 0.5, 0.0], np.zeros((60, 4)), ankle, FPS, toes=toes)
    assert found["RightFoot"][30] == pytest.approx(toes["Right"][30], abs=0.02), "in the air as well, and level"


def test_without_holding_only_the_feet_are_set() -> None:
    found, root, ankle = pose(0.4)
    before = found["LeftLeg"].copy(), found["Hips"].copy()
    lifted = root + [0.0, 0.02, 0.0]
    assert plant(found, lifted, np.ones((60, 4)), ankle, FPS, firm=False) == pytest.approx(lifted)
    assert found["LeftLeg"] == pytest.approx(before[0])
    assert found["Hips"] == pytest.approx(before[1])
    assert plant(found, lifted, np.ones((60, 4)), ankle, FPS)[30, 1] < lifted[30, 1] - 0.01, "control"


@pytest.mark.parametrize("lift", [0.015, -0.015])
def test_the_pelvis_sinks_or_rises_to_where_its_legs_reach_the_ground(lift: float) -> None:
    found, root, ankle = pose(0.5)
    moved = plant(found, root + [0.0, lift, 0.0], np.ones((60, 4)), ankle, FPS)
    assert moved[30] == pytest.approx(root[30], abs=0.004)
    feet = world_positions(found, moved)[30, [INDEX["LeftFoot"], INDEX["RightFoot"]], 1]
    assert feet == pytest.approx([ankle, ankle], abs=0.004)


def test_a_foot_that_touches_with_half_a_probability_carries_less() -> None:
    def risen(contact: float) -> float:
        found, root, ankle = pose(0.5)
        return float(plant(found, root + [0.0, 0.03, 0.0], np.full((60, 4), contact), ankle, FPS)[30, 1] - root[30, 1] - 0.03)

    full, half, none = risen(1.0), risen(0.4), risen(0.25)
    assert full < half < -0.003
    assert none == pytest.approx(0.0, abs=1e-6), "what begins below 0.3 is none"


def test_a_body_that_stands_unevenly_rolls_its_pelvis_by_some_degrees() -> None:
    def roll(drop: float, contacts: Array) -> float:
        found, root, ankle = pose(0.5)
        lean = Rotation.from_rotvec([0.0, 0.0, drop]).as_matrix()
        found.put("Hips", lean @ found["Hips"])
        plant(found, root, contacts, ankle, FPS)
        across = found["Hips"][30, :, 0]
        return float(np.degrees(np.arctan2(across[1], across[0])) - np.degrees(drop))

    both, left = np.ones((60, 4)), np.tile([1.0, 1.0, 0.0, 0.0], (60, 1))
    for drop in (0.06, -0.06):
        back = roll(drop, both) * -np.sign(drop)
        assert 1.0 < back < 3.6, "back to level"
        assert abs(roll(drop, left)) < 0.05, "on one leg, nothing shows it"
    assert abs(roll(0.0, both)) < 0.2


def test_a_foot_is_moved_by_twelve_centimetres_at_most() -> None:
    found, root, ankle = pose(0.8)
    slid = root.copy()
    slid[:, 0] += np.where(np.arange(60) < 30, -0.2, 0.2)  # a jump of the whole body by 40 cm
    before = world_positions(found, slid)[:, INDEX["LeftFoot"]]
    moved = plant(found, slid, np.ones((60, 4)), ankle, FPS)
    far = np.linalg.norm(world_positions(found, moved)[:, INDEX["LeftFoot"]] - before, axis=1)
    assert far.max() < 0.2


def test_who_lies_is_not_lifted_by_the_legs() -> None:
    """A contact of the heels of somebody on the back: the hips are no higher than the ankles."""
    joints = h36m(still(60)) @ Rotation.from_rotvec([-np.pi / 2, 0.0, 0.0]).as_matrix().T
    found, ankle = pose_body(bone_vectors(joints), LENGTHS, REST, FPS), ankle_height(LENGTHS)
    root = np.tile([0.0, ankle + 0.03, 0.0], (60, 1))
    moved = plant(found, root, np.ones((60, 4)), ankle, FPS)
    assert np.abs(moved - root).max() < 0.03
