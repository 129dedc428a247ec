"""The path of the root, solved together with the contacts of the feet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_body import LENGTHS, REST, h36m, still, walk

from stpose_core.animate.body import INDEX, ankle_height
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.rotations import pose_body, world_positions
from stpose_core.data import Array
from stpose_core.world.contacts import Legs
from stpose_core.world.rest import PARTS
from stpose_core.world.travel import follow_gait, legs_of, travel

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


def standing(contacts: list[float] | None, distance: float = 4.0, way: int = 0) -> float:
    """Metres that the root of somebody who stands moves, while the picture drifts by 0.2 m in 4 s. way: axis. contacts: given."""
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    root[:, way] += np.linspace(0.0, 0.2, 120)
    legs, parts = stander(root)
    given = None if contacts is None else np.tile(contacts, (120, 1))
    seen = np.ones((120, 2), bool)
    return float(np.ptp(travel(legs, parts, root, np.full(120, distance), seen, np.zeros(120), FPS, given)[0][:, way]))


def test_while_only_the_toes_stand_the_ankle_is_free() -> None:
    assert standing([1.0, 1.0, 1.0, 1.0]) < 0.02
    assert standing([0.0, 1.0, 0.0, 1.0]) > 0.15
    assert standing([1.0, 0.0, 0.0, 1.0]) < 0.1, "one heel is enough"
    assert standing([0.0, 1.0, 1.0, 0.0]) < 0.1


def test_the_feet_tell_more_about_what_is_far_away_along_the_ray() -> None:
    far, near = standing(None, distance=8.0, way=2), standing(None, distance=0.5, way=2)
    assert far < 0.05
    assert near > 1.5 * far, "at half a metre the picture shows the distance to 2.5 cm"
    across = [standing(None, distance=distance) for distance in (8.0, 0.5)]
    assert across[0] == pytest.approx(across[1], rel=0.05), "across the ray it shows as much at each distance"
    assert standing(None, distance=1.0, way=2) == pytest.approx(across[0], rel=0.05), "at one metre, to 5 cm either way"
    assert np.isfinite(standing(None, distance=0.0, way=2))


def test_feet_that_are_hidden_for_a_moment_keep_their_contacts() -> None:
    root = np.tile([0.0, 0.9, 0.0], (120, 1))
    legs, parts = stander(root)
    distance, carry = np.full(120, 4.0), np.zeros(120)

    def chance(hidden: slice) -> Array:
        seen = np.ones((120, 2), bool)
        seen[hidden, 0] = False
        return travel(legs, parts, root, distance, seen, carry, FPS)[1]

    assert chance(slice(60, 66)).min() > 0.5
    long = chance(slice(45, 75))
    assert long[52:68, :2].max() <= 0.2
    assert long[52:68, 2:].min() > 0.5, "the other foot is seen"
    assert long[:38].min() > 0.5


def test_a_seat_that_rests_holds_the_path_like_a_foot() -> None:
    root = np.tile([0.0, 0.1, 0.0], (120, 1))  # on the floor
    root[:, 0] += np.linspace(0.0, 0.2, 120)
    side = np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    hips, knees = np.tile(side, (120, 1, 1)), np.tile(side + [0.0, 0.2, 0.4], (120, 1, 1))
    ankles = np.tile(side + [0.0, -0.1, 0.75], (120, 1, 1))
    legs = Legs(np.zeros((120, 3)), hips, knees, ankles, np.tile([0.0, 0.0, -1.0], (120, 1)), 0.85)
    parts = np.tile(np.array([[0.0, 0.0, 0.0], *[[0.0, 0.6, 0.0]] * 8]), (120, 1, 1))
    unseen = np.zeros((120, 2), bool)
    held = travel(legs, parts, root, np.full(120, 4.0), unseen, np.zeros(120), FPS)[0]
    assert np.ptp(held[:, 0]) < 0.02
    parts[:, 0, 1] = 0.6
    free = travel(legs, parts, root, np.full(120, 4.0), unseen, np.zeros(120), FPS)[0]
    assert np.ptp(free[:, 0]) > 0.15, "control: the seat is up"


def test_a_camera_that_is_carried_follows_the_gait() -> None:
    true = walk(6.0)
    joints = h36m(true)
    pelvis = joints[:, 0]
    relative = joints - pelvis[:, None]
    legs = Legs(
        np.zeros_like(pelvis), relative[:, [4, 1]], relative[:, [5, 2]], relative[:, [6, 3]] - [0.0, ankle_height(LENGTHS), 0.0],
        np.tile([1.0, 0.0, 0.0], (len(pelvis), 1)), 0.83,
    )  # fmt: skip
    stays = pelvis * [1.0, 1.0, 0.0]
    path, share = follow_gait(legs, stays, FPS)
    assert share.min() > 0.95
    assert (path - stays)[-1, 2] == pytest.approx(pelvis[-1, 2], rel=0.2)
    path, share = follow_gait(legs, pelvis, FPS)
    assert share.max() < 0.05
    assert path == pytest.approx(pelvis, abs=0.05)


def test_a_person_too_near_for_a_direction_has_a_ray_of_less_than_one() -> None:
    joints = h36m(still(2))
    body = pose_body(bone_vectors(joints), LENGTHS, REST, FPS)
    legs, _ = legs_of(body, np.array([[0.0, 0.0, -0.05], [0.0, 0.0, -0.2]]), 0.07)
    assert legs.ray[:, 2] == pytest.approx([-0.25, -1.0])


@pytest.mark.parametrize("side", [0, 1])
def test_a_foot_that_stands_brings_the_body_down_to_the_floor(side: int) -> None:
    root = np.tile([0.0, 0.93, 0.0], (120, 1))
    legs, parts = stander(root)  # its soles are 3 cm above the floor
    lifted = legs.ankles.copy()
    lifted[:, 1 - side, 1] += 0.25
    legs = replace(legs, ankles=lifted)
    seen = np.ones((120, 2), bool)
    moved, contacts = travel(legs, parts, root, np.full(120, 4.0), seen, np.zeros(120), FPS)
    assert contacts[60, 2 * side] > 0.5 > contacts[60, 2 - 2 * side]
    assert 0.9 <= moved[60, 1] < 0.915
