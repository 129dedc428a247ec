"""Offsets after a bake: spine, shoulders and arms turned about the character's own axes, on the action or on a layer."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import character
from scenes import curves_of, degrees, figure, import_track, make, pose_of, unit, write_track
from walks import walk

FRAMES = range(1, 41)
SLOTS = ("thigh.L", "thigh.R", "spine", "neck", "head", "shoulder.L", "shoulder.R", "upper_arm.L", "upper_arm.R", "forearm.L",
         "forearm.R", "hand.L", "hand.R", "shin.L", "foot.L", "foot.R")  # fmt: skip


@pytest.fixture
def moving(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, dict[str, str]]:
    """A character that walks, and its bones by slot."""
    source = import_track(write_track(tmp_path / "walk.npz", walk()[0]))
    one = character("mixamo", arms_down=45, rolls=5)
    target = make(one)
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name) == {"FINISHED"}
    return target, one.named()


def joints(target: bpy.types.Object, bones: dict[str, str], frames: range = FRAMES) -> dict[str, np.ndarray]:
    heads, _ = pose_of(target, [bones[slot] for slot in SLOTS], frames)
    return dict(zip(SLOTS, np.moveaxis(heads, 1, 0)))


def axes(now: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, 3): left by the hip joints, up, and forward. In a walk straight ahead the hips do not lean."""
    left = unit(now["thigh.L"] - now["thigh.R"])
    up = np.array([0.0, 0, 1])
    return left, up, unit(np.cross(left, up))


def turned(way: np.ndarray, axis: np.ndarray, angle: float) -> np.ndarray:
    """(T, 3) by Rodrigues' formula."""
    a = np.radians(angle)
    return way * np.cos(a) + np.cross(axis, way) * np.sin(a) + axis * (way * axis).sum(-1, keepdims=True) * (1 - np.cos(a))


@pytest.mark.parametrize("bake", ["ACTION", "LAYER", "REPLACE"])
def test_each_offset_turns_its_part_and_nothing_below(moving: tuple, bake: str) -> None:
    target, bones = moving
    before = joints(target, bones)
    left, up, forward = axes(before)
    cases = {
        "arms_out": (20.0, [("upper_arm.L", "forearm.L", forward, 20), ("upper_arm.R", "forearm.R", forward, -20)]),
        "arms_forward": (15.0, [("upper_arm.L", "forearm.L", left, -15), ("upper_arm.R", "forearm.R", left, -15)]),
        "shoulders": (10.0, [("shoulder.L", "upper_arm.L", forward, 10), ("upper_arm.R", "hand.R", forward, -10)]),
        "spine_turn": (30.0, [("shoulder.L", "upper_arm.L", up, 30), ("forearm.R", "hand.R", up, 30)]),
        "spine_bend": (25.0, [("neck", "head", left, 25), ("upper_arm.L", "forearm.L", left, 25)]),
        "spine_side": (25.0, [("neck", "head", forward, -25)]),
    }
    for name, (angle, wanted) in cases.items():
        bpy.ops.ed.undo_push(message="before")
        was = target.animation_data.action.name if target.animation_data.action else ""
        assert bpy.ops.stpose.adjust("EXEC_DEFAULT", True, target=target.name, bake=bake, **{name: angle}) == {"FINISHED"}
        after = joints(target, bones)
        for first, second, axis, by in wanted:
            off = degrees(after[second] - after[first], turned(before[second] - before[first], axis, by))
            figure(f"{first} turned by {name}, off by at most", off.max(), "deg")
            assert off.max() < 0.1, (name, first)
        for slot in ("thigh.L", "shin.L", "foot.L", "foot.R", "spine"):
            assert np.abs(after[slot] - before[slot]).max() < 1e-4, (name, slot)
        data = target.animation_data
        assert len(data.nla_tracks) == (2 if bake == "LAYER" else 0)
        bpy.ops.ed.undo()
        target = bpy.data.objects["Target"]
        assert target.animation_data.action.name == was
        assert np.abs(joints(target, bones)["hand.L"] - before["hand.L"]).max() < 1e-5


def test_a_layer_of_offsets_has_only_what_changes_and_its_own_frames(moving: tuple) -> None:
    target, bones = moving
    before = joints(target, bones)
    bpy.ops.stpose.adjust(target=target.name, bake="LAYER", arms_out=20, first=10, last=20)
    strip = target.animation_data.nla_tracks[-1].strips[0]
    slot = getattr(strip, "action_slot", None)
    curves = strip.action.fcurves if slot is None else strip.action.layers[0].strips[0].channelbag(slot).fcurves
    assert {curve.data_path.split('"')[1] for curve in curves} == {bones["upper_arm.L"], bones["upper_arm.R"]}
    after = joints(target, bones)
    moved = np.abs(after["hand.L"] - before["hand.L"]).max(axis=1)
    assert (moved[9:20] > 0.05).all()
    assert moved[:9].max() < 1e-4
    assert moved[20:].max() < 1e-4


def test_other_keys_of_the_action_are_left_as_they_are(moving: tuple) -> None:
    target, bones = moving
    shin = [c for c in curves_of(target) if bones["shin.L"] in c.data_path]
    values = [[key.co[1] for key in curve.keyframe_points] for curve in shin]
    old = target.animation_data.action
    bpy.ops.stpose.adjust(target=target.name, spine_bend=10)
    new = target.animation_data.action
    assert new != old
    assert old.name in bpy.data.actions
    again = [c for c in curves_of(target) if bones["shin.L"] in c.data_path]
    assert [[key.co[1] for key in curve.keyframe_points] for curve in again] == values
    assert "stpose_contacts" in new


def test_what_cannot_be_adjusted_is_said(moving: tuple) -> None:
    with pytest.raises(RuntimeError, match="all offsets are 0"):
        bpy.ops.stpose.adjust(target=moving[0].name)
    make(character("mixamo"), "Still")
    with pytest.raises(RuntimeError, match="no animation"):
        bpy.ops.stpose.adjust(target="Still", arms_out=5)
    with pytest.raises(RuntimeError, match="no object 'Nobody'"):
        bpy.ops.stpose.adjust(target="Nobody", arms_out=5)


def test_offsets_on_rigify_are_seen_in_fk_and_ik(rigify_file: Path, scene: bpy.types.Scene, tmp_path: Path) -> None:
    source = import_track(write_track(tmp_path / "walk.npz", walk()[0]))
    with bpy.data.libraries.load(str(rigify_file)) as (_, to):
        to.objects = ["rig"]
    target = to.objects[0]
    bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    bpy.ops.stpose.retarget(source=source.name, target=target.name, first=1, last=8)
    names = [f"ORG-{part}.{side}" for side in "LR" for part in ("upper_arm", "forearm", "thigh", "foot")]
    frames = range(1, 9)
    before, _ = pose_of(target, names, frames)
    bpy.ops.stpose.adjust(target=target.name, arms_out=20, bake="REPLACE")
    after, _ = pose_of(target, names, frames)
    arms = degrees(after[:, 1] - after[:, 0], before[:, 1] - before[:, 0])
    assert 12 < arms.min() <= arms.max() < 20.5
    assert np.abs(after[:, [2, 3, 6, 7]] - before[:, [2, 3, 6, 7]]).max() < 1e-3
    for side in "LR":
        target.pose.bones[f"upper_arm_parent.{side}"]["IK_FK"] = 0.0
    target.update_tag()
    inverse, _ = pose_of(target, names, frames)
    assert degrees(inverse[:, 1] - inverse[:, 0], after[:, 1] - after[:, 0]).max() < 0.5
