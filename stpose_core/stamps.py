"""Time stamps of a video's frames, and the times made of them: seconds that always rise.

Files have frames without a stamp, several with the same one, and stamps that begin anew where two recordings were joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

STAMP_ERROR = 6e-4
"""Seconds. Matroska rounds stamps to whole milliseconds: stamps that differ by less may mean the same time."""
RATE_OF_A_SINGLE_FRAME = 30.0
# A stamp this far before the latest one begins a new part; the reordering of frames in a codec reaches 16 frames.
_NEW_PART, _REORDERED = 1.0, 17


@dataclass(frozen=True)
class Stamps:
    """What the packets of a file say of time.

    count: number of frames. fps: mean rate of the distinct times. seconds: length, with the last frame's.
    told: whether the stamps say anything: at least two differ. shown: all of them in the order of display, one part after the
    other; None where some are missing or none is told. rising: whether each is later than the one before, so that a frame can be
    found by its stamp.
    """

    count: int
    fps: float
    seconds: float
    told: bool = False
    shown: NDArray[np.int64] | None = None
    rising: bool = False


def read_stamps(found: NDArray[np.int64], complete: bool, count: int, tick: float, nominal: list[float]) -> Stamps:
    """What stamps say. found: those of the packets, in the order of the file. complete: whether they are all there, of `count`.

    tick: seconds of a unit. nominal: frame rates that the file states, the best one first.
    """
    usual = nominal[0] if nominal else RATE_OF_A_SINGLE_FRAME
    parts = [np.sort(part) for part in _parts(found, _margin(1 / usual) / tick)] if tick else []
    distinct = sum(len(np.unique(part)) for part in parts)
    steps = distinct - len(parts)
    if not steps:
        return Stamps(count, usual, count / usual)
    span = sum(int(part[-1]) - int(part[0]) for part in parts) * tick
    # The file's own figure is the sharper one where it agrees with stamps that are rounded to ticks.
    rounding = min(2 * tick * len(parts), 0.1 * span)
    fps = next((rate for rate in nominal if abs(steps / rate - span) <= rounding), steps / span)
    if not complete:
        return Stamps(count, fps, count / fps, told=True)
    shown = np.concatenate(parts)
    rising = len(parts) == 1 and bool((np.diff(shown) * tick >= _least(1 / fps)).all())
    return Stamps(count, fps, distinct / fps, True, shown, rising)


def _parts(found: NDArray[np.int64], margin: float) -> list[NDArray[np.int64]]:
    """The stamps, cut where they begin anew."""
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
    """Seconds by which a frame has to come later than the one before, for its stamp to count."""
    return min(STAMP_ERROR, 0.1 * interval)


class Clock:
    """The times of frames, one after the other in the order of display.

    origin: stamp of the first frame, None where stamps say nothing. tick: seconds of a unit. fps: the mean rate.
    A frame without a stamp follows at the mean rate, and so does one whose stamp begins a new part; the rest of that part follows
    by its own stamps. A frame whose stamp repeats or goes back a little follows half a frame later, before the next good stamp.
    """

    def __init__(self, origin: int | None, tick: Fraction | None, fps: float) -> None:
        self._origin, self._tick, self._interval = origin, tick, 1 / fps
        self._step = self._interval  # between the last two good stamps
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
