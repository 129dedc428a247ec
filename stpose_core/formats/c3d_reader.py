"""Reads the markers of C3D files of any program with numpy alone, as hostile files can crash a library in C++.

A file is a header, a section of parameters in groups (POINT:LABELS), and frames of points and analog samples, as 16-bit integers or
as single-precision numbers. Source: the C3D file format user guide, c3d.org.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Array
from stpose_core.errors import FormatError
from stpose_core.formats.markers import Points
from stpose_core.formats.rates import nearest_rate
from stpose_core.reading import check_table, expected, read_bytes

_BLOCK = 512
_KEY = 0x50
_INTEL = 84
_METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}
_KINDS = {-1: np.dtype("S1"), 1: np.dtype("i1"), 2: np.dtype("<u2"), 4: np.dtype("<f4")}
_FULL = 65535  # what a count of 16 bits says where there are more


def read_points(path: str | Path) -> Points:
    """The markers in a file; NaN where one was not seen. Raises FormatError if it is damaged, or of an unsupported kind."""
    data = read_bytes(path)
    if len(data) < 2 * _BLOCK or data[1] != _KEY:
        raise FormatError(f"{path} is not a .c3d")
    with expected(str(path)):
        parameters = _parameters(path, data)
        return _points(path, data, parameters)


def _parameters(path: str | Path, data: bytes) -> dict[str, Any]:
    """The values of the parameters by "GROUP:NAME": a list of text, or an array."""
    at = (data[0] - 1) * _BLOCK
    if data[at + 3] != _INTEL:
        raise FormatError(f"{path} is of a processor other than Intel's, which is not supported")
    at += 4
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Any]] = []
    while at + 2 < len(data):
        length, group = abs(struct.unpack_from("b", data, at)[0]), struct.unpack_from("b", data, at + 1)[0]
        if not length:
            break
        name = data[at + 2 : at + 2 + length].decode("latin-1").strip().upper()
        step = struct.unpack_from("<H", data, at + 2 + length)[0]
        body = at + 4 + length
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _value(data, body)))
        if not step:
            break
        at += 2 + length + step
    return {f"{groups.get(group, '')}:{name}": value for group, name, value in found}


def _value(data: bytes, at: int) -> Any:
    kind, count = _KINDS[struct.unpack_from("b", data, at)[0]], data[at + 1]
    shape = list(data[at + 2 : at + 2 + count])
    size = int(np.prod(shape, dtype=np.int64)) if shape else 1
    if at + 2 + count + size * kind.itemsize > len(data):
        raise ValueError("a parameter ends after the file")
    values = np.frombuffer(data, kind, size, at + 2 + count)
    if kind.kind != "S":
        return values.astype(np.float64)
    width = shape[0] if shape else 1
    text = values.tobytes().decode("latin-1")
    return [text[start : start + width].strip("\0 ") for start in range(0, len(text), max(width, 1))]


def _points(path: str | Path, data: bytes, parameters: dict[str, Any]) -> Points:
    count, analog, first, last = struct.unpack_from("<4H", data, 2)
    scale, start, _, fps = struct.unpack_from("<fHHf", data, 12)
    fps = float(parameters.get("POINT:RATE", [fps])[0])
    labels = [label for name in ("POINT:LABELS", "POINT:LABELS2") for label in parameters.get(name, [])][:count]
    labels += [f"marker{number}" for number in range(len(labels) + 1, count + 1)]
    units = (parameters.get("POINT:UNITS") or ["mm"])[0].lower()
    if units not in _METRES:
        raise FormatError(f"{path}: unknown units '{units[:20]}'; known: {', '.join(_METRES)}")
    kind = np.dtype("<f4" if scale < 0 else "<i2")
    width = 4 * count + analog
    at = (start - 1) * _BLOCK
    there = max(0, len(data) - at) // (width * kind.itemsize) if width and at > 0 else 0
    claimed = last - first + 1 if last != _FULL else _long(parameters)
    frames = there if claimed is None else claimed
    if not 0 < frames <= there:
        raise ValueError(f"{claimed} frames of {count} points do not fit into the file")
    check_table(path, frames, width, len(data))
    values = np.frombuffer(data, kind, frames * width, at).reshape(frames, width)[:, : 4 * count].reshape(frames, count, 4)
    with np.errstate(invalid="ignore"):  # numbers of a damaged file
        places = values[..., :3].astype(np.float64) * (1.0 if scale < 0 else scale) * _METRES[units]
    places[values[..., 3] < 0] = np.nan
    return Points.checked(path, labels, _y_up(path, places, parameters), nearest_rate(fps, 1e-5))


def _long(parameters: dict[str, Any]) -> int | None:
    """The number of frames of a file with more than its header can say: each field is two words of 16 bits, the lower one first.
    None if the file does not say it."""
    ends = [parameters.get(f"TRIAL:ACTUAL_{name}_FIELD", ()) for name in ("START", "END")]
    if any(len(end) != 2 for end in ends):
        return None
    first, last = (int(low) + (int(high) << 16) for low, high in ends)
    return last - first + 1


def _y_up(path: str | Path, places: Array, parameters: dict[str, Any]) -> Array:
    """Places with y up, by what the file says of its axes; z is up where it says nothing."""
    axes = (parameters.get("POINT:Y_SCREEN") or ["+Z"])[0].upper()
    if axes == "+Y":
        return places
    if axes != "+Z":
        raise FormatError(f"{path}: its axis {axes[:5]} points up; only +Y and +Z are supported")
    return np.stack([places[..., 0], places[..., 2], -places[..., 1]], axis=-1)
