"""Human3.6M and HumanEva-I as they are distributed: splits, joints, units, cameras, and what a wrong file gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from set_files import (
    camera,
    joints32,
    walker,
    write_2d,
    write_cdf,
    write_h5,
    write_metadata,
)
from stpose_training.data import h36m
from stpose_training.data.h36m import load_h36m
from stpose_training.data.humaneva import load_humaneva
from stpose_training.data.sets import load_recordings

from stpose_core.errors import FormatError
from stpose_core.skeletons import COCO17

H36M_LEFT, H36M_RIGHT = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
TAKES = {"S1": ["Directions", "Walking 1"], "S9": ["Directions 1", "WalkDog", "Photo 1"], "S11": ["Directions", "Greeting"]}


@pytest.fixture(scope="module")
def takes() -> dict[str, dict[str, np.ndarray]]:
    return {
        subject: {name: walker(60 + 3 * number, seed + number) for number, name in enumerate(names)}
        for seed, (subject, names) in enumerate(TAKES.items())
    }


@pytest.fixture
def packed(tmp_path: Path, takes: dict[str, dict[str, np.ndarray]]) -> Path:
    data = {subject: {name: joints32(p).astype(np.float32) for name, p in names.items()} for subject, names in takes.items()}
    np.savez_compressed(tmp_path / "data_3d_h36m.npz", positions_3d=data)
    return tmp_path


@pytest.fixture
def filmed(packed: Path, takes: dict[str, dict[str, np.ndarray]]) -> Path:
    """With the true 2D joints in four cameras, a few frames longer than the 3D as some of the set's videos are."""
    seen: dict[str, Any] = {}
    for subject, names in takes.items():
        for name, positions in names.items():
            longer = np.concatenate([positions, positions[-1:]])
            views = [camera(index, size) for index, size in enumerate(h36m.IMAGE_SIZES)]
            seen.setdefault(subject, {})[name] = [view.project(view.to_camera(longer)).astype(np.float32) for view in views]
    write_2d(packed / "data_2d_h36m_gt.npz", seen, H36M_LEFT, H36M_RIGHT, 17)
    return packed


def test_h36m_splits_are_the_protocols(packed: Path) -> None:
    train, test = load_h36m(packed, "train"), load_h36m(packed / "data_3d_h36m.npz", "test")
    assert [recording.name for recording in train] == ["S1 Directions", "S1 Walking 1"]
    # S11 Directions is damaged and left out; S9's is not.
    assert [recording.name for recording in test] == ["S9 Directions 1", "S9 WalkDog", "S9 Photo 1", "S11 Greeting"]
    assert [recording.action for recording in test] == ["Directions", "WalkDog", "Photo", "Greeting"]
    assert {recording.fps for recording in test} == {50.0}
    with pytest.raises(ValueError, match="unknown split 'val'"):
        load_h36m(packed, "val")


def test_h36m_has_17_of_32_joints_in_metres(packed: Path, takes: dict[str, dict[str, np.ndarray]]) -> None:
    recording = load_h36m(packed)[1]
    assert np.allclose(recording.positions, takes["S9"]["WalkDog"], atol=1e-6)
    assert recording.views == ()


def test_h36m_as_cdf_and_h5_is_the_same(tmp_path: Path, takes: dict[str, dict[str, np.ndarray]]) -> None:
    also = {"WalkDog": "WalkingDog", "Photo 1": "TakingPhoto 1"}
    for subject, names in takes.items():
        for name, positions in names.items():
            write_cdf(tmp_path / "cdf" / subject / "MyPoseFeatures" / "D3_Positions" / f"{also.get(name, name)}.cdf", positions)
            write_h5(tmp_path / "h5" / subject / "MyPoses" / "3D_positions" / f"{name}.h5", positions)
    write_cdf(tmp_path / "cdf" / "S9" / "MyPoseFeatures" / "D3_Positions" / "_ALL.cdf", takes["S9"]["WalkDog"])
    for layout in ("cdf", "h5"):
        found = {recording.name: recording for recording in load_h36m(tmp_path / layout)}
        assert sorted(found) == ["S11 Greeting", "S9 Directions 1", "S9 Photo 1", "S9 WalkDog"]
        assert np.allclose(found["S9 Photo 1"].positions, takes["S9"]["Photo 1"], atol=1e-6)


