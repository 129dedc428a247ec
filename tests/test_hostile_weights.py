"""Weights: damaged and hostile safetensors files are refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_kit import Reading, refused
from safetensors.torch import save

from stpose_core.networks.lifting_configs import TemporalConfig
from stpose_core.networks.temporal import TemporalNetwork

CONFIG = TemporalConfig(latent=8, width=4, kernel=1, strides=(1,))


def weights(path: Path, kind: str = "temporal", config: object = None, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    own = {name: tensor.contiguous() for name, tensor in TemporalNetwork(CONFIG).state_dict().items()}
    header = json.dumps({"network": CONFIG.to_dict()} if config is None else config)
    path.write_bytes(save(own if tensors is None else tensors, metadata={"kind": kind, "config": header}))
    return path


def stated(path: Path, header: object, content: bytes = b"", length: int | None = None) -> Path:
    """A file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + content)
    return path


def tensor(kind: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


HEADERS: dict[str, tuple[object, bytes, int | None]] = {
    "a length of 2 ** 60": ({}, b"", 2**60),
    "a length beyond the end": ({}, b"", 1000),
    "no JSON": (b"\xff" * 100, b"", None),
    "nested deeply": (b"[" * 100_000, b"", None),
    "a list": ([], b"", None),
    "overlapping tensors": ({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, bytes(12), None),
    "a hole between tensors": ({"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 8, 12)}, bytes(12), None),
    "an absurd shape": ({"a": tensor("F32", [2**62, 2**62], 0, 8)}, bytes(8), None),
    "a shape that is not that of the bytes": ({"a": tensor("F32", [10**9], 0, 8)}, bytes(8), None),
    "offsets that go back": ({"a": tensor("F32", [2], 8, 0)}, bytes(8), None),
    "an unknown type": ({"a": tensor("F99", [2], 0, 8)}, bytes(8), None),
    "text in the place of a shape": ({"a": {"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}}, bytes(8), None),
    "metadata that are no text": ({"__metadata__": {"kind": 3, "config": {}}}, b"", None),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_safetensors_headers(kind: str, reading: Reading, tmp_path: Path) -> None:
    refused(reading("safetensors", stated(tmp_path / "a.safetensors", *HEADERS[kind])))


BIG = {"latent": 2048, "width": 1024, "kernel": 9, "strides": [1, 2, 4, 8, 16, 32], "frame_blocks": 8}


CONFIGS: dict[str, object] = {
    "nothing": {},
    "a list": [1, 2],
    "no network": {"network": None},
    "a network that is text": {"network": "temporal"},
    "a network that is a list of pairs": {"network": [["latent", []]]},
    "absurd dimensions": {"network": {"latent": 10**9}},
    "dimensions that are no numbers": {"network": {"latent": "8"}},
    "numbers of another type": {"network": {"latent": 8.0}},
    "infinite dropout": {"network": {"dropout": float("inf")}},
    "a large network": {"network": CONFIG.to_dict() | BIG},
    "an architecture that nobody knows": {"architecture": ["x"], "network": CONFIG.to_dict()},
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_safetensors_configs(kind: str, reading: Reading, tmp_path: Path) -> None:
    refused(reading("safetensors", weights(tmp_path / "a.safetensors", config=CONFIGS[kind])))
    for other in ("spatial", "finder"):
        refused(reading("safetensors", weights(tmp_path / "a.safetensors", other, CONFIGS[kind])))


def test_safetensors_with_a_config_nested_deeply(reading: Reading, tmp_path: Path) -> None:
    header = {"__metadata__": {"kind": "temporal", "config": "[" * 100_000}}
    refused(reading("safetensors", stated(tmp_path / "a.safetensors", header)))
    header = {"__metadata__": {"kind": "temporal", "config": '{"network": ' + "9" * 5000 + "}"}}
    refused(reading("safetensors", stated(tmp_path / "a.safetensors", header)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_safetensors_with_values_that_are_not_finite(bad: float, reading: Reading, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    good = {name: values.contiguous() for name, values in TemporalNetwork(CONFIG).state_dict().items()}
    assert reading("safetensors", weights(path))[0][0] is None, "control"
    good["heads.bias"][3] = bad
    refused(reading("safetensors", weights(path, tensors=good)), "heads.bias contains values that are not finite")


def test_safetensors_of_other_types_and_shapes(reading: Reading, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    good = {name: values.contiguous() for name, values in TemporalNetwork(CONFIG).state_dict().items()}
    for kind in (torch.float64, torch.bfloat16, torch.int32, torch.bool):
        other = {name: values.to(kind) for name, values in good.items()}
        assert reading("safetensors", weights(path, tensors=other))[0][0] is None, "other types are converted"
    refused(reading("safetensors", weights(path, tensors={**good, "heads.bias": torch.zeros(3)})))
    refused(reading("safetensors", weights(path, tensors={**good, "more": torch.zeros(3)})))
    refused(reading("safetensors", weights(path, tensors={name: good[name] for name in list(good)[1:]})))
    content = weights(path).read_bytes()
    for length in (0, 7, 8, 100, len(content) - 1):
        path.write_bytes(content[:length])
        refused(reading("safetensors", path))
