"""TRC (track row column): marker positions for OpenSim and other programs of biomechanics; millimetres, y up.

A file is text with tabs: five lines of header, an empty line, then one row a frame: its number from 1, its time in seconds, and x,
y, z of each marker. Source: OpenSim documentation, "Marker (.trc) Files".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.data import Capture, Motion
from stpose_core.formats import motion_of
from stpose_core.formats.markers import markers


def write(thing: Motion | Capture, path: str | Path, units: str = "mm") -> None:
    """Write the joint centres of a capture, or of a motion, as a `Format` does; always in millimetres."""
    motion = motion_of(thing)
    labels, places = markers(motion, path)
    frames, rate, count = len(motion), f"{motion.fps:.6f}", len(labels)
    header = [
        "PathFileType\t4\t(X/Y/Z)\tmotion.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{frames}\t{count}\tmm\t{rate}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(labels) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number}" for number in range(1, count + 1) for axis in "XYZ"),
        "",
    ]
    rows = np.column_stack([np.arange(1, frames + 1), np.arange(frames) / motion.fps, places.reshape(frames, -1)])
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(header) + "\n")
        np.savetxt(file, rows, fmt=["%d", "%.6f", *["%.4f"] * (3 * count)], delimiter="\t")
