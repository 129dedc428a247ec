"""The data sets by name, for commands that take a set and a path."""

from __future__ import annotations

from pathlib import Path

from stpose_core.errors import FormatError
from stpose_training.data import protocols
from stpose_training.data.h36m import load_h36m
from stpose_training.data.humaneva import load_humaneva
from stpose_training.data.marker_folders import load_amc_folder, load_bvh_folder
from stpose_training.data.mpi_inf_3dhp import load_mpi_inf_3dhp
from stpose_training.data.protocols import Protocol
from stpose_training.data.pw3d import load_pw3d
from stpose_training.data.recording import Recording

PROTOCOLS: dict[str, Protocol] = {
    "h36m": protocols.H36M,
    "humaneva": protocols.HUMANEVA,
    "mpi_inf_3dhp": protocols.MPI_INF_3DHP,
    "3dpw": protocols.PW3D,
}
# Plain folders have no splits and no protocol.
FOLDERS = ("bvh", "amc")


def load_recordings(name: str, path: str | Path, split: str = "test") -> list[Recording]:
    """The recordings of a named set: h36m, humaneva, mpi_inf_3dhp, 3dpw, bvh or amc. Plain folders have no splits, so
    everything is read.

    Raises FormatError for an unknown name and for files that are not in the set's layout.
    """
    if name == "h36m":
        return load_h36m(path, split)
    if name == "humaneva":
        return load_humaneva(path, split)
    if name == "mpi_inf_3dhp":
        return load_mpi_inf_3dhp(path, split)
    if name == "3dpw":
        return load_pw3d(path, split)
    if name == "bvh":
        return load_bvh_folder(path)
    if name == "amc":
        return load_amc_folder(path)
    raise FormatError(f"unknown data set '{name}'; known: {', '.join([*PROTOCOLS, *FOLDERS])}")
