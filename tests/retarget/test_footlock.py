"""Foot lock: feet that stand stay, feet that swing swing, and knees do not snap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rigs import character, turn
from test_solver import SOURCE_MAP, degrees, skeleton, source
from walks import STANDING, matrices, motion, walk

from stpose_core.retarget.contacts import ALWAYS, AUTO, GROUNDING, NEVER
from stpose_core.retarget.footlock import FootLock, lock_feet
from stpose_core.retarget.ground import above_floor
from stpose_core.retarget.rotation import about, angle_between, multiply, rotate
from stpose_core.retarget.solver import retarget

FPS = 30.0


def posed_walk(noise: float, proportions: tuple[float, float] = (1.0, 1.0), scale: float = 1.0, drift: float = 0.0):
    """A walk on a character. drift: m of sideways sliding of the whole body to and fro."""
    track, ankles = walk(noise=noise)
    track["root"][:, 0] += drift * np.sin(np.arange(len(track["root"])) / 6)
    moving = source(track)
    one = character("mixamo", arms_down=45, rolls=2, proportions=proportions).turned(np.eye(3), scale)
    return retarget(moving, SOURCE_MAP, skeleton(one), one.named()), moving.contacts, ankles


def slide(posed, contacts: np.ndarray) -> np.ndarray:
    """cm a frame over the ground of each ankle in frames between which its heel stands."""
    found = []
    for number, side in enumerate((".L", ".R")):
        steps = np.linalg.norm(np.diff(posed.heads["foot" + side], axis=0)[:, :2], axis=1)
        both = (contacts[1:, 2 * number] > 0.5) & (contacts[:-1, 2 * number] > 0.5)
        found.append(100 * steps[both])
    return np.concatenate(found)


def knees(posed) -> np.ndarray:
    """(T, 2) degrees of bend."""
    return np.stack([
        degrees(posed.heads["shin" + s] - posed.heads["thigh" + s], posed.heads["foot" + s] - posed.heads["shin" + s])
        for s in (".L", ".R")
    ], axis=1)  # fmt: skip


def test_standing_feet_stay() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    assert slide(posed, contacts).max() > 0.3
    for given in (contacts, None):
        locked = lock_feet(posed, FPS, FootLock(AUTO), given)
        inside = contacts if given is not None else _shrunk(contacts)
        assert slide(locked, inside).max() < 0.2


def _shrunk(contacts: np.ndarray) -> np.ndarray:
    """Without the first and last frames of each contact, which a search by speed need not find."""
    out = contacts.copy()
    for step in (1, 2, 3):
        out[step:] = np.minimum(out[step:], contacts[:-step])
        out[:-step] = np.minimum(out[:-step], contacts[step:])
    return out


def test_soles_of_standing_feet_lie_on_the_floor_and_none_is_below_it() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    for number, side in enumerate((".L", ".R")):
        stands = contacts[:, 2 * number] > 0.5
        stands[[0, -1]] = False  # a foot that stands for a single frame does not count as standing
        for one, limit in ((posed, None), (locked, 0.001)):
            height = above_floor(one, side)
            if limit is None:
                assert np.abs(height[stands]).max() > 0.005  # the control: not without the lock
            else:
                assert np.abs(height[stands]).max() < limit
                assert height.min() > -limit


def pitched(degrees_up: float, toe_down: float = 0.0):
    """A foot in the air that stands as the track says: the left toes up by some degrees, the toe bone bent down."""
    posed, _, _ = posed_walk(noise=0.0)
    left = np.array([1.0, 0.0, 0.0])
    change = {"foot.L": about(left, -np.radians(degrees_up)), "toe.L": about(left, np.radians(toe_down - degrees_up))}
    rotations = {slot: multiply(change[slot], turns) if slot in change else turns for slot, turns in posed.rotations.items()}
    return replace(posed, rotations=rotations).placed()


@pytest.mark.parametrize("degrees_up", [25.0, -25.0])
def test_a_pitched_foot_keeps_its_pitch_and_stands_on_its_lowest_point(degrees_up: float) -> None:
    posed = pitched(degrees_up)
    contacts = np.zeros((len(posed), 4))
    contacts[2:7, 0 if degrees_up > 0 else 1] = 1.0
    locked = lock_feet(posed, FPS, FootLock(floor_height=1.0), contacts)
    off = np.degrees(angle_between(locked.rotations["foot.L"], posed.rotations["foot.L"]))
    assert off[2:7].max() < 3
    assert np.abs(above_floor(locked, ".L")[2:7]).max() < 1e-6


def test_toes_on_the_ground_lie_flat_under_a_lifted_heel() -> None:
    posed = pitched(-25.0, toe_down=10.0)
    contacts = np.zeros((len(posed), 4))
    contacts[2:9, 1] = 1.0
    toes = []
    for one in (posed, lock_feet(posed, FPS, FootLock(floor_height=1.0), contacts)):
        toes.append(np.degrees(np.arcsin(rotate(one.turned("toe.L"), [0.0, -1.0, 0.0])[4, 2])))
    assert toes[0] < -30
    assert abs(toes[1]) < 0.1


def test_a_foot_that_pivots_turns_on_and_one_that_rests_keeps_its_heading() -> None:
    posed, contacts, _ = posed_walk(noise=0.0)
    up = np.array([0.0, 0.0, 1.0])
    for turned, kept in ((np.radians(4) * np.sin(np.arange(len(posed))), 0.1), (np.radians(3.0) * np.arange(len(posed)), None)):
        foot = multiply(about(up, turned), posed.rotations["foot.L"])
        moving = replace(posed, rotations={**posed.rotations, "foot.L": foot}).placed()
        claimed = np.zeros_like(contacts)
        claimed[1:16, :2] = 1.0
        locked = lock_feet(moving, FPS, FootLock(floor_height=1.0), claimed)
        heading = rotate(locked.turned("foot.L"), [0.0, -1.0, 0.0])[5:12]
        yaw = np.degrees(np.unwrap(np.arctan2(heading[:, 0], -heading[:, 1])))
        assert np.ptp(yaw) < kept if kept else np.ptp(yaw) > 10


@pytest.mark.parametrize("pivot", ["ball", "middle"])
def test_a_body_that_turns_on_a_flat_foot_turns_about_the_point_that_rests(pivot: str) -> None:
    """With the noise of a capture in the foot's pitch, by which now the heel is the lower point and now the ball."""
    frames, random = 60, np.random.default_rng(5)
    centre = np.array([0.09, 0.0, 0.13 if pivot == "ball" else 0.04])
    yaw = np.linspace(0, 120, frames)
    root = np.array([centre + turn([0, 1, 0], angle) @ (np.array([0.0, STANDING, 0.0]) - centre) for angle in yaw])
    pitch = np.convolve(random.normal(size=frames + 4), np.ones(5) / 5, "valid") * 3
    local = matrices({"Hips": [turn([0, 1, 0], angle) for angle in yaw], "LeftFoot": [turn([1, 0, 0], a) for a in pitch]}, frames)
    contacts = np.tile([1.0, 1, 0, 0], (frames, 1))
    one = character("mixamo", arms_down=45)
    posed = retarget(source(motion(local, root, FPS, contacts)), SOURCE_MAP, skeleton(one), one.named())
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    rest = posed.anatomy.head_of("foot.L") + [0, -0.13 if pivot == "ball" else -0.04, 0]
    moved = [np.ptp(one.point("foot.L", rest)[:, :2], axis=0).max() for one in (posed, locked)]
    assert max(moved) < 0.01
    shift = locked.heads["foot.L"] - posed.heads["foot.L"]
    assert np.linalg.norm(shift[:, :2], axis=1).max() < 0.015


