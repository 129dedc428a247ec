"""Soles: where heel, ball and toes are at rest, what carries them, and how a foot is turned with them."""

from __future__ import annotations

import numpy as np
import pytest
from rigs import character, turn
from test_solver import skeleton

from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.rotation import IDENTITY, from_matrix
from stpose_core.retarget.soles import Sole, heading_of, size_of, sole_of, soles_from_bones


def anatomy(scale: float = 1.0, without: str = "") -> Anatomy:
    """A body that faces -y, with its ankles 8 cm and its balls 2 cm above the ground, and toe tips on it."""
    one = character("mixamo").turned(np.eye(3), scale)
    return Anatomy(skeleton(one), {slot: name for slot, name in one.named().items() if not without or not slot.startswith(without)})


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_sole_has_a_heel_both_sides_of_the_ball_and_a_tip_on_the_ground(scale: float) -> None:
    soles = soles_from_bones(anatomy(scale))
    for side, x in ((".L", 0.09), (".R", -0.09)):
        sole = soles[side]
        assert sole.points[:, 2] == pytest.approx(np.zeros(4), abs=1e-9 * scale)
        heel, left, right, tip = sole.points / scale
        assert heel[:2] == pytest.approx([x, 0.25 * 0.13])
        assert tip[:2] == pytest.approx([x, -0.20])
        assert sorted([left[0] - x, right[0] - x]) == pytest.approx([-0.3 * 0.13, 0.3 * 0.13]), "on both sides"
        assert left[1] == right[1] == pytest.approx(-0.13)
        assert sole.heel == pytest.approx(sole.points[0])
        assert sole.ball / scale == pytest.approx([x, -0.13, 0.0])
        assert sole.toe.tolist() == [0.0, 0.0, 0.0, 1.0]
        assert sole.ankle / scale == pytest.approx([x, 0.0, 0.08])
        assert sole.joint / scale == pytest.approx([x, -0.13, 0.02])


def test_without_a_toe_bone_the_foot_carries_all() -> None:
    sole = soles_from_bones(anatomy(without="toe"))[".L"]
    assert not sole.toe.any()
    turned = from_matrix(np.stack([turn([0, 0, 1], 30), turn([1, 0, 0], 20)]))
    found = sole.offsets(turned, np.tile(IDENTITY, (2, 1)))
    assert found[0] == pytest.approx((sole.points - sole.ankle) @ turn([0, 0, 1], 30).T)
    assert found[1] == pytest.approx((sole.points - sole.ankle) @ turn([1, 0, 0], 20).T)


def test_toes_turn_about_their_joint() -> None:
    sole = soles_from_bones(anatomy())[".R"]
    foot, toe = turn([1, 0, 0], 25), turn([1, 0, 0], -10)
    found = sole.offsets(from_matrix(foot)[None], from_matrix(toe)[None])[0]
    joint = foot @ (sole.joint - sole.ankle)
    assert found[:3] == pytest.approx((sole.points - sole.ankle)[:3] @ foot.T)
    assert found[3] == pytest.approx(joint + toe @ (sole.points[3] - sole.joint))
    assert sole.to_joint(from_matrix(foot)[None])[0] == pytest.approx(joint)
    half = Sole(sole.points, 0.5 * sole.toe, sole.ankle, sole.joint, sole.heel, sole.ball)
    between = half.offsets(from_matrix(foot)[None], from_matrix(toe)[None])[0]
    assert between[3] == pytest.approx((found[3] + foot @ (sole.points[3] - sole.ankle)) / 2)


def test_the_heel_of_a_mesh_is_its_point_furthest_back_near_the_ground() -> None:
    body = anatomy()
    points = np.array([[0.09, 0.06, 0.0], [0.09, 0.09, 0.10], [0.09, 0.07, 0.03], [0.05, -0.1, 0.0], [0.09, -0.25, 0.01]])
    sole = sole_of(body, ".L", points, np.zeros(5))
    assert sole.heel == pytest.approx([0.09, 0.07, 0.03]), "not what is at the calf"
    assert sole.ball == pytest.approx([0.09, -0.13, 0.0])


def test_size_and_heading() -> None:
    assert size_of(anatomy()) == pytest.approx(0.84 / 0.9)
    assert size_of(anatomy(3.0)) == pytest.approx(3 * 0.84 / 0.9)
    assert heading_of(anatomy(), ".L") == pytest.approx([0.0, -1.0, 0.0], abs=1e-9)
