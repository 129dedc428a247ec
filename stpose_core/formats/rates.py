"""Frame rates in files, which store them, or times, with few digits."""

from __future__ import annotations

import math


def nearest_rate(fps: float, tolerance: float) -> float:
    """The whole or the NTSC rate (29.97) within a relative tolerance; otherwise the rate as it is, even infinite."""
    if not math.isfinite(fps):
        return fps
    whole = max(1, round(fps))
    near = min((float(whole), whole * 1000 / 1001, (whole + 1) * 1000 / 1001), key=lambda rate: abs(rate - fps))
    return near if abs(near - fps) < tolerance * fps else fps
