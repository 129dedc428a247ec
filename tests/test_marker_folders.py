"""Plain marker mocap: ASF/AMC against closed forms, and folders of it as clips of 17 joints whatever the rig calls them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from stpose_training.data.marker_folders import FAMILIES, load_amc_folder, load_bvh_folder, plain

from stpose_core.animate import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats.asf import read_amc, read_asf
from stpose_core.formats.bvh import write_bvh
from stpose_core.skeletons import H36M17

INCH = 0.0254
ASF = """# made by a test
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  .asf of a test
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
{bones}:hierarchy
  begin
{hierarchy}  end
"""


def asf(bones: dict[str, tuple[str, float, str, str]], hierarchy: list[str]) -> str:
    """bones: name to (direction, length, axis, dof)."""
    lines = ""
    for number, (name, (direction, length, axis, dof)) in enumerate(bones.items(), 1):
        lines += f"  begin\n    id {number}\n    name {name}\n    direction {direction}\n    length {length}\n    axis {axis} XYZ\n"
        if dof:
            lines += f"    dof {dof}\n    limits (-160.0 20.0)\n" + "           (-70.0 70.0)\n" * (len(dof.split()) - 1)
        lines += "  end\n"
    return ASF.format(bones=lines, hierarchy="".join(f"    {line}\n" for line in hierarchy))


def amc(*frames: str) -> str:
    body = "".join(f"{number}\n{frame}\n" for number, frame in enumerate(frames, 1))
    return f"#!OML:ASF F:\\test.ASF\n:FULLY-SPECIFIED\n:DEGREES\n{body}"


def write(folder: Path, skeleton: str, motion: str, name: str = "01_02", asf_name: str = "01") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{asf_name}.asf").write_text(skeleton)
    (folder / f"{name}.amc").write_text(motion)
    return folder / f"{name}.amc"


TWO_BONES = asf(
    {"upper": ("0 1 0", 9.0, "0 0 30", "rx ry rz"), "lower": ("0 1 0", 4.5, "90 0 30", "rz")}, ["root upper", "upper lower"]
)


def test_two_bones_stand_where_the_formula_puts_them(tmp_path: Path) -> None:
    """R = R_parent C M C^-1; a bone's end is its beginning and R times its vector; lengths are inches over 0.45."""
    frames = ("root 1 2 3 10 20 30\nupper 15 25 35\nlower 40", "root 0 0 0 0 0 0\nupper 0 0 0\nlower 0")
    path = write(tmp_path, TWO_BONES, amc(*frames))
    motion = read_amc(tmp_path / "01.asf", path)
    assert motion.names == ("root", "upper", "lower", "lowerEnd")
    assert motion.fps == 120
    scale = INCH / 0.45

    def turned(x: float, y: float, z: float) -> np.ndarray:
        matrix: np.ndarray = np.eye(3)
        for axis, angle in enumerate((x, y, z)):
            matrix = Rotation.from_rotvec(np.radians(angle) * np.eye(3)[axis]).as_matrix() @ matrix
        return matrix

    root = turned(10, 20, 30)
    upper = root @ turned(0, 0, 30) @ turned(15, 25, 35) @ turned(0, 0, 30).T
    frame = turned(90, 0, 30)
    lower = upper @ frame @ turned(0, 0, 40) @ frame.T
    places = forward_kinematics(motion)
    begin = np.array([1, 2, 3]) * scale
    middle = begin + upper @ (0, 9 * scale, 0)
    assert np.allclose(places[0], [begin, begin, middle, middle + lower @ (0, 4.5 * scale, 0)])
    assert np.allclose(places[1], [[0, 0, 0], [0, 0, 0], [0, 9 * scale, 0], [0, 13.5 * scale, 0]])
    # The control: without the frames the lower bone would point elsewhere.
    assert not np.allclose(places[0, 3] - middle, root @ turned(15, 25, 35) @ turned(0, 0, 40) @ (0, 4.5 * scale, 0), atol=1e-3)


def test_bones_that_a_frame_leaves_out_rest_and_radians_are_radians(tmp_path: Path) -> None:
    path = write(tmp_path, TWO_BONES, amc("root 0 0 0 0 0 0").replace(":DEGREES", ":RADIANS"))
    assert np.allclose(forward_kinematics(read_amc(tmp_path / "01.asf", path))[0, 3], (0, 13.5 * INCH / 0.45, 0))
    path = write(tmp_path, TWO_BONES, amc(f"root 0 0 0 0 0 {np.pi / 2}").replace(":DEGREES", ":RADIANS"))
    assert np.allclose(forward_kinematics(read_amc(tmp_path / "01.asf", path))[0, 3], (-13.5 * INCH / 0.45, 0, 0))


