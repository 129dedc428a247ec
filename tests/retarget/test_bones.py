"""The bones of a track in Blender: which joint each points to, its axes, and what carries the fingers of a hand."""

from __future__ import annotations

import numpy as np
import pytest
from rigs import character, turn
from test_solver import skeleton

from stpose_core.retarget import fingershape
from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.keys import euler_angles, resampled, turns_from_euler
from stpose_core.retarget.motion import Motion, _bone_axes, to_track
from stpose_core.retarget.rotation import about, angle_between, from_matrix, to_matrix
from stpose_core.retarget.soles import heading_of, soles_from_bones


def still(*joints: tuple[str, int, tuple[float, float, float]]) -> Motion:
    """One frame at rest. joints: name, parent, offset in metres with y up."""
    count = len(joints)
    rotations = np.tile([1.0, 0.0, 0.0, 0.0], (1, count, 1))
    offsets = np.array([offset for _, _, offset in joints])
    parents = np.array([parent for _, parent, _ in joints])
    return Motion(tuple(name for name, _, _ in joints), parents, offsets, rotations, np.zeros((1, 3)), np.zeros((1, 4)), 30.0)


HIPS = ("Hips", -1, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("children", "child"),
    [
        ([("Side", 0, (0.2, 0.0, 0.0)), ("Spine9", 0, (0.05, 0.1, 0.0))], 2),  # by its name
        ([("Side", 0, (0.2, 0.1, 0.0)), ("Middle", 0, (0.01, 0.1, 0.0))], 2),  # the one straight ahead
        ([("Near", 0, (0.0, 0.01, 0.0)), ("Side", 0, (0.2, 0.0, 0.0))], 2),  # no nearer than 2 cm
        ([("HipsEnd", 0, (0.0, 0.2, 0.0))], 1),
    ],
)
def test_a_bone_points_to_its_main_child(children: list[tuple[str, int, tuple[float, float, float]]], child: int) -> None:
    motion = still(HIPS, *children)
    skel = to_track(motion).skeleton
    x, y, z = motion.offsets[child]
    assert skel.tails[0] - skel.heads[0] == pytest.approx([x, -z, y])


def test_a_bone_without_children_goes_on_as_its_parent_came() -> None:
    skel = to_track(still(HIPS, ("Tail", 0, (0.0, 0.0, -0.4)), ("TailTip", 1, (0.0, 0.01, 0.0)))).skeleton
    assert skel.tails[2] - skel.heads[2] == pytest.approx([0.0, 0.0, 0.08])
    assert skel.tails[1] - skel.heads[1] == pytest.approx([0.0, 0.08, 0.0]), "its child is nearer than 2 cm"
    alone = to_track(still(HIPS)).skeleton
    assert alone.tails[0] - alone.heads[0] == pytest.approx([0.0, 0.0, 0.08]), "a root points up"


@pytest.mark.parametrize(
    ("way", "x", "z"),
    [
        ((0, 0, 1), (1, 0, 0), (0, -1, 0)),  # up: z forward
        ((1, 0, 0), (0, 0, -1), (0, -1, 0)),  # to the left: z forward
        ((0, -1, 0), (-1, 0, 0), (0, 0, 1)),  # forward: z up
        ((0, -0.95, 0.3122), (-1, 0, 0), (0, 0.3122, 0.95)),
        ((0, -0.85, 0.5268), (-1, 0, 0), None),
    ],
)
def test_the_axes_of_a_bone(way: tuple[float, ...], x: tuple[float, ...], z: tuple[float, ...] | None) -> None:
    axes = to_matrix(_bone_axes(2.0 * np.array(way, dtype=float)))
    assert axes[:, 1] == pytest.approx(np.array(way, dtype=float), abs=1e-4), "y along the bone"
    assert np.abs(axes[:, 0]) == pytest.approx(np.abs(np.array(x, dtype=float)), abs=1e-4)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    if z is not None:
        assert axes[:, 2] == pytest.approx(np.array(z, dtype=float), abs=1e-4)
        assert axes[:, 0] == pytest.approx(np.array(x, dtype=float), abs=1e-4)
    else:
        assert axes[:, 2] @ [0.0, -1.0, 0.0] > 0.5, "z forward"


def test_a_metacarpal_lies_in_the_palm() -> None:
    """Its joint is nearer to the wrist than it is long, and three bones follow."""
    wrist = np.zeros(3)
    finger = np.array([[0.02, 0, 0], [0.09, 0, 0], [0.13, 0, 0], [0.155, 0, 0]])
    assert fingershape._in_palm(wrist, finger) == 1
    assert fingershape._in_palm(wrist, finger[1:]) == 0
    assert fingershape._in_palm(wrist, finger + [0.05, 0, 0]) == 0, "it begins as far away as it is long"


def test_fingers_are_told_apart_from_the_thumb_on() -> None:
    ends = np.array([[0.16, 0.03, 0.0], [0.17, 0.01, 0.002], [0.16, -0.01, 0.001], [0.14, -0.03, -0.002]])
    order = [2, 0, 3, 1]
    for mirror in (1.0, -1.0):
        shuffled = ends[order] * [1.0, mirror, 1.0]
        thumb = np.array([0.08, 0.07 * mirror, -0.02])
        beside = fingershape._beside(shuffled, thumb, np.array([1.0, 0.0, 0.0]))
        assert (np.argsort(-beside) == np.argsort(order)).all(), "the index finger first"


