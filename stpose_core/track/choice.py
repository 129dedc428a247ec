"""The choice among several people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stpose_core.detect.boxes import extent
from stpose_core.errors import NoPersonError
from stpose_core.options import PERSONS
from stpose_core.track.track import Track

BYSTANDER = 0.1  # "left", "right" and "center" ignore people who are present for less than this share of the longest presence


def choose_people(tracks: Sequence[Track], person: str, image_size: tuple[int, int], frames: int) -> list[Track]:
    """The chosen people, the largest first.

    person: "largest" (by size times presence over the clip), "left", "right", "center" (by the middle of the body, over the time in
    which they are visible), "all", or "1", "2", ...: the n-th largest. image_size: (width, height). frames: number of frames of the
    clip. Raises NoPersonError if there is no person, or fewer than requested.
    """
    number = int(person) if person.isascii() and person.isdigit() else None
    if number is None and person not in PERSONS:
        raise NoPersonError(f"unknown person '{person}'; choose one of {', '.join(PERSONS)}, or a number from 1")
    by_size = sorted(tracks, key=lambda track: -track.shown() / max(frames, 1))
    if not by_size:
        raise NoPersonError("no person was found in the video")
    if person == "all":
        return by_size
    if number is not None:
        if not 1 <= number <= len(by_size):
            raise NoPersonError(f"person {number} was requested, but the video has only {len(by_size)}")
        return [by_size[number - 1]]
    if person == "largest":
        return by_size[:1]
    longest = max(len(track) for track in by_size)
    meant = [track for track in by_size if len(track) >= BYSTANDER * longest]
    middles = {id(track): float(np.median([extent(xy, s).centre[0] for xy, s in zip(track.xy, track.score)])) for track in meant}
    if person == "center":
        return [min(meant, key=lambda track: abs(middles[id(track)] - image_size[0] / 2))]
    return [(min if person == "left" else max)(meant, key=lambda track: middles[id(track)])]
