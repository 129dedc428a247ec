"""Holds of feet: which frames a leg gives up, how a foot is let go, and how feet are kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from test_contacts import FPS, mask
from test_legs import squat

from stpose_core.retarget import footplan
from stpose_core.retarget.footplan import FootPlan
from stpose_core.retarget.ground import smoothed
from stpose_core.retarget.rotation import IDENTITY


def hold(frames: int, first: int, end: int) -> np.ndarray:
    shift = np.full((frames, 3), np.nan)
    shift[first:end] = 0.0
    return shift


@pytest.mark.parametrize(
    ("far", "most", "kept"),
    [
        (range(0, 30), 4, (9, 21)),  # so many frames at each end
        (range(0, 30), 9, (11, 19)),  # a third of the hold at most
        (range(0, 7), 4, (7, 25)), (range(23, 30), 4, (5, 23)),  # as far as it is out of reach
        ([], 4, (5, 25)), (range(10, 20), 4, (5, 25)),
    ],
)  # fmt: skip
def test_a_hold_gives_up_frames_at_its_ends_that_are_out_of_reach(far: list[int], most: int, kept: tuple[int, int]) -> None:
    shift, out = hold(30, 5, 25), np.zeros(30, bool)
    out[list(far)] = True
    footplan._trim(shift, out, most)
    assert (np.flatnonzero(np.isfinite(shift[:, 0])) == np.arange(*kept)).all()


def test_a_hold_that_lasts_beyond_the_clip_keeps_that_end() -> None:
    out = np.ones(30, bool)
    for first, end, kept in ((0, 20, (0, 16)), (10, 30, (14, 30)), (0, 30, (0, 30))):
        shift = hold(30, first, end)
        footplan._trim(shift, out, 4)
        assert (np.flatnonzero(np.isfinite(shift[:, 0])) == np.arange(*kept)).all()


def test_a_foot_that_is_let_go_rises_over_three_frames() -> None:
    held, lacking = mask("####..........####"), np.zeros(18)
    lacking[6:12] = 0.02
    up = footplan._clearance(np.zeros(18), np.where(held, 0.0, lacking), held, FPS)
    soft = smoothed(lacking, 0.03 * FPS)
    assert up[4:6] == pytest.approx(soft[4:6] * [1 / 3, 2 / 3])
    assert up[12:14] == pytest.approx(soft[12:14] * [2 / 3, 1 / 3])
    assert (up[6:12] >= 0.02).all()
    assert (up[held] == 0).all()


def test_a_push_is_the_same_in_all_of_a_hold_and_smooth_elsewhere() -> None:
    held, wanted = mask("######..........######"), np.zeros(22)
    wanted[3], wanted[10] = 0.04, 0.02
    push = footplan._pushed(wanted, held, 3)
    assert push[:6] == pytest.approx(np.full(6, 0.04)), "as far as its worst frame needs"
    assert push[16:] == pytest.approx(np.zeros(6))
    assert push[10] >= 0.02 - 1e-9
    assert np.abs(np.diff(push)).max() < 0.02
    alone = footplan._pushed(np.where(np.arange(22) == 7, 0.02, 0.0), mask("######................"), 3)
    assert (alone[:6] == 0).all(), "a hold that needs none is not moved"
    assert 0 < alone[6] < alone[7]


def test_a_hold_is_moved_along_one_axis() -> None:
    angle = np.radians(np.linspace(0.0, 40.0, 9))
    beside = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    axis = footplan._one_axis(beside, mask("..#####.."))
    assert axis[2:7] == pytest.approx(np.tile(beside[4], (5, 1)))
    assert axis[[0, 1, 7, 8]] == pytest.approx(beside[[0, 1, 7, 8]])


@pytest.mark.parametrize(
    ("left", "right", "moved"), [(True, True, (0.5, 0.5)), (True, False, (0.0, 1.0)), (False, True, (1.0, 0.0))]
)
def test_feet_are_kept_as_far_apart_as_they_are_in_the_motion(left: bool, right: bool, moved: tuple[float, float]) -> None:
    """Planned 4 cm nearer to each other than they are; one that stands is not moved for one that swings."""
    posed = squat(20.0)
    frames = len(posed)
    before = {side: posed.heads["foot" + side] for side in (".L", ".R")}
    turns = np.tile(IDENTITY, (frames, 1))
    plans = {
        side: FootPlan(turns, turns, before[side] - [0.02 * sign, 0.0, 0.0], np.full(frames, holds))
        for side, sign, holds in ((".L", 1.0, left), (".R", -1.0, right))
    }
    planned = {side: plan.ankle.copy() for side, plan in plans.items()}
    footplan.keep_apart(posed, plans, FPS)
    apart = (plans[".L"].ankle - plans[".R"].ankle)[:, 0]
    assert apart[3:-3] == pytest.approx((before[".L"] - before[".R"])[3:-3, 0], abs=1e-3)
    for (side, sign), share in zip(((".L", 1.0), (".R", -1.0)), moved):
        shift = plans[side].ankle - planned[side]
        assert sign * shift[3:-3, 0] == pytest.approx(np.full(frames - 6, 0.04 * share), abs=1e-3)
        assert shift[:, 1:] == pytest.approx(np.zeros((frames, 2)), abs=1e-9)
    wide = {side: FootPlan(turns, turns, before[side].copy(), np.full(frames, True)) for side in (".L", ".R")}
    footplan.keep_apart(posed, wide, FPS)
    assert wide[".L"].ankle == pytest.approx(before[".L"]), "control: far enough apart"