def test_at_a_gimbal_lock_one_axis_turns_for_both() -> None:
    locked = turns_from_euler(np.radians([[30.0, 90.0, 0.0], [50.0, 90.0, 0.0], [20.0, -90.0, 0.0]]), "XYZ")
    angles = euler_angles(locked, "XYZ")
    assert angle_between(turns_from_euler(angles, "XYZ"), locked).max() < 1e-6
    assert np.degrees(angles[:, 2]) == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.degrees(angles[:, 0]) == pytest.approx([30.0, 50.0, 20.0], abs=1e-6)


def test_what_is_resampled_is_held_beyond_both_ends() -> None:
    turns = about([0.0, 0.0, 1.0], np.radians([10.0, 20.0, 40.0]))[:, None]
    found, values = resampled(
        turns, np.array([[1.0], [2.0], [4.0]]), np.array([0.0, 1.0, 2.0]), np.array([-1.0, 0.5, 1.75, 2.0, 9.0])
    )
    assert np.degrees(angle_between([1.0, 0.0, 0.0, 0.0], found[:, 0])) == pytest.approx([10.0, 15.0, 35.0, 40.0, 40.0])
    assert values[:, 0] == pytest.approx([1.0, 1.5, 3.5, 4.0, 4.0])
    one, _ = resampled(turns[:1], np.ones((1, 1)), np.zeros(1), np.array([0.0, 3.0]))
    assert angle_between(one[:, 0], turns[0, 0]).max() < 1e-9, "a single frame"


def test_the_foot_of_one_who_stands_on_tiptoe_at_rest_has_the_heading_of_the_body() -> None:
    one = character("mixamo")
    skel, mapped = skeleton(one), one.named()
    toe = skel.index(mapped["toe.L"])
    for lean, own in ((75.0, True), (83.0, False)):
        way = turn([0, 0, 1], 30) @ np.array([0.0, -np.cos(np.radians(lean)), -np.sin(np.radians(lean))])
        heads = skel.heads.copy()
        heads[toe] = heads[skel.index(mapped["foot.L"])] + 0.06 * way
        steep = Anatomy(type(skel)(skel.names, skel.parents, heads, skel.tails, skel.rest, skel.axes), mapped)
        expected = turn([0, 0, 1], 30) @ [0.0, -1.0, 0.0] if own else np.array([0.0, -1.0, 0.0])
        assert heading_of(steep, ".L") == pytest.approx(expected, abs=1e-6)


def test_a_foot_without_anything_below_stands_two_centimetres_under_its_ball() -> None:
    one = character("mixamo")
    skel = skeleton(one)
    mapped = {slot: name for slot, name in one.named().items() if not slot.startswith("toe")}
    feet = [skel.index(mapped["foot" + side]) for side in (".L", ".R")]
    keep = [n for n in range(len(skel.names)) if skel.parents[n] not in feet]
    tails = skel.tails.copy()
    tails[feet] = skel.heads[feet] + [0.0, 0.02, 0.1]  # as of an imported bone, which points anywhere
    number = {old: new for new, old in enumerate(keep)}
    parents = np.array([number[p] if (p := int(skel.parents[n])) >= 0 else -1 for n in keep])
    bare = type(skel)(tuple(skel.names[n] for n in keep), parents, skel.heads[keep], tails[keep], skel.rest[keep])
    body = Anatomy(bare, mapped)
    sole = soles_from_bones(body)[".L"]
    ball = body.end_of("foot.L")
    size = body.leg_length() / 0.9
    assert sole.points[:, 2] == pytest.approx(np.full(4, ball[2] - 0.02 * size))
    assert not sole.toe.any()


def test_a_sole_lies_where_the_foot_is_in_another_rest_pose() -> None:
    """Feet that are turned out, and toes that are bent, in the pose that counts as rest."""
    one = character("mixamo")
    skel, mapped = skeleton(one), one.named()
    own = Anatomy(skel, mapped)
    sole = soles_from_bones(own)[".L"]
    assert sole.carried(own, own, ".L") is sole
    foot, toe, shift = turn([0, 0, 1], 40), turn([1, 0, 0], -20) @ turn([0, 0, 1], 40), np.array([0.1, 0.2, 0.3])
    rest, heads = skel.rest.copy(), skel.heads + shift
    for slot, way in (("foot.L", foot), ("toe.L", toe)):
        bone = own.bones[slot]
        rest[bone] = from_matrix(way @ to_matrix(skel.rest[bone]))
    other = Anatomy(type(skel)(skel.names, skel.parents, heads, skel.tails + shift, rest, skel.axes), mapped)
    found = sole.carried(own, other, ".L")
    for name in ("heel", "ball", "joint"):
        assert getattr(found, name) == pytest.approx(sole.ankle + shift + foot @ (getattr(sole, name) - sole.ankle))
    assert found.ankle == pytest.approx(sole.ankle + shift)
    assert found.points[:3] == pytest.approx(sole.ankle + shift + (sole.points[:3] - sole.ankle) @ foot.T)
    joint = sole.ankle + shift + foot @ (sole.joint - sole.ankle)
    assert found.points[3] == pytest.approx(joint + toe @ (sole.points[3] - sole.joint)), "the tip turns with the toes"
    right = soles_from_bones(own)[".R"]
    assert right.carried(own, other, ".R").points == pytest.approx(right.points + shift)
