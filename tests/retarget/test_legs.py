"""Legs of two bones: what they reach, in which plane, and how far the hips come down for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rigs import character, turn
from test_solver import SOURCE_MAP, degrees, skeleton, source
from walks import matrices, motion

from stpose_core.retarget import footplan
from stpose_core.retarget.anatomy import Anatomy, hinges_in_motion
from stpose_core.retarget.ik import Leg
from stpose_core.retarget.rotation import about, angle_between, multiply, rotate
from stpose_core.retarget.solver import Posed, retarget

FRAMES, FPS = 12, 30.0
UP = np.array([0.0, 0.0, 1.0])


def squat(knee: float, out: float = 0.0, proportions: tuple[float, float] = (1.0, 1.0)) -> Posed:
    """A character whose knees are bent by so many degrees, the legs turned out."""
    bends = {}
    for side, way in (("Left", 1.0), ("Right", -1.0)):
        bends[side + "UpLeg"] = [turn([1, 0, 0], -knee / 2) @ turn([0, 1, 0], way * out)] * FRAMES
        bends[side + "Leg"] = [turn([1, 0, 0], knee)] * FRAMES
    one = character("mixamo", proportions=proportions)
    track = motion(matrices(bends, FRAMES), np.tile([0.0, 0.9, 0.0], (FRAMES, 1)))
    return retarget(source(track), SOURCE_MAP, skeleton(one), one.named())


def joints(posed: Posed, side: str = ".L") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hip, knee, ankle = (posed.heads[part + side] for part in ("thigh", "shin", "foot"))
    return hip, knee, ankle


def bend(posed: Posed, side: str = ".L") -> np.ndarray:
    hip, knee, ankle = joints(posed, side)
    return degrees(knee - hip, ankle - knee)


def reached(posed: Posed, side: str, goal: np.ndarray, hip: np.ndarray | None = None) -> Posed:
    """With the leg turned towards a goal; the hips stay where they are."""
    leg = Leg(posed, side)
    upper, lower = leg.reach(goal, posed.heads["thigh" + side] if hip is None else hip)
    return replace(posed, rotations={**posed.rotations, leg.slots[0]: upper, leg.slots[1]: lower}).placed()


@pytest.mark.parametrize("knee", [5.0, 30.0, 70.0, 130.0])
@pytest.mark.parametrize("side", [".L", ".R"])
def test_the_ankle_comes_to_the_goal_and_the_knee_stays_in_its_plane(knee: float, side: str) -> None:
    posed = squat(knee, out=15.0)
    hip, before, ankle = joints(posed, side)
    for part, aside in ((0.6, 0.0), (0.9, 0.15), (0.95, -0.1), (0.35, 0.0)):
        goal = hip + part * 0.84 * np.array([aside, -0.1, -1.0]) / np.linalg.norm([aside, -0.1, -1.0])
        after = reached(posed, side, goal)
        assert joints(after, side)[2] == pytest.approx(goal, abs=1e-6)
        lengths = [np.linalg.norm(one - other, axis=1) for one, other in zip(joints(after, side)[1:], joints(after, side))]
        assert np.array(lengths) == pytest.approx(np.full((2, FRAMES), 0.42), abs=1e-9)
        # The knee stays in front: the plane turns along with the leg.
        wanted = np.cross(before - hip, ankle - before)
        found = np.cross(joints(after, side)[1] - hip, goal - joints(after, side)[1])
        assert degrees(found, wanted).max() < 30.0
    assert reached(posed, side, ankle).rotations["thigh" + side] == pytest.approx(posed.rotations["thigh" + side], abs=1e-6)


def test_thigh_and_shin_may_differ_in_length() -> None:
    posed = squat(60.0)
    goal = joints(posed)[0] + [0.0, 0.0, -0.5]
    shin = np.linalg.norm(joints(posed)[2] - joints(posed)[1], axis=1)[0]
    assert shin == pytest.approx(0.42)
    skel = posed.anatomy.skeleton
    heads = skel.heads.copy()
    foot = [posed.anatomy.bones[slot] for slot in ("foot.L", "toe.L")]
    heads[foot] += [0.0, 0.0, 0.12]  # a shin of 0.30 m
    anatomy = type(posed.anatomy)(replace(skel, heads=heads), posed.anatomy.mapped)
    short = replace(posed, anatomy=anatomy).placed()
    assert Leg(short, ".L").lengths == pytest.approx((0.42, 0.30))
    assert joints(reached(short, ".L", goal))[2] == pytest.approx(goal, abs=1e-6)


def test_what_is_out_of_reach_is_reached_for() -> None:
    posed = squat(30.0)
    hip = joints(posed)[0]
    far = reached(posed, ".L", hip + [0.3, 0.0, -1.5])
    assert np.linalg.norm(joints(far)[2] - hip, axis=1) == pytest.approx(np.full(FRAMES, 0.9995 * 0.84))
    assert degrees(joints(far)[2] - hip, np.array([0.3, 0.0, -1.5])).max() < 0.01
    near = reached(posed, ".L", hip - [0.0, 0.0, 1e-4])
    assert bend(near).max() > 175.0, "folded"
    assert all(np.isfinite(turns).all() for turns in near.rotations.values())


def test_a_leg_may_be_as_long_as_it_is_in_the_motion_or_bent_by_twenty_degrees() -> None:
    for knee, longest in (
        (60.0, np.cos(np.radians(10.0))),
        (20.0, np.cos(np.radians(10.0))),
        (8.0, np.cos(np.radians(4.0))),
        (0.0, 0.9995),
    ):
        assert Leg(squat(knee), ".L").longest() == pytest.approx(np.full(FRAMES, 0.84 * longest), abs=2e-4)


def test_the_hips_come_down_as_far_as_the_ankle_needs() -> None:
    posed = squat(20.0)
    leg, hip = Leg(posed, ".L"), joints(posed)[0]
    longest = leg.longest()[0]
    for aside, low in ((0.0, longest + 0.05), (0.3, longest), (0.2, longest - 0.01)):
        ankle = hip + [aside, 0.0, -low]
        drop = leg.drop(ankle, UP)
        assert drop.min() > 0
        assert np.linalg.norm(ankle - (hip - drop[:, None] * UP), axis=1) == pytest.approx(np.full(FRAMES, longest))
    assert (leg.drop(hip + [0.0, 0.0, -longest + 0.01], UP) == 0).all(), "within reach"
    assert (leg.drop(hip + [0.0, 0.0, 1.2], UP) == 0).all(), "above the hip: coming down does not help"
    assert leg.drop(hip + [1.2, 0.0, -0.3], UP) == pytest.approx(np.full(FRAMES, 0.3)), "too far aside: as near as it can"


@pytest.mark.parametrize(("knee", "seen"), [(40.0, True), (8.0, True), (1.0, False), (-40.0, False)])
@pytest.mark.parametrize("side", [".L", ".R"])
def test_the_hinge_of_a_bent_leg_is_seen_and_that_of_a_straight_one_is_its_own(knee: float, seen: bool, side: str) -> None:
    """A thigh whose own hinge is turned by 25 degrees about it: a knee that is straight, or bends the wrong way, shows no other."""
    posed = squat(knee, out=20.0)
    hip, middle, ankle = joints(posed, side)
    along = (middle - hip) / np.linalg.norm(middle - hip, axis=1, keepdims=True)
    twisted = multiply(about(along, np.full(FRAMES, np.radians(25.0))), posed.rotations["thigh" + side])
    posed = replace(posed, rotations={**posed.rotations, "thigh" + side: twisted}).placed()
    own = rotate(posed.turned("thigh" + side), posed.anatomy.hinge("leg" + side))
    plane = np.cross(middle - hip, ankle - middle)
    assert degrees(own, plane).min() > 24.0, "control: they differ"
    assert degrees(Leg(posed, side).hinge(), plane if seen else own).max() < 0.1


def test_a_foot_rolls_over_its_ball_where_the_leg_is_too_short_for_its_heel() -> None:
    posed = squat(20.0)
    sole, foot, hip = posed.soles[".L"], posed.turned("foot.L"), joints(posed)[0]
    longest = Leg(posed, ".L").longest()[0]
    ankle = hip + [0.0, 0.0, -longest - 0.02]
    on_ball = (np.arange(FRAMES) >= 5) & (np.arange(FRAMES) < 7)
    lift = footplan._heel_lift(posed, ".L", foot, ankle, on_ball, FPS)
    to_ankle = -sole.to_joint(foot)
    there = ankle - to_ankle + rotate(lift, to_ankle)  # the ball stays where it is
    reach = np.linalg.norm(there - hip, axis=1)
    assert reach[on_ball] == pytest.approx(np.full(2, longest), abs=2e-3)
    assert reach[on_ball].max() <= longest + 1e-9
    assert (there[on_ball, 2] > ankle[on_ball, 2]).all(), "the heel comes up"
    assert (lift[[0, -1]] == [1.0, 0.0, 0.0, 0.0]).all()
    near = footplan._heel_lift(posed, ".L", foot, hip + [0.0, 0.0, -longest + 0.01], on_ball, FPS)
    assert (near == [1.0, 0.0, 0.0, 0.0]).all(), "control: within reach"
    far = footplan._heel_lift(posed, ".L", foot, hip + [0.0, 0.0, -longest - 0.5], on_ball, FPS)
    assert np.degrees(angle_between([1.0, 0.0, 0.0, 0.0], far[6])) == pytest.approx(45.0, abs=0.1), "no further than 45 degrees"


@pytest.mark.parametrize(("aside", "bend", "shown"), [(15.0, 60.0, True), (15.0, 4.0, False), (50.0, 60.0, False)])
def test_a_motion_shows_the_hinge_of_an_arm_that_is_straight_at_rest(aside: float, bend: float, shown: bool) -> None:
    """An elbow that bends about an axis that is so far from the usual one, about the arm."""
    angle = np.radians(aside)
    axis = [0.0, -np.cos(angle), np.sin(angle)]
    bends = {"LeftForeArm": [turn(axis, part * bend) for part in np.linspace(0.3, 1.0, FRAMES)]}
    bends["LeftArm"] = [turn([0, 0, 1], 5.0 * frame) for frame in range(FRAMES)]
    moving = source(motion(matrices(bends, FRAMES), np.tile([0.0, 0.9, 0.0], (FRAMES, 1))))
    found = hinges_in_motion(Anatomy(moving.skeleton, SOURCE_MAP), moving)
    assert ("arm.L" in found) == shown
    assert not {"arm.R", "leg.L", "leg.R"} & set(found), "those stay straight"
    if shown:
        assert found["arm.L"] == pytest.approx([0.0, -np.sin(angle), -np.cos(angle)], abs=0.02)


def test_a_part_of_the_trunk_ends_where_the_next_one_begins() -> None:
    one = character("mixamo", lean=10)
    anatomy = Anatomy(skeleton(one), one.named())
    trunk = [slot for slot in ("spine", "spine.2", "spine.3", "neck", "head") if slot in anatomy.bones]
    assert len(trunk) == 5
    for here, after in zip(trunk, trunk[1:]):
        assert anatomy.end_of(here) == pytest.approx(anatomy.head_of(after))
    for here, after in (("thigh.L", "shin.L"), ("upper_arm.R", "forearm.R"), ("forearm.R", "hand.R"), ("foot.R", "toe.R")):
        assert anatomy.end_of(here) == pytest.approx(anatomy.head_of(after))
    assert anatomy.end_of("head") == pytest.approx(anatomy.skeleton.tails[anatomy.bones["head"]])
    bare = Anatomy(anatomy.skeleton, {slot: name for slot, name in one.named().items() if slot != "neck"})
    assert bare.end_of(trunk[2]) == pytest.approx(bare.head_of("head")), "where the neck is not mapped"
