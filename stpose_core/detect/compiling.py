"""Networks compiled by OpenVINO: in which precision, and kept in its cache for the next start.

OpenVINO by itself uses half precision wherever the processor has instructions for it. Whether that is faster is measured with the
first network, once a machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.detect import cache
from stpose_core.precision import Timing, measure

SINGLE = "f32"
_HINT = "INFERENCE_PRECISION_HINT"
_NAMES = {"f32": "single precision", "bf16": "bfloat16", "f16": "float16"}
_FLAGS = Path("/proc/cpuinfo")  # of Linux
_HALF = {"avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16"}  # in it: what OpenVINO computes in half precision with
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """What networks are computed in: "f32", "bf16" or "f16", as OpenVINO names them, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{_NAMES.get(self.name, self.name)} ({self.reason})"

    @property
    def setting(self) -> dict[str, str]:
        """For OpenVINO."""
        return {_HINT: self.name}


def compiled(core: Any, model: Any, settings: dict[str, Any], content: bytes | None) -> Any:
    """OpenVINO's model, compiled for the processor. content: what it was read from, if it is to be kept; None if not.

    Raises RuntimeError if OpenVINO cannot compile it.
    """
    folder = None
    if content is not None:
        shapes = [list(source.get_shape()) for source in model.inputs]
        folder = cache.opened(_hash(_machine(core), repr(shapes), hashlib.sha256(content).hexdigest()) + ".network")
    if folder is not None:
        try:
            network = core.compile_model(model, "CPU", {**settings, "CACHE_DIR": str(folder)})
        except RuntimeError as error:  # a full disk, a folder that cannot be written to
            _log.debug("%s is not kept: %s", folder, error)
        else:
            if not network.get_property("LOADED_FROM_CACHE"):
                cache.seal(folder)
            return network
    return core.compile_model(model, "CPU", settings)


def faster_precision(core: Any, model: Any, settings: dict[str, Any]) -> Precision:
    """The precision that this machine is faster in: from the cache, else measured with this model and put there."""
    half = _half_of(core)
    if half == SINGLE:
        return Precision(SINGLE, "this processor has no other")
    folder = cache.opened(_hash(_machine(core), half) + ".timing")
    file = None if folder is None else folder / "timing.json"
    timing = _timing(file)
    if timing is None:
        timing = _measured(core, model, settings, half)
        if folder is not None and file is not None:
            try:
                file.write_text(json.dumps(asdict(timing)), encoding="ascii")
                cache.seal(folder)
            except OSError as error:
                _log.debug("%s is not kept: %s", file, error)
    times = f"{timing.single:.1f} ms in single precision, {timing.half:.1f} ms in {_NAMES.get(half, half)}"
    return Precision(half if timing.half_pays else SINGLE, f"measured processor time a picture: {times}")


def _half_of(core: Any) -> str:
    """The precision that OpenVINO takes by itself: half where the processor has instructions for it, else single."""
    name: str = core.get_property("CPU", _HINT).to_string()
    return name


def _measured(core: Any, model: Any, settings: dict[str, Any], half: str) -> Timing:
    """Of the same network, compiled in both precisions, for a picture."""
    picture = np.zeros(list(model.inputs[0].get_shape()), np.float32)
    networks = [core.compile_model(model, "CPU", {**settings, _HINT: name}) for name in (SINGLE, half)]
    return measure(*(partial(network.create_infer_request().infer, [picture]) for network in networks))


def _timing(file: Path | None) -> Timing | None:
    """The timing that is kept; None if there is none, or something else."""
    try:
        values = json.loads(file.read_bytes()) if file is not None else {}
        timing = Timing(float(values["single"]), float(values["half"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return timing if all(math.isfinite(each) and each > 0 for each in (timing.single, timing.half)) else None


def _machine(core: Any) -> str:
    """What compiled networks and their speed depend on besides themselves: the version of OpenVINO and the processor."""
    processor = [core.get_property("CPU", what) for what in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    # In virtual machines processors with AMX and without may bear the same name.
    flags = _flags()
    return repr((import_module("openvino").__version__, processor, flags))


def may_have_half() -> bool:
    """Whether this processor may have instructions for half precision; True where the system does not tell."""
    flags = _flags()
    return not flags or not _HALF.isdisjoint(flags.split())


def _flags() -> str:
    """What the processor can do, as Linux tells it; "" elsewhere."""
    try:
        lines = _FLAGS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


def _hash(*known: str) -> str:
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:32]
