"""Bone maps: families by name, checked by hierarchy and geometry; shape where names say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from retarget.bonemap import PRESETS, BoneMap, check, find_map, load_families, load_family, save_map
from retarget.skeleton import Skeleton
from retarget.slots import REQUIRED, SLOTS
from rigs import character, turn
from test_solver import skeleton

FAMILY = {"mixamo": "Mixamo", "unreal": "Unreal Mannequin", "vrm": "VRM", "arp": "Auto-Rig Pro (exported)", "stpose": "STPose"}


@pytest.mark.parametrize("names", FAMILY)
@pytest.mark.parametrize("pose", [{}, {"arms_down": 45, "rolls": 1}])
def test_families_are_told_by_their_names(names: str, pose: dict) -> None:
    one = character(names, **pose)
    found = find_map(skeleton(one))
    assert found.family == FAMILY[names]
    assert found.bones == one.named()
    assert not found.problems


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "mixamorig7:", "mixamorig_", "Anna:mixamorig:", "ns|mixamorig1:"])
def test_any_prefix_of_mixamo(prefix: str) -> None:
    skel = skeleton(character("mixamo"))
    skel = replace(skel, names=tuple(name.replace("mixamorig1:", prefix) for name in skel.names))
    found = find_map(skel)
    assert found.family == "Mixamo"
    assert found.bones["forearm.L"] == prefix + "LeftForeArm"


@pytest.mark.parametrize(
    "pose",
    [{}, {"arms_down": 45, "rolls": 2}, {"arms_down": 80, "elbows": 15, "knees": 10}, {"proportions": (1.4, 0.7)}],
)
@pytest.mark.parametrize("y_up", [False, True])
@pytest.mark.parametrize("heading", [0, 90, 180])
def test_unknown_names_are_told_by_the_shape(pose: dict, y_up: bool, heading: int) -> None:
    one = character("nameless", **pose).turned(turn([0, 0, 1], heading))
    if y_up:
        one = one.turned(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]))
    found = find_map(skeleton(one))
    assert found.family == "structure"
    assert found.bones == one.named()


def test_a_bone_in_the_wrong_place_is_a_problem() -> None:
    one = character("mixamo")
    skel, bones = skeleton(one), one.named()
    assert check(skel, bones) == {}
    wrong = {**bones, "forearm.L": bones["forearm.R"]}
    assert "does not hang on" in check(skel, wrong)["forearm.L"] or "is used" in check(skel, wrong)["forearm.R"]
    assert "no bone" in check(skel, {k: v for k, v in bones.items() if k != "hips"})["hips"]
    assert "has no bone" in check(skel, {**bones, "hand.L": "nowhere"})["hand.L"]


def test_swapped_sides_are_seen() -> None:
    one = character("mixamo")
    swap = {slot[:-1] + {"L": "R", "R": "L"}[slot[-1]] if slot[-2:] in (".L", ".R") else slot: n for slot, n in one.named().items()}
    assert "swapped" in check(skeleton(one), swap)["thigh.L"]


def test_names_of_a_family_without_its_hierarchy_are_not_that_family() -> None:
    one = character("mixamo")
    skel = skeleton(one)
    flat = Skeleton(skel.names, np.array([-1] + [0] * (len(skel.names) - 1)), skel.heads, skel.tails, skel.rest)
    assert find_map(flat).problems


def test_own_maps_are_saved_and_loaded(tmp_path: Path) -> None:
    one = character("nameless")
    save_map(tmp_path / "mine.json", BoneMap(one.named(), "mine"))
    family = load_family(tmp_path / "mine.json")
    found = find_map(skeleton(one), [family])
    assert found.family == "mine"
    assert found.bones == one.named()
    (tmp_path / "bad.json").write_text('{"family": "x", "bones": {"tail": "Tail"}}')
    with pytest.raises(ValueError, match="tail"):
        load_family(tmp_path / "bad.json")


def test_the_families_that_ship() -> None:
    families = load_families(PRESETS)
    assert len(families) == len({family.name for family in families}) == 16
    for family in families:
        assert set(REQUIRED) <= set(family.bones) <= set(SLOTS)
