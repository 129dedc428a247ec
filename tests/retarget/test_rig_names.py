"""Names of joints that `--rig` gives: the map of bones detects each family by itself, with every part of the body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpose_core.retarget.bonemap import find_map
from stpose_core.retarget.skeleton import Skeleton

rigs = pytest.importorskip("stpose_core.rigs")
pytest.importorskip("scipy")

FAMILIES = {
    "stpose": "STPose",
    "mixamo": "Mixamo",
    "cmu": "CMU (BVH)",
    "unreal": "Unreal Mannequin",
    "rokoko": "Rokoko",
    "vrm": "VRM",
}


def in_blender(motion) -> Skeleton:
    """The rest pose as Blender's importer of BVH places it: z up, end sites as the tails of bones."""
    places = np.zeros_like(motion.offsets)
    for joint in range(1, len(places)):
        places[joint] = places[motion.parents[joint]] + motion.offsets[joint]
    places = np.stack([places[:, 0], -places[:, 2], places[:, 1]], axis=-1)
    bones = [joint for joint, name in enumerate(motion.names) if not name.endswith("End")]
    tails = places.copy()
    for joint in reversed(range(1, len(places))):
        tails[motion.parents[joint]] = places[joint]
    parents = [bones.index(motion.parents[joint]) if motion.parents[joint] >= 0 else -1 for joint in bones]
    rest = np.tile([1.0, 0.0, 0.0, 0.0], (len(bones), 1))
    names = tuple(motion.names[joint] for joint in bones)
    return Skeleton(names, np.array(parents), places[bones], tails[bones], rest)


@pytest.mark.parametrize("rig", FAMILIES)
def test_each_rig_maps_by_itself(rig: str, tmp_path: Path) -> None:
    from stpose_core.formats import load_motion, save

    save(body(), tmp_path / "a.bvh", rig=rig)
    motion = load_motion(tmp_path / "a.bvh")
    found = find_map(in_blender(motion))
    assert found.family == FAMILIES[rig]
    assert not found.problems
    ours = rigs.recognised(motion).names
    assert {slot: ours[motion.names.index(name)] for slot, name in found.bones.items()} == find_map(in_blender(body())).bones
    assert len(found.bones) == 22


def test_all_rigs_are_tested() -> None:
    assert set(FAMILIES) == set(rigs.RIGS)


def test_a_rig_with_a_wrong_name_does_not_map_whole(tmp_path: Path) -> None:
    from dataclasses import replace

    motion = rigs.renamed(body(), "unreal")
    names = tuple("lowerarm_x" if name == "lowerarm_l" else name for name in motion.names)
    found = find_map(in_blender(replace(motion, names=names)))
    assert found.family != "Unreal Mannequin" or len(found.bones) < 22


@pytest.mark.parametrize("rig", FAMILIES)
def test_names_are_recognised_and_turned_back(rig: str) -> None:
    motion = rigs.renamed(body(), rig)
    assert rigs.rig_of(motion) == rig
    again = rigs.recognised(motion)
    assert [name for name in again.names if not name.endswith("End")] == [name for name in body().names if not name.endswith("End")]
    assert rigs.renamed(motion, "mixamo").names == rigs.renamed(body(), "mixamo").names


@pytest.mark.parametrize("rig", [rig for rig in FAMILIES if rig != "stpose"])
def test_names_of_a_rig_are_unique_also_those_of_fingers(rig: str) -> None:
    names = rigs.joint_names(rig)
    assert len(names) == 22 + 30
    assert len({name.lower() for name in names.values()}) == len(names)


def test_an_unknown_rig_is_refused() -> None:
    from stpose_core.errors import OptionError

    with pytest.raises(OptionError, match="no rig 'maya'"):
        rigs.renamed(body(), "maya")


def body():
    from stpose_core.animate.body import NAMES, Rest, parents, rest_offsets
    from stpose_core.data import Motion

    lengths = np.array([0, 0.13, 0.44, 0.42, 0.13, 0.44, 0.42, 0.24, 0.26, 0.12, 0.11, 0.15, 0.28, 0.25, 0.15, 0.28, 0.25])
    up = np.array([0.0, 1.0, 0.0])
    rotations = np.tile([1.0, 0.0, 0.0, 0.0], (2, len(NAMES), 1))
    offsets = rest_offsets(lengths, Rest(np.array([1.0, 0, 0]), up, up))
    return Motion(NAMES, parents(), offsets, rotations, np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(2, bool), 30.0)
