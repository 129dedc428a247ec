"""CSV: where every joint is, for spreadsheets and statistics.

One header line, then one line a frame. The first column, `time`, is in seconds from the first frame. Then three columns a
joint, `Hips_x`, `Hips_y`, `Hips_z` and so on, the root first: its place in the world in metres, y up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.data import Capture, Motion
from stpose_core.formats import motion_of


def write(thing: Motion | Capture, path: str | Path, units: str = "m") -> None:
    """Write the motion of a capture, or a motion, as a `Format` does; always in metres."""
    write_csv(motion_of(thing), path)


def write_csv(motion: Motion, path: str | Path) -> None:
    """Write the time and the world positions of the joints, in metres, six decimals. Overwrites."""
    from stpose_core.animate.rotations import forward_kinematics

    header = ["time", *(f"{'_'.join(name.replace(',', ' ').split())}_{axis}" for name in motion.names for axis in "xyz")]
    times = np.arange(len(motion)) / motion.fps
    rows = np.column_stack([times, forward_kinematics(motion).reshape(len(motion), -1)])
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        np.savetxt(file, rows, fmt="%.6f", delimiter=",", header=",".join(header), comments="")
