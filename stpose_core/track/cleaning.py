"""What tracks go through once everybody was followed: joints of other people are left out, exchanged sides are put right, and
joints that leap are put back."""

from __future__ import annotations

from collections.abc import Iterable

from stpose_core.track.jumps import mend_jumps
from stpose_core.track.others import without_others
from stpose_core.track.sides import mend_sides
from stpose_core.track.track import Track


def clean_tracks(tracks: Iterable[Track]) -> list[Track]:
    """Cleaned copies of whole tracks; the tracks themselves stay as they were seen.

    To be called once: cleaning what was cleaned may change more joints, as those that were put back shift the path that others are
    judged by.
    """
    return [mend_jumps(mend_sides(track)) for track in without_others(list(tracks))]
