"""TRC (track row column): marker positions for OpenSim and other programs of biomechanics; millimetres, y up.

A file is text with tabs: five lines of header, an empty line, then one row a frame: its number from 1, its time in seconds, and x,
y, z of each marker. Source: OpenSim documentation, "Marker (.trc) Files".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpose_core.data import Array, Capture, Motion
from stpose_core.errors import FormatError
from stpose_core.formats import motion_of
from stpose_core.formats.markers import Points, markers
from stpose_core.formats.rates import nearest_rate
from stpose_core.reading import check_table, read_text

_METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}


def write(thing: Motion | Capture, path: str | Path, units: str = "mm") -> None:
    """Write the joint centres of a capture, or of a motion, as a `Format` does; always in millimetres."""
    motion = motion_of(thing)
    points = markers(motion, path)
    labels, places = points.labels, 1000.0 * points.places
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


def read(path: str | Path) -> Motion:
    """The motion of the joints in a file, as a `Format` reads it."""
    from stpose_core.formats.marker_motion import motion_of_points

    return motion_of_points(path, read_points(path))


def read_points(path: str | Path) -> Points:
    """The markers in a file of any program; y is taken to be up. Raises FormatError if it is damaged, or something else."""
    text = read_text(path)
    lines = text.splitlines()
    if len(lines) < 6 or not lines[0].startswith("PathFileType"):
        raise FormatError(f"{path} is not a .trc: it does not begin with PathFileType")
    header = dict(zip(lines[1].split(), lines[2].split()))
    units = header.get("Units", "")
    if units not in _METRES:
        raise FormatError(f"{path}, line 3: unknown units '{units[:20]}'; known: {', '.join(_METRES)}")
    labels = [word.strip() for word in lines[3].split("\t")[2:] if word.strip()]
    rows = [(number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1) if number > 5 and line.strip()]
    width = 2 + 3 * len(labels)
    _check_whole(path, text, header, rows, width)
    check_table(path, len(rows), width, sum(len(line) for _, line in rows))
    values = np.full((len(rows), width), np.nan)
    for index, (number, line) in enumerate(rows):
        values[index] = _row(path, number, line, width)
    return Points.checked(path, labels, values[:, 2:].reshape(len(rows), len(labels), 3) * _METRES[units], _rate(path, header))


def _check_whole(path: str | Path, text: str, header: dict[str, str], rows: list[tuple[int, str]], width: int) -> None:
    """Raise FormatError for a file that was cut off: it has fewer rows than it says, or its last line is neither full nor ended."""
    announced = header.get("NumFrames", "0")
    if not (announced.isascii() and announced.isdigit() and len(announced) < 10):
        raise FormatError(f"{path}, line 3: '{announced[:20]}' is no number of frames")
    if len(rows) < int(announced):
        raise FormatError(f"{path}, line 3: {announced} frames are announced, but {len(rows)} follow")
    if rows and not text.endswith(("\n", "\r")) and rows[-1][1].count("\t") < width - 1:
        raise FormatError(f"{path}, line {rows[-1][0]}: the file ends in the middle of a frame")


def _row(path: str | Path, number: int, line: str, width: int) -> Array:
    """The values of a line; NaN where a field is empty, as it is for markers that were not seen."""
    words = line.split("\t")
    extra, words = words[width:], words[:width]
    if any(word.strip() for word in extra):
        raise FormatError(f"{path}, line {number}: there are more than {width} values")
    try:
        found = [float(word) if word.strip() else np.nan for word in words]
    except ValueError:
        raise FormatError(f"{path}, line {number}: there is a value that is no number") from None
    return np.array(found + [np.nan] * (width - len(found)))


def _rate(path: str | Path, header: dict[str, str]) -> float:
    try:
        return nearest_rate(float(header["DataRate"]), 1e-6)
    except (KeyError, ValueError):
        raise FormatError(f"{path}, line 3: there is no DataRate") from None
