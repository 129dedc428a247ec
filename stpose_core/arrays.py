"""Reading an .npz that is not trusted: no pickle, no more memory than a capture can need, one kind of error."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import FormatError

# Unpacked. An hour of one person at 60 fps is a third of it.
MOST_BYTES = 1_000_000_000


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The named arrays of an .npz. Raises FormatError if it is missing, damaged, something else, or unpacks to over 1 GB."""
    try:
        # A member never gives more bytes than its entry says, so that the entries bound what is read.
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise FormatError(f"{path} unpacks to {size / 1e6:.0f} MB, more than any capture ({MOST_BYTES // 1_000_000} MB)")
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"there is no file {path}") from None
    except Exception as error:  # zipfile, its compressors and numpy's headers have no common class of errors
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{path} cannot be read as .npz: it is damaged or something else ({reason})") from error
    # What is no array in numpy's format comes as bytes.
    return {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
