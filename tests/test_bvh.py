"""Motion written as BVH means the same to other programs, and comes back as it went."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import bvhio
import numpy as np
import pytest

from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats import load_motion, save
from stpose_core.formats.bvh import read_bvh
from stpose_core.formats.euler import quaternions_from_euler, smooth_zxy

FPS = 30000 / 1001
# name, parent, offset in metres
BONES = [
    ("Hips", None, (0, 0, 0)), ("Spine", "Hips", (0, 0.1, 0.01)), ("Chest", "Spine", (0, 0.2, -0.01)),
    ("Neck", "Chest", (0, 0.2, 0)), ("Head", "Neck", (0, 0.1, 0.02)), ("HeadEnd", "Head", (0, 0.2, 0)),
    *[(side + name, parent if parent in ("Chest", "Hips") else side + parent, (sign * x, y, z))
      for side, sign in (("Left", 1), ("Right", -1))
      for name, parent, (x, y, z) in [
          ("Shoulder", "Chest", (0.05, 0.15, 0)), ("Arm", "Shoulder", (0.12, 0, 0)), ("ForeArm", "Arm", (0.28, 0, 0)),
          ("Hand", "ForeArm", (0.25, 0, 0)), ("HandEnd", "Hand", (0.1, 0, 0)), ("UpLeg", "Hips", (0.1, -0.05, 0)),
          ("Leg", "UpLeg", (0, -0.42, 0)), ("Foot", "Leg", (0, -0.4, 0)), ("ToeBase", "Foot", (0, -0.06, 0.13)),
          ("ToeEnd", "ToeBase", (0, 0, 0.07))]],
]  # fmt: skip
NAMES = tuple(name for name, _, _ in BONES)


def make_motion(frames: int = 40, fps: float = FPS, seed: int = 0) -> Motion:
    """Every joint swings its own way, and the hips turn around twice."""
    random = np.random.default_rng(seed)
    phase = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    vectors = random.normal(size=(1, len(BONES), 3)) * 0.8 * np.sin(phase + random.uniform(0, 6, size=(1, len(BONES), 3)))
    vectors[:, 0] = np.stack([0.1 * np.sin(phase[:, 0, 0]), 2 * phase[:, 0, 0], 0 * phase[:, 0, 0]], axis=-1)
    rotations = quaternions_of_vectors(vectors)
    for joint, name in enumerate(NAMES):
        if name.endswith("End"):
            rotations[:, joint] = (1, 0, 0, 0)
    return Motion(
        names=NAMES,
        parents=np.array([NAMES.index(parent) if parent else -1 for _, parent, _ in BONES]),
        offsets=np.array([offset for _, _, offset in BONES]),
        rotations=rotations,
        root=np.cumsum(random.normal(size=(frames, 3)) * 0.01, axis=0) + (0, 0.95, 0),
        contacts=random.uniform(size=(frames, 4)),
        filled=random.uniform(size=frames) > 0.8,
        fps=fps,
    )


def quaternions_of_vectors(vectors: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2), vectors * np.sinc(angle / (2 * np.pi)) / 2], axis=-1)


def rotated(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    w, u = quaternion[0], quaternion[1:]
    return vector + 2 * np.cross(u, np.cross(u, vector) + w * vector)


def joints_by_name(motion: Motion, frame: int) -> dict[str, np.ndarray]:
    """Forward kinematics, worked out the slow way: each joint is carried through all of its ancestors' rotations."""
    places = {}
    for name, joint in zip(motion.names, range(len(motion.names)), strict=True):
        point, at = np.zeros(3), joint
        while motion.parents[at] >= 0:
            point = rotated(motion.rotations[frame, motion.parents[at]], motion.offsets[at] + point)
            at = motion.parents[at]
        places[name] = point + motion.root[frame]
    return places


