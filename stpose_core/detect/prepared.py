"""Networks that OpenVINO has read and compiled, kept in the user's cache folder: the next start takes a tenth of the time.

A network is kept under a hash of all that it comes from, so what is found there is never out of date, only unused. Nothing here
has to work: without a folder to write to, or with a damaged one, networks are prepared anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

import stpose_core.networks

KEPT = 10
"""Networks that are kept, one for each size of pictures, 15 to 50 MB each; the one that was not used for longest goes first."""
_MODEL, _USED = "model.xml", "used"


def cache_folder() -> Path:
    """Where prepared networks are kept: STPOSE_CACHE if that is set, else the system's place for a user's caches."""
    named = os.environ.get("STPOSE_CACHE")
    return Path(named) if named else Path(import_module("platformdirs").user_cache_dir("stpose", appauthor=False)) / "networks"


def compiled(network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], convert: Callable[[], Any]) -> Any:
    """The network compiled by OpenVINO for pictures of `shape`: from the cache, else from what `convert()` makes of it, OpenVINO's
    model, which is put there. Raises what `convert` and OpenVINO raise for a network that it cannot run."""
    openvino = import_module("openvino")
    core = openvino.Core()
    try:
        place = cache_folder() / _fingerprint(network, shape, settings, core, openvino.__version__)
        if (place / _MODEL).is_file():
            return _read(core, place, settings)
    except (OSError, ImportError):
        return core.compile_model(convert(), "CPU", settings)
    except RuntimeError:  # what OpenVINO says of damaged files
        shutil.rmtree(place, ignore_errors=True)
    model = convert()
    try:
        _keep(openvino, model, place)
        return _read(core, place, settings)
    except (OSError, RuntimeError):
        return core.compile_model(model, "CPU", settings)


def _read(core: Any, place: Path, settings: dict[str, Any]) -> Any:
    """Compile a kept model; what OpenVINO makes of it is kept beside it, by OpenVINO itself."""
    network = core.compile_model(str(place / _MODEL), "CPU", {**settings, "CACHE_DIR": str(place)})
    (place / _USED).touch()
    return network


def _keep(openvino: Any, model: Any, place: Path) -> None:
    """Write a model to its place, whole or not at all, and let the oldest of too many go."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=place.parent))
    try:
        openvino.save_model(model, str(unfinished / _MODEL), compress_to_fp16=False)
        (unfinished / _USED).touch()
        os.rename(unfinished, place)
    except OSError:
        if not (place / _MODEL).is_file():  # else another process was faster
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    kept = sorted(place.parent.glob(f"[!.]*/{_USED}"), key=lambda used: used.stat().st_mtime, reverse=True)
    for used in kept[KEPT:]:
        shutil.rmtree(used.parent, ignore_errors=True)


def _fingerprint(network: nn.Module, shape: tuple[int, ...], settings: dict[str, Any], core: Any, version: str) -> str:
    """A hash of weights, of the code that makes a network of them, of what OpenVINO is told, of its version and the processor."""
    known = hashlib.sha256()
    for name, values in network.state_dict().items():
        known.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        known.update(values.detach().cpu().contiguous().numpy().tobytes())
    for file in sorted(Path(stpose_core.networks.__file__).parent.glob("*.py")):
        known.update(file.read_bytes())
    processor = [core.get_property("CPU", what) for what in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    config = getattr(network, "config", None)
    known.update(repr((type(network).__name__, config, shape, sorted(settings.items()), version, processor)).encode())
    return known.hexdigest()[:32]
