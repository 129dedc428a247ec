"""Correction of complete tracks: joints of other people are removed, swapped sides and joints that jump are corrected, and joints
that stray while people overlap are removed."""

from __future__ import annotations

from collections.abc import Iterable

from stpose_core.track.jumps import correct_jumps
from stpose_core.track.others import without_others, without_strays
from stpose_core.track.sides import correct_sides
from stpose_core.track.track import Track


def clean_tracks(tracks: Iterable[Track]) -> list[Track]:
    """Corrected copies of complete tracks. The given tracks are not changed.

    Call it only once: a second call may change more joints, because corrected joints shift the path that others are compared with.
    """
    return without_strays([correct_jumps(correct_sides(track)) for track in without_others(list(tracks))])