def check_with_bvhio(path: Path, motion: Motion, scale: float = 100.0) -> None:
    """Another program's reader finds every joint of every frame where forward kinematics puts it, at the same rate."""
    container = bvhio.readAsBvh(str(path))
    assert container.FrameCount == len(motion)
    assert container.FrameTime == pytest.approx(1 / motion.fps, rel=1e-6)
    root = bvhio.readAsHierarchy(str(path))
    for frame in range(0, len(motion), 3):
        root.loadPose(frame)
        expected = joints_by_name(motion, frame)
        seen = {joint.Name: np.array(joint.PositionWorld) / scale for joint, _, _ in root.layout()}
        assert {name for name in expected if not name.endswith("End")} <= set(seen)
        for name in set(seen) & set(expected):
            np.testing.assert_allclose(seen[name], expected[name], atol=1e-4, err_msg=f"{name} in frame {frame}")


@pytest.mark.parametrize(("units", "scale"), [("cm", 100.0), ("m", 1.0)])
def test_another_reader_sees_the_same_joints(units: str, scale: float, tmp_path: Path) -> None:
    motion = make_motion()
    save(motion, tmp_path / "a.bvh", units=units)
    check_with_bvhio(tmp_path / "a.bvh", motion, scale)


def edited(pattern: str, new: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        changed, count = re.subn(pattern, new, text)
        assert count
        return changed

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        edited("Zrotation Xrotation Yrotation", "Xrotation Yrotation Zrotation"),
        edited("Zrotation Xrotation Yrotation", "Yrotation Xrotation Zrotation"),
        edited("Xposition Yposition Zposition", "Xposition Zposition Yposition"),
        edited(r"Frame Time: \S+", "Frame Time: 0.0333333333"),
        edited("Left|Right", lambda side: "Right" if side[0] == "Left" else "Left"),
        edited("OFFSET (?=[1-9])", "OFFSET -"),
    ],
    ids=["turned order", "reverse order", "z up", "30 instead of 29.97 fps", "swapped sides", "mirrored"],
)
def test_a_wrong_file_fails_the_same_check(spoil: Callable[[str], str], tmp_path: Path) -> None:
    motion = make_motion()
    save(motion, tmp_path / "a.bvh")
    (tmp_path / "b.bvh").write_text(spoil((tmp_path / "a.bvh").read_text()))
    with pytest.raises(AssertionError):
        check_with_bvhio(tmp_path / "b.bvh", motion)


@pytest.mark.parametrize("units", ["cm", "m"])
def test_bvh_comes_back_as_it_went(units: str, tmp_path: Path) -> None:
    motion = make_motion()
    save(motion, tmp_path / "a.bvh", units=units)
    back = load_motion(tmp_path / "a.bvh")
    order = [motion.names.index(name) for name in back.names]  # depth first in the file
    assert sorted(order) == list(range(len(NAMES)))
    parents = {name: motion.names[parent] for name, parent in zip(motion.names[1:], motion.parents[1:], strict=True)}
    assert parents == {name: back.names[parent] for name, parent in zip(back.names[1:], back.parents[1:], strict=True)}
    assert back.fps == motion.fps
    for frame in range(0, len(motion), 5):
        there, here = joints_by_name(motion, frame), joints_by_name(back, frame)
        for name in NAMES:
            np.testing.assert_allclose(here[name], there[name], atol=1e-4 / 10)
    # Quaternions may differ in sign only.
    assert np.abs((back.rotations * motion.rotations[:, order]).sum(-1)).min() > 1 - 1e-9


