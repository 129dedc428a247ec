"""World frames of the joints: shares of turns, limits, the spine, and the joints that they put back where they were."""

from __future__ import annotations

import numpy as np
import pytest
from moving_body import LENGTHS, REST, body, h36m, still
from scipy.spatial.transform import Rotation

from stpose_core.animate import forward_kinematics
from stpose_core.animate.body import INDEX, MOTION_FROM_H36M, NAMES, PARENTS
from stpose_core.animate.bones import bone_vectors
from stpose_core.animate.rotations import Body, _aim, _within, local_rotations, pose_body, share, world_positions
from stpose_core.data import Array, Motion
from stpose_core.skeletons import H36M17

FPS = 30.0
FRAMES = 20


def turned(vectors: Array | list[list[float]]) -> Array:
    """(T, 3, 3) from rotation vectors in degrees."""
    return np.asarray(Rotation.from_rotvec(np.radians(np.asarray(vectors, float))).as_matrix())


def angle(one: Array, other: Array) -> Array:
    """(T,) degrees between frames."""
    return np.asarray(np.degrees((Rotation.from_matrix(one).inv() * Rotation.from_matrix(other)).magnitude()))


def posed(**turns: list[float]) -> tuple[Body, Motion]:
    """The frames found from the joints of a body with joints turned by rotation vectors in degrees, and that body."""
    vectors = {name: np.tile(np.radians(value), (FRAMES, 1)) for name, value in turns.items()}
    true = body(vectors, np.zeros((FRAMES, 3)), FPS)
    return pose_body(bone_vectors(h36m(true)), LENGTHS, REST, FPS), true


@pytest.mark.parametrize("part", [0.0, 1 / 3, 0.5, 1.0])
def test_a_share_of_the_way_is_that_share_of_the_angle_about_the_same_axis(part: float) -> None:
    random = np.random.default_rng(0)
    lower, upper = (Rotation.from_rotvec(random.normal(0, 0.8, (10, 3))).as_matrix() for _ in range(2))
    found = share(lower, upper, part)
    assert angle(lower, found) == pytest.approx(part * angle(lower, upper), abs=1e-5)
    assert angle(found, upper) == pytest.approx((1 - part) * angle(lower, upper), abs=1e-5)


