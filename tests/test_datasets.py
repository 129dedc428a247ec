"""MPI-INF-3DHP and 3DPW as their owners distribute them, the cameras and clips of recordings, and what a wrong file gives."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from set_files import (
    camera,
    cells,
    python2_pickle,
    turn,
    walker,
    write_skeletool,
    write_test_mat,
)
from stpose_training.data import mpi_inf_3dhp, pw3d
from stpose_training.data.calibrate import solve_calibration
from stpose_training.data.mpi_inf_3dhp import load_mpi_inf_3dhp, read_calibration
from stpose_training.data.pw3d import load_pw3d
from stpose_training.data.recording import Calibration, Recording

from stpose_core.errors import FormatError
from stpose_core.skeletons import COCO17, H36M17

# Order of the test set: head top, neck, right arm, left arm, right leg, left leg, pelvis, spine, head.
FOR_3DHP = [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9]
# The same among the training set's 28.
AMONG_28 = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


@pytest.mark.parametrize("new", [True, False])
def test_3dhp_test_set_in_camera_axes(tmp_path: Path, new: bool) -> None:
    valid = np.arange(40) % 5 != 0
    for number, size in ((1, (2048, 2048)), (6, (1920, 1080))):
        view = camera(number, size, (0.0,) * 5)
        poses = view.to_camera(walker(40, number))
        universal = poses[:, :1] + (poses - poses[:, :1]) * 1.1
        pixels = view.project(poses)
        file = tmp_path / f"TS{number}" / "annot_data.mat"
        write_test_mat(file, poses[:, FOR_3DHP], universal[:, FOR_3DHP], pixels[:, FOR_3DHP], valid, new)
    recordings = load_mpi_inf_3dhp(tmp_path)
    assert [recording.name for recording in recordings] == ["TS1", "TS6"]
    last = recordings[1]
    assert np.allclose(last.positions[valid], universal[valid])
    assert np.isnan(last.positions[~valid]).all()
    assert np.allclose(load_mpi_inf_3dhp(tmp_path, annotation="annot3")[1].positions[valid], poses[valid])
    (seen,) = last.views
    assert (seen.valid == valid).all()
    assert seen.keypoints is not None
    assert np.allclose(seen.keypoints.xy, pixels)
    assert seen.camera is not None
    assert np.allclose([*seen.camera.focal, *seen.camera.centre], [*view.focal, *view.centre])
    assert np.allclose(last.seen_by(seen)[valid], universal[valid])
    with pytest.raises(ValueError, match="the up direction of this data set is not known"):
        last.clips()


def test_3dhp_training_set_in_the_axes_of_the_studio(tmp_path: Path) -> None:
    frames, up = 30, turn((np.pi / 2, 0, 0)).T  # a studio with y up
    cameras = []
    for number in range(3):
        made = camera(number, (2048, 2048), (0.0,) * 5)
        cameras.append(Calibration(made.rotation @ up.T, made.translation, made.focal, made.centre, made.image_size))
    world = walker(frames) @ up.T
    annotations: dict[str, list[np.ndarray]] = {"annot2": [], "annot3": [], "univ_annot3": []}
    for made in cameras:
        points = np.zeros((frames, 28, 3))
        points[:, AMONG_28] = made.to_camera(world)[:, FOR_3DHP]
        pixels = np.zeros((frames, 28, 2))
        pixels[:, AMONG_28] = made.project(made.to_camera(world))[:, FOR_3DHP]
        annotations["annot2"].append(pixels.reshape(frames, 56))
        for name in ("annot3", "univ_annot3"):
            annotations[name].append(points.reshape(frames, 84) * 1000)
    folder = tmp_path / "S3" / "Seq1"
    folder.mkdir(parents=True)
    savemat(folder / "annot.mat", {**{name: cells(v) for name, v in annotations.items()}, "cameras": np.arange(3)[:, None]})
    write_skeletool(folder / "camera.calibration", cameras)
    (recording,) = load_mpi_inf_3dhp(tmp_path, "train", "annot3", cameras=(0, 2))
    assert (recording.name, recording.fps, recording.up) == ("S3 Seq1", 50.0, (0.0, 1.0, 0.0))
    assert np.allclose(recording.positions, world)
    assert [view.name for view in recording.views] == ["0", "2"]
    for view in recording.views:
        assert view.camera is not None
        assert view.keypoints is not None
        assert np.abs(view.camera.project(recording.seen_by(view)) - view.keypoints.xy).max() < 1e-6
    # As training material it is upright again.
    (clip,) = recording.clips(50)
    assert np.allclose(np.ptp(clip.positions[0, :, 2]), np.ptp(walker(frames)[0, :, 2]), atol=1e-5)
    with pytest.raises(FormatError, match="none of the cameras 9"):
        load_mpi_inf_3dhp(tmp_path, "train", cameras=(9,))
    (folder / "camera.calibration").write_text("name 0\nsize a b\n")
    with pytest.raises(FormatError, match="not a camera calibration file"):
        load_mpi_inf_3dhp(tmp_path, "train")


def test_3dhp_wrong_layouts_are_told(tmp_path: Path) -> None:
    for split, name in (("test", "TS1/annot_data.mat"), ("train", "S1/Seq1/annot.mat")):
        with pytest.raises(FormatError, match=f"expected {name}"):
            load_mpi_inf_3dhp(tmp_path, split)
    file = tmp_path / "TS1" / "annot_data.mat"
    file.parent.mkdir()
    file.write_bytes(b"no MATLAB file at all" * 20)
    with pytest.raises(FormatError, match="not a readable MATLAB file"):
        load_mpi_inf_3dhp(tmp_path)
    file.write_bytes(b"MATLAB 7.3 MAT-file, but damaged")
    with pytest.raises(FormatError, match=r"cannot read .*annot_data\.mat"):
        load_mpi_inf_3dhp(tmp_path)
    savemat(file, {"annot3": np.zeros((3, 17, 1, 4))})
    with pytest.raises(FormatError, match="no variable univ_annot3"):
        load_mpi_inf_3dhp(tmp_path)
    savemat(file, {"annot3": 0, "univ_annot3": np.zeros((3, 16, 1, 4)), "annot2": 0, "valid_frame": 0})
    with pytest.raises(FormatError, match=r"univ_annot3 has shape \(3, 16, 4\) where 3 x 17 x T"):
        load_mpi_inf_3dhp(tmp_path)
    with pytest.raises(FormatError, match="cannot read"):
        read_calibration(tmp_path / "camera.calibration")


def test_3dhp_tables_agree_with_the_skeleton() -> None:
    """Left and right of both tables are where Human3.6M has them."""
    names_17 = ["head_top", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
                "r_ankle", "l_hip", "l_knee", "l_ankle", "pelvis", "spine", "head"]  # fmt: skip
    assert tuple(names_17[joint] for joint in mpi_inf_3dhp.FROM_17) == H36M17.joints
    assert [AMONG_28.index(joint) for joint in mpi_inf_3dhp.FROM_28] == list(mpi_inf_3dhp.FROM_17)


SMPL = ["pelvis", "l_hip", "r_hip", "spine1", "l_knee", "r_knee", "spine", "l_ankle", "r_ankle", "spine3", "l_foot", "r_foot",
        "neck", "l_collar", "r_collar", "head", "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist", "l_hand",
        "r_hand"]  # fmt: skip
OPENPOSE18 = ["nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee", "r_ankle",
              "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear"]  # fmt: skip


def sequence(frames: int = 20, people: int = 2) -> dict[str, Any]:
    """What a 3DPW file holds."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for frame in range(frames):
        poses[frame, :3, :3] = turn((0.01 * frame, 0.02 * frame, 0.0))
        poses[frame, :3, 3] = (0.01 * frame, 0.2, 4.0)
    random = np.random.default_rng(3)
    points = random.normal(size=(people, frames, 24, 3))
    seen = random.uniform(100, 900, size=(people, frames, 3, 18))
    seen[:, :, 2] = random.uniform(0.2, 1.0, size=(people, frames, 18))
    seen[:, 3] = 0
    valid = np.ones((people, frames), dtype=np.uint8)
    valid[1, :4] = 0
    return {
        "sequence": "downtown_walking_00", "genders": ["m", "f"], "betas": [np.zeros(10)] * people, "cam_poses": poses,
        "cam_intrinsics": np.array([[1960.0, 0, 540], [0, 1960, 960], [0, 0, 1]]), "img_frame_ids": np.arange(frames) * 2,
        "campose_valid": list(valid), "jointPositions": [person.reshape(frames, 72) for person in points],
        "poses2d": list(seen), "poses": [np.zeros((frames, 72))] * people, "trans": [np.zeros((frames, 3))] * people,
    }  # fmt: skip


