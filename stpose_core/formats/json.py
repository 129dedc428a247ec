"""JSON: the motion of one or several people in plain text, for programs and web pages; docs/formats.md describes each field.

Lengths are metres, y up; quaternions are w, x, y, z. `positions` repeats what the rotations describe, so that a reader needs no
kinematics; this module's reader does not use it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.animate.kinematics import forward_kinematics
from stpose_core.data import Array, Capture, Motion, check_count
from stpose_core.errors import FormatError
from stpose_core.formats import motion_of
from stpose_core.formats.glb import check
from stpose_core.reading import expected, one_line, read_bytes

FORMAT, VERSION = "stpose-motion", 1
_LARGEST = 1e9


def write(people: Sequence[Motion | Capture], path: str | Path, units: str = "m") -> None:
    """Write the motions of people, as a `Format` does; always in metres. Raises OutputError for a motion with missing values."""
    motions = [motion_of(person) for person in people]
    for motion in motions:
        check(motion, path)
    content = {"format": FORMAT, "version": VERSION, "people": [_described(motion) for motion in motions]}
    Path(path).write_text(json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8", newline="\n")


def _described(motion: Motion) -> dict[str, Any]:
    joints = [
        {"name": name, "parent": int(parent), "offset": _rounded(offset)}
        for name, parent, offset in zip(motion.names, motion.parents, motion.offsets)
    ]
    described = {
        "fps": motion.fps,
        "joints": joints,
        "root": _rounded(motion.root),
        "rotations": _rounded(motion.rotations),
        "positions": _rounded(forward_kinematics(motion), 4),
        "contacts": _rounded(motion.contacts, 3),
        "filled": motion.filled.tolist(),
    }
    if motion.curves:
        described["curves"] = {name: _with_gaps(values) for name, values in motion.curves.items()}
    return described


def _with_gaps(values: Array) -> list[float | None]:
    """A curve rounded to three digits; JSON has no NaN."""
    return [None if np.isnan(value) else round(float(value), 3) for value in values]


def _rounded(values: Array, digits: int = 6) -> list[Any]:
    rounded: list[Any] = (np.round(values, digits) + 0.0).tolist()
    return rounded


def read(path: str | Path) -> tuple[Motion, ...]:
    """The motions in a file, as a `Format` reads it. Raises FormatError if it is damaged, of another program, or newer."""
    try:
        content = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON: {one_line(error)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(f'{path} is not a motion of stpose: it has no "format": "{FORMAT}"')
    version = content.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise FormatError(f"{path} is of version {str(version)[:20]}; this stpose reads up to {VERSION}: update it")
    with expected(str(path)):
        if not content["people"]:
            raise ValueError("there are no people")
        return tuple(_motion(person) for person in content["people"])


def _curve(name: str, values: Any) -> Array:
    if not isinstance(values, list) or not all(type(value) in (int, float, type(None)) for value in values):
        raise ValueError(f"the curve {name[:40]!r} is not a list of numbers and nulls")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _motion(person: dict[str, Any]) -> Motion:
    joints = person["joints"]
    values = {name: np.array(person[name], dtype=np.float64) for name in ("root", "rotations", "contacts")}
    values["offsets"] = np.array([joint["offset"] for joint in joints], dtype=np.float64)
    if not all((np.abs(array) <= _LARGEST).all() for array in values.values()):
        raise ValueError("there are values that are not finite, or too large")
    if (np.linalg.norm(values["rotations"], axis=-1) < 1e-6).any():
        raise ValueError("a rotation has no length")
    curves = person.get("curves", {})
    if not isinstance(curves, dict):
        raise ValueError("curves are not an object of lists of numbers by name")
    check_count(curves)
    return Motion(
        names=tuple(str(joint["name"]) for joint in joints),
        parents=np.array([int(joint["parent"]) for joint in joints]),
        offsets=values["offsets"],
        rotations=values["rotations"],
        root=values["root"],
        contacts=values["contacts"],
        filled=np.array(person["filled"], dtype=bool),
        fps=float(person["fps"]),
        curves={name: _curve(name, values) for name, values in curves.items()},
    )
