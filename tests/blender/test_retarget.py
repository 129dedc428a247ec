"""Retargeting in real Blender, through the operators, measured on the evaluated dependency graph."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from rigs import character, turn
from scenes import (
    check_gates,
    curves_of,
    degrees,
    figure,
    hinges_at_rest,
    import_track,
    joint,
    limb_errors,
    make,
    pose_of,
    rest_of,
    wanted,
    write_track,
)
from walks import dance, walk

FRAMES = 60
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def placed(rotation: np.ndarray, scale: float, place: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = scale * rotation, place
    return matrix


@pytest.fixture
def source(scene: bpy.types.Scene, tmp_path: Path) -> tuple[bpy.types.Object, np.ndarray]:
    """The rig of a dance, and where its joints are."""
    track, turns = dance(FRAMES)
    return import_track(write_track(tmp_path / "dance.npz", track)), wanted(turns, track["root"])


def run(target: bpy.types.Object, source: bpy.types.Object, **options: object) -> None:
    options = {"lock": "NEVER", **options}
    assert bpy.ops.stpose.retarget(source=source.name, target=target.name, **options) == {"FINISHED"}


CASES = {
    "mixamo T": ({"names": "mixamo"}, None),
    "mixamo A rolls": ({"names": "mixamo", "arms_down": 45, "rolls": 1}, None),
    "unreal A rolls": ({"names": "unreal", "arms_down": 50, "rolls": 2, "elbows": 8, "knees": 6}, None),
    "vrm T": ({"names": "vrm", "rolls": 3}, None),
    "auto-rig pro": ({"names": "arp", "arms_down": 30, "rolls": 4, "proportions": (1.2, 0.8)}, None),
    "nameless": ({"names": "nameless", "arms_down": 20, "rolls": 5}, None),
    "y up, 0.01": ({"names": "mixamo", "rolls": 6}, (Y_UP.T, 0.01, (0, 0, 0))),
    "unapplied": ({"names": "unreal", "arms_down": 45, "rolls": 7}, (turn([0, 0, 1], 40), 1.7, (2.0, -1.0, 0.3))),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_limbs_point_and_bend_as_the_source_does(case: str, source: tuple, scene: bpy.types.Scene) -> None:
    look, transform = CASES[case]
    one = character(**look)
    inside, hinges = one, one.hinges
    if transform is not None:
        if case.startswith("y up"):
            inside = one.turned(Y_UP, 100.0)
        else:
            hinges = {limb: transform[0] @ axis for limb, axis in hinges.items()}
    target = make(inside, transform=None if transform is None else placed(*transform))
    before = rest_of(target)
    run(target, source[0])
    check_gates(target, one.named(), hinges, source[1])
    assert rest_of(target) == before


def test_copied_local_rotations_swapped_sides_and_a_wrong_roll_fail(source: tuple, scene: bpy.types.Scene) -> None:
    one = character("stpose", arms_down=45, rolls=2)
    target = make(one)
    target.animation_data_create().action = source[0].animation_data.action
    if hasattr(target.animation_data, "action_slot"):
        target.animation_data.action_slot = source[0].animation_data.action_slot
    copied = limb_errors(target, one.named(), one.hinges, source[1])[0].mean()
    target.animation_data_clear()
    run(target, source[0])
    bones = one.named()
    swap = {
        slot: bones[slot[:-1] + {"L": "R", "R": "L"}[slot[-1]]] if slot[-2:] in (".L", ".R") else n for slot, n in bones.items()
    }
    swapped = limb_errors(target, swap, one.hinges, source[1])[0].mean()
    wrong = {limb: turn(one.bones[limb].tail - one.bones[limb].head, 90) @ axis for limb, axis in one.hinges.items()}
    rolled = limb_errors(target, bones, wrong, source[1])[1].mean()
    figure("direction, local rotations copied (control), mean", copied, "deg")
    figure("direction, left and right swapped (control), mean", swapped, "deg")
    figure("twist, a roll wrong by 90 degrees (control), mean", rolled, "deg")
    assert min(copied, swapped) > 20
    assert rolled > 80


def test_basic_human_metarig(source: tuple, scene: bpy.types.Scene) -> None:
    bpy.ops.object.armature_basic_human_metarig_add()
    target = bpy.context.object
    bones = {s: n for s, n in rigify_names().items() if n in target.data.bones}
    before = rest_of(target)
    run(target, source[0])
    check_gates(target, bones, hinges_at_rest(target, bones), source[1])
    assert rest_of(target) == before


def rigify_names(form: str = "{}") -> dict[str, str]:
    parts = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
    return {f"{part}.{side}": form.format(part) + "." + side for part in parts for side in "LR"}


def load(path: Path, name: str, link: bool = False) -> bpy.types.Object:
    with bpy.data.libraries.load(str(path), link=link) as (_, to):
        to.objects = [name]
    bpy.context.collection.objects.link(to.objects[0])
    bpy.context.view_layer.update()
    return to.objects[0]


def test_rigify_metarig(rigify_file: Path, source: tuple) -> None:
    target = load(rigify_file, "metarig")
    before, bones = rest_of(target), rigify_names()
    run(target, source[0])
    check_gates(target, bones, hinges_at_rest(target, bones), source[1])
    assert rest_of(target) == before


def test_rigify_metarig_is_known_by_its_shape(rigify_file: Path, source: tuple) -> None:
    target, known = load(rigify_file, "metarig"), rigify_names()
    renamed = {bone.name: f"b{number}" for number, bone in enumerate(target.data.bones)}
    for old, new in renamed.items():
        target.data.bones[old].name = new
    bpy.ops.stpose.map_bones(target=target.name)
    assert bpy.context.scene.stpose.target.stpose_map.family == "structure"
    table = {row.slot: row.bone for row in bpy.context.scene.stpose.target.stpose_map.rows if row.bone}
    assert {slot: table[slot] for slot in known} == {slot: renamed[name] for slot, name in known.items()}
    run(target, source[0])
    bones = {slot: renamed[name] for slot, name in known.items()}
    check_gates(target, bones, hinges_at_rest(target, bones), source[1])


def test_rigify_generated_rig_by_its_deforming_bones(rigify_file: Path, source: tuple) -> None:
    target = load(rigify_file, "rig")
    before, bones = rest_of(target), rigify_names("ORG-{}")
    run(target, source[0])
    assert target.pose.bones["thigh_parent.L"]["IK_FK"] == 1.0
    check_gates(target, bones, hinges_at_rest(target, bones), source[1])
    assert rest_of(target) == before
    _, turned = pose_of(target, ["DEF-spine", "ORG-spine.003", "DEF-thigh.L"], range(1, FRAMES + 1))
    hips = np.einsum("tij,j->ti", turned[:, 0], [1.0, 0, 0])
    thighs = source[1][:, joint("thigh.L")] - source[1][:, joint("thigh.R")]
    assert degrees(hips, thighs).mean() < 1.0


def test_library_override(rigify_file: Path, source: tuple) -> None:
    linked = load(rigify_file, "metarig", link=True)
    target = linked.override_create(remap_local_usages=True)
    if target.name not in bpy.context.collection.objects:
        bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    assert target.override_library is not None
    before = rest_of(target)
    run(target, source[0])
    check_gates(target, rigify_names(), hinges_at_rest(target, rigify_names()), source[1])
    assert rest_of(target) == before


def test_linked_armature(rigify_file: Path, source: tuple) -> None:
    linked = load(rigify_file, "metarig", link=True)
    target = bpy.data.objects.new("Mine", linked.data)
    bpy.context.collection.objects.link(target)
    bpy.context.view_layer.update()
    assert target.data.library is not None
    run(target, source[0])
    check_gates(target, rigify_names(), hinges_at_rest(target, rigify_names()), source[1])
    with pytest.raises(RuntimeError, match="library override"):
        bpy.ops.stpose.retarget(source=source[0].name, target=linked.name)


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "AXIS_ANGLE"])
def test_rotation_modes_are_kept(mode: str, source: tuple) -> None:
    one = character("mixamo", arms_down=45, rolls=2)
    target = make(one)
    for bone in target.pose.bones:
        bone.rotation_mode = mode
    run(target, source[0])
    check_gates(target, one.named(), one.hinges, source[1])
    assert {bone.rotation_mode for bone in target.pose.bones} == {mode}


def test_hands_and_feet_are_where_the_source_has_them(source: tuple) -> None:
    one = character("mixamo", arms_down=45, rolls=8)
    target = make(one)
    run(target, source[0])
    slots = ["hand.L", "hand.R", "foot.L", "foot.R"]
    heads, _ = pose_of(target, [one.named()[slot] for slot in slots], range(1, FRAMES + 1))
    off = np.stack([heads[:, number] - source[1][:, joint(slot)] for number, slot in enumerate(slots)])
    off[..., 2] -= off[..., 2].mean()  # it dances in the air, and is put on the ground
    off = np.linalg.norm(off, axis=-1)
    figure("hands and feet from where the source has them, most", 100 * off.max(), "cm")
    assert off.max() < 0.01


def test_the_path_is_scaled_and_may_stay_in_place(source: tuple) -> None:
    one = character("mixamo", proportions=(1, 0.7))
    target = make(one)
    thighs = [one.named()["thigh.L"], one.named()["thigh.R"]]
    run(target, source[0])
    middle = pose_of(target, thighs, range(1, FRAMES + 1))[0].mean(axis=1)
    path = source[1][:, [joint("thigh.L"), joint("thigh.R")]].mean(axis=1)
    lengths = [np.linalg.norm(np.diff(p, axis=0), axis=1).sum() for p in (middle, path)]
    figure("length of the path on legs 0.7 times as long", lengths[0] / lengths[1], "of the source's")
    assert np.isclose(lengths[0] / lengths[1], 0.7, rtol=0.01)
    run(target, source[0], root_motion="IN_PLACE")
    middle = pose_of(target, thighs, range(1, FRAMES + 1))[0].mean(axis=1)
    assert np.ptp(middle[:, :2], axis=0).max() < 1e-4


def test_root_motion_on_a_root_bone(source: tuple) -> None:
    target = make(character("unreal"))
    bpy.context.view_layer.objects.active = target
    bpy.ops.object.mode_set(mode="EDIT")
    root = target.data.edit_bones.new("root")
    root.head, root.tail = (0, 0, 0), (0, 0.3, 0)
    target.data.edit_bones["pelvis"].parent = root
    bpy.ops.object.mode_set(mode="OBJECT")
    run(target, source[0])
    plain, _ = pose_of(target, ["hand_l", "root"], range(1, FRAMES + 1))
    run(target, source[0], root_motion="ROOT_BONE")
    moved, _ = pose_of(target, ["hand_l", "root"], range(1, FRAMES + 1))
    assert np.allclose(plain[:, 0], moved[:, 0], atol=1e-4)
    assert np.ptp(plain[:, 1], axis=0).max() < 1e-6 < np.ptp(moved[:, 1], axis=0)[1]
    assert np.ptp(moved[:, 1, 2]) < 1e-4


def test_feet_that_stand_stay(scene: bpy.types.Scene, tmp_path: Path) -> None:
    track, _ = walk(noise=0.02)
    source = import_track(write_track(tmp_path / "walk.npz", track))
    one = character("mixamo", arms_down=45, rolls=2)
    target, frames = make(one), range(1, len(track["root"]) + 1)
    feet = [one.named()["foot.L"], one.named()["foot.R"]]

    def slide() -> np.ndarray:
        heads, _ = pose_of(target, feet, frames)
        steps = 100 * np.linalg.norm(np.diff(heads, axis=0)[..., :2], axis=-1)
        stands = track["contacts"][:, [0, 2]] > 0.5
        return steps[stands[1:] & stands[:-1]]

    run(target, source, lock="NEVER")
    figure("slide of standing feet without lock (control), most", slide().max(), "cm a frame")
    assert slide().max() > 0.3
    loose = target.animation_data.action
    run(target, source, lock="AUTO")
    figure("slide of standing feet with lock, most", slide().max(), "cm a frame")
    assert slide().max() < 0.2
    # The same afterwards, on what is keyed already.
    target.animation_data.action = loose
    if hasattr(target.animation_data, "action_slot"):
        target.animation_data.action_slot = loose.slots[0]
    assert bpy.ops.stpose.foot_lock(target=target.name) == {"FINISHED"}
    assert target.animation_data.action != loose
    heads, _ = pose_of(target, feet, frames)
    stands = track["contacts"][:, 0] > 0.5
    inside = stands.copy()
    for step in (1, 2, 3):
        inside[step:] &= stands[:-step]
        inside[:-step] &= stands[step:]
    steps = 100 * np.linalg.norm(np.diff(heads[:, 0], axis=0)[:, :2], axis=-1)
    assert steps[inside[1:] & inside[:-1]].max() < 0.2


def test_one_undo_restores_everything(source: tuple) -> None:
    target = make(character("mixamo"))
    before, actions = rest_of(target), len(bpy.data.actions)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.stpose.retarget("EXEC_DEFAULT", True, source=source[0].name, target="Target", lock="NEVER") == {"FINISHED"}
    assert bpy.data.objects["Target"].animation_data.action
    bpy.ops.ed.undo()
    target = bpy.data.objects["Target"]
    assert target.animation_data is None or target.animation_data.action is None
    assert len(bpy.data.actions) == actions
    assert rest_of(target) == before


def test_one_undo_takes_a_map_and_a_foot_lock_back(scene: bpy.types.Scene, tmp_path: Path) -> None:
    source = import_track(write_track(tmp_path / "walk.npz", walk(noise=0.02)[0]))
    target = make(character("mixamo"))
    run(target, source)
    loose = target.animation_data.action.name
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.stpose.foot_lock("EXEC_DEFAULT", True, target="Target") == {"FINISHED"}
    assert bpy.data.objects["Target"].animation_data.action.name != loose
    bpy.ops.ed.undo()
    assert bpy.data.objects["Target"].animation_data.action.name == loose
    assert bpy.ops.stpose.map_bones("EXEC_DEFAULT", True, target="Target") == {"FINISHED"}
    assert len(bpy.data.objects["Target"].stpose_map.rows)
    bpy.ops.ed.undo()
    assert not len(bpy.data.objects["Target"].stpose_map.rows)
    assert bpy.data.objects["Target"].animation_data.action.name == loose


def test_keys_in_a_range_with_a_step_as_a_layer_and_fewer(source: tuple) -> None:
    one = character("mixamo", rolls=1)
    target = make(one)
    run(target, source[0], first=10, last=30, step=5)
    assert tuple(target.animation_data.action.frame_range) == (10, 30)
    first = target.animation_data.action
    run(target, source[0], bake="LAYER")
    assert target.animation_data.nla_tracks[0].strips[0].action == first
    assert len(target.animation_data.nla_tracks) == 2
    for track in list(target.animation_data.nla_tracks):
        target.animation_data.nla_tracks.remove(track)
    run(target, source[0])
    full = count(target)
    run(target, source[0], simplify=1.0)
    assert count(target) < 0.7 * full
    direction, _ = limb_errors(target, one.named(), one.hinges, source[1])
    assert direction.mean() < 1.0


def count(obj: bpy.types.Object) -> int:
    return sum(len(curve.keyframe_points) for curve in curves_of(obj))


def test_quaternions_do_not_flip(source: tuple) -> None:
    target = make(character("unreal", arms_down=45, rolls=3))
    run(target, source[0])
    groups: dict[str, dict[int, np.ndarray]] = {}
    for curve in curves_of(target):
        if curve.data_path.endswith("rotation_quaternion"):
            groups.setdefault(curve.data_path, {})[curve.array_index] = np.array([k.co[1] for k in curve.keyframe_points])
    assert len(groups) == 22
    least = 1.0
    for group in groups.values():
        turns = np.stack([group[i] for i in range(4)], axis=1)
        assert (turns[1:] * turns[:-1]).sum(-1).min() > 0.9
        least = min(least, float((turns[1:] * turns[:-1]).sum(-1).min()))
    figure("cosine between quaternions of frames in turn, least", least, "(below 0: a flip)")


def test_what_cannot_work_is_said(source: tuple) -> None:
    for name, scale in (("Uneven", (1, 2, 1)), ("Mirrored", (-1, 1, 1))):
        target = make(character("mixamo"), name)
        target.scale = scale
        bpy.context.view_layer.update()
        with pytest.raises(RuntimeError, match="scale"):
            bpy.ops.stpose.retarget(source=source[0].name, target=name)
    with pytest.raises(RuntimeError, match="no object"):
        bpy.ops.stpose.retarget(source="nobody", target="Uneven")
    with pytest.raises(RuntimeError, match="no animation"):
        bpy.ops.stpose.retarget(source=make(character("vrm"), "Still").name, target=make(character("mixamo"), "Even").name)
