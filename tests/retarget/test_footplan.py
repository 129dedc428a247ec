"""When a foot that is planted begins and ends to follow its plan."""

from __future__ import annotations

import numpy as np
import pytest

from stpose_core.retarget import footplan


def test_a_stance_is_eased_where_it_begins_and_ends_within_the_clip() -> None:
    within = footplan._inside(40, 10, 30, 4)
    assert not within[:10].any()
    assert not within[30:].any()
    assert (np.diff(within[9:15]) > 0).all()
    assert (np.diff(within[25:31]) < 0).all()
    assert (within[15:25] == 1).all()
    assert np.allclose(within[10:30], within[10:30][::-1])
    # A foot that stands when the clip begins or ends is held there.
    at_start, at_end = footplan._inside(40, 0, 20, 4), footplan._inside(40, 20, 40, 4)
    assert (at_start[:16] == 1).all()
    assert 0 < at_start[19] < at_start[18] < 1
    assert (at_end[24:] == 1).all()
    assert 0 < at_end[20] < at_end[21] < 1


def test_a_moment_is_eased_on_both_sides() -> None:
    around = footplan._around(30, 10, 20, 4)
    assert (around[10:20] == 1).all()
    assert (np.diff(around[5:11]) > 0).all()
    assert (np.diff(around[19:25]) < 0).all()
    assert not around[:6].any()
    assert not around[24:].any()


UP = np.array([0.0, 0.0, 1.0])


def test_a_resting_foot_has_one_heading_and_a_pivoting_one_turns_without_noise() -> None:
    random = np.random.default_rng(0)
    rests = np.radians(30 + random.uniform(-4.9, 4.9, 40))
    assert (footplan._steady(rests) == np.median(rests)).all()
    pivots = np.radians(np.linspace(0, 60, 60) + random.normal(0, 1.0, 60))
    steady = footplan._steady(pivots)
    assert np.degrees(np.abs(steady - pivots)).max() < 7.0
    assert np.degrees(np.diff(steady)).min() > -0.2, "it does not turn back"
    assert np.degrees(np.diff(pivots)).min() < -1.0, "control"
    assert np.degrees(steady[-1] - steady[0]) == pytest.approx(55.0, abs=6.0)


def held(points: np.ndarray, share: float, radius: float = 0.15, gap: int = 3) -> np.ndarray:
    """Level shifts (T, 3) for an ankle at `points` (T, 3) whose heel is 5 cm behind and whose ball 15 cm ahead of it."""
    frames = len(points)
    shift = np.full_like(points, np.nan)
    heel, ball = np.tile([0.0, 0.05, -0.08], (frames, 1)), np.tile([0.0, -0.15, -0.08], (frames, 1))
    footplan._hold(shift, points, heel, ball, np.full(frames - 1, share), UP, 0, frames, radius, gap)
    return shift


def test_a_hold_takes_out_what_the_foot_slides_and_leaves_its_middle() -> None:
    slides = np.zeros((31, 3))
    slides[:, 0] = np.linspace(0.0, 0.06, 31)
    slides[:, 2] = 0.01 * np.sin(np.arange(31))
    shift = held(slides, 1.0)
    assert (slides + shift)[:, 0] == pytest.approx(np.full(31, 0.03))
    assert (shift[:, 2] == 0).all(), "heights are another matter"


def test_a_foot_that_leaves_its_hold_is_let_go_and_held_anew() -> None:
    walks = np.zeros((60, 3))
    walks[:, 0] = np.where(np.arange(60) < 30, 0.0, 0.6)
    shift = held(walks, 0.0)
    free = np.isnan(shift[:, 0])
    assert not free[:27].any()
    assert free[27:30].all(), "some frames to get there"
    assert not free[31:].any()
    assert np.nanmax(np.abs(shift)) < 1e-9, "neither is moved"
    near = held(walks * 0.2, 0.0)
    assert not np.isnan(near).any(), "control: 12 cm are within the radius"


def test_a_turning_foot_is_held_where_it_stands() -> None:
    """A foot that turns by 60 degrees about its ball: the ankle goes round, and that is no slide."""
    angle = np.radians(np.linspace(0, 60, 31))
    ahead = np.stack([np.sin(angle), -np.cos(angle), 0 * angle], axis=1)
    ball = np.tile([0.3, 0.2, 0.0], (31, 1))
    own = ball - 0.15 * ahead
    for share, still in ((1.0, True), (0.0, False)):
        shift = np.full_like(own, np.nan)
        footplan._hold(shift, own, -0.05 * ahead, 0.15 * ahead, np.full(30, share), UP, 0, 31, 1.0, 3)
        assert (np.abs(shift).max() < 2e-3) == still
    assert footplan._pivot(own, -0.05 * ahead, 0.15 * ahead, UP) == pytest.approx(np.ones(30))
    fixed = np.tile([0.1, 0.0, 0.0], (31, 1))
    assert footplan._pivot(fixed, 0 * ahead, 0.2 * ahead, UP) == pytest.approx(np.zeros(30), abs=1e-9), "it turns about the heel"
    assert footplan._pivot(fixed, np.tile(ahead[:1], (31, 1)), np.tile(-ahead[:1], (31, 1)), UP) == pytest.approx(np.full(30, 0.5))