@pytest.mark.parametrize("write", [python2_pickle, lambda data: pickle.dumps(data, 2)])
def test_3dpw_people_are_read_from_python_2_pickles(tmp_path: Path, write: Any) -> None:
    data = sequence()
    folder = tmp_path / "sequenceFiles" / "test"
    folder.mkdir(parents=True)
    (folder / "downtown_walking_00.pkl").write_bytes(write(data))
    for path in (tmp_path, tmp_path / "sequenceFiles"):
        first, second = load_pw3d(path)
    assert first.name == "downtown_walking_00 person0"
    assert second.fps == 30
    points = data["jointPositions"][1].reshape(-1, 24, 3)
    for joint, name in enumerate(H36M17.joints):
        if second.measured[joint]:
            assert np.array_equal(second.positions[:, joint], points[:, SMPL.index(name)]), name
    assert H36M17.joints[int(np.flatnonzero(~second.measured)[0])] == "head_top"
    (view,) = second.views
    assert view.valid.tolist() == [False] * 4 + [True] * 16
    moved = data["cam_poses"][7] @ np.append(points[7, 15], 1)
    assert np.allclose(second.seen_by(view)[7, 9], moved[:3])
    assert view.camera is not None
    assert view.camera.image_size == (1080, 1920)
    assert view.keypoints is not None
    assert view.keypoints.skeleton == "coco17"
    elbow = data["poses2d"][1][7][:, OPENPOSE18.index("l_elbow")]
    assert np.allclose(view.keypoints.xy[7, COCO17.joints.index("l_elbow")], elbow[:2])
    assert np.allclose(view.keypoints.score[7, COCO17.joints.index("l_elbow")], elbow[2])
    assert not view.keypoints.seen[3]


