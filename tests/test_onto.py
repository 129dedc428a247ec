"""Motion on the user's hierarchy: limbs point as in the motion, feet stand, whatever the rest pose, proportions and names."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_skeletons import CHARACTERS, character, measure
from stpose_cli.main import run
from test_formats import make_capture
from test_formats_glb import body_motion
from test_players import with_fingers

from stpose_core.animate import onto as module
from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.animate.onto import onto
from stpose_core.data import Motion
from stpose_core.errors import FormatError
from stpose_core.formats import load_motion, load_people, save
from stpose_core.rigs import recognised

sys.path.insert(0, str(Path(__file__).parent / "retarget"))
from walks import walk


def walking() -> Motion:
    """A walk with flat feet and true contacts."""
    track, _ = walk()
    return Motion(**track, filled=np.zeros(len(track["root"]), bool))


def leg_of(motion: Motion) -> float:
    names = recognised(motion).names
    return float(sum(np.linalg.norm(motion.offsets[names.index(name)]) for name in ("LeftLeg", "LeftFoot")))


@pytest.mark.parametrize("name", CHARACTERS)
def test_a_walk_on_each_familys_skeleton_has_its_limbs_and_stands(name: str) -> None:
    motion, target = walking(), CHARACTERS[name]
    solved = onto(motion, target)
    assert solved.names == target.names
    np.testing.assert_array_equal(solved.offsets, target.offsets)
    found = measure(motion, solved)
    assert found.worst < 0.1
    assert found.floor < 0.3
    assert found.lowest > -0.5
    assert found.slide < 0.15
    ratio = leg_of(target) / leg_of(motion)
    hips, given = (forward_kinematics(one)[:, recognised(one).names.index("Hips")] for one in (solved, motion))
    assert np.ptp(hips[:, 2]) == pytest.approx(ratio * np.ptp(given[:, 2]), rel=0.15)


def test_feet_would_slide_on_the_scaled_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: legs of other proportions make other strides."""
    monkeypatch.setattr(module, "carried", lambda posed, fps, contacts: posed)
    assert max(measure(walking(), onto(walking(), target)).slide for target in CHARACTERS.values()) > 0.2


def test_feet_stand_though_the_motion_says_nothing_of_contacts() -> None:
    motion = walking()
    solved = onto(replace(motion, contacts=np.zeros_like(motion.contacts)), CHARACTERS["Unreal"])
    assert measure(motion, solved).slide < 0.15


@pytest.mark.parametrize(
    "target",
    [
        character("unreal", seed=7),
        character("unreal", arms=45),
        character("unreal", facing=180),
        character("vrm", facing=90, arms=50),
        character("cmu", extra=("root",)),
        character("mixamo", size=1.7),
    ],
)
def test_limbs_point_as_in_a_motion_whose_joints_all_turn(target: Motion) -> None:
    motion = body_motion()
    assert measure(motion, onto(motion, target)).worst < 0.01


@pytest.mark.parametrize("name", CHARACTERS)
def test_fingers_bend_as_in_the_motion(name: str) -> None:
    motion = with_fingers()
    solved = onto(motion, CHARACTERS[name])
    assert measure(motion, solved).fingers < 1
    # The control: the same without what the fingers do.
    still = motion.rotations.copy()
    still[:, ["Hand" in name and name[-1].isdigit() for name in motion.names]] = [1, 0, 0, 0]
    assert measure(motion, onto(replace(motion, rotations=still), CHARACTERS[name])).fingers > 10


def test_angles_taken_over_as_they_are_would_be_wrong() -> None:
    """The control: without the correction for its rest pose, a character with its arms down holds them wrong."""
    motion = body_motion()
    offsets = motion.offsets.copy()
    for joint, name in enumerate(motion.names):
        if name.endswith(("ForeArm", "Hand")):
            offsets[joint] = [0, -np.linalg.norm(offsets[joint]), 0]
    down = replace(motion, offsets=offsets)
    assert measure(motion, down).worst > 20
    assert measure(motion, onto(motion, down)).worst < 0.01


def test_a_skeleton_without_known_names_is_recognised_by_its_shape() -> None:
    motion, target = body_motion(), body_motion(seed=1)
    nameless = replace(target, names=tuple(f"b{number}" for number in range(len(target.names))))
    solved = onto(motion, nameless)
    assert measure(motion, replace(solved, names=target.names)).worst < 0.01


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
def test_convert_takes_the_skeleton_of_a_file(suffix: str, tmp_path: Path) -> None:
    motion, target = body_motion(), character("unreal", arms=40)
    save(motion, tmp_path / "a.bvh")
    save(target, tmp_path / f"rig{suffix}", units="m")
    words = ["convert", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.glb"), "--skeleton", str(tmp_path / f"rig{suffix}")]
    assert run(words) == 0
    solved = load_motion(tmp_path / "b.glb")
    assert {"pelvis", "upperarm_l"} <= set(solved.names)
    assert measure(motion, solved).worst < 0.1


def test_a_skeleton_that_is_not_recognised_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    motion = body_motion()
    save(motion, tmp_path / "a.bvh")
    trunk = character("stpose")
    keep = 6
    cut = {name: getattr(trunk, name)[:keep] for name in ("parents", "offsets")}
    save(replace(trunk, names=trunk.names[:keep], rotations=trunk.rotations[:, :keep], **cut), tmp_path / "rig.bvh")
    words = ["convert", str(tmp_path / "a.bvh"), "-o", str(tmp_path / "b.bvh"), "--skeleton", str(tmp_path / "rig.bvh")]
    assert run(words) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "rig.bvh: the skeleton has no joint that is recognised as" in message
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
    save(character("unreal"), tmp_path / "rig.glb")
    words = ["mocap", str(tmp_path / "a.mp4"), "--progress", "none", "--person", "all", "--skeleton", str(tmp_path / "rig.glb")]
    assert run([*words, "-o", str(tmp_path / "b.glb")]) == 0
    found = load_people(tmp_path / "b.glb")
    assert len(found) == 2
    for solved, capture in zip(found, people):
        assert "pelvis" in solved.names
        assert measure(capture.motion, solved).worst < 0.1
    assert run([*words, "-o", str(tmp_path / "b.bvh")]) == 2