def test_ankles_that_pass_each_other_come_no_nearer() -> None:
    posed, contacts, _ = posed_walk(noise=0.02, drift=0.06)
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    apart = [(one.heads["foot.L"] - one.heads["foot.R"])[:, 0] for one in (posed, locked)]
    assert (np.minimum(apart[0], 0.18) - apart[1]).max() < 0.002


def test_the_lock_does_not_depend_on_the_unit_of_the_scene() -> None:
    small, large = (lock_feet(one, FPS, FootLock(), contacts) for one, contacts, _ in
                    (posed_walk(noise=0.02), posed_walk(noise=0.02, scale=100.0)))  # fmt: skip
    assert np.abs(large.heads["foot.L"] / 100 - small.heads["foot.L"]).max() < 1e-6
    assert np.abs(large.hips / 100 - small.hips).max() < 1e-6


def test_grounding_moves_the_body_and_nothing_else() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    grounded = lock_feet(posed, FPS, FootLock(GROUNDING), contacts)
    assert all(np.array_equal(grounded.rotations[slot], posed.rotations[slot]) for slot in posed.rotations)
    moved = grounded.hips - posed.hips
    assert np.abs(moved[:, :2]).max() < 1e-12
    lowest = [np.minimum(above_floor(one, ".L"), above_floor(one, ".R")) for one in (posed, grounded)]
    assert np.abs(lowest[0]).max() > 0.01
    assert np.median(np.abs(lowest[1])) < 0.002


