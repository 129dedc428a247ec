"""Reading an untrusted .npz: no pickle, limited memory, one kind of error.

Sizes are checked before anything is unpacked or allocated: the zip directory states the size of each member, and the header of a
member (numpy.lib.format) states its type and shape, which must match that size.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import FormatError
from stpose_core.reading import one_line

# Unpacked size. One hour of one person at 60 fps needs half of it.
MOST_BYTES = 1_000_000_000
# Long gaps compress very well. A file may unpack to this size, plus this multiple of its own size.
_ALWAYS, _EXPANSION = 100_000_000, 100
_SUFFIX = ".npy"
# numpy uses only these. For others, zipfile ignores the stated size while it unpacks.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_arrays(path: str | Path, most: int | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz by name. Raises FormatError if it is missing, damaged, not an .npz, unpacks to too much, or has more
    than `most` members."""
    members = read_members(path, most=most)
    return {name: array_of(members.pop(name), f"{path}: '{one_line(name, 40)}'") for name in list(members)}


def read_members(path: str | Path, *names: str, most: int | None = None) -> dict[str, bytes]:
    """The unpacked members of an .npz by name, without suffix: all, or those named. Raises FormatError as `read_arrays` does."""
    try:
        if not Path(path).is_file():
            raise FormatError(f"{path} is not a regular file" if Path(path).exists() else f"there is no file {path}")
        with zipfile.ZipFile(path) as archive:
            entries: dict[str, zipfile.ZipInfo] = {}
            if most is not None and len(archive.infolist()) > most:
                raise FormatError(f"{path} holds {len(archive.infolist())} arrays; the limit is {most}")
            for entry in archive.infolist():
                name = entry.filename.removesuffix(_SUFFIX)
                if name in entries:
                    raise FormatError(f"{path} has two members '{one_line(name, 40)}'")
                # Other members are not arrays.
                if entry.filename.endswith(_SUFFIX) and (not names or name in names):
                    entries[name] = entry
            size = sum(entry.file_size for entry in entries.values())
            limit = min(MOST_BYTES, _ALWAYS + _EXPANSION * Path(path).stat().st_size)
            if size > limit:
                raise FormatError(f"{path} unpacks to {size / 1e6:.0f} MB; for its size the limit is {limit / 1e6:.0f} MB")
            if any(entry.compress_type not in _COMPRESSIONS for entry in entries.values()):
                raise FormatError(f"{path} uses a compression that numpy does not write")
            return {name: archive.read(entry) for name, entry in entries.items()}
    except FormatError:
        raise
    except Exception as error:  # the errors of zipfile and zlib have no common base class
        raise FormatError(f"{path} cannot be read as .npz: it is damaged or of another format ({one_line(error)})") from error


def array_header(handle: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, column order (Fortran) and type of an .npy. Raises any exception if the header is damaged."""
    version = np.lib.format.read_magic(handle)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"unknown version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(handle)
    return shape, by_column, dtype


def array_of(content: bytes, what: str) -> NDArray[Any]:
    """The array in the bytes of an .npy. Raises FormatError, which begins with `what`."""
    handle = io.BytesIO(content)
    try:
        shape, by_column, dtype = array_header(handle)
        if dtype.kind not in "biufSU":
            raise FormatError(f"{what} has the type '{str(dtype)[:40]}', which is not supported")
        size = math.prod(shape)
        if min(shape, default=0) < 0 or size * dtype.itemsize != len(content) - handle.tell() or not dtype.itemsize:
            raise FormatError(f"{what} does not have the size that its header states")
        if not size:
            return np.zeros(shape, dtype)
        values = np.frombuffer(content, dtype, size, handle.tell())
        # A copy, because a view of bytes is read-only, and some functions of scipy require writable arrays.
        return values.reshape(shape, order="F" if by_column else "C").copy()
    except FormatError:
        raise
    except Exception as error:  # numpy evaluates the header as a Python literal, which may raise anything
        raise FormatError(f"{what} is not a numpy array ({one_line(error)})") from error
