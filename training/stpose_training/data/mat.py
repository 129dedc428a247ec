"""Arrays in MATLAB files, old (version 5) and new (7.3, which is HDF5), with the same order of axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from stpose_core.arrays import MOST_BYTES
from stpose_core.errors import FormatError
from stpose_core.reading import one_line
from stpose_training.data.extras import extra


def read_mat(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The named variables as MATLAB shows them (HDF5 stores their axes in reverse); cells become object arrays.

    Raises FormatError if the file or a variable is missing, or the file is not a MATLAB file.
    """
    try:
        with path.open("rb") as handle:
            new = handle.read(10).startswith((b"MATLAB 7.3", b"\x89HDF"))
        found = _new(path, names) if new else loadmat(path, variable_names=list(names))
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except FormatError:
        raise
    except Exception as error:
        # scipy and h5py raise many kinds of errors for damaged files.
        raise FormatError(f"{path} is not a readable MATLAB file ({one_line(error)})") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise FormatError(f"{path} has no variable {' and no '.join(missing)}")
    return {name: np.asarray(found[name]) for name in names}


def _new(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    h5py = extra("h5py", "MATLAB 7.3 files")
    found = {}
    with h5py.File(path, "r") as file:
        for name in names:
            if name not in file:
                continue
            values = whole(file[name])
            if values.dtype.hasobject:
                cells = np.empty(values.shape, dtype=object)
                for place, reference in enumerate(values.flat):
                    cells.flat[place] = whole(file[reference]).T
                values = cells
            found[name] = values.T
    return found


def whole(dataset: Any) -> np.ndarray:
    """The values of a data set. In HDF5 a few bytes can describe any size: raises ValueError if it is too large."""
    if dataset.size * dataset.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"the shape {dataset.shape} is too large")
    return np.asarray(dataset[()])
