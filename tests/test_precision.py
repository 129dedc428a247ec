"""Where half precision pays: how that is measured, and where training computes in bfloat16."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch
from stpose_training import loop, precision
from stpose_training.precision import pays_in_bfloat16

from stpose_core.precision import Timing, measure


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    pays_in_bfloat16.cache_clear()
    yield
    pays_in_bfloat16.cache_clear()


@pytest.mark.parametrize(("single", "half", "pays"), [(4.0, 1.0, True), (1.0, 100.0, False), (1.0, 0.95, False)])
def test_bfloat16_is_taken_where_it_is_measured_to_be_faster(
    single: float, half: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "measure", lambda *runs: Timing(single, half))
    assert pays_in_bfloat16("cpu") is pays


def test_training_steps_are_measured_in_both_precisions_and_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[torch.dtype] = []

    def convolved(*given: torch.Tensor, **options: object) -> torch.Tensor:
        kinds.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        return convolution(*given, **options)

    convolution = torch.nn.functional.conv2d
    monkeypatch.setattr("torch.nn.functional.conv2d", convolved)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    # As training asks: in the middle of a step, where nothing is differentiated.
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert pays_in_bfloat16("cpu") in (True, False)
    half = [kind == torch.bfloat16 for kind in kinds]
    assert half.count(True) == half.count(False) > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.timing
def test_work_is_told_from_waiting() -> None:
    """Processor time counts: who waits, as a process that others delay does, works no longer for it."""

    def work(seconds: float) -> None:
        began = time.process_time()
        while time.process_time() - began < seconds:
            pass

    timing = measure(lambda: work(0.02), lambda: (work(0.002), time.sleep(0.05)))
    assert timing.half_pays
    assert 15 < timing.single < 40
    assert 1 < timing.half < 10
    # Control: the other way round.
    assert not measure(lambda: (work(0.002), time.sleep(0.05)), lambda: work(0.02)).half_pays


def test_both_run_in_turns_and_the_first_run_does_not_count() -> None:
    order: list[str] = []
    measure(lambda: order.append("single"), lambda: order.append("half"))
    assert order == ["single", "half"] * (len(order) // 2)
    assert len(order) >= 8


@pytest.mark.parametrize(("pays", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_mixed_run_computes_in_what_pays(pays: bool, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "pays_in_bfloat16", lambda device: pays)
    fabric = loop.make_fabric("cpu", "bf16-mixed")
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind
    with loop.make_fabric("cpu", "32-true").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