def test_a_bone_is_aimed_by_the_smallest_turn() -> None:
    random = np.random.default_rng(1)
    base = Rotation.from_rotvec(random.normal(0, 1, (10, 3))).as_matrix()
    rest, direction = np.array([0.0, 3.0, 1.0]), random.normal(size=(10, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    found = _aim(base, rest, direction)
    unit = rest / np.linalg.norm(rest)
    assert found @ unit == pytest.approx(direction)
    assert angle(base, found) == pytest.approx(np.degrees(np.arccos(((base @ unit) * direction).sum(1))))


def test_a_turn_is_kept_within_a_bound_that_it_approaches_softly() -> None:
    most, asked = 55.0, np.arange(0.0, 175.0, 5.0)
    axis = np.array([0.48, 0.6, 0.64])
    base = np.tile(turned([[20.0, -40.0, 10.0]]), (len(asked), 1, 1))
    found = _within(base, base @ turned(asked[:, None] * axis), np.radians(most))
    made = np.swapaxes(base, 1, 2) @ found
    turns = np.degrees(Rotation.from_matrix(made).as_rotvec())
    kept = np.linalg.norm(turns, axis=1)
    assert kept[asked < most / 2] == pytest.approx(asked[asked < most / 2])
    assert (np.diff(kept) > 0).all()
    assert kept.max() < most
    assert kept[-1] > 0.97 * most
    assert np.diff(kept).max() < 5.01, "without a jump where the bound begins to tell"
    assert turns[1:] == pytest.approx(kept[1:, None] * axis)


POSES = [
    {
        "LeftArm": [0.0, 20.0, -70.0],
        "RightArm": [10.0, 0.0, 60.0],
        "LeftForeArm": [0.0, -50.0, 0.0],
        "RightForeArm": [0.0, 35.0, 0.0],
    },
    {"Hips": [10.0, 40.0, 5.0], "LeftUpLeg": [-60.0, 0.0, 10.0], "LeftLeg": [70.0, 0.0, 0.0], "RightLeg": [25.0, 0.0, 0.0]},
    {"Neck": [20.0, 0.0, 10.0], "Head": [-15.0, 0.0, 5.0], "RightArm": [0.0, 0.0, -40.0], "RightUpLeg": [20.0, 0.0, -10.0]},
]


@pytest.mark.parametrize("turns", POSES)
def test_the_joints_of_a_pose_come_back_to_their_places(turns: dict[str, list[float]]) -> None:
    found, true = posed(**turns)
    places = world_positions(found, np.zeros((FRAMES, 3)))
    joints = [INDEX[MOTION_FROM_H36M[joint]] for joint in H36M17.joints]
    assert np.abs(places[:, joints] - h36m(true)).max() < 0.012
    for name in turns:
        if name not in ("Neck", "Head"):
            frames = Rotation.from_matrix(found[name])
            parent = Rotation.from_matrix(found[NAMES[PARENTS[INDEX[name]]]]) if PARENTS[INDEX[name]] >= 0 else None
            local = (parent.inv() * frames if parent else frames).as_rotvec(degrees=True)
            assert local == pytest.approx(np.tile(turns[name], (FRAMES, 1)), abs=6.0), name


def test_the_twist_of_the_chest_is_shared_out_in_thirds() -> None:
    found, _ = posed(UpperChest=[0.0, 30.0, 0.0])
    twists = [np.degrees(Rotation.from_matrix(found[name]).as_rotvec())[10, 1] for name in ("Hips", "Spine", "Chest", "UpperChest")]
    assert twists == pytest.approx([0.0, 10.0, 20.0, 30.0], abs=1.0)


def test_a_bent_back_is_bent_along_the_spine() -> None:
    found, true = posed(Spine=[20.0, 0.0, 0.0], Chest=[10.0, 0.0, 0.0], UpperChest=[10.0, 0.0, 0.0])
    lean = [np.degrees(Rotation.from_matrix(found[name]).as_rotvec())[10, 0] for name in ("Hips", "Spine", "Chest", "UpperChest")]
    assert lean[0] == pytest.approx(13.0, abs=3.0), "17 joints show the pelvis by the hips and the spine above it"
    assert np.diff(lean).min() > -1.0
    assert lean[3] == pytest.approx(40.0, abs=8.0)
    places = world_positions(found, np.zeros((FRAMES, 3)))
    assert places[:, INDEX["Neck"]] == pytest.approx(forward_kinematics(true)[:, INDEX["Neck"]], abs=0.01)


def test_a_shoulder_follows_its_clavicle_but_not_further_than_it_turns() -> None:
    found, _ = posed(LeftShoulder=[0.0, 0.0, 20.0])
    assert angle(found["UpperChest"], found["LeftShoulder"])[10] == pytest.approx(20.0, abs=4.0)
    assert angle(found["UpperChest"], found["RightShoulder"])[10] < 4.0
    joints = h36m(still(FRAMES))
    joints[:, 11] = joints[:, 8] + [0.0, 0.16, 0.0]  # a shoulder above the neck
    pulled = pose_body(bone_vectors(joints), LENGTHS, REST, FPS)
    assert 40.0 < angle(pulled["UpperChest"], pulled["LeftShoulder"])[10] < 55.0


def test_a_shoulder_is_seen_from_the_neck_where_constant_lengths_move_the_neck() -> None:
    joints = h36m(still(FRAMES))
    joints[:, 7:, 1] -= 0.06  # a trunk that is seen shorter than it is: all above it comes lower
    found = pose_body(bone_vectors(joints), LENGTHS, REST, FPS)
    for side in ("Left", "Right"):
        assert angle(found["UpperChest"], found[side + "Shoulder"])[10] < 2.0
    places = world_positions(found, np.zeros((FRAMES, 3)))
    assert places[10, INDEX["Neck"], 1] == pytest.approx(joints[10, 8, 1] + 0.06 - joints[10, 0, 1], abs=0.01), "control"


def test_hands_feet_and_ends_go_on_like_their_parents() -> None:
    found, _ = posed(LeftArm=[0.0, 30.0, -50.0], RightUpLeg=[-40.0, 0.0, 0.0], Head=[20.0, 0.0, 0.0])
    for side in ("Left", "Right"):
        for first, second in (
            ("ForeArm", "Hand"),
            ("Hand", "HandEnd"),
            ("Leg", "Foot"),
            ("Foot", "ToeBase"),
            ("ToeBase", "ToeEnd"),
        ):
            assert (found[side + first] == found[side + second]).all()
    assert (found["Head"] == found["HeadEnd"]).all()


def test_local_rotations_rebuild_the_world_frames() -> None:
    found, _ = posed(LeftArm=[0.0, 30.0, -50.0], Chest=[10.0, 20.0, 0.0], RightLeg=[50.0, 0.0, 0.0])
    local = local_rotations(found.frames)
    assert np.linalg.norm(local, axis=-1) == pytest.approx(np.ones(local.shape[:2]))
    for joint, (name, parent) in enumerate(zip(NAMES, PARENTS)):
        turn = Rotation.from_quat(local[:, joint][:, [1, 2, 3, 0]]).as_matrix()
        if name.endswith("End"):
            assert (local[:, joint] == [1.0, 0.0, 0.0, 0.0]).all()
        else:
            above = found.frames[:, parent] if parent >= 0 else np.eye(3)
            assert above @ turn == pytest.approx(found.frames[:, joint], abs=1e-5), name
    root = np.random.default_rng(0).normal(size=(FRAMES, 3))
    motion = Motion(
        NAMES, np.array(PARENTS), found.offsets, local, root, np.zeros((FRAMES, 4)), np.zeros(FRAMES, bool), FPS
    )  # fmt: skip
    assert world_positions(found, root) == pytest.approx(forward_kinematics(motion), abs=1e-5)
