"""Correction of complete tracks: joints of other people are removed, then swapped sides are corrected, then joints that jump."""

from __future__ import annotations

from collections.abc import Iterable

from stpose_core.track.jumps import correct_jumps
from stpose_core.track.others import without_others
from stpose_core.track.sides import correct_sides
from stpose_core.track.track import Track


def clean_tracks(tracks: Iterable[Track]) -> list[Track]:
    """Corrected copies of complete tracks. The given tracks are not changed.

    Call it only once: a second call may change more joints, because corrected joints shift the path that others are compared with.
    """
    return [correct_jumps(correct_sides(track)) for track in without_others(list(tracks))]
