"""Networks that OpenVINO has compiled, kept in the user's cache folder: the next start takes a tenth of the time.

A network is kept under a hash of all that it comes from: weights, the code on the way, versions, the processor. A file holds the
hash of its own content as well, so one that was damaged is not used. Nothing here has to work: without a folder to write to,
networks are compiled at each start.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import nn

import stpose_core.networks

MOST_BYTES = 400_000_000
"""Of files that are kept, 8 to 30 MB each; those that were not used for longest go first."""
_SUFFIX, _DIGEST = ".network", 32
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where networks are kept: `networks` in STPOSE_CACHE, or in the system's place for a user's caches. Raises RuntimeError where
    there is none, as for a user without a home, ImportError without the package platformdirs."""
    named = os.environ.get("STPOSE_CACHE")
    return Path(named or import_module("platformdirs").user_cache_dir("stpose", appauthor=False)) / "networks"


def compiled(network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], convert: Callable[[], Any]) -> Any:
    """The network compiled by OpenVINO for pictures of `shape`: from the cache, else from what `convert()` makes of it, OpenVINO's
    model, and put there. Raises what `convert` and OpenVINO raise for a network that it cannot run."""
    openvino = import_module("openvino")
    core = openvino.Core()
    try:
        place = cache_folder() / (_fingerprint(network, shape, settings, core, openvino.__version__) + _SUFFIX)
    except (OSError, ImportError, RuntimeError) as error:
        _log.debug("compiled networks are not kept: %s", error)
        return core.compile_model(convert(), "CPU", settings)
    kept = _read(place)
    if kept is not None:
        try:
            return core.import_model(kept, "CPU", settings)
        except RuntimeError as error:
            _log.debug("%s is of no use to OpenVINO: %s", place, error)
    model = core.compile_model(convert(), "CPU", settings)
    _keep(place, model.export_model().getvalue())
    return model


def _read(place: Path) -> bytes | None:
    """What is kept there; None if nothing is, or not as it was written."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        _log.debug("%s is damaged", place)
        return None
    try:
        os.utime(place)
    except OSError as error:  # one that others keep for this user, say
        _log.debug("%s cannot be marked as used: %s", place, error)
    return content[_DIGEST:]


def _keep(place: Path, content: bytes) -> None:
    """Write a file whole or not at all, and let the oldest of too many bytes go."""
    unfinished = place.with_name(
        f".{place.stem}-{uuid4().hex[:8]}{_SUFFIX}"
    )  # one that a killed process left is let go in time, too
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(unfinished, place)
        files = sorted(((file.stat().st_mtime, file) for file in place.parent.glob(f"*{_SUFFIX}")), reverse=True)
        total = 0
        for _, file in files:
            total += file.stat().st_size
            if total > MOST_BYTES and file != place:
                file.unlink()
    except OSError as error:
        _log.debug("%s is not kept: %s", place, error)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _fingerprint(network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], core: Any, version: str) -> str:
    """A hash of weights, of the code that makes a network of them and hands it on, of versions, settings and the processor."""
    known = hashlib.sha256()
    for name, values in network.state_dict().items():
        known.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        known.update(values.detach().cpu().contiguous().numpy().tobytes())
    for file in (
        *sorted(Path(stpose_core.networks.__file__).parent.glob("*.py")),
        Path(__file__).with_name("runtime.py"),
        Path(__file__),
    ):
        known.update(file.read_bytes())
    processor = [core.get_property("CPU", what) for what in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    made = (type(network).__name__, getattr(network, "config", None), shape, sorted(settings.items()))
    known.update(repr((made, version, torch.__version__, processor)).encode())
    return known.hexdigest()[:32]
