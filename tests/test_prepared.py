"""Networks that OpenVINO compiled are kept, found again, made anew where they are damaged; no other's is taken."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from test_builtin import FINDER

from stpose_core.detect import prepared
from stpose_core.detect.runtime import OpenVINORunner
from stpose_core.networks.finder import FinderNetwork

pytest.importorskip("openvino")
SHAPE = (1, 3, 64, 64)
PICTURE = np.random.default_rng(0).random(SHAPE, np.float32) - 0.5


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks"


def network(seed: int = 1) -> FinderNetwork:
    torch.manual_seed(seed)
    return FinderNetwork(FINDER).eval()


def forbid_converting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: OpenVINORunner, shape: tuple[int, ...]) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(OpenVINORunner, "_converted", refuse)


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_second_time_a_network_is_read_and_says_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OpenVINORunner(network(), SHAPE)(PICTURE)
    assert len(entries(cache)) == 1
    forbid_converting(monkeypatch)
    for one, other in zip(first, OpenVINORunner(network(), SHAPE)(PICTURE)):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(AssertionError, match="converted again"):
        OpenVINORunner(network(), (1, 3, 64, 128))


def test_other_weights_are_another_network(cache: Path) -> None:
    first, other = network(), network()
    with torch.no_grad():
        for values in other.parameters():
            values += 0.5
    said = [OpenVINORunner(one, SHAPE)(PICTURE) for one in (first, other)]
    assert len(entries(cache)) == 2
    assert not np.array_equal(said[0][0], said[1][0])


@pytest.mark.parametrize("damage", ["cut", "changed", "not OpenVINO's"])
def test_damaged_files_are_made_anew(cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OpenVINORunner(network(), SHAPE)(PICTURE)
    (kept,) = entries(cache)
    whole = content = kept.read_bytes()
    if damage == "cut":
        content = whole[: len(whole) // 2]
    elif damage == "changed":
        content = whole[:-100] + bytes(100)
    else:
        content = hashlib.sha256(b"nothing").digest() + b"nothing"
    assert content != whole
    kept.write_bytes(content)
    for one, other in zip(first, OpenVINORunner(network(), SHAPE)(PICTURE)):
        np.testing.assert_array_equal(one, other)
    assert kept.read_bytes() != content
    forbid_converting(monkeypatch)
    OpenVINORunner(network(), SHAPE)


def test_without_a_place_for_it_networks_are_compiled_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    said = []
    for place in (tmp_path / "cache", tmp_path / "file"):
        monkeypatch.setenv("STPOSE_CACHE", str(place))
        said.append(OpenVINORunner(network(), SHAPE)(PICTURE))

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(prepared, "cache_folder", homeless)
    said.append(OpenVINORunner(network(), SHAPE)(PICTURE))
    for other in said[1:]:
        np.testing.assert_array_equal(said[0][0], other[0])


def test_those_not_used_for_longest_go_and_nothing_else(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OpenVINORunner(network(1), SHAPE)
    (first,) = entries(cache)
    monkeypatch.setattr(prepared, "MOST_BYTES", int(2.5 * first.stat().st_size))
    OpenVINORunner(network(2), SHAPE)
    (second,) = set(entries(cache)) - {first}
    others = cache / "film.mp4"
    others.write_bytes(b"somebody's")
    for age, file in ((3, others), (2, second), (1, first)):
        os.utime(file, (age, age))
    OpenVINORunner(network(1), SHAPE)  # used again
    OpenVINORunner(network(3), SHAPE)
    assert not second.exists()
    assert first.exists()
    assert others.exists()
    assert len(entries(cache)) == 3
