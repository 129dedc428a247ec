"""The One Euro filter for arrays: a low-pass filter without look-ahead, whose cut-off rises with the speed.

Source: Casiez, Roussel and Vogel, "1 euro filter: a simple speed-based low-pass filter for noisy input", CHI 2012.
"""

from __future__ import annotations

import numpy as np

from stpose_core.data import Array


class OneEuro:
    """least: cut-off in Hz at rest. rise: Hz that the cut-off rises by for each unit a second. speed: cut-off in Hz of the speed.

    The arrays of all calls have one shape; each element is filtered on its own.
    """

    def __init__(self, least: float = 1.5, rise: float = 4.0, speed: float = 1.0) -> None:
        self._least, self._rise, self._speed = least, rise, speed
        self._value: Array | None = None
        self._change: Array | float = 0.0

    def __call__(self, value: Array, seconds: float) -> Array:
        """The filtered value. seconds: time since the call before."""
        if self._value is None:
            self._value = np.array(value, np.float64)
            return self._value.copy()
        seconds = max(seconds, 1e-4)
        change = (value - self._value) / seconds
        self._change = self._change + _gain(self._speed, seconds) * (change - self._change)
        gain = _gain(self._least + self._rise * np.abs(self._change), seconds)
        self._value = self._value + gain * (value - self._value)
        return self._value.copy()

    def reset(self) -> None:
        """The next value is taken as it is."""
        self._value, self._change = None, 0.0


def _gain(hertz: Array | float, seconds: float) -> Array:
    turn = 2 * np.pi * np.asarray(hertz) * seconds
    return np.asarray(turn / (1 + turn))
