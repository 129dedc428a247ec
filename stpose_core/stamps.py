"""Conversion of the time stamps of video frames to strictly increasing times in seconds.

Stamps in files may be missing, repeated or out of order, and may restart where two recordings were joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

STAMP_ERROR = 6e-4
"""Seconds. Matroska rounds stamps to milliseconds, so stamps that differ by less may mean the same time."""
RATE_OF_A_SINGLE_FRAME = 30.0
# A stamp this many seconds, and this many frames, before the latest one starts a new part. Codecs reorder up to 16 frames.
_NEW_PART, _REORDERED = 1.0, 17


@dataclass(frozen=True)
class Stamps:
    """The time stamps of all packets of a file.

    count: number of frames. fps: mean rate of the distinct times. seconds: duration, including the last frame.
    useful: whether at least two stamps differ. shown: all stamps in display order, one part after the other; None if some are
    missing or none are useful. rising: whether each stamp is later than the previous one, so that a stamp identifies a frame.
    """

    count: int
    fps: float
    seconds: float
    useful: bool = False
    shown: NDArray[np.int64] | None = None
    rising: bool = False


def read_stamps(found: NDArray[np.int64], complete: bool, count: int, tick: float, nominal: list[float]) -> Stamps:
    """Interpret the stamps of a file.

    found: the stamps of the packets in file order. complete: whether all `count` packets have one.
    tick: seconds per unit. nominal: frame rates that the file states, the most reliable first.
    """
    usual = nominal[0] if nominal else RATE_OF_A_SINGLE_FRAME
    parts = [np.sort(part) for part in _parts(found, _margin(1 / usual) / tick)] if tick else []
    distinct = sum(len(np.unique(part)) for part in parts)
    steps = distinct - len(parts)
    if not steps:
        return Stamps(count, usual, count / usual)
    span = sum(int(part[-1]) - int(part[0]) for part in parts) * tick
    # Where the stated rate agrees with the stamps, it is more precise than stamps that are rounded to ticks.
    rounding = min(2 * tick * len(parts), 0.1 * span)
    fps = next((rate for rate in nominal if abs(steps / rate - span) <= rounding), steps / span)
    if not complete:
        return Stamps(count, fps, count / fps, useful=True)
    shown = np.concatenate(parts)
    rising = len(parts) == 1 and bool((np.diff(shown) * tick >= _least(1 / fps)).all())
    return Stamps(count, fps, distinct / fps, True, shown, rising)


def _parts(found: NDArray[np.int64], margin: float) -> list[NDArray[np.int64]]:
    """The stamps, split where they restart."""
    parts = []
    while len(found):
        back = np.flatnonzero(np.maximum.accumulate(found) - found > margin)
        end = int(back[0]) if len(back) else len(found)
        parts.append(found[:end])
        found = found[end:]
    return parts


def _margin(interval: float) -> float:
    return max(_NEW_PART, _REORDERED * interval)


def _least(interval: float) -> float:
    """Minimum time between two frames, in seconds, for the later stamp to be used."""
    return min(STAMP_ERROR, 0.1 * interval)


class Clock:
    """Converts stamps to times, called once per frame in display order.

    origin: stamp of the first frame, or None to ignore stamps. tick: seconds per unit. fps: mean rate.
    A frame without a stamp comes one mean interval after the previous frame. So does a frame whose stamp restarts; the stamps after
    it are relative to it. A frame whose stamp is repeated or slightly out of order comes half an interval after the previous frame.
    """

    def __init__(self, origin: int | None, tick: Fraction | None, fps: float) -> None:
        self._origin, self._tick, self._interval = origin, tick, 1 / fps
        self._step = self._interval  # between the last two usable stamps
        self._shift = 0.0
        self._last: float | None = None

    def __call__(self, stamp: int | None) -> float:
        """Seconds from the first frame."""
        self._last = self._next(stamp)
        return self._last

    def _next(self, stamp: int | None) -> float:
        time = None
        if stamp is not None and self._origin is not None and self._tick:
            time = float((stamp - self._origin) * self._tick) + self._shift
        if self._last is None:
            return time or 0.0
        if time is None:
            return self._last + self._interval
        step = time - self._last
        if step < -_margin(self._interval):
            self._shift += self._interval - step
            return self._last + self._interval
        if step < _least(self._interval):
            return self._last + 0.5 * min(self._interval, self._step)
        self._step = step
        return time
