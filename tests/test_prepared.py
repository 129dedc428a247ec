"""Networks that OpenVINO compiled are kept, found again, made anew where they are damaged; so is the precision that is faster."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from test_builtin import FINDER

from stpose_core.detect import cache as cache_files
from stpose_core.detect import prepared
from stpose_core.detect.runtime import OpenVINORunner
from stpose_core.networks.finder import FinderNetwork
from stpose_core.precision import Timing

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


def entries(cache: Path, suffix: str = ".network") -> list[Path]:
    return sorted(cache.glob(f"*{suffix}"))


def precision_of(runner: OpenVINORunner) -> str:
    """What OpenVINO says that it computes in."""
    model = runner._requests[SHAPE].get_compiled_model()
    return str(model.get_property("INFERENCE_PRECISION_HINT").to_string())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Timing]:
    """As if OpenVINO took bfloat16 by itself, with a scripted measurement: it gives the last timing, and repeats it each time."""
    timings = [Timing(1.0, 1.0)]

    def measure(single: object, half: object) -> Timing:
        timings.append(timings[-1])
        return timings[-1]

    monkeypatch.setattr(prepared, "measure", measure)
    monkeypatch.setattr(prepared, "_half_of", lambda core: "bf16")
    return timings


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


@pytest.mark.usefixtures("measured")
def test_without_a_place_for_it_networks_are_compiled_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    said = []
    for place in (tmp_path / "cache", tmp_path / "file"):
        monkeypatch.setenv("STPOSE_CACHE", str(place))
        said.append(OpenVINORunner(network(), SHAPE)(PICTURE))

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(cache_files, "cache_folder", homeless)
    said.append(OpenVINORunner(network(), SHAPE)(PICTURE))
    for other in said[1:]:
        np.testing.assert_array_equal(said[0][0], other[0])


def test_those_not_used_for_longest_go_and_nothing_else(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OpenVINORunner(network(1), SHAPE)
    (first,) = entries(cache)
    monkeypatch.setattr(cache_files, "MOST_BYTES", int(2.5 * first.stat().st_size))
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
    assert len(entries(cache)) == 2


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("single", "half", "precision"), [(20.0, 7.0, "bf16"), (22.0, 31.0, "f32"), (10.0, 9.0, "f32")])
def test_the_precision_is_the_one_that_is_measured_to_be_faster(
    measured: list[Timing], single: float, half: float, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured[:] = [Timing(single, half)]
    first = OpenVINORunner(network(), SHAPE)
    assert precision_of(first) == precision
    for word in (f"{single:.1f} ms", f"{half:.1f} ms", "OpenVINO", "bfloat16 (" if precision == "bf16" else "single precision ("):
        assert word in first.description
    # Kept: another network is compiled in it, and this one read back in it, without a new measurement.
    assert len(measured) == 2
    assert precision_of(OpenVINORunner(network(2), SHAPE)) == precision
    forbid_converting(monkeypatch)
    again = OpenVINORunner(network(), SHAPE)
    assert (precision_of(again), again.description) == (precision, first.description)
    for one, other in zip(first(PICTURE), again(PICTURE)):
        np.testing.assert_array_equal(one, other)
    assert len(measured) == 2


@pytest.mark.parametrize("content", [b"", b"cut", b"null", b"[1, 2]", b'{"single": 1}', b'{"single": "much", "half": 2}', None])
def test_a_damaged_choice_is_measured_again(cache: Path, measured: list[Timing], content: bytes | None) -> None:
    measured[:] = [Timing(20.0, 7.0)]
    OpenVINORunner(network(), SHAPE)
    (kept,) = entries(cache, ".timing")
    whole = kept.read_bytes()
    # None: bytes that are not those that were written; else something else with a right hash.
    kept.write_bytes(whole[:-3] + b"9.}" if content is None else hashlib.sha256(content).digest() + content)
    measured[:] = [Timing(22.0, 31.0)]
    assert precision_of(OpenVINORunner(network(), SHAPE)) == "f32"
    assert len(measured) == 2
    assert precision_of(OpenVINORunner(network(), SHAPE)) == "f32"
    assert len(measured) == 2, "kept again"
    # Control: a sound one is believed.
    kept.write_bytes(whole)
    assert precision_of(OpenVINORunner(network(), SHAPE)) == "bf16"


def test_another_machine_is_measured_anew(cache: Path, measured: list[Timing], monkeypatch: pytest.MonkeyPatch) -> None:
    OpenVINORunner(network(), SHAPE)
    machine = prepared._machine
    monkeypatch.setattr(prepared, "_machine", lambda core, version: machine(core, version + "1"))
    OpenVINORunner(network(), SHAPE)
    assert (len(measured), len(entries(cache, ".timing"))) == (3, 2)


def test_a_single_precision_is_not_measured(cache: Path, measured: list[Timing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "_half_of", lambda core: "f32")
    runner = OpenVINORunner(network(), SHAPE)
    assert (precision_of(runner), len(measured), entries(cache, ".timing")) == ("f32", 1, [])
    assert "this processor has no other" in runner.description


def test_what_is_measured_is_the_network_in_both_precisions(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def measure(*runs: object) -> Timing:
        for run in runs:
            run()  # type: ignore[operator]
        requests = [run.func.__self__ for run in runs]  # type: ignore[attr-defined]
        hints = [request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT").to_string() for request in requests]
        seen.append((hints[0], hints[1]))
        return Timing(1.0, 1.0)

    monkeypatch.setattr(prepared, "_half_of", lambda core: "bf16")
    monkeypatch.setattr(prepared, "measure", measure)
    OpenVINORunner(network(), SHAPE)
    assert seen == [("f32", "bf16")]
    assert len(entries(cache)) == 1, "only the one that is used is kept"
