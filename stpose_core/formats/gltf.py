"""The container of glTF 2.0 binary files (.glb, .vrma): a JSON description and one block of numbers.

Source: Khronos Group, glTF 2.0 Specification, sections 3.6 (binary data storage) and 4.4 (binary glTF layout).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array
from stpose_core.errors import FormatError
from stpose_core.reading import expected, one_line, read_bytes

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_KINDS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_TYPES: dict[int, np.dtype[Any]] = {
    5120: np.dtype("i1"),
    5121: np.dtype("u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
_CODES = {kind.str: code for code, kind in _TYPES.items()}
VERTICES, INDICES = 34962, 34963
"""Targets of the buffer views of meshes."""


class GltfBuilder:
    """A file that is being made, from nothing or from one that was read. content: the JSON object, to which `array` adds arrays."""

    def __init__(self, file: GltfFile | None = None) -> None:
        self.content: dict[str, Any] = {"asset": {"version": "2.0", "generator": "stpose"}}
        self._blob = bytearray()
        if file is not None:
            if any("uri" in buffer for buffer in file.list("buffers")):
                raise FormatError(f"{file.path}: values in other files are not supported")
            self.content = json.loads(json.dumps(file.content))
            self._blob += file.blob
            self._blob += bytes(-len(self._blob) % 4)
        for name in ("bufferViews", "accessors"):
            self.content.setdefault(name, [])

    def array(self, values: NDArray[Any], kind: str, dtype: str = "<f4", target: int | None = None, bounds: bool = False) -> int:
        """Add an array (N,) or (N, k) and return the index of its accessor. kind: "SCALAR", "VEC3" and so on; bounds: with its
        smallest and largest values, which times and positions need."""
        stored = np.ascontiguousarray(values, dtype=dtype)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._blob), "byteLength": stored.nbytes}
        if target is not None:
            view["target"] = target
        self.content["bufferViews"].append(view)
        accessor: dict[str, Any] = {
            "bufferView": len(self.content["bufferViews"]) - 1,
            "componentType": _CODES[stored.dtype.str],
            "count": len(stored),
            "type": kind,
        }
        if bounds:
            flat = stored.reshape(len(stored), -1)
            accessor["min"], accessor["max"] = flat.min(axis=0).tolist(), flat.max(axis=0).tolist()
        self._blob += stored.tobytes()
        self._blob += bytes(-len(self._blob) % 4)
        self.content["accessors"].append(accessor)
        return len(self.content["accessors"]) - 1

    def write(self, path: str | Path) -> None:
        """Write the file. Overwrites."""
        content = {**self.content, "buffers": [{"byteLength": len(self._blob)}]}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        with Path(path).open("wb") as file:
            file.write(struct.pack("<III", _MAGIC, 2, 12 + 8 + len(text) + 8 + len(self._blob)))
            file.write(struct.pack("<II", len(text), _JSON) + text)
            file.write(struct.pack("<II", len(self._blob), _BIN))
            file.write(self._blob)


class GltfFile:
    """A .glb that was read. content: its JSON object. blob: its numbers. Raises FormatError if it is damaged or something else."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        data = read_bytes(path)
        try:
            magic, version, length = struct.unpack_from("<III", data)
            size, kind = struct.unpack_from("<II", data, 12)
        except struct.error:
            raise FormatError(f"{path} is not a .glb: it is too short") from None
        if magic != _MAGIC or kind != _JSON:
            raise FormatError(f"{path} is not a .glb (binary glTF)")
        if version != 2 or length > len(data) or 20 + size > len(data):
            raise FormatError(f"{path} is damaged, or of a version of glTF other than 2")
        try:
            self.content: dict[str, Any] = json.loads(data[20 : 20 + size])
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path} is damaged: {one_line(error)}") from error
        if not isinstance(self.content, dict):
            raise FormatError(f"{path} is damaged: its description is not an object")
        rest = data[20 + size :]
        self.blob = memoryview(b"")
        if len(rest) >= 8 and struct.unpack_from("<I", rest, 4)[0] == _BIN:
            self.blob = memoryview(rest)[8 : 8 + struct.unpack_from("<I", rest)[0]]

    def list(self, name: str) -> list[dict[str, Any]]:
        """A list of objects of the description; empty where there is none. Raises FormatError for anything else."""
        found = self.content.get(name, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise FormatError(f"{self.path} is damaged: {name} is not a list of objects")
        return found

    def array(self, index: object) -> Array:
        """(N, k) the values of an accessor, normalised integers as fractions; (N,) for scalars. Raises FormatError."""
        with expected(f"{self.path}, accessor {str(index)[:20]},"):
            accessor = _item(self.list("accessors"), index)
            if "sparse" in accessor:
                raise ValueError("sparse arrays are not supported")
            view = _item(self.list("bufferViews"), accessor["bufferView"])
            if view.get("buffer", 0) != 0 or (self.list("buffers") or [{}])[0].get("uri") is not None:
                raise ValueError("values in other files are not supported")
            dtype, width, count = _TYPES[accessor["componentType"]], _KINDS[accessor["type"]], _size(accessor["count"])
            start = _size(view.get("byteOffset", 0)) + _size(accessor.get("byteOffset", 0))
            step = _size(view.get("byteStride", 0)) or width * dtype.itemsize
            last = start + step * (count - 1) + width * dtype.itemsize if count else start
            if step < width * dtype.itemsize or last > len(self.blob):
                raise ValueError("the values lie outside the file")
            rows = np.ndarray((count, width), dtype, self.blob, start, (step, dtype.itemsize)) if count else np.empty((0, width))
            values = rows.astype(np.float64)
            if accessor.get("normalized") and dtype.kind in "iu":
                values = np.maximum(values / np.iinfo(dtype).max, -1.0)
            if not np.isfinite(values).all():
                raise ValueError("there are values that are not finite")
            return values[:, 0] if width == 1 else values


def _item(entries: list[dict[str, Any]], index: object) -> dict[str, Any]:
    return entries[_size(index)]


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:20]} is not a size or an index")
    return value
