"""The targets of tools/fuzz.py: their seeds are valid, faults are noticed, and some mutations of the seeds cause none."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stpose_core.errors import FormatError, StposeError

NAMES = ("bvh", "amc", "npz", "json", "safetensors", "pickle", "index", "glb", "motion", "trc", "c3d", "csv")


@pytest.fixture(scope="module")
def targets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", Path(__file__).parents[1] / "tools" / "fuzz_readers.py")
    assert spec is not None
    sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def mutated(data: bytes, words: tuple[bytes, ...], random: np.random.Generator) -> bytes:
    """The data with one to four changes: bytes replaced, a part removed or repeated, or a word of the format inserted."""
    for _ in range(random.integers(1, 5)):
        start, length = int(random.integers(0, len(data) + 1)), int(random.integers(1, 30))
        kind = random.integers(0, 4)
        if kind == 0:
            data = data[:start] + random.bytes(length) + data[start + length :]
        elif kind == 1:
            data = data[:start] + data[start + length :]
        elif kind == 2:
            data = data[: start + length] + data[start:]
        else:
            data = data[:start] + words[random.integers(0, len(words))] + data[start:]
    return data


def test_all_targets_are_tested(targets: ModuleType) -> None:
    assert set(targets.READERS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_valid(name: str, targets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def attempt(*readers: Callable[[], object]) -> None:
        for reader in readers:
            try:
                reader()
            except StposeError as error:
                refused.append(str(error))

    monkeypatch.setattr(targets.fuzz_kit, "attempt", attempt)
    for seed in targets.READERS[name].seeds(tmp_path):
        targets.READERS[name].read(seed, tmp_path)
    # One .bvh has other joints, one clip of the index has gaps.
    assert [error for error in refused if "no joint for" not in error and "of the origin" not in error] == []
    assert len(refused) == (name in ("bvh", "index"))


@pytest.mark.parametrize("name", NAMES)
def test_mutations_of_seeds_raise_nothing_else(name: str, targets: ModuleType, tmp_path: Path) -> None:
    reader, random = targets.READERS[name], np.random.default_rng(0)
    seeds = reader.seeds(tmp_path)
    for number in range(150):
        reader.read(mutated(seeds[number % len(seeds)], reader.words, random), tmp_path)


def test_another_exception_and_a_long_message_are_noticed(targets: ModuleType) -> None:
    def fails(error: Exception) -> None:
        raise error

    targets.fuzz_kit.attempt(lambda: fails(FormatError("one line")))
    with pytest.raises(KeyError):
        targets.fuzz_kit.attempt(lambda: fails(KeyError("x")))
    long = FormatError("x")
    long.args = ("two\nlines",)
    with pytest.raises(AssertionError):
        targets.fuzz_kit.attempt(lambda: fails(long))
