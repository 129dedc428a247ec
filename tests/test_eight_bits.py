"""The spatial network in eight bits, for processors without bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_builtin import SPATIAL, write_detector
from torch import nn

from stpose_core.detect import runtime
from stpose_core.detect.builtin import BuiltinDetector, ranges_of
from stpose_core.detect.runtime import TorchRunner, folded, make_runner, pays_in_eight_bits
from stpose_core.errors import DetectorError
from stpose_core.networks.spatial import SpatialNetwork


class Processor:
    def __init__(self, *able: str) -> None:
        self._able = list(able)

    def get_property(self, device: str, name: str) -> list[str]:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self._able


def read_by(network: nn.Module, picture: np.ndarray, room: float = 1.0) -> dict[str, tuple[float, float]]:
    """The ranges of what the convolutions read of a picture, times `room`."""
    found: dict[str, tuple[float, float]] = {}
    used = folded(network)
    for name, layer in used.named_modules():
        if isinstance(layer, nn.Conv2d):

            def note(_: nn.Module, given: Any, name: str = name) -> None:
                found[name] = (room * min(0.0, float(given[0].min())), room * float(given[0].max()))

            layer.register_forward_pre_hook(note)
    with torch.no_grad():
        used(torch.from_numpy(picture))
    return found


def test_bytes_are_multiplied_only_where_nothing_better_is_as_fast() -> None:
    assert pays_in_eight_bits(Processor("FP32", "INT8", "BIN"))
    assert not pays_in_eight_bits(Processor("FP32", "INT8", "BIN", "BF16"))
    assert not pays_in_eight_bits(Processor("FP32", "FP16", "INT8"))
    assert not pays_in_eight_bits(Processor("FP32"))


def test_eight_bits_say_nearly_the_same_and_need_the_right_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    torch.manual_seed(0)
    network = SpatialNetwork(SPATIAL).eval()
    picture = np.random.default_rng(0).random((1, 3, 128, 96), np.float32) - 0.5
    exact = TorchRunner(network)(picture)[0]

    def error(pays: bool, room: float = 1.0) -> float:
        monkeypatch.setattr(runtime, "pays_in_eight_bits", lambda core: pays)
        said = make_runner(network, ranges=read_by(network, picture, room))(picture)[0]
        return float(np.abs(said - exact).mean() / exact.std())

    whole, eighth = error(False), error(True)
    assert whole < 0.02
    assert 0.001 < eighth < 0.05
    assert error(True, room=0.2) > 3 * eighth  # the control: what is read is cut off
    with pytest.raises(DetectorError, match="range"):
        make_runner(network, ranges={"stem.0.0": (-0.5, 0.5)})(picture)


def test_ranges_come_from_the_weights_and_are_not_trusted(tmp_path: Path) -> None:
    assert ranges_of({}) is None
    assert ranges_of({"ranges": {"stem.0.0": [-0.5, 0.5]}}) == {"stem.0.0": (-0.5, 0.5)}
    for damaged in ([], {"a": 1}, {"a": [1, "b"]}, {"a": [0, float("nan")]}, {"a": [1, 0]}, {"a": [0, 1, 2]}):
        with pytest.raises(DetectorError, match="ranges are damaged"):
            BuiltinDetector(write_detector(tmp_path / "weights", ranges=damaged))
