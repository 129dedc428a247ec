"""When heels and toes count as standing, and which of a hold's frames a leg gives up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_legs import squat
from test_places import walked
from test_solver import SOURCE_MAP, source
from walks import matrices, motion

from stpose_core.retarget import contacts, footplan
from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.contacts import ALWAYS, AUTO, GROUNDING, NEVER, standing
from stpose_core.retarget.ground import smoothed
from stpose_core.retarget.level import standing_level

FPS = 30.0


def mask(text: str) -> np.ndarray:
    """A row of frames: # stands."""
    return np.array([letter == "#" for letter in text])


@pytest.mark.parametrize(
    ("frames", "kept"),
    [
        ("####.####", "#########"),  # a gap of one frame is noise
        ("#.####", "######"), ("####.#", "######"),  # also one frame from either end
        ("##..####", "##..####"),
        (".#######", ".#######"), ("#######.", "#######."),  # what comes before and after the clip is not known
        ("...#....", "........"), ("#.......", "........"), (".......#", "........"),
        ("...##...", "...##..."),
        ("#.#.#...", "#####..."),  # gaps are closed first
    ],
)  # fmt: skip
def test_what_is_shorter_than_two_frames_is_noise(frames: str, kept: str) -> None:
    assert (contacts._without_blinks(mask(frames), 2) == mask(kept)).all()


def test_a_contact_begins_slower_than_it_ends() -> None:
    speed = np.array([0.4, 0.3, 0.4, 0.59, 0.7, 0.5, 0.36, 0.34, 0.6, 0.61])
    assert (contacts._hysteresis(speed, 0.35, 0.6) == mask(".###...##.")).all()
    assert not contacts._hysteresis(np.full(3, 0.5), 0.35, 0.6).any(), "nothing decides"


def test_runs_begin_and_end() -> None:
    assert contacts.runs(mask("##..#.###")) == [(0, 2), (4, 5), (6, 9)]
    assert contacts.runs(mask("...")) == contacts.runs(mask("")) == []


def test_what_stands_in_each_mode() -> None:
    """A squat that stays: all four points stand, as far as they are low enough."""
    posed = squat(20.0)
    frames = len(posed)
    height = contacts._points(posed)[0] @ posed.up - posed.floor
    assert 0 < height.max() < 0.05
    assert not standing(posed, FPS, NEVER, 1.0).any()
    for mode in (AUTO, ALWAYS, GROUNDING):
        assert standing(posed, FPS, mode, 0.1).all()
        assert not standing(posed, FPS, mode, -0.1).any()
    # A contact that the track carries counts higher up, and one that it lacks does not.
    given = np.zeros((frames, 4))
    given[3:9, 0] = 0.5
    given[3:9, 1] = 0.49
    size = contacts.size_of(posed.anatomy)
    floors = (float(height.max()) / 2.9 / size, float(height.max()) / 3.1 / size)
    found, none = (standing(posed, FPS, AUTO, floor, given)[:, 0] for floor in floors)
    assert (np.flatnonzero(found) == np.arange(3, 9)).all()
    assert not none.any()
    assert not standing(posed, FPS, AUTO, 1.0, given)[:, 1:].any()
    assert standing(posed, FPS, ALWAYS, 1.0, given).all(), "the track has no say"


def test_a_foot_that_swings_does_not_stand() -> None:
    posed, given = walked(np.zeros(3), noise=0.0)
    found = standing(posed, FPS, AUTO, 0.08)
    for column in (0, 2):
        assert (found[:, column] == (given[:, column] > 0.5)).mean() > 0.8
    point = contacts._points(posed)[0]
    speed = np.linalg.norm(np.diff(point, axis=0), axis=1) * FPS
    both = found[1:, 0] & found[:-1, 0]
    assert speed[both].max() < 0.75
    assert speed[~found[1:, 0] & ~found[:-1, 0]].max() > 1.5, "control: it swings"


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


@pytest.mark.parametrize("size", [1.0, 0.3, 100.0])
def test_a_source_stands_where_its_feet_are_lowest_and_still(size: float) -> None:
    """For most of the time it stands on a step of 10 cm; where it goes up, it is not still."""
    root = np.tile([0.0, 0.9, 0.0], (60, 1))
    root[15:, 1] += 0.1
    track = source(motion(matrices({}, 60), root))
    large = replace(track.scaled(size), contacts=None)
    assert large.skeleton.heads == pytest.approx(size * track.skeleton.heads)
    assert large.skeleton.tails == pytest.approx(size * track.skeleton.tails)
    anatomy = Anatomy(large.skeleton, SOURCE_MAP)
    ankle = large.heads[0, anatomy.bones["foot.L"]] @ anatomy.up
    assert standing_level(anatomy, large) == pytest.approx(ankle)
    # Control: contacts on the step say where it stands.
    contacts = np.zeros((60, 4))
    contacts[20:, :2] = 1.0
    assert standing_level(anatomy, replace(large, contacts=contacts)) == pytest.approx(ankle + 0.1 * size)


def test_a_foot_that_is_let_go_rises_over_three_frames() -> None:
    held, lacking = mask("####..........####"), np.zeros(18)
    lacking[6:12] = 0.02
    up = footplan._clearance(np.zeros(18), np.where(held, 0.0, lacking), held, FPS)
    soft = smoothed(lacking, 0.03 * FPS)
    assert up[4:6] == pytest.approx(soft[4:6] * [1 / 3, 2 / 3])
    assert up[12:14] == pytest.approx(soft[12:14] * [2 / 3, 1 / 3])
    assert (up[6:12] >= 0.02).all()
    assert (up[held] == 0).all()
