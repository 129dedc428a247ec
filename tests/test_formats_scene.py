"""USD, JSON, TRC and C3D: other readers find the joints where forward kinematics puts them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import c3d
import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel
from test_bvh import joints_by_name, make_motion
from test_formats import assert_same
from test_formats_glb import MILLIMETRE, body_motion

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import FormatError, OutputError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.formats.markers import MARKERS
from stpose_core.rigs import renamed


def usd_joints(path: Path, person: int, frame: float) -> dict[str, np.ndarray]:
    """Joint positions as UsdSkel computes them."""
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetPrimAtPath(f"/World/person{person}"))
    cache.Populate(root, Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath(f"/World/person{person}/skeleton")))
    names = [joint.split("/")[-1] for joint in query.GetJointOrder()]
    matrices = query.ComputeJointSkelTransforms(frame)
    return {name: np.array(matrix.ExtractTranslation()) for name, matrix in zip(names, matrices)}


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_usd_computes_the_joints_within_a_millimetre(suffix: str, tmp_path: Path) -> None:
    people = [body_motion(seed=1), make_motion(frames=30, fps=30)]
    save(people, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == [tmp_path / f"a{suffix}"]
    stage = Usd.Stage.Open(str(tmp_path / f"a{suffix}"))
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (30.0, 0.0, 29.0)
    for number, motion in enumerate(people, 1):
        for frame in (0, 11, 29):
            found = usd_joints(tmp_path / f"a{suffix}", number, frame)
            for name, place in joints_by_name(motion, frame).items():
                np.testing.assert_allclose(found[name], place, atol=MILLIMETRE)
            # The control: another frame is not the same.
            wrong = joints_by_name(motion, (frame + 3) % len(motion))
            assert max(np.linalg.norm(found[name] - place) for name, place in wrong.items()) > MILLIMETRE


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_people_come_back_from_usd(suffix: str, tmp_path: Path) -> None:
    people = [body_motion(seed=1), make_motion(frames=10, fps=15)]
    save(people, tmp_path / f"a{suffix}")
    for again, motion in zip(load_people(tmp_path / f"a{suffix}"), people, strict=True):
        assert again.names == motion.names
        assert again.fps == motion.fps
        np.testing.assert_allclose(forward_kinematics(again), forward_kinematics(motion), atol=MILLIMETRE)


def test_a_usd_of_another_program_is_read_in_its_unit_with_its_axes(tmp_path: Path) -> None:
    """Centimetres, z up, a skeleton that is moved, and joints with axes of their own at rest."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(24)
    UsdSkel.Root.Define(stage, "/rig").AddTranslateOp().Set(Gf.Vec3d(0, 0, 50))
    skeleton = UsdSkel.Skeleton.Define(stage, "/rig/skeleton")
    joints = ["hip", "hip/knee"]
    turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(1, 0, 0), 90))
    rest = [turn * Gf.Matrix4d().SetTranslate(Gf.Vec3d(0, 0, 40)), Gf.Matrix4d().SetTranslate(Gf.Vec3d(0, -40, 0))]
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateRestTransformsAttr(rest)
    skeleton.CreateBindTransformsAttr([rest[0], rest[1] * rest[0]])
    animation = UsdSkel.Animation.Define(stage, "/rig/motion")
    animation.CreateJointsAttr(joints)
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * 2)
    shifts, turns = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    for frame in range(3):
        shifts.Set([Gf.Vec3f(10 * frame, 0, 40), Gf.Vec3f(0, -40, 0)], frame)
        own = Gf.Rotation(Gf.Vec3d(1, 0, 0), 90) * Gf.Rotation(Gf.Vec3d(1, 0, 0), 30.0 * frame)
        turns.Set([Gf.Quatf(own.GetQuat()), Gf.Quatf(1)], frame)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    stage.Save()
    motion = load_motion(tmp_path / "a.usda")
    assert (motion.names, motion.fps) == (("hip", "knee"), 24)
    np.testing.assert_allclose(motion.offsets[1], [0, -0.4, 0], atol=1e-6)
    places = forward_kinematics(motion)
    np.testing.assert_allclose(places[:, 0], [[0, 0.9, 0], [0.1, 0.9, 0], [0.2, 0.9, 0]], atol=1e-6)
    bend = np.radians([0, 30, 60])
    # About x in z up, the shin swings from down to forward or back, which is z in y up.
    np.testing.assert_allclose(places[:, 1, 1], 0.9 - 0.4 * np.cos(bend), atol=1e-6)
    np.testing.assert_allclose(np.abs(places[:, 1, 2]), 0.4 * np.sin(bend), atol=1e-6)


