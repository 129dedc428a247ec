"""An ONNX file is read, and its structure checked, before a runtime sees it: it may come from anywhere.

Message and field numbers are those of onnx.proto (https://github.com/onnx/onnx, Apache-2.0), the encoding is protobuf's
(https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stpose_core.errors import DetectorError

MOST_BYTES = 2 * 2**30
"""Of a file: protobuf has no larger messages."""
MOST_NODES, MOST_FIELDS = 10_000, 1_000_000
"""Operations in a network, and parts of a file: several times those of the largest pose networks."""
# Which messages are inside which: {message: {field: message}}.
_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_FUNCTIONS, _OPERATION, _PLACE = 25, 4, 14  # fields of a model, of a node and of a tensor


def read_onnx(path: Path) -> bytes:
    """The content of an .onnx file. Raises DetectorError if it is missing, damaged, too large, or if parts of it are elsewhere."""
    try:
        if not path.is_file():
            raise DetectorError(f"there is no file {path}")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DetectorError(f"{path} has {size / 1e9:.1f} GB; an ONNX file has {MOST_BYTES / 1e9:.1f} GB at most")
        content = path.read_bytes()
    except OSError as error:
        raise DetectorError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        _check(content)
    except ValueError as error:
        raise DetectorError(f"{path} is not an ONNX file that can be used: {error}") from error
    return content


def _check(content: bytes) -> None:
    """Raises ValueError unless the file is a model without loops and functions of its own, whose weights are all inside."""
    waiting, count, nodes = [("model", memoryview(content))], 0, 0
    while waiting:
        kind, message = waiting.pop()
        for field, value in _fields(message):
            count += 1
            if count > MOST_FIELDS or nodes > MOST_NODES:
                raise ValueError("it has too many parts")
            if kind == "model" and field == _FUNCTIONS:
                # A few that call each other twice each grow into billions of operations as they are loaded.
                raise ValueError("it defines functions; export it with all of them inlined")
            if kind == "node" and field == _OPERATION and value in (b"Loop", b"Scan"):
                raise ValueError("it loops, perhaps without end; pose networks need none")
            if kind == "tensor" and field == _PLACE and value:
                raise ValueError("its weights are in another file; export it with the weights inside")
            inside = _INSIDE[kind].get(field)
            if inside is not None and isinstance(value, memoryview):
                waiting.append((inside, value))
                nodes += inside == "node"
    if not nodes:
        raise ValueError("it holds no network")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: number, and the value of an integer or the bytes of what has a length.

    Raises ValueError where it is damaged.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value = tag & 7, memoryview(b"")
        if kind == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            length, at = _varint(message, at)
            value = message[at : at + length]
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("it is damaged")
        at += length
        if at > len(message):
            raise ValueError("it is damaged or cut off")
        yield tag >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise ValueError("it is damaged or cut off")
