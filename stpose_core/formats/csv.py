"""CSV: where every joint is, for spreadsheets and statistics.

One header line, then one line a frame. The first column, `time`, is in seconds from the first frame. Then three columns a
joint, `Hips_x`, `Hips_y`, `Hips_z` and so on, the root first: its place in the world in metres, y up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Capture, Motion
from stpose_core.errors import FormatError
from stpose_core.formats import motion_of
from stpose_core.formats.markers import MARKERS, Points
from stpose_core.formats.rates import nearest_rate
from stpose_core.reading import numbers, read_text
from stpose_core.rigs import body_names


def write(thing: Motion | Capture, path: str | Path, units: str = "m") -> None:
    """Write the motion of a capture, or a motion, as a `Format` does; always in metres."""
    write_csv(motion_of(thing), path)


def write_csv(motion: Motion, path: str | Path) -> None:
    """Write the time and the world positions of the joints, in metres, six decimals. Overwrites."""
    header = ["time", *(f"{'_'.join(name.replace(',', ' ').split())}_{axis}" for name in motion.names for axis in "xyz")]
    times = np.arange(len(motion)) / motion.fps
    rows = np.column_stack([times, forward_kinematics(motion).reshape(len(motion), -1)])
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        np.savetxt(file, rows, fmt="%.6f", delimiter=",", header=",".join(header), comments="")


def read(path: str | Path) -> Motion:
    """The motion of the joints in a file of this package, as a `Format` reads it."""
    from stpose_core.formats.marker_motion import motion_of_points

    return motion_of_points(path, read_points(path))


def read_points(path: str | Path) -> Points:
    """The joints in a file of this package, labelled as markers are. Raises FormatError if it is damaged, or another table."""
    header, *lines = read_text(path).splitlines() or [""]
    columns = header.split(",")
    names = tuple(column.removesuffix("_x") for column in columns[1::3])
    if columns != ["time", *(f"{name}_{axis}" for name in names for axis in "xyz")] or not names:
        raise FormatError(f"{path}: its columns are not time, then x, y and z of each joint")
    rows = [line for line in lines if line.strip()]
    if len(rows) < 2:
        raise FormatError(f"{path} has {len(rows)} frames; its rate cannot be told")
    for number, line in enumerate(rows, 2):
        if line.count(",") != len(columns) - 1:
            raise FormatError(f"{path}, line {number}: {line.count(',') + 1} values, but there are {len(columns)} columns")
    try:
        values = numbers([word for line in rows for word in line.split(",")]).reshape(len(rows), len(columns))
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from None
    seconds = float(values[-1, 0] - values[0, 0])
    if seconds <= 0:
        raise FormatError(f"{path}: its times do not rise")
    labels = [MARKERS.get(name, name) for name in body_names(names)]
    return Points.checked(
        path, labels, values[:, 1:].reshape(len(rows), len(names), 3), nearest_rate((len(rows) - 1) / seconds, 2e-6 / seconds)
    )
