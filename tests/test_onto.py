"""Motion on the user's hierarchy: limbs point as in the motion, whatever the rest pose, proportions and names of the skeleton."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from stpose_cli.main import run
from test_formats import make_capture
from test_formats_glb import body_motion

from stpose_core.animate.onto import onto
from stpose_core.animate.rotations import forward_kinematics
from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.rigs import recognised, renamed

BONES = [(side + a, side + b) for side in ("Left", "Right") for a, b in
         (("Arm", "ForeArm"), ("ForeArm", "Hand"), ("Hand", "HandEnd"), ("UpLeg", "Leg"), ("Leg", "Foot"))]  # fmt: skip


def character(arms_down: float = 0.0, facing: float = 0.0, size: float = 1.0, root: bool = False, rig: str = "unreal") -> Motion:
    """A skeleton with other lengths at rest. arms_down, facing: degrees. root: with a joint on the floor above the hips."""
    body = body_motion(frames=1)
    offsets = body.offsets * size * np.random.default_rng(7).uniform(0.8, 1.2, size=(len(body.names), 1))
    for joint, name in enumerate(body.names):
        if name.endswith(("ForeArm", "Hand", "HandEnd")):
            sign = -1.0 if name.startswith("Left") else 1.0
            offsets[joint] = Rotation.from_euler("z", sign * arms_down, degrees=True).apply(offsets[joint])
    offsets = Rotation.from_euler("y", facing, degrees=True).apply(offsets)
    still = np.tile([1.0, 0.0, 0.0, 0.0], (1, len(body.names), 1))
    one = renamed(replace(body, offsets=offsets, rotations=still, root=np.zeros((1, 3))), rig)
    if not root:
        return one
    return replace(
        one,
        names=("root", *one.names),
        parents=np.array([-1, *(one.parents + 1)]),
        offsets=np.concatenate([[[0, 0, 0], [0, 0.9 * size, 0]], offsets[1:]]),
        rotations=np.tile([1.0, 0.0, 0.0, 0.0], (1, len(body.names) + 1, 1)),
    )


def directions(motion: Motion) -> dict[tuple[str, str], np.ndarray]:
    """(T, 3) where each limb's bone points."""
    names, places = recognised(motion).names, forward_kinematics(motion)
    found = {}
    for first, second in BONES:
        vector = places[:, names.index(second)] - places[:, names.index(first)] if second in names else None
        if vector is not None:
            found[first, second] = vector / np.linalg.norm(vector, axis=1, keepdims=True)
    return found


def worst_angle(one: Motion, other: Motion) -> float:
    """Degrees."""
    mine, theirs = directions(one), directions(other)
    shared = [bone for bone in mine if bone in theirs]
    assert len(shared) >= 8
    return float(np.degrees(max(np.arccos(np.clip((mine[bone] * theirs[bone]).sum(-1), -1, 1)).max() for bone in shared)))


@pytest.mark.parametrize(
    "changes",
    [{}, {"arms_down": 45}, {"facing": 180}, {"facing": 90, "arms_down": 50}, {"root": True}, {"size": 1.7, "rig": "mixamo"}],
)
def test_limbs_point_as_in_the_motion(changes: dict) -> None:
    motion, target = body_motion(), character(**changes)
    solved = onto(motion, target)
    assert solved.names == target.names
    np.testing.assert_array_equal(solved.offsets, target.offsets)
    assert worst_angle(solved, motion) < 0.01
    names = recognised(solved).names
    hips = forward_kinematics(solved)[:, names.index("Hips")]
    leg = sum(np.linalg.norm(target.offsets[names.index(name)]) for name in ("LeftLeg", "LeftFoot"))
    own = sum(np.linalg.norm(motion.offsets[motion.names.index(name)]) for name in ("LeftLeg", "LeftFoot"))
    np.testing.assert_allclose(hips, motion.root * leg / own, atol=1e-9)


def test_angles_taken_over_as_they_are_would_be_wrong() -> None:
    """The control: without the correction for its rest pose, a character with its arms down holds them wrong."""
    motion, target = body_motion(), character(arms_down=45)
    assert worst_angle(replace(motion, names=target.names, offsets=target.offsets), motion) > 20


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
def test_convert_takes_the_skeleton_of_a_file(suffix: str, tmp_path: Path) -> None:
    motion, target = body_motion(), character(arms_down=40)
    save(motion, tmp_path / "a.bvh")
    save(target, tmp_path / f"rig{suffix}", units="m")
    words = ["convert", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(tmp_path / f"rig{suffix}")]
    assert run(words) == 0
    solved = load_motion(tmp_path / "b.glb")
    assert {"pelvis", "upperarm_l"} <= set(solved.names)
    assert worst_angle(solved, motion) < 0.1


def test_a_skeleton_that_is_not_recognised_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.bvh")
    save(replace(motion, names=tuple(f"b{number}" for number in range(len(motion.names)))), tmp_path / "rig.bvh")
    words = ["convert", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.bvh"), "--skeleton", str(tmp_path / "rig.bvh")]
    assert run(words) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "rig.bvh: the skeleton has no joint that is recognised as Hips" in message
    assert not (tmp_path / "b.bvh").exists()
    with pytest.raises(FormatError, match="the target"):
        onto(motion, load_motion(tmp_path / "rig.bvh"))


def test_mocap_writes_all_people_into_one_file_on_a_skeleton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_video import make_video

    import stpose_core.pipeline

    people = [replace(make_capture(), motion=body_motion(frames=9, seed=seed)) for seed in (1, 2)]
    monkeypatch.setattr(stpose_core.pipeline, "capture_people", lambda *arguments, **options: people)
    monkeypatch.setattr("stpose_cli.mocap.load", lambda options, several, say: {})
    make_video(tmp_path / "a.mp4")
    save(character(), tmp_path / "rig.glb")
    words = ["mocap", str(tmp_path / "a.mp4"), "--progress", "none", "--person", "all", "--skeleton", str(tmp_path / "rig.glb")]
    assert run([*words, "-o", str(tmp_path / "b.glb")]) == 0
    found = load_people(tmp_path / "b.glb")
    assert len(found) == 2
    for solved, capture in zip(found, people):
        assert "pelvis" in solved.names
        assert worst_angle(solved, capture.motion) < 0.1
    assert run([*words, "-o", str(tmp_path / "b.bvh")]) == 2