def test_the_layout_is_the_conventional_one(tmp_path: Path) -> None:
    motion = make_motion(frames=3, fps=25)
    save(motion, tmp_path / "a.bvh")
    lines = (tmp_path / "a.bvh").read_text().splitlines()
    assert lines[:5] == [
        "HIERARCHY",
        "ROOT Hips",
        "{",
        "\tOFFSET 0.000000 0.000000 0.000000",
        "\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation",
    ]
    assert "\t\tCHANNELS 3 Zrotation Xrotation Yrotation" in lines
    assert sum(line.strip() == "End Site" for line in lines) == sum(name.endswith("End") for name in NAMES)
    motion_at = lines.index("MOTION")
    open_braces = 0
    for line in lines[1:motion_at]:
        open_braces -= line.strip() == "}"
        assert len(line) - len(line.lstrip("\t")) == open_braces
        open_braces += line.strip() == "{"
    assert lines[motion_at + 1 : motion_at + 3] == ["Frames: 3", "Frame Time: 0.0400000000"]
    assert len(lines) == motion_at + 3 + 3
    assert [float(value) for value in lines[motion_at + 3].split()[:3]] == pytest.approx(motion.root[0] * 100, abs=1e-5)


def test_joints_in_any_order_and_without_end_sites_are_written_whole(tmp_path: Path) -> None:
    motion = Motion(
        names=("Root", "A", "B", "A child", "B2"),
        parents=np.array([-1, 0, 0, 1, 2]),
        offsets=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]) * 0.3,
        rotations=quaternions_of_vectors(np.random.default_rng(1).normal(size=(4, 5, 3))),
        root=np.ones((4, 3)),
        contacts=np.zeros((4, 4)),
        filled=np.zeros(4, dtype=bool),
        fps=60,
    )
    save(motion, tmp_path / "a.bvh")
    back = load_motion(tmp_path / "a.bvh")
    assert back.names == ("Root", "A", "A_child", "B", "B2")  # depth first, names in one word
    for frame in range(4):
        there, here = joints_by_name(motion, frame), joints_by_name(back, frame)
        for old, new in [("A", "A"), ("A child", "A_child"), ("B2", "B2")]:
            np.testing.assert_allclose(here[new], there[old], atol=1e-5)


def test_a_chain_longer_than_the_interpreters_stack_is_written(tmp_path: Path) -> None:
    count = 1500
    motion = Motion(
        names=tuple(f"J{joint}" for joint in range(count)),
        parents=np.arange(count) - 1,
        offsets=np.full((count, 3), 0.01),
        rotations=np.tile((1.0, 0, 0, 0), (1, count, 1)),
        root=np.zeros((1, 3)),
        contacts=np.zeros((1, 4)),
        filled=np.zeros(1, dtype=bool),
        fps=30,
    )
    save(motion, tmp_path / "a.bvh")
    assert load_motion(tmp_path / "a.bvh").names == motion.names


