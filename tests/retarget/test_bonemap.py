"""Bone maps: families by name, checked by hierarchy and geometry; shape where names say nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rigs import Character, character, turn
from test_solver import skeleton

from stpose_core.retarget.bonemap import PRESETS, BoneMap, check, find_map, load_families, load_family, save_map
from stpose_core.retarget.skeleton import Skeleton
from stpose_core.retarget.slots import REQUIRED, SLOTS

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


@pytest.mark.parametrize(
    ("kept", "family"), [(("hips", "upper_arm", "forearm", "hand", "thigh", "shin", "foot"), "structure"), ((), "Mixamo")]
)
def test_names_of_which_few_are_those_of_a_family_do_not_name_it(kept: tuple[str, ...], family: str) -> None:
    """Though all parts that a body needs have such names. Its shape then gives the parts that have others."""
    one = character("mixamo")
    skel, mapped = skeleton(one), one.named()
    own = {mapped[part] for part in mapped if not kept or part.split(".")[0] in kept}
    other = replace(skel, names=tuple(name if name in own else f"bone{n}" for n, name in enumerate(skel.names)))
    found = find_map(other)
    assert found.family == family
    assert len(found.bones) == 22


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
    assert len(families) == len({family.name for family in families}) == 22
    for family in families:
        assert set(REQUIRED) <= set(family.bones) <= set(SLOTS)


#: How other families call the parts of `rigs.TRUNK` and `rigs.LEFT`, in this order, for the left side and the right.
TRUNK = ("hips", "spine", "belly", "chest", "neck", "head")
LIMB = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
OTHERS = {
    "Biovision (BVH)": (
        "Hips Chest Chest2 Chest3 Neck Head",
        "{}Collar {}Shoulder {}Elbow {}Wrist {}Hip {}Knee {}Ankle {}Toe",
        "Left Right",
    ),
    "3ds Max Biped": (
        "Bip001_Pelvis Bip001_Spine Bip001_Spine1 Bip001_Spine2 Bip001_Neck Bip001_Head",
        "Bip001_{}_Clavicle Bip001_{}_UpperArm Bip001_{}_Forearm Bip001_{}_Hand "
        "Bip001_{}_Thigh Bip001_{}_Calf Bip001_{}_Foot Bip001_{}_Toe0",
        "L R",
    ),
    "SMPL": (
        "pelvis spine1 spine2 spine3 neck head",
        "{}_collar {}_shoulder {}_elbow {}_wrist {}_hip {}_knee {}_ankle {}_foot",
        "left right",
    ),
    "Rokoko": (
        "Hips Spine Spine2 Spine3 Neck Head",
        "{}Shoulder {}Arm {}ForeArm {}Hand {}Thigh {}Shin {}Foot {}Toe",
        "Left Right",
    ),
    "Xsens": (
        "Pelvis L5 T12 T8 Neck Head",
        "{}Shoulder {}UpperArm {}ForeArm {}Hand {}UpperLeg {}LowerLeg {}Foot {}Toe",
        "Left Right",
    ),
    "Mixamo (control rig)": (
        "Ctrl_Hips Ctrl_Spine Ctrl_Spine1 Ctrl_Spine2 Ctrl_Neck Ctrl_Head",
        "Ctrl_Shoulder_{} Ctrl_Arm_FK_{} Ctrl_ForeArm_FK_{} Ctrl_Hand_FK_{} "
        "Ctrl_UpLeg_FK_{} Ctrl_Leg_FK_{} Ctrl_Foot_FK_{} Ctrl_Toe_FK_{}",
        "Left Right",
    ),
}


def renamed(family: str) -> tuple[Skeleton, dict[str, str]]:
    """A skeleton with the names of a family, and the bone of each part of the body."""
    trunk, limbs, sides = OTHERS[family]
    one = character("mixamo", arms_down=30)
    names = dict(zip(TRUNK, trunk.split()))
    for word, side in zip(sides.split(), (".L", ".R")):
        names.update({part + side: name.replace("{}", word) for part, name in zip(LIMB, limbs.split())})
    return replace(skeleton(one), names=tuple(names[part] for part in one.bones)), names


@pytest.mark.parametrize("family", OTHERS)
def test_families_of_other_programs_are_told_by_their_names(family: str) -> None:
    skel, names = renamed(family)
    found = find_map(skel)
    assert found.family == family
    assert not found.problems
    assert {slot: name for slot, name in found.bones.items() if "." in slot and slot[-1] in "LR"} == {
        part: name for part, name in names.items() if part[-2:] in (".L", ".R")
    }
    assert set(found.bones.values()) == set(names.values())


@pytest.mark.parametrize("form", ["{}_0{number}", "Armature_{}", "Armature_{}_{number}", "{}.{number:03d}", "Anna Smith_{}"])
@pytest.mark.parametrize("names", ["mixamo", "unreal", "vrm"])
def test_numbered_and_prefixed_names_are_known(form: str, names: str) -> None:
    one = character(names)
    skel = skeleton(one)
    skel = replace(
        skel, names=tuple(form.format(name.replace("mixamorig1:", ""), number=n + 1) for n, name in enumerate(skel.names))
    )
    found = find_map(skel)
    assert found.family == FAMILY[names]
    assert found.bones["forearm.L"] == skel.names[list(one.bones).index("forearm.L")]
    assert len(found.bones) == 22


def test_a_skeleton_of_nobody_is_given_no_family() -> None:
    names = ("Root", "Head", "Neck", "Tail1", "Tail2", "Tail3")
    rest = np.tile([1.0, 0.0, 0.0, 0.0], (6, 1))
    heads = np.arange(18.0).reshape(6, 3)
    found = find_map(Skeleton(names, np.arange(-1, 5), heads, heads + 1, rest))
    assert found.family == "unknown"
    assert set(REQUIRED) & set(found.problems)


def test_a_map_is_written_and_read_with_its_ik_controls(tmp_path: Path) -> None:
    family = next(family for family in load_families() if family.ik)
    save_map(tmp_path / "mine.json", BoneMap({"hips": "torso"}, "mine", switches=family.switches, controls=True, ik=family.ik))
    again = load_family(tmp_path / "mine.json")
    assert (again.ik, again.switches, again.controls) == (family.ik, family.switches, True)


def hairy(one: Character) -> Skeleton:
    """A character of 2500 bones, most of them strands of hair and cloth, six bones each."""
    random, body = np.random.default_rng(0), skeleton(one)
    count = 2500 - len(body.names)
    parents, heads = list(body.parents), list(body.heads)
    for number in range(count):
        parents.append(int(random.integers(0, len(body.names))) if number % 6 == 0 else len(parents) - 1)
        heads.append(heads[parents[-1]] + random.normal(size=3) * 0.02)
    return Skeleton(
        (*body.names, *(f"strand_{n // 6}_{n % 6}" for n in range(count))),
        np.array(parents),
        np.array(heads),
        np.concatenate([body.tails, np.array(heads[len(body.names) :]) + [0, 0, 0.02]]),
        np.concatenate([body.rest, np.tile(body.rest[0], (count, 1))]),
    )


@pytest.mark.parametrize("names", ["mixamo", "nameless"])
def test_a_body_is_found_among_2500_bones(names: str) -> None:
    one = character(names, arms_down=40)
    assert find_map(hairy(one)).bones == one.named()


@pytest.mark.timing
@pytest.mark.parametrize("names", ["mixamo", "nameless"])
def test_a_rig_of_2500_bones_is_mapped_in_a_second(names: str) -> None:
    large = hairy(character(names, arms_down=40))
    began = time.process_time()
    find_map(large)
    assert time.process_time() - began < 1.0
