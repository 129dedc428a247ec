"""Networks that OpenVINO compiled are kept, found again, made anew where they are damaged; no other's is taken."""

from __future__ import annotations

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
    return tmp_path / "cache"


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


@pytest.mark.parametrize("file", ["model.xml", "model.bin", "*.blob"])
def test_damaged_files_are_made_anew(cache: Path, file: str) -> None:
    first = OpenVINORunner(network(), SHAPE)(PICTURE)
    damaged = next(entries(cache)[0].glob(file))
    damaged.write_bytes(damaged.read_bytes()[:100])
    for one, other in zip(first, OpenVINORunner(network(), SHAPE)(PICTURE)):
        np.testing.assert_array_equal(one, other)


def test_without_a_place_for_it_networks_are_prepared_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "file"))
    said = OpenVINORunner(network(), SHAPE)(PICTURE)
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    for one, other in zip(said, OpenVINORunner(network(), SHAPE)(PICTURE)):
        np.testing.assert_array_equal(one, other)


def test_the_one_not_used_for_longest_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "KEPT", 2)
    OpenVINORunner(network(1), SHAPE)
    OpenVINORunner(network(2), SHAPE)
    first, second = entries(cache)
    os.utime(first / "used", (1, 1))
    OpenVINORunner(network(3), SHAPE)
    assert not first.exists()
    assert second in entries(cache)
    assert len(entries(cache)) == 2