def turns(order: str, *degrees: float) -> np.ndarray:
    """A rotation matrix, as a product of the textbook's matrices about one axis each."""
    result = np.eye(3)
    for axis, angle in zip(order, np.radians(degrees), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        result = (
            result
            @ {
                "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
                "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
                "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
            }[axis]
        )
    return result


def test_euler_angles_follow_the_textbook_in_any_order() -> None:
    random = np.random.default_rng(2)
    for order in ("zxy", "xyz", "zyx", "yxz", "xzy", "yzx", "z", "xy", ""):
        degrees = random.uniform(-400, 400, size=(5, len(order)))
        for one, quaternion in zip(degrees, quaternions_from_euler(order, degrees), strict=True):
            columns = np.stack([rotated(quaternion, axis) for axis in np.eye(3)], axis=-1)
            np.testing.assert_allclose(columns, turns(order, *one), atol=1e-12)


def test_curves_have_no_jumps_and_mean_the_same() -> None:
    frames = 400
    time = np.linspace(0, 1, frames)
    # Spins three times about each axis in turn, while the middle angle passes 90 degrees.
    degrees = np.stack([1080 * time, 120 * np.sin(6 * time), -1080 * time], axis=-1)[:, None]
    quaternions = quaternions_from_euler("zxy", degrees)
    quaternions[::7] *= -1  # the sign of a quaternion means nothing
    found = smooth_zxy(quaternions)
    np.testing.assert_allclose(found, degrees, atol=1e-6)
    # Negative control: the angles of each frame alone do jump.
    alone = np.concatenate([smooth_zxy(quaternions[frame : frame + 1]) for frame in range(frames)])
    assert np.abs(np.diff(alone, axis=0)).max() > 150


@pytest.mark.parametrize("middle", [90.0, -90.0, 89.99999, -90.0000001])
def test_locked_angles_still_mean_the_same_rotation(middle: float) -> None:
    degrees = np.stack([np.linspace(0, 50, 20), np.full(20, middle), np.linspace(10, 90, 20)], axis=-1)
    found = smooth_zxy(quaternions_from_euler("zxy", degrees[:, None]))[:, 0]
    for there, here in zip(degrees, found, strict=True):
        np.testing.assert_allclose(turns("zxy", *here), turns("zxy", *there), atol=1e-7)


@pytest.mark.parametrize("middle", [90.0, -90.0])
def test_locked_angles_keep_the_first_one(middle: float) -> None:
    degrees = np.array([[50.0, 0.9 * middle, 10.0], [50.0, middle, 10.0], [50.0, 0.9 * middle, 20.0]])
    found = smooth_zxy(quaternions_from_euler("zxy", degrees[:, None]))[:, 0]
    np.testing.assert_allclose(found, degrees, atol=1e-5)


FOREIGN = """\ufeffhierarchy
root mixamorig:Hips {
  offset 3 90 1   Channels 6 Xposition Yposition Zposition Yrotation Zrotation Xrotation
  JOINT Left Leg
  { OFFSET 0 -40
    0
    CHANNELS 3 Xrotation Yrotation Zrotation
    End Site { OFFSET 0 -40 0 } }
  JOINT Spine{\tOFFSET 0 10 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
    JOINT Spine { OFFSET 0 20 0 CHANNELS 1 Yrotation
      End Site { OFFSET 0 0 0 }
    }
  }
}

 MOTION\r
Frames:\t2
frame time:   .0083333

 1 2 3  10 20 30   5 6 7  0 12 0 -1 -2 -3  45
 4 5 6  1e1 2e1 3e1   50 60 70  0 12 0 0 0 0  0

"""


def test_files_of_other_tools_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(FOREIGN, encoding="utf-8", newline="")
    motion = read_bvh(tmp_path / "a.bvh")
    assert (motion.offsets[0] == 0).all(), "the root has a path instead"
    assert motion.names == ("mixamorig:Hips", "Left Leg", "Left LegEnd", "Spine", "Spine2")
    assert motion.parents.tolist() == [-1, 0, 1, 0, 3]
    assert motion.fps == 120
    np.testing.assert_allclose(motion.root, [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]])
    np.testing.assert_allclose(motion.offsets[3], [0, 0.12, 0])  # the position channels replace the offset
    hips, leg = turns("yzx", 10, 20, 30), turns("xyz", 5, 6, 7)
    expected = motion.root[0] + hips @ ([0, -0.4, 0] + leg @ [0, -0.4, 0])
    np.testing.assert_allclose(joints_by_name(motion, 0)["Left LegEnd"], expected, atol=1e-9)
    spine = motion.root[0] + hips @ ([0, 0.12, 0] + turns("zyx", -1, -2, -3) @ [0, 0.2, 0])
    np.testing.assert_allclose(joints_by_name(motion, 0)["Spine2"], spine, atol=1e-9)
    np.testing.assert_allclose(read_bvh(tmp_path / "a.bvh", units="m").root, motion.root * 100)


@pytest.mark.parametrize(
    ("step", "fps"),
    [
        ("0.033333", 30),
        ("0.0333667", 30 / 1.001),
        ("0.0416667", 24),
        ("8.3333E-03", 120),
        ("0.01", 100),
        ("0.0341", 29.3255),
        ("0.0334", 30 / 1.001),
        ("0.033", 30),
    ],
)
def test_rounded_frame_times_give_the_rate_that_was_meant(step: str, fps: float, tmp_path: Path) -> None:
    text = re.sub("frame time:.*", f"Frame Time: {step}", FOREIGN)
    (tmp_path / "a.bvh").write_text(text, encoding="utf-8")
    assert read_bvh(tmp_path / "a.bvh").fps == pytest.approx(fps, rel=1e-5 if step == "0.0341" else 1e-12)


