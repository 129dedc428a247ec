"""When a foot that is planted begins and ends to follow its plan."""

from __future__ import annotations

import numpy as np

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
