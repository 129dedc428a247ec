"""Pickle files from other sources, read without running any code that they name.

A pickle is a program: `pickle.load` and `np.load(allow_pickle=True)` run any function that it names. Several data sets are
distributed as pickles, so this reader accepts plain data only - numbers, text, lists, dictionaries and numpy arrays - and refuses
everything else by name. Even numpy's constructors do not run, because they trust sizes and types from the file. Arrays are
assembled here from checked parts. A pickle of a few bytes can also ask for any amount of memory, so its operations are checked
before it is read, and the memory of its results is counted.
Sources: Python's `pickletools` (operations), numpy's `ndarray.__reduce__` (what an array's pickle holds) and `numpy.lib.format`.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.arrays import array_header, array_of, read_members
from stpose_core.errors import FormatError
from stpose_core.reading import read_bytes

Spend = Callable[[int], None]
"""Counts the bytes of what is constructed; raises _Refused above the limit."""

# Plain numbers, text and references to Python objects, in either byte order.
_PLAIN_TYPE = re.compile(r"[<>=|]?(?:[biufcSU]\d+|O8?)")
_DEEPEST = 32
# Limit of what is constructed, in multiples of the pickle's size, plus a constant: a pickle can construct a large part repeatedly.
_EXPANSION, _ALWAYS = 20, 1_000_000
# Larger integers can all have the same hash, and a dictionary of them takes quadratic time.
_LARGEST = 2**64


class _Refused(Exception):
    """The message completes a sentence that begins with the file's name."""


class _Constructor:
    """Replacement for a function that a pickle names. A file cannot change it."""

    __slots__ = ("make", "spend")

    def __init__(self, make: Callable[..., Any], spend: Spend) -> None:
        self.make, self.spend = make, spend

    def __call__(self, *arguments: Any) -> Any:
        return self.make(self.spend, *arguments)

    def __setstate__(self, state: object) -> None:
        raise _Refused("is not a plain data pickle")


class _Type:
    """A numpy type as described in a pickle."""

    __slots__ = ("dtype",)

    def __init__(self, spend: Spend, spec: object, *_: object) -> None:
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

    __slots__ = ("spend", "value")

    def __init__(self, spend: Spend, *_: object) -> None:
        self.spend = spend
        self.value: np.ndarray = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        shape, kind, by_column, content = state[-4:]
        self.value = _array(self.spend, shape, kind, by_column, content)


def _array(spend: Spend, shape: Any, kind: Any, by_column: object, content: Any) -> np.ndarray:
    if not isinstance(kind, _Type) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _Refused("holds an array of unknown type or shape")
    order = "F" if by_column else "C"
    if kind.dtype.hasobject:
        if not isinstance(content, list):
            raise _Refused("holds a damaged array of objects")
        spend(16 * len(content))  # here and in _plain
        flat = np.empty(len(content), dtype=object)
        for place, item in enumerate(content):
            flat[place] = item
    else:
        if isinstance(content, str):  # pickles of Python 2 store bytes as text
            spend(len(content))
            content = content.encode("latin1")
        flat = np.frombuffer(content, dtype=kind.dtype)
    return flat.reshape(tuple(shape), order=order)  # type: ignore[call-overload]


def _scalar(spend: Spend, kind: Any, content: Any) -> Any:
    return _array(spend, (), kind, False, content)[()]


def _from_buffer(spend: Spend, content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    made = _Array(spend)
    made.value = _array(spend, shape, kind, order == "F", content)
    return made


def _encode(spend: Spend, text: str, encoding: str) -> bytes:
    """Pickles of protocol 2 written by Python 3 store bytes as latin-1 text."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"holds text in the encoding '{str(encoding)[:40]}'")
    spend(len(text))
    return text.encode("latin1")


def _no_bytes(spend: Spend) -> bytes:
    """How Python 3 writes b"" in protocols 0 to 2."""
    return b""


def _ordered(spend: Spend, pairs: Any = ()) -> dict[Any, Any]:
    spend(100 * len(pairs))
    return dict(pairs)


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
    "collections.OrderedDict": _ordered,
}


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._left = _EXPANSION * len(content) + _ALWAYS

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ALLOWED:
            raise _Refused(f"asks to run '{module[:80]}.{name[:80]}'; only numbers, text and arrays are read from pickles")
        return _Constructor(_ALLOWED[f"{module}.{name}"], self._spend)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _Refused("constructs far more than its size")


def _look_through(content: bytes) -> None:
    """Refuse operations for which Python's reader takes memory or time out of proportion to the pickle's size."""
    argument: Any
    for operation, argument, _ in pickletools.genops(content):
        # Python's memo is a table with as many entries as its highest index.
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(content):
            raise _Refused("is not a plain data pickle")
        if operation.name in ("INT", "LONG", "LONG1", "LONG4") and abs(argument) >= _LARGEST:
            raise _Refused("holds an integer of more than 64 bits")


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


def _read(content: bytes, what: str) -> Any:
    try:
        _look_through(content)
        return _plain(_Reader(content).load(), {})
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
    return _read(read_bytes(path), str(path))


def read_npz(path: str | Path, *names: str) -> list[Any]:
    """The named members of an .npz file, also those that hold Python objects (as `np.savez(file, name=dictionary)` makes them).

    A member without dimensions is returned as its content. Raises FormatError if the file or a member is missing or damaged, or
    holds anything but plain data.
    """
    members = read_members(path, *names)
    missing = [name for name in names if name not in members]
    if missing:
        raise FormatError(f"{path} has no member '{missing[0]}'")
    return [_member(members[name], f"{path}: '{name}'") for name in names]


def _member(content: bytes, what: str) -> Any:
    handle = io.BytesIO(content)
    try:
        shape, _, dtype = array_header(handle)
    except Exception as error:  # numpy evaluates the header as a Python literal, which may raise anything
        raise FormatError(f"{what} is not a numpy array ({type(error).__name__})") from error
    array = _read(content[handle.tell() :], what) if dtype.hasobject else array_of(content, what)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise FormatError(f"{what} does not match its header")
    return array[()] if array.shape == () else array
