"""The path of the root, solved together with the contacts of the feet."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import LENGTHS, REST, h36m, still, walk

from stpose_core.animate.body import INDEX, ankle_height
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.rotations import pose_body, world_positions
from stpose_core.data import Array
from stpose_core.world.contacts import Legs
from stpose_core.world.rest import PARTS
from stpose_core.world.travel import legs_of, travel

FPS = 30.0


def stander(root: Array, ankles: Array | None = None) -> tuple[Legs, Array]:
    """Legs and other parts, relative to the pelvis, of somebody upright whose pelvis is at `root` (T, 3), 0.9 m above the floor.

    ankles: (T, 2, 3) in the room; by default they keep their place below the pelvis.
    """
    frames = len(root)
    side = np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    feet = np.tile(side - [0.0, 0.9, 0.0], (frames, 1, 1)) if ankles is None else ankles - root[:, None]
    hips = np.tile(side - [0.0, 0.05, 0.0], (frames, 1, 1))
    knees = (hips + feet) / 2 + [0.0, 0.0, 0.05]
    upper = [[0, 0, 0], [0, 0.4, 0], [0, 0.65, 0]], [[0.2, 0.2, 0], [-0.2, 0.2, 0], [0.25, -0.05, 0.1], [-0.25, -0.05, 0.1]]
    parts = np.concatenate([np.tile(upper[0], (frames, 1, 1)), knees, np.tile(upper[1], (frames, 1, 1))], axis=1)
    return Legs(np.zeros_like(root), hips, knees, feet, np.tile([0.0, 0.0, -1.0], (frames, 1)), 0.85), parts


def test_who_sways_on_standing_feet_is_left_to_sway() -> None:
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    root[:, 0] += 0.05 * np.sin(np.pi * np.arange(120) / FPS)
    legs, parts = stander(root, np.tile([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]], (120, 1, 1)))
    moved, contacts = travel(legs, parts, root, np.full(120, 4.0), np.ones((120, 2), bool), np.zeros(120), FPS)
    assert contacts.min() > 0.5
    assert moved == pytest.approx(root, abs=0.005)


def test_who_stands_stays_though_the_picture_drifts_unless_the_feet_are_not_seen() -> None:
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    root[:, 0] += np.linspace(0.0, 0.2, 120)
    legs, parts = stander(root)
    distance, carry = np.full(120, 4.0), np.zeros(120)

    def drift(seen: bool, given: Array | None = None) -> tuple[float, Array]:
        moved, contacts = travel(legs, parts, root, distance, np.full((120, 2), seen), carry, FPS, given)
        return float(np.ptp(moved[:, 0])), contacts

    held, contacts = drift(True)
    assert held < 0.02
    assert contacts.min() > 0.5
    free, unseen = drift(False)
    assert free > 0.18
    assert 0 < unseen.max() <= 0.2
    _, mixed = drift(True, np.tile([0.0, 0.0, np.nan, np.nan], (120, 1)))
    assert mixed[:, :2] == pytest.approx(contacts[:, :2] / 2, abs=0.02)
    assert mixed[:, 2:] == pytest.approx(contacts[:, 2:], abs=0.02)


def test_only_the_feet_show_the_path_where_the_camera_is_carried_along() -> None:
    true = walk(4.0)
    joints = h36m(true)
    pelvis = joints[:, 0]
    relative = joints - pelvis[:, None]
    legs = Legs(
        np.zeros_like(pelvis), relative[:, [4, 1]], relative[:, [5, 2]], relative[:, [6, 3]] - [0.0, ankle_height(LENGTHS), 0.0],
        np.tile([0.0, 0.0, -1.0], (len(pelvis), 1)), 0.83,
    )  # fmt: skip
    parts = relative[:, [0, 8, 9, 5, 2, 12, 15, 13, 16]]
    seen, far = np.ones((len(pelvis), 2), bool), np.full(len(pelvis), 4.0)
    # The path that was estimated is 0.2 m/s too slow.
    slow = pelvis - np.arange(len(pelvis))[:, None] / FPS * [0.0, 0.0, 0.2]
    path = travel(legs, parts, slow, far, seen, np.ones(len(pelvis)), FPS)[0]
    assert (path[-10] - path[10])[2] == pytest.approx((pelvis[-10] - pelvis[10])[2], rel=0.05)
    fixed = travel(legs, parts, slow, far, seen, np.zeros(len(pelvis)), FPS)[0]
    assert (fixed[-10] - fixed[10])[2] < 0.95 * (pelvis[-10] - pelvis[10])[2], "control: a camera that stays"


def test_the_legs_of_a_body_are_those_of_its_joints() -> None:
    joints = h36m(still(4))
    body, ankle = pose_body(bone_vectors(joints), LENGTHS, REST, FPS), ankle_height(LENGTHS)
    rays = np.array([0.3, 1.0, -4.0]) * np.arange(1, 5)[:, None]
    legs, parts = legs_of(body, rays, ankle)
    places = world_positions(body, np.zeros((4, 3)))
    for column, side in enumerate(("Left", "Right")):
        assert legs.hips[:, column] == pytest.approx(places[:, INDEX[side + "UpLeg"]])
        assert legs.knees[:, column] == pytest.approx(places[:, INDEX[side + "Leg"]])
        assert legs.ankles[:, column] + [0.0, ankle, 0.0] == pytest.approx(places[:, INDEX[side + "Foot"]])
    assert (legs.pelvis == 0).all()
    assert legs.length == pytest.approx(LENGTHS[[2, 3]].sum())
    assert legs.ray == pytest.approx(np.tile(rays[0] / np.linalg.norm(rays[0]), (4, 1)))
    assert parts.shape == (4, len(PARTS), 3)
    for column, name in enumerate(PARTS):
        assert parts[:, column] == pytest.approx(places[:, INDEX[name]])