SMALL = """HIERARCHY
ROOT Hips
{
OFFSET 0 0 0
CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
End Site
{
OFFSET 0 10 0
}
}
MOTION
Frames: 3
Frame Time: 0.04
0 0 0 1 2 3
0 0 0 4 5 6
0 0 0 7 8 9
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("HIERARCHY", "solid cube", 1, "HIERARCHY"),
        (SMALL, "", 1, "HIERARCHY"),
        ("ROOT Hips", "JOINT Hips", 2, "ROOT expected"),
        ("OFFSET 0 0 0\n", "OFFSET 0 zero 0\n", 4, "'zero' is no number"),
        ("OFFSET 0 0 0\n", "OFFSET 0 nan 0\n", 4, "nan"),
        ("OFFSET 0 0 0\n", "\n", 10, "no OFFSET"),
        ("Zrotation", "Wrotation", 5, "unknown channel 'Wrotation'"),
        ("CHANNELS 6", "CHANNELS 7", 6, "unknown channel 'End'"),
        ("CHANNELS 6", "CHANNELS 5", 5, "unexpected 'YROTATION'"),
        ("}\n}\nMOTION", "}\nMOTION", 10, "the hierarchy ends"),
        ("}\n}\nMOTION", "}\n}\nROOT Other\nMOTION", 11, "more than one ROOT"),
        ("MOTION\n", "\n", 16, "no MOTION|unexpected"),
        ("Frames: 3", "Frames: three", 12, "Frames"),
        ("Frame Time: 0.04", "Frame Time: 0", 13, "'0' is no frame time"),
        ("Frame Time: 0.04\n", "", 13, "Frame Time"),
        ("4 5 6", "4 5", 15, "5 numbers, but there are 6 channels"),
        ("4 5 6", "4 5 six", 15, "'six' is no number"),
        ("4 5 6", "4 5 inf", 15, "'inf' is no number"),
        ("0 0 0 7 8 9\n", "", 12, "3 frames are announced, but 2 follow"),
        ("Frames: 3", "Frames: 2", 12, "2 frames are announced, but 3 follow"),
        ("Frames: 3", f"Frames: {'9' * 5000}", 12, r"999\.\.\. frames are announced, but 3 follow"),
        ("Frame Time: 0.04", "Frame Time: 1e-320", 13, "'1e-320' is no frame time"),
        (SMALL[SMALL.index("CHANNELS") :], "}\nMOTION\nFrames: 2000000000\nFrame Time: 1\n", 6, "no joint has channels"),
    ],
)
def test_damage_is_told_with_its_line(old: str, new: str, line: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(SMALL)
    assert len(read_bvh(tmp_path / "a.bvh")) == 3
    (tmp_path / "a.bvh").write_text(SMALL.replace(old, new, 1))
    with pytest.raises(FormatError, match=words) as caught:
        read_bvh(tmp_path / "a.bvh")
    assert "\n" not in str(caught.value)
    if "unexpected" not in words or "YROT" in words:
        assert f"line {line}:" in str(caught.value)


@pytest.mark.parametrize(("step", "metres"), [(3.0, 0.03), (2.5, 2.5)])
def test_a_skeleton_that_spans_more_than_eight_is_in_centimetres(step: float, metres: float, tmp_path: Path) -> None:
    """Its joints together, not one of them: three bones of 3 on top of each other are no body in metres."""
    joints = "".join(f"JOINT j{number}\n{{\nOFFSET 0 {step} 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n" for number in range(3))
    head = "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    tail = "}\n" * 4 + "MOTION\nFrames: 1\nFrame Time: 0.04\n" + "0 " * 12
    (tmp_path / "a.bvh").write_text(head + joints + tail)
    assert read_bvh(tmp_path / "a.bvh").offsets[1:, 1] == pytest.approx([metres] * 3)
