"""An ONNX graph as the bytes of an .onnx file.

Message and field numbers are those of onnx.proto (https://github.com/onnx/onnx, Apache-2.0), the encoding is protobuf's
(https://protobuf.dev/programming-guides/encoding). `stpose_core.detect.onnx_file` checks the same format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 17
"""Of the format and of the operations: what ONNX Runtime 1.17 and OpenVINO 2024.4 read."""
Shape = Sequence[int | str]
"""Lengths of an array's sides, or names of lengths that are not fixed."""
Attribute = int | float | str | Sequence[int] | Sequence[float]
_ELEMENTS = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7  # types of attributes


def node(operation: str, inputs: Iterable[str], output: str, attributes: Mapping[str, Attribute]) -> bytes:
    """One operation with one output (NodeProto)."""
    parts = [_text(1, name) for name in inputs]
    parts += [_text(2, output), _text(3, output), _text(4, operation)]
    return b"".join([*parts, *(_block(5, _attribute(name, value)) for name, value in attributes.items())])


def tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    """A constant of the graph (TensorProto)."""
    dimensions = b"".join(_number(1, side) for side in values.shape)
    content = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join([dimensions, _number(2, _ELEMENTS[values.dtype]), _text(8, name), _block(9, content)])


def model(nodes: Iterable[bytes], tensors: Iterable[bytes], inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes:
    """The whole file (ModelProto). inputs and outputs: names and shapes of arrays of float32."""
    graph = [_block(1, each) for each in nodes]
    graph += [_text(2, "network"), *(_block(5, each) for each in tensors)]
    graph += [_block(11, _value(name, shape)) for name, shape in inputs.items()]
    graph += [_block(12, _value(name, shape)) for name, shape in outputs.items()]
    return _number(1, IR_VERSION) + _block(7, b"".join(graph)) + _block(8, _number(2, OPSET))


def _value(name: str, shape: Shape) -> bytes:
    dimensions = b"".join(_block(1, _text(2, side) if isinstance(side, str) else _number(1, side)) for side in shape)
    kind = _block(1, _number(1, _ELEMENTS[np.dtype(np.float32)]) + _block(2, dimensions))
    return _text(1, name) + _block(2, kind)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        content, kind = _text(4, value), _STRING
    elif isinstance(value, int):
        content, kind = _number(3, value), _INT
    elif isinstance(value, float):
        content, kind = _single(2, value), _FLOAT
    elif all(isinstance(each, int) for each in value):
        content, kind = b"".join(_number(8, int(each)) for each in value), _INTS
    else:
        content, kind = b"".join(_single(7, each) for each in value), _FLOATS
    return _text(1, name) + content + _number(20, kind)


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers are in two's complement of 64 bits
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _single(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _block(field: int, content: bytes) -> bytes:
    return b"".join([_varint(field << 3 | 2), _varint(len(content)), content])


def _text(field: int, text: str) -> bytes:
    return _block(field, text.encode())
