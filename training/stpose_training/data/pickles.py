"""Pickle files from other sources, read without running any code that they name.

A pickle is a program: `pickle.load` and `np.load(allow_pickle=True)` run any function that it names. Several data sets are
distributed as pickles, so this reader accepts plain data only - numbers, text, lists, dictionaries and numpy arrays - and refuses
everything else by name. Even numpy's constructors do not run, because they trust sizes and types from the file. Arrays are
assembled here from checked parts.
Sources: Python's `pickletools` (operations), numpy's `ndarray.__reduce__` (what an array's pickle holds) and `numpy.lib.format`.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.errors import FormatError

# Plain numbers, text and references to Python objects, in either byte order.
_PLAIN_TYPE = re.compile(r"[<>=|]?(?:[biufcSU]\d+|O8?)")
_DEEPEST = 32


class _Refused(Exception):
    """The message completes a sentence that begins with the file's name."""


class _Constructor:
    """Replacement for a function that a pickle names. It has no state, so a file cannot change it."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _Refused("is not a plain data pickle")


class _Type:
    """A numpy type as described in a pickle."""

    __slots__ = ("dtype",)

    def __init__(self, spec: object, *_: object) -> None:
        if not isinstance(spec, str) or not _PLAIN_TYPE.fullmatch(spec):
            raise _Refused(f"holds arrays of type '{str(spec)[:40]}', which are not read")
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state
        if any(part is not None for part in parts[:3]) or order not in ("<", ">", "|", "="):
            raise _Refused("holds structured arrays, which are not read")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array as described in a pickle: `value` is set once its state was read."""

    __slots__ = ("value",)

    def __init__(self, *_: object) -> None:
        self.value: np.ndarray = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        shape, kind, by_column, content = state[-4:]
        self.value = _array(shape, kind, by_column, content)


def _array(shape: Any, kind: Any, by_column: object, content: Any) -> np.ndarray:
    if not isinstance(kind, _Type) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _Refused("holds an array of unknown type or shape")
    order = "F" if by_column else "C"
    if kind.dtype.hasobject:
        if not isinstance(content, list):
            raise _Refused("holds a damaged array of objects")
        flat = np.empty(len(content), dtype=object)
        for place, item in enumerate(content):
            flat[place] = item
    else:
        # Pickles of Python 2 store bytes as text.
        flat = np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype=kind.dtype)
    return flat.reshape(tuple(shape), order=order)  # type: ignore[call-overload]


def _scalar(kind: Any, content: Any) -> Any:
    return _array((), kind, False, content)[()]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    made.value = _array(shape, kind, order == "F", content)
    return made


def _encode(text: str, encoding: str) -> bytes:
    """Pickles of protocol 2 written by Python 3 store bytes as latin-1 text."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"holds text in the encoding '{str(encoding)[:40]}'")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How Python 3 writes b"" in protocols 0 to 2."""
    return b""


_ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", _Array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
    "_codecs.encode": _encode,
    "__builtin__.bytes": _no_bytes,
    "collections.OrderedDict": dict,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ALLOWED:
            raise _Refused(f"asks to run '{module}.{name}'; only numbers, text and arrays are read from pickles")
        return _Constructor(_ALLOWED[f"{module}.{name}"])


def _plain(value: Any, seen: dict[int, Any], depth: int = 0) -> Any:
    """The value with real arrays instead of `_Array`, recursively. seen: results by the id of their source."""
    if depth > _DEEPEST:
        raise _Refused("is nested too deeply")
    if id(value) in seen:
        return seen[id(value)]
    made: Any
    if isinstance(value, _Array):
        made = value.value
        if made.dtype.hasobject:
            made = np.empty(made.shape, dtype=object)
            for place, item in enumerate(value.value.flat):
                made.flat[place] = _plain(item, seen, depth + 1)
    elif isinstance(value, dict):
        if not all(isinstance(key, (str, bytes, int, float)) for key in value):
            raise _Refused("holds a dictionary whose keys are neither text nor numbers")
        made = {key: _plain(item, seen, depth + 1) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        made = type(value)(_plain(item, seen, depth + 1) for item in value)
    elif value is None or isinstance(value, (str, bytes, int, float, complex, np.generic)):
        made = value
    else:
        raise _Refused(f"holds a '{type(value).__name__}'; only numbers, text and arrays are read from pickles")
    seen[id(value)] = made
    return made


def _read(handle: Any, what: str) -> Any:
    try:
        loaded = _Reader(handle, encoding="latin1").load()
        return _plain(loaded, {})
    except _Refused as error:
        raise FormatError(f"{what} {error}") from None
    except MemoryError:
        raise FormatError(f"{what} asks for more memory than there is") from None
    except Exception as error:
        # A damaged or hostile stream can fail anywhere in the reader, with any error.
        raise FormatError(f"{what} is not a readable pickle ({type(error).__name__})") from None


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle file: numbers, text, lists, tuples, dictionaries and numpy arrays.

    Text of Python 2 is read as latin-1. Raises FormatError if the file is missing, damaged, or holds anything else.
    """
    try:
        with Path(path).open("rb") as handle:
            return _read(handle, str(path))
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error


def read_npz(path: str | Path, *names: str) -> list[Any]:
    """The named members of an .npz file, also those that hold Python objects (as `np.savez(file, name=dictionary)` makes them).

    A member without dimensions is returned as its content. Raises FormatError if the file or a member is missing or damaged, or
    holds anything but plain data.
    """
    members = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                if f"{name}.npy" not in archive.namelist():
                    raise FormatError(f"{path} has no member '{name}'; it has {', '.join(archive.namelist()) or 'none'}")
                members.append(_member(archive.read(f"{name}.npy"), f"{path}: '{name}'"))
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise FormatError(f"{path} is not a readable .npz file ({error})") from error
    return members


def _member(content: bytes, what: str) -> Any:
    handle = io.BytesIO(content)
    version = np.lib.format.read_magic(handle)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(handle)
    if not dtype.hasobject:
        handle.seek(0)
        array = np.lib.format.read_array(handle, allow_pickle=False)
    else:
        array = _read(handle, what)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise FormatError(f"{what} does not match its header")
    return array[()] if array.shape == () else array
