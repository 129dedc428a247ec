"""What controls hang on, poses from the channels of bones, and a root bone that turns with the character."""

from __future__ import annotations

import numpy as np
import pytest
from rigs import character
from test_places import walked
from test_solver import skeleton

from stpose_core.retarget.attachment import attachments, local_rotations, measured
from stpose_core.retarget.rootmotion import ROOT_BONE, split
from stpose_core.retarget.rotation import IDENTITY, about, angle_between, inverse, multiply, rotate, unit
from stpose_core.retarget.skeleton import pose_from_local


def turns(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return about(unit(random.normal(size=(count, 3))), random.uniform(-2, 2, count))


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(angle_between(found, expected).max() < 1e-6)


def test_a_pose_from_channels() -> None:
    """Every bone is turned in its own axes at rest, carries those below it, and keeps its length."""
    one = character("mixamo", arms_down=40, rolls=2)
    skel, mapped = skeleton(one), one.named()
    local = np.stack([turns(4, bone) for bone in range(len(skel.names))], axis=1)
    shift = np.random.default_rng(9).normal(size=(4, 3))
    track = pose_from_local(skel, local, shift, 24.0, np.ones((4, 4)))
    hips, spine = (skel.index(mapped[slot]) for slot in ("hips", "spine"))
    assert track.fps == 24.0
    assert track.contacts is not None
    assert track.heads[:, hips] == pytest.approx(skel.heads[hips] + shift)
    assert same(track.rotations[:, hips], multiply(skel.rest[hips], local[:, hips]))
    carried = multiply(track.rotations[:, hips], inverse(skel.rest[hips]))
    assert track.heads[:, spine] == pytest.approx(track.heads[:, hips] + rotate(carried, skel.heads[spine] - skel.heads[hips]))
    assert same(track.rotations[:, spine], multiply(carried, multiply(skel.rest[spine], local[:, spine])))
    # Control: at rest nothing moves, wherever a bone hangs.
    rest = pose_from_local(skel, np.tile(IDENTITY, (1, len(skel.names), 1)), np.zeros((1, 3)), 24.0)
    assert rest.heads[0] == pytest.approx(skel.heads)
    assert same(rest.rotations[0], skel.rest)
    # The channels come back.
    back = multiply(inverse(multiply(carried, skel.rest[spine])), track.rotations[:, spine])
    assert same(back, local[:, spine])


def test_what_controls_hang_on_is_measured() -> None:
    """A chain of two, one that copies half of a turn and so follows nothing rigidly, and one that hangs on the world."""
    bases = {slot: turns(6, seed) for seed, slot in enumerate(("hips", "spine", "head", "hand.L"))}
    offset = turns(1, 9)[0]
    bones = {"hips": multiply(about([0, 0, 1], 0.3), bases["hips"])}
    bones["spine"] = multiply(multiply(bones["hips"], offset), bases["spine"])
    half = bones["spine"].copy()
    half[:3] = IDENTITY
    bones["head"] = multiply(half, bases["head"])
    bones["hand.L"] = bases["hand.L"]
    found = measured(bones, bases, ["hips", "spine", "head", "hand.L"])
    assert found["hips"] is not None
    assert found["hips"].parent is None
    assert same(found["hips"].offset, about([0, 0, 1], 0.3))
    assert found["spine"] is not None
    assert found["spine"].parent == "hips"
    assert same(found["spine"].offset, offset)
    assert found["head"] is None
    assert found["hand.L"] is not None
    assert found["hand.L"].parent is None
    # Of two that move alike, the later one carries.
    twin = measured({**bones, "twin": bones["hips"], "end": bones["spine"]},
                    {**bases, "twin": bases["hips"], "end": bases["spine"]}, ["hips", "twin", "end"])  # fmt: skip
    assert twin["end"] is not None
    assert twin["end"].parent == "twin"


def test_channels_of_a_solved_walk_give_its_pose() -> None:
    posed = walked(np.zeros(3))[0]
    anatomy = posed.anatomy
    found = local_rotations(posed, attachments(anatomy.skeleton, anatomy.mapped))
    count = len(anatomy.skeleton.names)
    local = np.tile(IDENTITY, (len(posed), count, 1))
    for slot, channels in found.items():
        local[:, anatomy.bones[slot]] = channels
    hips = anatomy.bones["hips"]
    track = pose_from_local(anatomy.skeleton, local, posed.hips - anatomy.skeleton.heads[hips], 30.0)
    for slot in ("head", "hand.L", "foot.R"):
        assert track.heads[:, anatomy.bones[slot]] == pytest.approx(posed.heads[slot], abs=1e-6)


def test_a_root_bone_without_heading_does_not_turn() -> None:
    posed = walked(np.zeros(3))[0]
    same_pose, carrier = split(posed, ROOT_BONE)
    assert same_pose is posed
    assert carrier is not None
    assert same(carrier.turn, np.tile(IDENTITY, (len(posed), 1)))
