"""Fingers: found by name and by shape, retargeted whatever the hand at rest looks like, and relaxed where a source has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fingered import FINGERS, fingered_track, parts, waving, with_fingers
from rigs import Character, character
from test_solver import TO_BLENDER, degrees, pose, skeleton, source
from walks import dance

from stpose_core.retarget.bonemap import find_map
from stpose_core.retarget.slots import FINGER_SLOTS
from stpose_core.retarget.solver import RELAXED, Options, retarget

FAMILY = {"mixamo": "Mixamo", "unreal": "Unreal Mannequin", "vrm": "VRM", "stpose": "STPose"}
HANDS = {
    "straight": {},
    "bent": {"bend": 22},
    "thumb up": {"palm": 70, "bend": 10},
    "palm forward": {"palm": -90},
    "small": {"size": 0.7},
    "metacarpals and tips": {"metacarpals": True, "tips": True, "bend": 8},
}


def fingers_of(found: dict[str, str]) -> dict[str, str]:
    return {slot: name for slot, name in found.items() if slot in FINGER_SLOTS}


@pytest.mark.parametrize("names", FAMILY)
@pytest.mark.parametrize("hand", HANDS)
def test_fingers_are_found_by_their_names(names: str, hand: str) -> None:
    one = with_fingers(character(names, arms_down=40), names, **HANDS[hand])
    found = find_map(skeleton(one))
    assert found.family == FAMILY[names]
    assert fingers_of(found.bones) == parts(one)
    assert not found.problems


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("rest", [{}, {"arms_down": 60, "elbows": 15}])
def test_fingers_are_found_by_their_shape(hand: str, rest: dict) -> None:
    one = with_fingers(character("nameless", **rest), "nameless", **HANDS[hand])
    found = find_map(skeleton(one))
    assert found.family == "structure"
    assert found.bones == {**character("nameless", **rest).named(), **parts(one)}


def test_a_family_without_fingers_is_told_as_before() -> None:
    assert find_map(skeleton(character("mixamo"))).score == 1.0
    whole = with_fingers(character("mixamo"), "mixamo")
    without_pinky = Character({part: bone for part, bone in whole.bones.items() if "pinky" not in part}, whole.hinges)
    found = find_map(skeleton(without_pinky))
    assert found.score == 1.0
    assert len(fingers_of(found.bones)) == 24


def test_a_wrong_finger_is_a_problem_of_its_own() -> None:
    skel = skeleton(with_fingers(character("mixamo"), "mixamo"))
    names = list(skel.names)
    a, b = names.index("mixamorig1:LeftHandIndex2"), names.index("mixamorig1:RightHandIndex2")
    names[a], names[b] = names[b], names[a]
    found = find_map(replace(skel, names=tuple(names)))
    assert found.family == "Mixamo"
    assert "does not hang on" in found.problems["index2.L"]
    assert not [slot for slot in found.problems if slot not in FINGER_SLOTS]


@pytest.fixture(scope="module")
def moving() -> tuple:
    """A track with fingers, the map of its rig, and the directions of its finger bones in Blender's axes."""
    track, turns = dance(60)
    made, directions = fingered_track(track, turns, waving)
    moved = source(made)
    return moved, find_map(moved.skeleton).bones, directions @ TO_BLENDER.T


def solved(one: Character, moving: tuple, options: Options | None = None) -> dict[str, np.ndarray]:
    """Directions (T, 3) of the finger bones of a character by slot."""
    skel = skeleton(one)
    found = find_map(skel)
    posed = retarget(moving[0], moving[1], skel, found.bones, options)
    world = pose(posed, one)
    return {part: world[part] @ [0.0, 1, 0] for part in parts(one)}


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize(("names", "rest"), [("mixamo", {}), ("unreal", {"arms_down": 50, "elbows": 12}), ("vrm", {"rolls": 3})])
def test_fingers_point_as_those_of_the_source(names: str, rest: dict, hand: str, moving: tuple) -> None:
    found = solved(with_fingers(character(names, **rest), names, **HANDS[hand]), moving)
    for number, slot in enumerate(f"{finger}{n}{side}" for side in (".L", ".R") for finger in FINGERS for n in (1, 2, 3)):
        assert degrees(found[slot], moving[2][:, number]).max() < 0.5, slot


def test_local_turns_of_the_source_would_bend_a_turned_hand_wrong(moving: tuple) -> None:
    """Control: without fingers in the map they follow the palm at rest, and are far off."""
    one = with_fingers(character("mixamo"), "mixamo", bend=22, palm=70)
    skel, found = skeleton(one), find_map(skeleton(one)).bones
    bare = {slot: name for slot, name in found.items() if slot not in FINGER_SLOTS}
    world = pose(retarget(moving[0], moving[1], skel, bare), one)
    assert degrees(world["index2.L"] @ [0.0, 1, 0], moving[2][:, 4]).mean() > 20


def test_the_palm_is_turned_as_the_sources_whatever_it_is_at_rest(moving: tuple) -> None:
    """The line through the knuckles, which shows how the hand is turned about the forearm."""
    for rest in ({}, {"palm": 70}, {"palm": -90, "bend": 15}):
        one = with_fingers(character("mixamo", arms_down=45), "mixamo", **rest)
        skel = skeleton(one)
        posed = retarget(moving[0], moving[1], skel, find_map(skel).bones)
        for side in "LR":
            line = posed.heads[f"index1.{side}"] - posed.heads[f"pinky1.{side}"]
            own = [moving[0].heads[:, moving[0].skeleton.index(moving[1][f"{finger}1.{side}"])] for finger in ("index", "pinky")]
            assert degrees(line, own[0] - own[1]).max() < 3, rest


@pytest.mark.parametrize("hand", HANDS)
def test_a_relaxed_hand_is_half_open_whatever_it_is_at_rest(hand: str) -> None:
    track, _ = dance(10)
    moved = source(track)
    one = with_fingers(character("mixamo"), "mixamo", **HANDS[hand])
    skel = skeleton(one)
    found = find_map(skel).bones
    still = retarget(moved, find_map(moved.skeleton).bones, skel, found)
    assert not set(still.rotations) & set(FINGER_SLOTS)
    posed = retarget(moved, find_map(moved.skeleton).bones, skel, found, Options(hands=RELAXED))
    assert set(posed.rotations) & set(FINGER_SLOTS) == set(parts(one))
    world = pose(posed, one)
    for side in "LR":
        hand_bone = one.bones[f"hand.{side}"]
        # Out of the palm: across the hand and the line through its knuckles.
        line = one.bones[f"index1.{side}"].head - one.bones[f"pinky1.{side}"].head
        along = np.mean([one.bones[f"{finger}1.{side}"].head for finger in FINGERS[1:]], axis=0) - hand_bone.head
        out = np.cross(along, line) * (1 if side == "L" else -1)
        seen = world[f"hand.{side}"] @ (hand_bone.rest.T @ out)
        for finger in FINGERS[1:]:
            ways = [world[f"{finger}{n}.{side}"] @ [0.0, 1, 0] for n in (1, 2, 3)]
            bends = [90 - degrees(way, seen) for way in ways]
            assert (np.diff([bend.mean() for bend in bends]) > 10).all(), finger
            assert 15 < bends[0].mean() < 40
            assert 50 < bends[2].mean() < 95


def test_a_relaxed_hand_changes_no_finger_that_the_source_moves(moving: tuple) -> None:
    one = with_fingers(character("mixamo"), "mixamo", bend=10)
    plain, easy = solved(one, moving), solved(one, moving, Options(hands=RELAXED))
    assert all(np.allclose(plain[slot], easy[slot]) for slot in plain)
