"""When heels and toes count as standing, and where a source stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_legs import squat
from test_places import walked
from test_solver import SOURCE_MAP, source
from walks import matrices, motion

from stpose_core.retarget import contacts
from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.contacts import ALWAYS, AUTO, GROUNDING, NEVER, standing
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
    for columns in ([0, 1], [2, 3], [0], [2]):  # a heel alone, where no foot stands flat
        contacts = np.zeros((60, 4))
        contacts[20:, columns] = 0.5
        assert standing_level(anatomy, replace(large, contacts=contacts)) == pytest.approx(ankle + 0.1 * size)
    contacts[:5, :2] = 0.5
    assert standing_level(anatomy, replace(large, contacts=contacts)) == pytest.approx(ankle), "a flat foot counts before heels"
    contacts[:] = 0.0
    contacts[20:, [1, 3]] = 1.0
    assert standing_level(anatomy, replace(large, contacts=contacts)) == pytest.approx(ankle), "toes alone say nothing"