def test_h36m_cameras_of_metadata_see_what_the_2d_joints_say(filmed: Path) -> None:
    """The owners' file holds three angles; the 2D joints were made by matrices."""
    cameras, angles = {}, {}
    for index, size in enumerate(h36m.IMAGE_SIZES):
        made = camera(index, size)
        angles[index, 9] = euler_xyz(made.rotation)
        cameras[index, 9] = made
    write_metadata(filmed / "metadata.xml", cameras, angles)
    for recording in load_h36m(filmed)[:3]:
        assert [view.name for view in recording.views] == ["54138969", "55011271", "58860488", "60457274"]
        for view in recording.views:
            assert view.camera is not None
            assert view.keypoints is not None
            projected = view.camera.project(recording.seen_by(view))
            assert np.abs(projected - view.keypoints.xy).max() < 0.01
            assert view.keypoints.skeleton == "h36m17"
            assert view.keypoints.image_size == view.camera.image_size
    # The control: another subject's angles are zero here, and its cameras see something else.
    other = load_h36m(filmed)[3]
    assert other.views[0].camera is not None
    assert not np.allclose(other.views[0].camera.rotation, cameras[0, 9].rotation)


def euler_xyz(rotation: np.ndarray) -> np.ndarray:
    """Angles with rotation = Rx Ry Rz."""
    return Rotation.from_matrix(rotation).as_euler("XYZ")


def test_h36m_cameras_of_json_are_in_millimetres(filmed: Path) -> None:
    made = camera(0, (1000, 1002))
    matrix = [[made.focal[0], 0, made.centre[0]], [0, made.focal[1], made.centre[1]], [0, 0, 1]]
    ids = h36m.CAMERAS
    place = {"R": made.rotation.tolist(), "t": (made.translation[:, None] * 1000).tolist()}
    lens = {"calibration_matrix": matrix, "distortion": list(made.distortion)}
    data = {"intrinsics": dict.fromkeys(ids, lens), "extrinsics": {s: dict.fromkeys(ids, place) for s in ("S9", "S11")}}
    (filmed / "camera-parameters.json").write_text(json.dumps(data))
    recording = load_h36m(filmed)[0]
    view = recording.views[0]
    assert view.camera is not None
    assert view.keypoints is not None
    assert np.abs(view.camera.project(recording.seen_by(view)) - view.keypoints.xy).max() < 0.01
    (filmed / "camera-parameters.json").write_text(json.dumps({"intrinsics": {}}))
    with pytest.raises(FormatError, match=r"camera-parameters\.json does not hold"):
        load_h36m(filmed)


def test_h36m_cameras_are_solved_from_true_2d_joints(filmed: Path) -> None:
    recording = load_h36m(filmed)[1]
    for index, view in enumerate(recording.views):
        made = camera(index, h36m.IMAGE_SIZES[index])
        assert view.camera is not None
        assert np.abs(recording.seen_by(view) - made.to_camera(recording.positions)).max() < 0.01


def test_h36m_takes_detections_of_coco_joints(filmed: Path, takes: dict[str, dict[str, np.ndarray]]) -> None:
    left = [joint for joint, name in enumerate(COCO17.joints) if name.startswith("l_")]
    right = [joint for joint, name in enumerate(COCO17.joints) if name.startswith("r_")]
    seen = {"S9": {"WalkDog": [np.full((len(takes["S9"]["WalkDog"]), 17, 2), 5.0)] * 4}}
    write_2d(filmed / "data_2d_h36m_cpn.npz", seen, left, right, 17)
    recordings = load_h36m(filmed, keypoints=filmed / "data_2d_h36m_cpn.npz")
    keypoints = recordings[1].views[2].keypoints
    assert keypoints is not None
    assert keypoints.skeleton == "coco17"
    assert (keypoints.score == 1).all()
    assert recordings[0].views[2].keypoints is None
    assert recordings[0].views[2].camera is not None  # solved from the true ones all the same
    seen["S9"]["WalkDog"] = [array[:-3] for array in seen["S9"]["WalkDog"]]
    write_2d(filmed / "data_2d_h36m_cpn.npz", seen, left, right, 17)
    with pytest.raises(FormatError, match=r"S9 WalkDog: \d+ frames of 2D joints for \d+ frames of 3D"):
        load_h36m(filmed, keypoints=filmed / "data_2d_h36m_cpn.npz")
    write_2d(filmed / "data_2d_h36m_cpn.npz", seen, left[1:], right, 17)
    with pytest.raises(FormatError, match="not a known joint set"):
        load_h36m(filmed, keypoints=filmed / "data_2d_h36m_cpn.npz")


