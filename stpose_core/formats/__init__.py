"""Files of motion: `save` writes and `load_motion` reads; the suffix chooses the format, each in a module of its own."""

from __future__ import annotations

from pathlib import Path

from stpose_core.data import Capture, Motion
from stpose_core.errors import FormatError
from stpose_core.files import written_whole
from stpose_core.formats.bvh import check_units, read_bvh, write_bvh
from stpose_core.formats.csv import write_csv
from stpose_core.formats.npz import load_capture, load_motion_npz, write_npz

__all__ = ["SUFFIXES", "check_suffix", "load_capture", "load_motion", "save"]

SUFFIXES = {
    ".bvh": "animated skeleton",
    ".csv": "positions of the joints",
    ".npz": "everything: 2D joints, 3D joints, motion",
}


def check_suffix(path: str | Path) -> str:
    """The suffix of a path in lower case. Raises FormatError if no format has it."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise FormatError(f"{path}: unknown format '{suffix}'; known: {', '.join(SUFFIXES)}")
    return suffix


def save(thing: Motion | Capture, path: str | Path, units: str = "cm", overwrite: bool = False) -> None:
    """Write a motion or a capture; the suffix chooses: .bvh, .csv, .npz. The file appears whole or not at all.

    units: "cm" or "m", of the lengths in a .bvh; .csv and .npz are in metres. A .npz of a capture holds all its stages.
    Raises FormatError for an unknown suffix, OutputError if the file cannot be written or exists without `overwrite`.
    """
    suffix = check_suffix(path)
    check_units(units)
    motion = thing.motion if isinstance(thing, Capture) else thing
    with written_whole(path, overwrite) as temporary:
        if suffix == ".bvh":
            write_bvh(motion, temporary, units)
        elif suffix == ".csv":
            write_csv(motion, temporary)
        else:
            write_npz(thing, temporary)


def load_motion(path: str | Path) -> Motion:
    """Read the motion in a .bvh or .npz. Raises FormatError if there is none, or the file is damaged or something else."""
    suffix = check_suffix(path)
    if suffix == ".csv":
        raise FormatError(f"{path}: a .csv holds positions, not a skeleton; load the .bvh or the .npz")
    return read_bvh(path) if suffix == ".bvh" else load_motion_npz(path)