def test_3dpw_hostile_and_wrong_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"expected sequenceFiles/test/\*\.pkl"):
        load_pw3d(tmp_path)
    folder = tmp_path / "sequenceFiles" / "test"
    folder.mkdir(parents=True)
    file = folder / "a.pkl"
    file.write_bytes(b"cos\nsystem\n(S'echo hello'\ntR.")
    with pytest.raises(FormatError, match=r"asks to run 'os\.system'"):
        load_pw3d(tmp_path)
    for change, message in (
        ({"jointPositions": [np.zeros((20, 66))]}, r"shape \(20, 66\) where \(20, 72\)"),
        ({"cam_poses": np.zeros((20, 3, 4))}, "cam_poses"),
        ({"poses2d": [np.zeros((20, 18, 3))] * 2}, "poses2d of shape"),
        ({"campose_valid": [np.ones(3)] * 2}, "campose_valid of 3 frames where there are 20"),
        ({"cam_intrinsics": "none"}, "cam_intrinsics is not an array of numbers"),
    ):
        file.write_bytes(pickle.dumps({**sequence(), **change}, 2))
        with pytest.raises(FormatError, match=message):
            load_pw3d(tmp_path)
    file.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FormatError, match="not a sequence of 3DPW: no jointPositions"):
        load_pw3d(tmp_path)


def test_head_top_of_smpl_continues_the_neck() -> None:
    joints = np.zeros((1, 24, 3))
    joints[0, 12], joints[0, 15] = (0, 1.4, 0), (0, 1.5, 0)
    assert np.allclose(pw3d.smpl_to_h36m(joints)[0, 10], (0, 1.7, 0))


def test_projection_and_rays_are_inverse() -> None:
    view = camera(1, (1000, 1000))
    points = view.to_camera(walker(20))
    assert np.allclose(view.rays(view.project(points)), points[..., :2] / points[..., 2:], atol=1e-7)
    straight = Calibration(view.rotation, view.translation, view.focal, view.centre, view.image_size)
    assert np.abs(straight.rays(view.project(points)) - points[..., :2] / points[..., 2:]).max() > 1e-3
    assert np.isnan(view.rays(np.full((2, 3, 2), np.nan))).all()


def test_no_camera_is_solved_where_none_explains_the_pixels() -> None:
    points = walker(60)
    view = camera(0, (640, 480))
    pixels = view.project(view.to_camera(points))
    assert solve_calibration(points, pixels, (640, 480)) is not None
    random = np.random.default_rng(0)
    assert solve_calibration(points, random.permutation(pixels.reshape(-1, 2)), (640, 480)) is None
    assert solve_calibration(points[:2], pixels[:2], (640, 480)) is None
    assert solve_calibration(np.zeros((60, 17, 3)), pixels, (640, 480)) is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("factor", [0.0, 1e-300, 1e160, 1e300])
def test_no_camera_is_solved_for_degenerate_or_huge_values(factor: float) -> None:
    points = walker(60)
    pixels = points[..., :2]
    for joints, places in ((points * factor, pixels), (points, pixels * factor), (points * [1, 1, factor], pixels)):
        found = solve_calibration(joints, places, (640, 480))
        assert found is None or np.isfinite(found.rotation).all()


def test_clips_are_cut_at_gaps_and_resampled() -> None:
    positions = walker(101)
    positions[40:45] = np.nan
    recording = Recording("a", "s", "x", 50.0, positions)
    first, second = recording.clips(25)
    assert (first.name, second.name, len(first.positions), len(second.positions)) == ("a part0", "a part1", 20, 28)
    assert np.allclose(first.positions, positions[:40:2], atol=1e-6)
    assert np.allclose(second.positions, positions[45::2], atol=1e-6)
    (clip,) = Recording("b", "s", "x", 50.0, np.broadcast_to(np.arange(51.0)[:, None, None], (51, 17, 3))).clips(30)
    assert np.allclose(clip.positions[:, 0, 0], np.arange(31) * 50 / 30)
    for up in ((0, 1, 0), (0, 0, -1), (-1, 0, 0), (0, 0, 1)):
        (clip,) = Recording("c", "s", "x", 30.0, np.tile(np.array(up, float), (2, 17, 1)), up=up).clips()
        assert np.allclose(clip.positions, (0, 0, 1), atol=1e-6)
