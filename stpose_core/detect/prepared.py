"""Networks compiled by OpenVINO in the precision that this processor is faster in, and kept for the next start.

OpenVINO by itself takes half precision wherever the processor has instructions for it. Whether that is faster is measured as the
first network is compiled, and kept beside the networks. The name of a kept file is a hash of all that it comes from: weights, the
code on the way, versions, the processor. A start with kept networks takes a tenth of the time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import stpose_core.networks
import stpose_core.precision
from stpose_core.detect import cache
from stpose_core.precision import Timing, measure

_HINT, _SINGLE = "INFERENCE_PRECISION_HINT", "f32"
_NAMES = {"f32": "single precision", "bf16": "bfloat16", "f16": "float16"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """What networks are computed in: "f32", "bf16" or "f16", as OpenVINO names them, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{_NAMES.get(self.name, self.name)} ({self.reason})"


def compiled(
    network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], convert: Callable[[], Any]
) -> tuple[Any, Precision]:
    """The network compiled by OpenVINO for pictures of `shape`: from the cache, else from what `convert()` makes of it, OpenVINO's
    model, and put there. Raises what `convert` and OpenVINO raise for a network that it cannot run."""
    openvino = import_module("openvino")
    core = openvino.Core()
    machine = _machine(core, openvino.__version__)

    def in_precision(name: str) -> tuple[dict[str, Any], str]:
        """The settings for a precision, and the name of the network in the cache."""
        chosen = {**settings, _HINT: name}
        return chosen, _fingerprint(network, shape, chosen, machine) + ".network"

    half = _half_of(core)
    timing_name = _hash(machine, half) + ".timing"
    timing = None if half == _SINGLE else _timing(cache.read(timing_name))
    if half != _SINGLE and timing is None:
        source = convert()
        models = {name: core.compile_model(source, "CPU", in_precision(name)[0]) for name in (_SINGLE, half)}
        timing = _measured(models[_SINGLE], models[half], shape)
        cache.keep(timing_name, json.dumps(asdict(timing)).encode())
        precision = _faster(half, timing)
        cache.keep(in_precision(precision.name)[1], models[precision.name].export_model().getvalue())
        return models[precision.name], precision
    precision = _faster(half, timing)
    settings, name = in_precision(precision.name)
    kept = cache.read(name)
    if kept is not None:
        try:
            return core.import_model(kept, "CPU", settings), precision
        except RuntimeError as error:
            _log.debug("%s is of no use to OpenVINO: %s", name, error)
    model = core.compile_model(convert(), "CPU", settings)
    cache.keep(name, model.export_model().getvalue())
    return model, precision


def _half_of(core: Any) -> str:
    """The precision that OpenVINO takes by itself: half where the processor has instructions for it, else single."""
    name: str = core.get_property("CPU", _HINT).to_string()
    return name


def _measured(single: Any, half: Any, shape: tuple[int, ...]) -> Timing:
    """Of the same network, compiled in both precisions, for a picture."""
    picture = np.zeros(shape, np.float32)
    return measure(*(partial(model.create_infer_request().infer, [picture]) for model in (single, half)))


def _faster(half: str, timing: Timing | None) -> Precision:
    if timing is None:
        return Precision(_SINGLE, "this processor has no other")
    times = f"{timing.single:.1f} ms in single precision, {timing.half:.1f} ms in {_NAMES.get(half, half)}"
    return Precision(half if timing.half_pays else _SINGLE, f"measured processor time a picture: {times}")


def _timing(content: bytes | None) -> Timing | None:
    """The timing that is kept; None if there is none, or something else."""
    try:
        values = json.loads(content or b"")
        return Timing(float(values["single"]), float(values["half"]))
    except (ValueError, TypeError, KeyError):
        return None


def _machine(core: Any, version: str) -> str:
    """What the speed of networks hangs on besides themselves: the processor and the versions."""
    processor = [core.get_property("CPU", what) for what in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    # In virtual machines processors with AMX and without may bear the same name. Not all versions of torch tell the instructions.
    instructions: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return repr((version, torch.__version__, processor, sorted(instructions.items())))


def _fingerprint(network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], machine: str) -> str:
    """A hash of weights, of the code that makes a network of them and hands it on, of settings and the machine."""
    known = hashlib.sha256()
    for name, values in network.state_dict().items():
        known.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        known.update(values.detach().cpu().contiguous().numpy().tobytes())
    made = (type(network).__name__, getattr(network, "config", None), shape, sorted(settings.items()))
    return _hash(machine, repr(made), known.hexdigest())


def _hash(*known: str) -> str:
    """Of what is known, and of the code that networks and timings come from."""
    total = hashlib.sha256("\n".join(known).encode())
    for file in (
        *sorted(Path(stpose_core.networks.__file__).parent.glob("*.py")),
        Path(stpose_core.precision.__file__),
        Path(__file__).with_name("runtime.py"),
        Path(__file__),
    ):
        total.update(file.read_bytes())
    return total.hexdigest()[:32]
