"""Where training computes in bfloat16."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from stpose_training import loop, precision
from stpose_training.precision import pays_in_bfloat16


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    pays_in_bfloat16.cache_clear()
    yield
    pays_in_bfloat16.cache_clear()


@pytest.mark.parametrize(("full", "half", "pays"), [(4.0, 1.0, True), (1.0, 100.0, False), (1.0, 0.95, False)])
def test_bfloat16_is_taken_where_it_is_measured_to_be_faster(
    full: float, half: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_least_seconds", lambda matrix: half if matrix.dtype == torch.bfloat16 else full)
    assert pays_in_bfloat16("cpu") is pays


def test_the_measure_tells_slow_products_from_fast_ones() -> None:
    small, large = (precision._least_seconds(torch.ones(side, side)) for side in (64, 1024))
    assert 0 < small < large


@pytest.mark.parametrize(("pays", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_mixed_run_computes_in_what_pays(pays: bool, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "pays_in_bfloat16", lambda device: pays)
    fabric = loop.make_fabric("cpu", "bf16-mixed")
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind
    with loop.make_fabric("cpu", "32-true").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
