"""Reading an .npz that is not trusted: no pickle, no more memory than a capture can need, one kind of error.

Everything is checked against the headers before it is unpacked: the zip directory states the size of each member, a member's own
header (numpy.lib.format) states its type and shape, and these have to agree.
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

# Unpacked. An hour of one person at 60 fps is half of it.
MOST_BYTES = 1_000_000_000
# Long gaps compress very well, so a small file may unpack to a lot: this much, and so many times its size.
_ALWAYS, _EXPANSION = 100_000_000, 100
_SUFFIX = ".npy"
# numpy writes no others, and zipfile unpacks others without regard to the stated size.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The named arrays of an .npz.

    Raises FormatError if it is missing, damaged or something else, or if it unpacks to far more than its size.
    """
    members = read_members(path)
    return {name: array_of(members.pop(name), f"{path}: '{one_line(name, 40)}'") for name in list(members)}


def read_members(path: str | Path, *names: str) -> dict[str, bytes]:
    """The unpacked members of an .npz by name, without suffix: all, or those named. Raises FormatError as `read_arrays` does."""
    try:
        if not Path(path).is_file():
            raise FormatError(f"{path} is no regular file" if Path(path).exists() else f"there is no file {path}")
        with zipfile.ZipFile(path) as archive:
            entries: dict[str, zipfile.ZipInfo] = {}
            for entry in archive.infolist():
                name = entry.filename.removesuffix(_SUFFIX)
                if name in entries:
                    raise FormatError(f"{path} has two members '{one_line(name, 40)}'")
                # What does not end so is no array of numpy's.
                if entry.filename.endswith(_SUFFIX) and (not names or name in names):
                    entries[name] = entry
            size = sum(entry.file_size for entry in entries.values())
            most = min(MOST_BYTES, _ALWAYS + _EXPANSION * Path(path).stat().st_size)
            if size > most:
                allowed = f"{most / 1e6:.0f} MB"
                raise FormatError(f"{path} unpacks to {size / 1e6:.0f} MB, more than any capture in a file of its size ({allowed})")
            if any(entry.compress_type not in _COMPRESSIONS for entry in entries.values()):
                raise FormatError(f"{path} is compressed in a way that numpy does not use")
            return {name: archive.read(entry) for name, entry in entries.items()}
    except FormatError:
        raise
    except Exception as error:  # zipfile and zlib have no common class of errors
        raise FormatError(f"{path} cannot be read as .npz: it is damaged or something else ({one_line(error)})") from error


def array_header(handle: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by column, and type of an .npy. Raises whatever numpy makes of a damaged one."""
    version = np.lib.format.read_magic(handle)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its version is {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(handle)
    return shape, by_column, dtype


def array_of(content: bytes, what: str) -> NDArray[Any]:
    """The array in the bytes of an .npy. Raises FormatError, which begins with `what`."""
    handle = io.BytesIO(content)
    try:
        shape, by_column, dtype = array_header(handle)
        if dtype.kind not in "biufSU":
            raise FormatError(f"{what} is of type '{str(dtype)[:40]}', which is not read")
        size = math.prod(shape)
        if min(shape, default=0) < 0 or size * dtype.itemsize != len(content) - handle.tell() or not dtype.itemsize:
            raise FormatError(f"{what} is not as large as its header says")
        if not size:
            return np.zeros(shape, dtype)
        values = np.frombuffer(content, dtype, size, handle.tell())
        # A copy, as views of bytes cannot be written to, which scipy for one asks of arrays.
        return values.reshape(shape, order="F" if by_column else "C").copy()
    except FormatError:
        raise
    except Exception as error:  # numpy evaluates the header as a Python literal: any error may come of it
        raise FormatError(f"{what} is no array of numpy's ({one_line(error)})") from error