def test_bones_keep_their_lengths_and_feet_their_turn() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    for side in (".L", ".R"):
        for first, second in (("thigh", "shin"), ("shin", "foot")):
            length = np.linalg.norm(locked.heads[second + side] - locked.heads[first + side], axis=1)
            assert np.ptp(length) < 1e-9
        assert (
            np.degrees(angle_between(locked.rotations["foot" + side], posed.rotations["foot" + side])).max() < 8
        )  # the heel may lift


def test_knees_do_not_snap_and_swings_stay_as_they_were() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    before, after = (np.abs(np.diff(knees(one), axis=0)).max() for one in (posed, locked))
    assert after < before + 6
    swing = (contacts[:, 0] < 0.5) & (posed.heads["foot.L"][:, 2] > 0.17)
    assert np.linalg.norm((locked.heads["foot.L"] - posed.heads["foot.L"])[swing], axis=1).max() < 0.06


def test_a_true_walk_is_hardly_changed() -> None:
    posed, contacts, _ = posed_walk(noise=0.0)
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    assert np.linalg.norm(locked.hips - posed.hips, axis=1).max() < 0.005
    assert np.abs(knees(locked) - knees(posed)).max() < 6


def test_never_changes_nothing_and_always_holds_to_the_radius() -> None:
    posed, contacts, _ = posed_walk(noise=0.02)
    assert lock_feet(posed, FPS, FootLock(NEVER), contacts) is posed
    still = slice(0, 8)
    locked = lock_feet(posed, FPS, FootLock(ALWAYS, radius=0.1), None)
    assert np.linalg.norm(np.ptp(locked.heads["foot.R"][still, :2], axis=0)) < 0.002
    # A foot that goes on is let go: it does not stay behind.
    assert np.linalg.norm(locked.heads["foot.R"][-1] - posed.heads["foot.R"][-1]) < 0.11


def test_short_legs_reach_because_the_hips_come_down() -> None:
    posed, contacts, _ = posed_walk(noise=0.0, proportions=(1.0, 0.85))
    locked = lock_feet(posed, FPS, FootLock(), contacts)
    assert slide(locked, contacts).max() < 0.2
    assert (locked.hips[:, 2] <= posed.hips[:, 2] + 1e-9).all()


def test_a_foot_that_is_let_go_moves_calmly() -> None:
    posed, contacts, _ = posed_walk(noise=0.0)
    # The capture says that the left foot stands all the time, while it walks on: it is let go and held again.
    claimed = contacts.copy()
    claimed[:, :2] = 1.0
    locked = lock_feet(posed, FPS, FootLock(floor_height=1.0), claimed)
    steps = np.linalg.norm(np.diff(locked.heads["foot.L"], axis=0), axis=1)
    own = np.linalg.norm(np.diff(posed.heads["foot.L"], axis=0), axis=1)
    assert 100 * steps.max() < 100 * own.max() + 4


def test_knees_of_legs_that_have_to_reach_do_not_pop() -> None:
    posed, contacts, _ = posed_walk(noise=0.0)
    # Hips that float too high by 3 cm that come and go: legs that stand have to reach further than they did.
    waves = 0.03 * np.abs(np.sin(np.arange(len(posed)) * 0.9))[:, None]
    posed = replace(posed, hips=posed.hips + waves * [0.0, 0.0, 1.0]).placed()
    change = np.abs(np.diff(knees(lock_feet(posed, FPS, FootLock(), contacts)), axis=0)).max()
    assert change < np.abs(np.diff(knees(posed), axis=0)).max() + 4
