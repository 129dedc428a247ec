"""The body raised or lowered so that its soles touch the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .rotation import Array
from .solver import Posed


def above_floor(posed: Posed, side: str) -> Array:
    """(T,) height of the lowest point of a sole above the floor."""
    sole, slot = posed.soles[side], "foot" + side
    toe = posed.turned("toe" + side) if "toe" + side in posed.rotations else posed.turned(slot)
    lowest = (sole.offsets(posed.turned(slot), toe) @ posed.up).min(axis=1)
    return np.asarray(posed.heads[slot] @ posed.up + lowest - posed.floor)


def raised(posed: Posed, wanted: Array, stands: NDArray[np.bool_], fps: float, smooth: float) -> Posed:
    """The body raised by `wanted` (T,) in the frames in which it stands (T,), and smoothly between them; its pose and path stay.

    smooth: seconds over which the height changes.
    """
    at = np.flatnonzero(stands)
    if not len(at):
        return posed
    shift = smoothed(np.interp(np.arange(len(posed)), at, wanted[at]), max(0.0, smooth * fps))
    return replace(posed, hips=posed.hips + shift[:, None] * posed.up).placed()


def smoothed(values: Array, sigma: float) -> Array:
    """(T,) filtered with a Gaussian of `sigma` frames; the ends are continued by their values."""
    if sigma <= 0:
        return values
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid"))
