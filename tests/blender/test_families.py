"""Every family's own skeleton in real Blender: the gates of retargeting, and controls that move other bones."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from families import LOOKS, dressed
from fingered import FINGERS
from scenes import check_gates, curves_of, import_track, limb_errors, make, rest_of, wanted, write_track
from walks import dance

FRAMES = 40


@pytest.mark.parametrize("family", LOOKS)
def test_limbs_point_and_bend_as_the_source_does(scene: bpy.types.Scene, tmp_path: Path, family: str) -> None:
    track, turns = dance(FRAMES)
    source = import_track(write_track(tmp_path / "dance.npz", track))
    one = dressed(family)
    target = make(one.inside, family, one.transform)
    before = rest_of(target)
    assert bpy.ops.stpose.map_bones(target=target.name) == {"FINISHED"}
    assert scene.stpose.target.stpose_map.family == one.preset
    assert {row.slot: row.bone for row in scene.stpose.target.stpose_map.rows if row.bone} == one.mapped
    assert not [row.slot for row in scene.stpose.target.stpose_map.rows if row.problem]
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER") == {"FINISHED"}
    check_gates(target, one.mapped, one.hinges, wanted(turns, track["root"]))
    assert rest_of(target) == before
    keyed = {curve.data_path.split('"')[1] for curve in curves_of(target)}
    fingers = {name for slot, name in one.mapped.items() if slot[:-3] in FINGERS}
    assert keyed == set(one.mapped.values()) - {one.mapped.get("root")} - fingers  # the source has none


def test_controls_of_auto_rig_pro_move_what_deforms(scene: bpy.types.Scene, tmp_path: Path) -> None:
    track, turns = dance(FRAMES)
    source = import_track(write_track(tmp_path / "dance.npz", track))
    one = dressed("auto-rig pro")
    target = make(one.inside)
    deforming = {}
    for side, word in ((".L", ".l"), (".R", ".r")):
        for hand, parts in (
            ("c_hand_ik", (("upper_arm", "arm_stretch"), ("forearm", "forearm_stretch"), ("hand", "hand"))),
            ("c_foot_ik", (("thigh", "thigh_stretch"), ("shin", "leg_stretch"), ("foot", "foot"), ("toe", "toes_01"))),
        ):
            target.pose.bones[hand + word]["ik_fk_switch"] = 0.0
            for slot, bone in parts:
                follow(target, bone + word, one.mapped[slot + side], hand + word)
                deforming[slot + side] = bone + word
    before, places = rest_of(target), wanted(turns, track["root"])
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, lock="NEVER") == {"FINISHED"}
    assert target.pose.bones["c_foot_ik.r"]["ik_fk_switch"] == 1.0
    check_gates(target, deforming, one.hinges, places)
    assert rest_of(target) == before
    for name in ("c_hand_ik.l", "c_hand_ik.r", "c_foot_ik.l", "c_foot_ik.r"):
        target.pose.bones[name]["ik_fk_switch"] = 0.0
    target.update_tag()
    assert limb_errors(target, deforming, one.hinges, places)[0].mean() > 20


def follow(target: bpy.types.Object, bone: str, control: str, switch: str) -> None:
    """A bone that does as an FK control does, as far as a switch says so."""
    constraint = target.pose.bones[bone].constraints.new("COPY_TRANSFORMS")
    constraint.target, constraint.subtarget = target, control
    driver = constraint.driver_add("influence").driver
    driver.type = "AVERAGE"
    driven = driver.variables.new()
    driven.targets[0].id, driven.targets[0].data_path = target, f'pose.bones["{switch}"]["ik_fk_switch"]'