def test_a_swinging_foot_is_raised_over_the_floor_smoothly_and_a_held_one_not_at_all() -> None:
    stands = np.zeros(60, bool)
    stands[:15] = stands[45:] = True
    needed = np.full(60, 0.08)
    ankle = np.where(np.abs(np.arange(60) - 30) < 6, 0.05, 0.10)
    up = footplan._clearance(ankle, needed, stands, 30.0)
    assert (up[stands] == 0).all()
    assert (ankle + up)[~stands].min() >= 0.08 - 1e-12
    assert up.max() == pytest.approx(0.03)
    assert np.abs(np.diff(up)).max() < 0.025, "it begins a little before it is needed"
    assert up[24] > 0.001
    assert not footplan._clearance(np.full(60, 0.1), needed, stands, 30.0).any()


def test_holds_are_shortened_for_a_correction_that_would_be_too_fast() -> None:
    shift = np.full((60, 3), np.nan)
    shift[:24], shift[30:] = 0.0, [0.3, 0.0, 0.0]
    room = footplan._with_room(shift, 0.03)  # 15 frames are needed; six are there
    gap = np.flatnonzero(np.isnan(room[:, 0]))
    assert (gap[0], gap[-1]) == (24 - 5, 30 + 3)
    assert len(gap) == 15
    assert np.isnan(footplan._with_room(shift, 0.1)[:, 0]).sum() == 6, "control: fast enough"
    far = footplan._with_room(shift, 0.001)
    assert np.isnan(far[:, 0]).sum() == 6 + 8 + 10, "a third of each hold at most"


def test_between_holds_the_correction_changes_smoothly_or_fades() -> None:
    shift = np.full((40, 3), np.nan)
    shift[:10], shift[20:] = [0.1, 0.0, 0.0], [0.3, 0.2, 0.0]
    near = footplan._bridged(shift, 6)
    assert (np.diff(near[9:21, 0]) > 0).all()
    assert near[14:16].mean(axis=0) == pytest.approx([0.2, 0.1, 0.0])
    far = footplan._bridged(shift, 4)
    assert far[14:16] == pytest.approx(np.zeros((2, 3))), "none in the middle of a long gap"
    assert (np.diff(far[9:14, 0]) < 0).all()
    assert (np.diff(far[16:21, 0]) > 0).all()
    shift[:10] = np.nan
    alone = footplan._bridged(shift, 5)
    assert (alone[:15] == 0).all(), "before the first hold it comes up just in time"
    assert (np.diff(alone[15:21, 0]) > 0).all()


def test_a_cover_is_smooth_and_nowhere_below() -> None:
    values = np.zeros(60)
    values[[20, 33, 34]] = [0.2, 0.5, 0.4]
    cover = footplan.covering(values, 4)
    assert (cover >= values - 1e-12).all()
    assert cover.max() == pytest.approx(0.5)
    assert (cover[:12] == 0).all()
    assert (cover[43:] == 0).all()
    assert np.abs(np.diff(cover)).max() < 0.16
    assert (footplan.covering(np.zeros(5), 4) == 0).all()


def test_holds_give_way_at_their_ends_where_the_leg_is_too_short() -> None:
    def trimmed(far: list[int], most: int = 4) -> list[int]:
        shift = np.full((40, 3), np.nan)
        shift[5:35] = 0.0
        out_of_reach = np.zeros(40, bool)
        out_of_reach[far] = True
        footplan._trim(shift, out_of_reach, most)
        return np.flatnonzero(np.isfinite(shift[:, 0])).tolist()

    assert trimmed([5, 6, 33, 34]) == list(range(7, 33))
    assert trimmed([6, 20, 33]) == list(range(5, 35)), "only from the ends on"
    assert trimmed(list(range(5, 15))) == list(range(9, 35)), "by four frames at most"
    whole = np.zeros((9, 3))
    footplan._trim(whole, np.ones(9, bool), 4)
    assert np.isfinite(whole).all(), "who stands as the clip begins and ends is held there"
