"""Retargeting without Blender: directions, twists and places of one body in many dresses, against the joints' geometry."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from rigs import LIMBS, NAMES, Character, character, turn
from walks import NAMES as JOINTS
from walks import dance, motion, positions, walk

from stpose_core.retarget.attachment import attachments, local_rotations
from stpose_core.retarget.motion import Motion, to_track
from stpose_core.retarget.rootmotion import IN_PLACE, OBJECT, split
from stpose_core.retarget.rotation import from_matrix, multiply, to_matrix
from stpose_core.retarget.skeleton import Skeleton, Track
from stpose_core.retarget.solver import CHARACTER, Options, retarget

TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
SOURCE_MAP = dict(character("stpose").named().items())
PART = {"upper_arm": "Arm", "forearm": "ForeArm", "hand": "Hand", "thigh": "UpLeg", "shin": "Leg", "foot": "Foot", "toe": "ToeBase"}
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def joint(slot: str) -> int:
    """The source's joint of a limb's slot."""
    part, side = slot.split(".")
    return JOINTS.index(("Left" if side == "L" else "Right") + PART[part])


def skeleton(one: Character) -> Skeleton:
    bones = list(one.bones.values())
    names = tuple(bone.name for bone in bones)
    parents = np.array([names.index(bone.parent) if bone.parent else -1 for bone in bones])
    stack = [np.stack([getattr(bone, what) for bone in bones]) for what in ("head", "tail", "rest")]
    return Skeleton(names, parents, stack[0], stack[1], from_matrix(stack[2]))


def source(track: dict) -> Track:
    return to_track(Motion(**track))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def degrees(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((unit(first) * unit(second)).sum(-1), -1, 1)))


def pose(posed, one: Character) -> dict[str, np.ndarray]:
    """World axes (T, 3, 3) of each part's bone by the channels that were solved: forward kinematics of its own."""
    skel = posed.anatomy.skeleton
    local = local_rotations(posed, attachments(skel, posed.driven))
    slots = {name: slot for slot, name in posed.anatomy.mapped.items()}
    world: dict[str, np.ndarray] = {}
    for part, bone in one.bones.items():
        above = next((p for p, b in one.bones.items() if b.name == bone.parent), None)
        base = world[above] @ (one.bones[above].rest.T @ bone.rest) if above else np.tile(bone.rest, (len(posed), 1, 1))
        own = to_matrix(local[slots[bone.name]]) if slots.get(bone.name) in local else np.eye(3)
        world[part] = base @ own
    return world