def test_a_usd_without_a_skeleton_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    UsdGeom.Xform.Define(stage, "/world")
    stage.Save()
    (tmp_path / "b.usdc").write_bytes(b"PXR-USDC" + bytes(range(256)) * 9)
    (tmp_path / "c.usda").write_text("#usda 1.0\n(" * 50)
    for name, words in (("a.usda", "holds no skeleton"), ("b.usdc", "cannot be read"), ("c.usda", "cannot be read")):
        with pytest.raises(FormatError, match=words) as caught:
            load_people(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_meshes_of_usd_are_bound_to_the_skeleton(tmp_path: Path) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.usda")
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetPrimAtPath("/World/person1"))
    cache.Populate(root, Usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
    assert len(binding.GetSkinningTargets()) == 5
    places = forward_kinematics(motion)[12]
    transforms = cache.GetSkelQuery(binding.GetSkeleton()).ComputeSkinningTransforms(12)
    for target in binding.GetSkinningTargets():
        points = UsdGeom.Mesh(target.GetPrim()).GetPointsAttr().Get()
        assert target.ComputeSkinnedPoints(transforms, points, 12)
        distance = np.linalg.norm(np.array(points)[:, None] - places, axis=-1).min(axis=1)
        assert distance.max() < 0.3


def test_people_of_different_rates_keep_their_tempo_in_usd(tmp_path: Path) -> None:
    slow = body_motion(frames=10, fps=15.0, seed=3)
    save([body_motion(fps=30.0), slow], tmp_path / "a.usda")
    found = usd_joints(tmp_path / "a.usda", 2, 8)  # 8 / 30 s is frame 4 at 15 fps
    np.testing.assert_allclose(found["LeftHand"], joints_by_name(slow, 4)["LeftHand"], atol=MILLIMETRE)


@pytest.mark.parametrize("motion", [make_motion(), body_motion()], ids=["other joints", "a captured body"])
def test_c3d_holds_joint_centres_in_millimetres_with_z_up(motion: Motion, tmp_path: Path) -> None:
    save(motion, tmp_path / "a.c3d")
    with (tmp_path / "a.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        labels = [label.strip() for label in reader.point_labels]
        frames = np.stack([points[:, :3] for _, points, _ in reader.read_frames()])
    assert reader.point_rate == pytest.approx(motion.fps, rel=1e-6)
    assert reader.get("POINT:UNITS").string_value.strip() == "mm"
    assert reader.get("POINT:Y_SCREEN").string_value.strip() == "+Z"
    assert {"LKnee", "RBigToe", "Neck", "LWrist", "Hip"} <= set(labels)
    x, y, z = np.moveaxis(frames, -1, 0) / 1000
    expected, joints = forward_kinematics(motion), len(motion.names)
    np.testing.assert_allclose(np.stack([x, z, -y], axis=-1)[:, :joints], expected, atol=MILLIMETRE)
    assert np.abs(np.stack([x, z, y], axis=-1)[:, :joints] - expected).max() > MILLIMETRE
    assert [labels[joint] for joint, name in enumerate(motion.names)] == [MARKERS.get(name, name) for name in motion.names]


def test_trc_holds_joint_centres_in_millimetres_with_y_up(tmp_path: Path) -> None:
    motion = renamed(body_motion(fps=30000 / 1001), "mixamo")
    save(motion, tmp_path / "a.trc")
    lines = (tmp_path / "a.trc").read_text().split("\n")
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t")))
    assert (head["NumFrames"], head["NumMarkers"], head["Units"]) == ("30", str(len(motion.names) + 9), "mm")
    assert float(head["DataRate"]) == pytest.approx(motion.fps, abs=1e-5)
    labels = [word for word in lines[3].split("\t")[2:] if word]
    assert lines[4].split("\t")[2:5] == ["X1", "Y1", "Z1"]
    assert lines[5] == ""
    rows = np.array([[float(word) for word in line.split("\t")] for line in lines[6:] if line])
    assert rows.shape == (30, 2 + 3 * len(labels))
    np.testing.assert_allclose(rows[:, 0], np.arange(1, 31))
    np.testing.assert_allclose(rows[:, 1], np.arange(30) / motion.fps, atol=1e-6)
    found = rows[:, 2:].reshape(30, -1, 3) / 1000
    np.testing.assert_allclose(found[:, : len(motion.names)], forward_kinematics(motion), atol=MILLIMETRE)
    assert labels[len(motion.names) :] == [
        "LHeel",
        "LSmallToe",
        "RHeel",
        "RSmallToe",
        "Nose",
        "LIndex",
        "LPinky",
        "RIndex",
        "RPinky",
    ]
    knee = labels.index("LKnee")
    np.testing.assert_allclose(found[7, knee], joints_by_name(motion, 7)["mixamorig:LeftLeg"], atol=MILLIMETRE)


def test_json_describes_motion_that_comes_back(tmp_path: Path) -> None:
    people = [make_motion(seed=1), body_motion(seed=2)]
    save(people, tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert (content["format"], content["version"]) == ("stpose-motion", 1)
    person = content["people"][0]
    names = [joint["name"] for joint in person["joints"]]
    for frame in (0, 17):
        for name, place in joints_by_name(people[0], frame).items():
            np.testing.assert_allclose(person["positions"][frame][names.index(name)], place, atol=MILLIMETRE)
    for again, motion in zip(load_people(tmp_path / "a.json"), people):
        assert again.names == motion.names
        np.testing.assert_allclose(forward_kinematics(again), forward_kinematics(motion), atol=MILLIMETRE)
        np.testing.assert_array_equal(again.filled, motion.filled)
        np.testing.assert_allclose(again.contacts, motion.contacts, atol=1e-3)
        assert again.fps == motion.fps


def damaged(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "brackets without end": lambda path: path.write_text("[" * 200_000),
    "options of a capture": lambda path: path.write_text('{"detector": "auto"}'),
    "a list": lambda path: path.write_text("[1, 2]"),
    "bytes that are no text": lambda path: path.write_bytes(b"\xff\xfe\x80" * 50),
    "newer": damaged(lambda content: content.update(version=2)),
    "version as text": damaged(lambda content: content.update(version="1")),
    "no people": damaged(lambda content: content.update(people=[])),
    "people that are a number": damaged(lambda content: content.update(people=3)),
    "no rotations": damaged(lambda content: content["people"][0].pop("rotations")),
    "a frame less": damaged(lambda content: content["people"][0]["root"].pop()),
    "words as numbers": damaged(lambda content: content["people"][0].update(root="left")),
    "not a number": damaged(lambda content: content["people"][0]["root"].__setitem__(0, [float("nan")] * 3)),
    "a joint beyond all numbers": damaged(lambda content: content["people"][0]["joints"][1].update(offset=[1e308, 0, 0])),
    "a rotation of no length": damaged(lambda content: content["people"][0]["rotations"][0].__setitem__(0, [0] * 4)),
    "a parent after its child": damaged(lambda content: content["people"][0]["joints"][1].update(parent=9)),
    "no rate": damaged(lambda content: content["people"][0].update(fps=0)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_json_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    save(make_motion(frames=3), tmp_path / "a.json")
    assert len(load_motion(tmp_path / "a.json")) == 3
    BROKEN[case](tmp_path / "a.json")
    with pytest.raises(FormatError, match=r"a\.json") as caught:
        load_people(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("suffix", "module", "extra"), [(".c3d", "ezc3d", "c3d"), (".usda", "pxr", "usd"), (".usdz", "pxr", "usd")]
)
def test_a_missing_package_is_one_line(
    suffix: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OutputError, match=rf"a \{suffix} needs the package .*{extra}") as caught:
        save(make_motion(frames=2), tmp_path / f"a{suffix}")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".glb", ".usda", ".usdz", ".trc", ".c3d", ".json", ".vrma"])
def test_missing_values_are_refused_and_leave_no_file(suffix: str, tmp_path: Path) -> None:
    motion = body_motion(frames=3)
    with pytest.raises(OutputError, match=rf"cannot write .*/a\{suffix}: the motion has missing values"):
        save(replace(motion, root=np.full((3, 3), np.nan)), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_capture_is_written_as_its_motion(tmp_path: Path) -> None:
    from test_formats import make_capture

    capture = make_capture()
    save([capture, capture], tmp_path / "a.json")
    save(capture.motion, tmp_path / "b.json")
    assert_same(load_people(tmp_path / "a.json")[1], load_motion(tmp_path / "b.json"))
