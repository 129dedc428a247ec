"""The focal length of a camera that turns, from how much further the edges of the picture move than its middle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stpose_core.data import Array
from stpose_core.world.turning import Link, errors, fit, padded

SCALE = 0.5  # pixels of the small picture from which on a corner counts less
FIELDS = (22.0, 105.0)  # degrees over the longer side, between which it is looked for
TURNED = 2.0  # degrees that the camera has to turn from a key frame to a frame
FEWEST, MOST = 8, 60  # frames that are used: at least and at most
SHARP = 0.02  # how much worse a focal length fits that is a tenth off
POOR = 1.2  # mean cost of a corner, above which it is no turn about one point at all
_STEPS, _TRIED = 16, 3


def measured_focal(links: Sequence[Link], size: tuple[int, int]) -> float | None:
    """Pixels of the small picture, or None if the camera turns too little, or also moves, so that it cannot be measured.

    A turn by an angle t moves what is at x pixels from the middle by about f t (1 + x^2 / f^2): the second term gives f.
    links: frames with the key frames that they were found in. size: (width, height) of the small picture.
    """
    axis = np.array([link.turn.rotation[0, 2, 2] for link in links])
    turned = np.degrees(np.arccos(np.clip(axis, -1, 1)))
    # The largest turns tell most.
    chosen = [int(row) for row in np.argsort(-turned)[:MOST] if turned[row] > TURNED]
    if len(chosen) < FEWEST:
        return None
    points, targets, weights, start = padded([links[row] for row in chosen])
    zoom = np.exp([links[row].zoom for row in chosen])
    zooms = bool(np.abs(start.zoom).max() > 0)

    def cost(focal: float) -> float:
        """Mean over the corners of Cauchy's cost."""
        turns = fit(points, targets, weights, focal * zoom, start, SCALE, zooms)
        error = np.minimum(errors(points, targets, turns, focal * zoom), max(size))
        return float((weights * np.log1p((error / SCALE) ** 2)).sum() / weights.sum())

    widest, narrowest = (max(size) / 2 / np.tan(np.radians(field) / 2) for field in reversed(FIELDS))
    tried: Array = np.geomspace(widest, narrowest, _STEPS)
    costs = np.array([cost(focal) for focal in tried])
    best = int(costs.argmin())
    if best in (0, _STEPS - 1):
        return None
    low, high = tried[best - 1], tried[best + 1]
    for _ in range(_TRIED):
        tried = np.geomspace(low, high, 7)
        costs = np.array([cost(focal) for focal in tried])
        best = int(np.clip(costs.argmin(), 1, 5))
        low, high = tried[best - 1], tried[best + 1]
    found = float(tried[best])
    least = cost(found)
    sharp = min(cost(0.9 * found), cost(1.1 * found)) - least >= SHARP
    return found if least <= POOR and sharp else None