ONE_FRAME = "root 0 0 0 0 0 0"


@pytest.mark.parametrize(
    ("change", "with_", "message"),
    [
        ("length 9.0", "length nine", "line 20: 1 numbers expected, not 'nine'"),
        ("dof rx ry rz", "dof rx ry rz l", "degrees of freedom 'rx ry rz l' are not supported"),
        ("axis 0 0 30 XYZ", "axis 0 0 30 XXZ", "'XXZ' is no order of axes"),
        ("upper lower\n", "upper higher\n", "names 'higher', which is no bone"),
        ("    upper lower\n", "", "bones without a place in the hierarchy: lower"),
        ("    name lower\n", "    name upper\n", "is there twice"),
        ("    direction 0 1 0\n", "", "has no name, direction or length"),
        (":bonedata", ":bones", "no :root or no :bonedata"),
        ("length 0.45", "length 0", "the unit of length is 0"),
    ],
)
def test_faults_of_a_skeleton_are_told(tmp_path: Path, change: str, with_: str, message: str) -> None:
    assert change in TWO_BONES
    write(tmp_path, TWO_BONES.replace(change, with_), amc(ONE_FRAME))
    with pytest.raises(FormatError, match=re.escape(message)):
        read_asf(tmp_path / "01.asf")


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (amc(f"{ONE_FRAME}\nupper 1 2"), "line 6: 2 numbers for 3 degrees of freedom of upper"),
        (amc(f"{ONE_FRAME}\nwing 1"), "line 6: 01.asf has no bone 'wing'"),
        (amc("upper 1 2 3"), "frame 1 does not place the root"),
        (amc("root 0 0 0 0 0 nan"), "line 5: 6 numbers expected"),
        (amc(), "no frames in it"),
        ("HIERARCHY\nROOT Hips\n", "line 1: the number of a frame expected"),
    ],
)
def test_faults_of_a_motion_are_told(tmp_path: Path, motion: str, message: str) -> None:
    path = write(tmp_path, TWO_BONES, motion)
    with pytest.raises(FormatError, match=re.escape(message)):
        read_amc(tmp_path / "01.asf", path)


# A T-pose in metres, y up: parent, place.
BODY = {
    "hips": (None, (0, 0.95, 0)), "l_hip": ("hips", (0.1, 0.9, 0)), "l_knee": ("l_hip", (0.1, 0.5, 0.02)),
    "l_ankle": ("l_knee", (0.1, 0.08, 0)), "r_hip": ("hips", (-0.1, 0.9, 0)), "r_knee": ("r_hip", (-0.1, 0.5, 0.02)),
    "r_ankle": ("r_knee", (-0.1, 0.08, 0)), "belly": ("hips", (0, 1.05, 0)), "breast": ("belly", (0, 1.3, 0)),
    "neck": ("breast", (0, 1.45, 0)), "head": ("neck", (0, 1.55, 0.02)), "l_shoulder": ("breast", (0.18, 1.42, 0)),
    "l_elbow": ("l_shoulder", (0.45, 1.42, 0)), "l_wrist": ("l_elbow", (0.7, 1.42, 0)), "r_shoulder": ("breast", (-0.18, 1.42, 0)),
    "r_elbow": ("r_shoulder", (-0.45, 1.42, 0)), "r_wrist": ("r_elbow", (-0.7, 1.42, 0)),
}  # fmt: skip
RIGS = {
    "mixamo": lambda joint: "mixamorig:" + named("motionbuilder", joint),
    "biped": lambda joint: "Bip01 " + {"l": "L ", "r": "R "}.get(joint[0] if joint[1] == "_" else "", "") + biped(joint),
    "classic": lambda joint: named("classic", joint),
    "unity": lambda joint: named("unity", joint),
    "poser": lambda joint: named("poser", joint),
}


def named(family: str, joint: str) -> str:
    name = FAMILIES[family].get(joint, joint)
    return name.replace("left", "Left").replace("right", "Right")


def biped(joint: str) -> str:
    name = FAMILIES["biped"].get(joint, joint)
    return (name[1:] if joint[1] == "_" else name).capitalize()