def test_h36m_wrong_layouts_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"expected data_3d_h36m\.npz, or \.cdf files"):
        load_h36m(tmp_path)
    with pytest.raises(FormatError, match=r"no Human3\.6M at"):
        load_h36m(tmp_path / "nowhere")
    path = tmp_path / "data_3d_h36m.npz"
    for positions, message in (
        ({"S9": {"Walking": np.zeros((4, 16, 3))}}, r"S9 Walking: an array of shape \(4, 16, 3\)"),
        ({"S9": {"Walking": "text"}}, "not an array of numbers"),
        ({"S9": [1]}, "not a dictionary of subjects"),
        ({"S1": {"Walking": np.zeros((4, 32, 3))}}, r"no recordings of S9, S11 \(the test split"),
    ):
        np.savez(path, positions_3d=positions)
        with pytest.raises(FormatError, match=message):
            load_h36m(path)
    path.unlink()
    broken = tmp_path / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking.cdf"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no CDF")
    with pytest.raises(FormatError, match="no variable 'Pose'"):
        load_h36m(tmp_path)
    (tmp_path / "metadata.xml").write_text("<metadata><w0>[1 2 3]</w0></metadata>")
    np.savez(path, positions_3d={"S9": {"Walking": np.zeros((4, 32, 3))}})
    with pytest.raises(FormatError, match="w0 has 3 numbers, expected 300"):
        load_h36m(path)


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cdf(tmp_path / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking.cdf", walker(5))
    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(FormatError, match=r"needs the package cdflib; .*pip install .*\[datasets\]"):
        load_h36m(tmp_path)


# HumanEva's 15 joints: pelvis, neck, left arm, right arm, left leg, right leg, top of the head.
FOR_HUMANEVA = [0, 8, 11, 12, 13, 14, 15, 16, 4, 5, 6, 1, 2, 3, 10]


HUMANEVA_TAKES = ("Walking 1 chunk0", "Walking 1 chunk2", "Jog 1 chunk0", "Gestures 1 chunk0", "ThrowCatch 1 chunk0")


@pytest.fixture
def humaneva(tmp_path: Path) -> Path:
    data: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    for part in ("Train/S1", "Validate/S1", "Validate/S2", "Validate/S4", "Unlabeled/S1"):
        for number, name in enumerate(HUMANEVA_TAKES):
            positions = walker(60, number)
            data.setdefault(part, {})[name] = positions[:, FOR_HUMANEVA].astype(np.float32)
            views = [camera(index, (640, 480)) for index in range(3)]
            pixels = [view.project(view.to_camera(positions))[:, FOR_HUMANEVA] for view in views]
            seen.setdefault(part, {})[name] = pixels
    np.savez(tmp_path / "data_3d_humaneva15.npz", positions_3d=data)
    write_2d(tmp_path / "data_2d_humaneva15_gt.npz", seen, [2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13], 15)
    return tmp_path


def test_humaneva_is_walk_jog_and_box_of_three_subjects(humaneva: Path) -> None:
    test = load_humaneva(humaneva)
    assert [(recording.subject, recording.action) for recording in test] == [
        ("S1", "Walk"), ("S1", "Walk"), ("S1", "Jog"), ("S2", "Walk"), ("S2", "Walk"), ("S2", "Jog")
    ]  # fmt: skip
    assert {recording.name.split("/")[0] for recording in test} == {"Validate"}
    assert {recording.name.split("/")[0] for recording in load_humaneva(humaneva, "train")} == {"Train"}
    assert test[0].fps == 60


def test_humaneva_joints_are_in_place_and_the_others_between_them(humaneva: Path) -> None:
    recording, true = load_humaneva(humaneva)[2], walker(60, 2)
    assert recording.measured.sum() == 15
    assert np.allclose(recording.positions[:, recording.measured], true[:, recording.measured], atol=1e-6)
    assert np.allclose(recording.positions[:, 7], (true[:, 0] + true[:, 8]) / 2, atol=1e-6)
    assert np.allclose(recording.positions[:, 9], (true[:, 8] + true[:, 10]) / 2, atol=1e-6)
    view = recording.views[1]
    assert view.name == "C2"
    assert view.camera is not None
    assert view.keypoints is not None
    assert np.abs(view.camera.to_camera(true) - camera(1, (640, 480)).to_camera(true)).max() < 0.01
    assert (view.keypoints.score > 0).sum(axis=1).tolist() == [15] * 60


def test_humaneva_wrong_layouts_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"expected data_3d_humaneva15\.npz"):
        load_humaneva(tmp_path)
    np.savez(tmp_path / "data_3d_humaneva15.npz", positions_3d={"Validate/S1": {"Jog 1": np.zeros((3, 20, 3))}})
    with pytest.raises(FormatError, match=r"shape \(3, 20, 3\) where \(T, 15, 3\)"):
        load_humaneva(tmp_path)
    with pytest.raises(FormatError, match="no Walk, Jog or Box"):
        load_humaneva(tmp_path, "train")


def test_sets_are_found_by_name(packed: Path) -> None:
    assert len(load_recordings("h36m", packed, "train")) == 2
    with pytest.raises(FormatError, match="unknown data set 'coco'; known: h36m, humaneva, mpi_inf_3dhp, 3dpw, bvh, amc"):
        load_recordings("coco", packed)