def errors(world: dict[str, np.ndarray], one: Character, turns: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of direction of all limb bones, and of twist where the limb bends more than 10 degrees."""
    places, _ = positions(turns, root)
    places = places @ TO_BLENDER.T
    direction, twist = [], []
    for limb in LIMBS:
        joints = [places[:, joint(slot)] for slot in limb]
        for number in (0, 1):
            bone = one.bones[limb[number]]
            along = one.bones[limb[number + 1]].head - bone.head
            direction.append(degrees(world[limb[number]] @ bone.rest.T @ along, joints[number + 1] - joints[number]))
        first, second = joints[1] - joints[0], joints[2] - joints[1]
        bent = degrees(first, second) > 10
        axis = world[limb[0]] @ one.bones[limb[0]].rest.T @ one.hinges[limb[0]]
        twist.append(degrees(axis, np.cross(first, second))[bent])
    return np.concatenate(direction), np.concatenate(twist)


CASES = {
    "T-pose": {"names": "mixamo"},
    "A-pose, rolls": {"names": "unreal", "arms_down": 45, "rolls": 3},
    "bent at rest, rolls": {"names": "vrm", "arms_down": 30, "elbows": 12, "knees": 8, "rolls": 4},
    "long arms, short legs": {"names": "arp", "proportions": (1.3, 0.8), "rolls": 5},
    "curved spine": {"names": "mixamo", "lean": 10, "rolls": 6},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("y_up", [False, True])
def test_limbs_point_and_bend_as_the_source_does(case: str, y_up: bool) -> None:
    one = character(**CASES[case])
    track, turns = dance()
    skel = skeleton(one)
    if y_up:  # what an importer makes of it: bones in y up and centimetres, the object turned back and made small
        inside = one.turned(Y_UP, 100.0)
        obj = Y_UP.T
        bones = dict(inside.turned(obj, 0.01).bones.items())
        one = Character(bones, one.hinges)
        skel = skeleton(one)
        skel = Skeleton(skel.names, skel.parents, skel.heads, skel.tails, skel.rest, from_matrix(obj))
    posed = retarget(source(track), SOURCE_MAP, skel, one.named())
    direction, twist = errors(pose(posed, one), one, turns, track["root"])
    assert direction.mean() < 0.01
    assert direction.max() < 0.1
    assert twist.mean() < 0.01
    assert len(twist) > 200


def test_arms_of_a_source_without_collars_point_right_on_a_target_with_collars() -> None:
    track, turns = dance()
    one = character("mixamo", arms_down=30, rolls=4)
    bare = {slot: name for slot, name in SOURCE_MAP.items() if not slot.startswith("shoulder")}
    posed = retarget(source(track), bare, skeleton(one), one.named())
    assert "shoulder.L" not in posed.driven
    direction, _ = errors(pose(posed, one), one, turns, track["root"])
    assert direction.max() < 0.1


def test_the_measure_sees_copied_local_rotations() -> None:
    one = character("unreal", arms_down=45, rolls=3)
    track, turns = dance()
    moving, skel = source(track), skeleton(one)
    posed = retarget(moving, SOURCE_MAP, skel, one.named())
    world: dict[str, np.ndarray] = {}
    for part, bone in one.bones.items():
        above = next((p for p, b in one.bones.items() if b.name == bone.parent), None)
        name = SOURCE_MAP[{"belly": "spine.2", "chest": "spine.3"}.get(part, part)]
        index = moving.skeleton.index(name)
        parent = moving.skeleton.parents[index]
        own = to_matrix(moving.rotations[:, index])
        rest = to_matrix(moving.skeleton.rest[index])
        if parent >= 0:
            over = to_matrix(moving.rotations[:, parent]) @ to_matrix(moving.skeleton.rest[parent]).T
            own = np.swapaxes(over @ rest, 1, 2) @ own
        else:
            own = rest.T @ own
        base = world[above] @ (one.bones[above].rest.T @ bone.rest) if above else bone.rest
        world[part] = base @ own
    assert errors(world, one, turns, track["root"])[0].mean() > 20
    assert len(posed) == len(turns)


def test_the_measure_sees_swapped_sides_and_a_wrong_roll() -> None:
    one = character("mixamo")
    track, turns = dance()
    swap = {s: one.named()[s[:-1] + {"L": "R", "R": "L"}[s[-1]]] if s[-2:] in (".L", ".R") else n for s, n in one.named().items()}
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), swap)
    assert errors(pose(posed, one), one, turns, track["root"])[0].mean() > 20
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named())
    posed.rotations["upper_arm.L"] = multiply(posed.rotations["upper_arm.L"], from_matrix(turn([0, 1, 0], 90)))
    world = pose(posed, one)
    assert errors(world, one, turns, track["root"])[1].max() > 80


def test_hands_and_feet_land_where_the_source_has_them_on_the_same_body() -> None:
    one = character("mixamo", arms_down=45, rolls=8)
    track, turns = dance()
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named())
    places = positions(turns, track["root"])[0] @ TO_BLENDER.T
    for slot in ("hand.L", "hand.R", "foot.L", "foot.R", "forearm.L", "shin.R"):
        off = posed.heads[slot] - places[:, joint(slot)]
        assert np.linalg.norm(off[:, :2], axis=1).max() < 0.01
        # It dances in the air: the character is put on the ground, at one height for the whole clip.
        assert np.ptp(off[:, 2]) < 0.01


def test_the_path_is_scaled_by_the_length_of_the_legs() -> None:
    one = character("mixamo", proportions=(1.0, 0.7))
    track, _ = dance()
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named())
    middle = (posed.heads["thigh.L"] + posed.heads["thigh.R"]) / 2
    moving = source(track)
    thighs = moving.heads[:, [moving.skeleton.index(side + "UpLeg") for side in ("Left", "Right")]].mean(axis=1)
    assert np.allclose(np.diff(middle, axis=0), 0.7 * np.diff(thighs, axis=0), atol=1e-9)
    # A straight leg stands on the ground in both: the ankle is as high above it as the target's ankles are.
    assert np.isclose(posed.scale, 0.7)


def test_root_motion_is_taken_from_the_pose_and_can_be_put_back() -> None:
    one = character("mixamo")
    full = retarget(source(dance()[0]), SOURCE_MAP, skeleton(one), one.named())
    still, path = split(full, IN_PLACE)
    middle = (still.heads["thigh.L"] + still.heads["thigh.R"]) / 2
    assert np.ptp(middle[:, :2], axis=0).max() < 1e-9
    assert np.allclose(still.hips[:, 2], full.hips[:, 2])
    assert np.allclose(still.heads["hand.L"] + path.shift, full.heads["hand.L"], atol=1e-9)
    assert split(full, "FULL") == (full, None)


def test_a_root_that_turns_carries_the_pose_to_where_it_was() -> None:
    one = character("mixamo")
    full = retarget(source(dance()[0]), SOURCE_MAP, skeleton(one), one.named())
    inside, root = split(full, OBJECT, heading=True)
    back = root.centre + root.shift + np.einsum("tij,tj->ti", to_matrix(root.turn), inside.heads["hand.L"] - root.centre)
    assert np.allclose(back, full.heads["hand.L"], atol=1e-9)
    # The dance turns by 60 degrees to both sides: the root takes that, and little is left in the hips.
    yaw = [np.degrees(np.arctan2(*left[:, 1::-1].T)) for left in
           (pose.heads["thigh.L"] - pose.heads["thigh.R"] for pose in (full, inside))]  # fmt: skip
    assert np.ptp(yaw[0]) > 100
    assert np.ptp(yaw[1]) < 25
    assert split(full, OBJECT, heading=False)[1].turn.std(axis=0).max() == 0


def test_a_source_whose_rest_pose_lies_elsewhere_stands_alike() -> None:
    one = character("mixamo")
    moving = source(walk(noise=0.0)[0])
    for moved in (moving, replace(moving, contacts=None)):
        low = np.array([0.0, 0.0, 0.9])
        floating = replace(
            moved, skeleton=replace(moved.skeleton, heads=moved.skeleton.heads - low, tails=moved.skeleton.tails - low)
        )
        posed = retarget(floating, SOURCE_MAP, skeleton(one), one.named())
        ankles = np.minimum(posed.heads["foot.L"][:, 2], posed.heads["foot.R"][:, 2])
        assert abs(np.median(ankles) - 0.08) < 0.005


def test_a_character_may_keep_its_own_heading() -> None:
    one = character("mixamo").turned(turn([0, 0, 1], 70))
    track, turns = dance()
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named(), Options(facing=CHARACTER))
    places = positions(turns, track["root"])[0] @ TO_BLENDER.T @ turn([0, 0, 1], 70).T
    assert np.allclose(
        unit(posed.heads["shin.L"] - posed.heads["thigh.L"]),
        unit(places[:, joint("shin.L")] - places[:, joint("thigh.L")]),
        atol=1e-6,
    )


def test_quaternions_do_not_flip() -> None:
    one = character("unreal", arms_down=45, rolls=3)
    track, _ = dance(300)
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named())
    for turns in local_rotations(posed, attachments(posed.anatomy.skeleton, posed.anatomy.mapped)).values():
        assert (turns[1:] * turns[:-1]).sum(-1).min() > 0.9


@pytest.mark.timing
def test_ten_thousand_frames_of_sixty_bones_take_three_seconds() -> None:
    one = character("unreal", arms_down=45, rolls=3)
    track, _ = dance(50)
    track = {**track, **{k: np.concatenate([track[k]] * 200) for k in ("rotations", "root", "contacts")}}
    moving, skel = source(track), skeleton(one)
    # 22 mapped bones and 38 that hang on them, as fingers do.
    extra = 60 - len(skel.names)
    more = np.zeros((extra, 3))
    skel = Skeleton(
        (*skel.names, *(f"finger{n}" for n in range(extra))),
        np.concatenate([skel.parents, np.full(extra, 8)]),
        np.concatenate([skel.heads, skel.heads[8] + more]),
        np.concatenate([skel.tails, skel.tails[8] + more + 1]),
        np.concatenate([skel.rest, np.tile(skel.rest[8], (extra, 1))]),
    )
    began = time.perf_counter()
    posed = retarget(moving, SOURCE_MAP, skel, one.named())
    local_rotations(posed, attachments(skel, posed.driven))
    assert time.perf_counter() - began < 3.0
    assert len(posed) == 10_000


def test_the_names_of_all_test_rigs_are_complete() -> None:
    assert all(len(character(names).named()) == 22 for names in NAMES)


def test_limbs_that_bend_off_their_hinges_are_turned_into_the_plane_that_is_seen() -> None:
    track, turns = dance()
    twisted, untwist = turn([1, 0, 0], 12), turn([1, 0, 0], -12)
    for side in ("Left", "Right"):  # the arm's own axes are turned, as other programs' are; its joints are where they were
        turns[:, JOINTS.index(side + "Arm")] = turns[:, JOINTS.index(side + "Arm")] @ twisted
        fore = JOINTS.index(side + "ForeArm")
        # From the middle of the clip on only, so that no constant axis explains it.
        turns[:, fore] = untwist @ turns[:, fore]
    half = len(turns) // 2
    plain = dance()[1]
    turns[:half] = plain[:half]
    one = character("unreal", arms_down=45, rolls=3)
    posed = retarget(source(motion(turns, track["root"])), SOURCE_MAP, skeleton(one), one.named())
    direction, twist = errors(pose(posed, one), one, turns, track["root"])
    assert direction.max() < 0.1
    assert twist.mean() < 1.0


@pytest.mark.parametrize("match", [True, False])
def test_the_spine_follows_as_a_whole_or_bone_by_bone(match: bool) -> None:
    one = character("mixamo", lean=10, rolls=6)
    track, turns = dance()
    posed = retarget(source(track), SOURCE_MAP, skeleton(one), one.named(), Options(match_spine=match))
    places = positions(turns, track["root"])[0] @ TO_BLENDER.T
    world = pose(posed, one)
    off = []
    for part, first, second in (("spine", "Spine", "Chest"), ("belly", "Chest", "UpperChest"), ("neck", "Neck", "Head")):
        bone = one.bones[part]
        along = world[part] @ bone.rest.T @ (bone.tail - bone.head)
        off.append(degrees(along, places[:, JOINTS.index(second)] - places[:, JOINTS.index(first)]).max())
    # Bone by bone exactly; else the curve of the back, here of some degrees, is kept.
    assert max(off) < 0.1 if match else 1 < max(off) < 15