def bvh(path: Path, name: object, turns: bool = True, scale: float = 1.0, head_end: bool = True) -> Motion:
    """A clip of the body with the rig's names that bends its right elbow, its left knee and its back."""
    joints = {**BODY, **({"top": ("head", (0, 1.75, 0.02))} if head_end else {})}
    order = list(joints)
    offsets = [np.subtract(place, joints[parent][1]) if parent else np.zeros(3) for parent, place in joints.values()]
    rotations = np.zeros((10, len(order), 4))
    rotations[..., 0] = 1
    if turns:
        for joint, axis in (("r_elbow", "y"), ("l_knee", "x"), ("belly", "x"), ("hips", "y")):
            angles = np.linspace(0, 70, 10)[:, None]
            rotations[:, order.index(joint)] = Rotation.from_euler(axis, angles, degrees=True).as_quat()[:, [3, 0, 1, 2]]
    motion = Motion(
        names=tuple(f"{name('head')}End" if joint == "top" else name(joint) for joint in order),  # type: ignore[operator]
        parents=np.array([order.index(parent) if parent else -1 for parent, _ in joints.values()]),
        offsets=np.array(offsets) * scale,
        rotations=rotations,
        root=np.tile(np.array(BODY["hips"][1]) * scale, (10, 1)),
        contacts=np.zeros((10, 4)),
        filled=np.zeros(10, dtype=bool),
        fps=60.0,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bvh(motion, path, "m")
    return motion


@pytest.mark.parametrize("rig", RIGS)
def test_joints_of_a_bvh_rig_are_found_by_name(tmp_path: Path, rig: str) -> None:
    motion = bvh(tmp_path / "subject" / "walk_1.bvh", RIGS[rig])
    (recording,) = load_bvh_folder(tmp_path)
    assert (recording.name, recording.subject, recording.action, recording.fps) == ("subject/walk_1", "subject", "walk_1", 60)
    places = forward_kinematics(motion)
    for joint, name in enumerate(H36M17.joints):
        if name in BODY:
            x, y, z = np.moveaxis(places[:, list(BODY).index(name)], -1, 0)
            assert np.allclose(recording.positions[:, joint], np.stack([x, -z, y], -1), atol=1e-4), name
    first = recording.positions[0]
    assert np.allclose(first[[0, 10]], [(0, 0, 0.9), (0, -0.02, 1.75)], atol=1e-4)
    # Half-way from between the hips up to the neck, on the spine.
    assert np.allclose(first[7], (0, 0, (0.9 + 1.45) / 2), atol=1e-4)
    assert first[H36M17.joints.index("l_wrist")][0] > 0.6  # left is +x for a figure that faces -y, as in the other mocap


def test_units_and_subjects_of_bvh_files(tmp_path: Path) -> None:
    bvh(tmp_path / "07_01.bvh", RIGS["classic"], scale=100)
    (recording,) = load_bvh_folder(tmp_path)
    assert recording.subject == "07"
    assert recording.positions[0, 10, 2] == pytest.approx(1.75, abs=1e-4)
    # CMU's conversions in BVH: inches over 0.45, too large for metres and too small for centimetres.
    bvh(tmp_path / "07_01.bvh", RIGS["classic"], scale=0.45 / INCH)
    with pytest.raises(FormatError, match=r"neck to ankle is 0\.\d\d m, which is not human; give the length of its unit"):
        load_bvh_folder(tmp_path)
    (recording,) = load_bvh_folder(tmp_path, metres=INCH / 0.45, subject=lambda path: path.stem.upper() + "!")
    assert recording.positions[0, 10, 2] == pytest.approx(1.75, abs=1e-4)
    assert recording.subject == "07_01!"


def test_names_of_an_unknown_rig_can_be_given(tmp_path: Path) -> None:
    bvh(tmp_path / "a.bvh", lambda joint: f"Gelenk_{joint}", head_end=False)
    with pytest.raises(FormatError, match=r"a\.bvh: no joint for neck \(neck\).*it has Gelenk_hips"):
        load_bvh_folder(tmp_path)
    names = {joint: f"Gelenk_{joint}" for joint in FAMILIES["classic"]}
    (recording,) = load_bvh_folder(tmp_path, names=names)
    # No end of the head: it continues the neck.
    assert np.allclose(recording.positions[0, 10], (0, -0.04, 1.65), atol=1e-4)
    del names["l_knee"]
    with pytest.raises(FormatError, match=r"no joint for l_knee \(no name given\)"):
        load_bvh_folder(tmp_path, names=names)


def test_names_are_read_without_case_and_prefix() -> None:
    assert [plain(name) for name in ("mixamorig:LeftUpLeg", "Bip01 L Thigh", "LEFT_ARM", "mixamorig1:Head", "lowerneck")] == [
        "leftupleg", "lthigh", "leftarm", "head", "lowerneck"
    ]  # fmt: skip


BONES = {
    "lhipjoint": ("1 -0.5 0", 2.0, "0 0 0", ""), "lfemur": ("0 -1 0", 7.0, "0 0 20", "rx ry rz"),
    "ltibia": ("0 -1 0", 7.5, "0 0 0", "rx"), "lfoot": ("0 0 1", 2.0, "0 0 0", "rx rz"),
    "rhipjoint": ("-1 -0.5 0", 2.0, "0 0 0", ""), "rfemur": ("0 -1 0", 7.0, "0 0 -20", "rx ry rz"),
    "rtibia": ("0 -1 0", 7.5, "0 0 0", "rx"), "rfoot": ("0 0 1", 2.0, "0 0 0", "rx rz"),
    "lowerback": ("0 1 0", 3.0, "0 0 0", "rx ry rz"), "thorax": ("0 1 0", 4.0, "0 0 0", "rx ry rz"),
    "lowerneck": ("0 1 0", 1.7, "0 0 0", "rx ry rz"), "head": ("0 1 0", 3.4, "0 0 0", "rx ry rz"),
    "lclavicle": ("1 0.2 0", 3.0, "0 0 0", "ry rz"), "lhumerus": ("1 0 0", 5.5, "180 -30 -90", "rx ry rz"),
    "lradius": ("1 0 0", 3.5, "180 -30 -90", "rx"), "lwrist": ("1 0 0", 2.0, "0 90 90", "ry"),
    "rclavicle": ("-1 0.2 0", 3.0, "0 0 0", "ry rz"), "rhumerus": ("-1 0 0", 5.5, "180 30 90", "rx ry rz"),
    "rradius": ("-1 0 0", 3.5, "180 30 90", "rx"), "rwrist": ("-1 0 0", 2.0, "0 -90 -90", "ry"),
}  # fmt: skip
TREE = [
    "root lhipjoint rhipjoint lowerback", "lhipjoint lfemur", "lfemur ltibia", "ltibia lfoot", "rhipjoint rfemur",
    "rfemur rtibia", "rtibia rfoot", "lowerback thorax", "thorax lowerneck lclavicle rclavicle", "lowerneck head",
    "lclavicle lhumerus", "lhumerus lradius", "lradius lwrist", "rclavicle rhumerus", "rhumerus rradius", "rradius rwrist",
]  # fmt: skip


def test_amc_folder_of_cmu_style(tmp_path: Path) -> None:
    write(tmp_path / "01", asf(BONES, TREE), amc(*["root 0 17 0 0 0 0\nltibia 90"] * 9))
    write(tmp_path / "HDM_bd", asf(BONES, TREE), amc(*["root 0 17 0 0 90 0"] * 3), "HDM_bd_cartwheel_001_120", "HDM_bd")
    first, second = load_amc_folder(tmp_path)
    assert (first.name, first.subject, first.fps, len(first)) == ("01/01_02", "01", 120, 9)
    scale, pose = INCH / 0.45, first.positions[0]
    assert np.allclose(pose[8], (0, 0, 24 * scale))
    assert np.allclose(pose[7], (0, 0, (17 - 2 * 0.5 / np.hypot(1, 0.5) + 24) / 2 * scale))
    assert np.allclose(pose[10], (0, 0, 29.1 * scale))
    left, right = H36M17.index("l_ankle", "r_ankle")
    assert np.allclose(pose[left] - pose[left - 1], (0, 7.5 * scale, 0))  # the knee bends backwards: away from the toes
    assert np.allclose(pose[right] - pose[right - 1], (0, 0, -7.5 * scale))
    shoulder, wrist = H36M17.index("l_shoulder", "l_wrist")
    assert np.allclose(pose[wrist] - pose[shoulder], (9 * scale, 0, 0))
    # A quarter turn about the vertical takes left (+x) to the back of what was the front (-z, here +y).
    assert np.allclose(second.positions[0, wrist] - second.positions[0, shoulder], (0, 9 * scale, 0))
    (clip,) = first.clips()
    assert len(clip.positions) == 3


def test_folders_without_what_is_needed_are_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no \.bvh files in"):
        load_bvh_folder(tmp_path)
    with pytest.raises(FormatError, match=r"no \.amc files in"):
        load_amc_folder(tmp_path)
    (tmp_path / "a.amc").write_text(amc(ONE_FRAME))
    with pytest.raises(FormatError, match=r"no \.asf file beside it that belongs to it \(none there\)"):
        load_amc_folder(tmp_path)
    (tmp_path / "b.asf").write_text(TWO_BONES)
    with pytest.raises(FormatError, match="no joint for neck"):
        load_amc_folder(tmp_path)
