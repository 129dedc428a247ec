"""Weights that ship with the package, each with a model card beside it, and reading and writing of weights files.

A weights file is a safetensors file whose header contains the network's dimensions. It cannot contain code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpose_core.errors import WeightsError
from stpose_core.files import written_whole
from stpose_core.reading import one_line

LIFTER = Path(__file__).parent / "lifter.safetensors"
CONTACTS = Path(__file__).parent / "contacts.safetensors"
FLEXION = Path(__file__).parent / "flexion.safetensors"
LIVE_LIFTER = Path(__file__).parent / "lifter-live.safetensors"
"""The lifter that looks one frame ahead."""
DETECTOR = Path(__file__).parent
"""Folder of the built-in detector's weights."""
SPATIAL_FILE, FINDER_FILE = "spatial.safetensors", "finder.safetensors"


def write_weights(path: str | Path, tensors: Mapping[str, Any], kind: str, config: Mapping[str, object]) -> None:
    """Write tensors (floating-point ones as fp16) with their kind ("temporal", ...) and config, whole or not at all.

    Raises WeightsError if fp16 cannot hold a value, OutputError if the file cannot be written.
    """
    import torch
    from safetensors.torch import save

    path = Path(path)
    half = {name: (t.half() if t.is_floating_point() else t).contiguous().cpu() for name, t in tensors.items()}
    for name, tensor in half.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"cannot write {path}: {name} has values that fp16 cannot hold")
    # As bytes: save_file would create a file that only its owner may read, even in an installed package.
    with written_whole(path, overwrite=True) as part:
        part.write_bytes(save(half, metadata={"kind": kind, "config": json.dumps(config)}))


def read_config(path: str | Path, kind: str) -> dict[str, object]:
    """The config alone. Raises WeightsError as `read_weights` does."""
    return _read(Path(path), kind, with_tensors=False)[1]


def read_weights(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, object]]:
    """-> torch tensors (fp32) and config. Raises WeightsError if the file is missing, damaged, or of another kind."""
    import torch

    arrays, config = read_arrays(path, kind)
    return {name: torch.from_numpy(values) for name, values in arrays.items()}, config


def read_arrays(path: str | Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """As `read_weights`, as arrays of numpy: this does not import torch."""
    return _read(Path(path), kind, with_tensors=True)


def _read(path: Path, kind: str, with_tensors: bool) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    from safetensors import SafetensorError, deserialize, safe_open

    if not path.is_file():
        raise WeightsError(f"{path} is not a regular file" if path.exists() else f"no weights at {path}")
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            names = list(file.keys()) if with_tensors else []
            brief = {name for name in names if file.get_slice(name).get_dtype() == "BF16"}
            arrays = {name: _array(file.get_tensor(name)) for name in names if name not in brief}
        if brief:  # numpy has no bfloat16
            arrays |= {name: _from_brief(part) for name, part in deserialize(path.read_bytes()) if name in brief}
        config = json.loads(header.get("config", "null"))
        unsound = next((name for name, values in arrays.items() if not np.isfinite(values).all()), None)
    # Damage may cause an error in safetensors, in numpy, or in the JSON of the config.
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError, RuntimeError, OSError) as error:
        raise WeightsError(f"{path} is not a readable weights file: {one_line(error)}") from error
    if header.get("kind") != kind or not isinstance(config, dict):
        raise WeightsError(f"{path} contains weights of kind '{str(header.get('kind'))[:40]}', expected '{kind}'")
    if unsound is not None:
        raise WeightsError(f"{path} is damaged: {unsound[:60]} contains values that are not finite")
    return arrays, config


def _from_brief(part: Mapping[str, Any]) -> NDArray[np.float32]:
    """A tensor in bfloat16, the upper half of float32, as safetensors gives its bytes and shape."""
    upper = np.frombuffer(part["data"], "<u2").astype(np.uint32) << 16
    return upper.view(np.float32).reshape(part["shape"])


def _array(array: NDArray[Any]) -> NDArray[Any]:
    """An array of its own, floating-point ones in float32."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, which is refused
        return array.astype(np.float32 if array.dtype.kind == "f" else array.dtype)


def filled(make: Callable[[], Any], tensors: Mapping[str, Any]) -> Any:
    """The network that `make` builds, with these tensors as its parameters and buffers.

    It is built without memory for parameters, so the dimensions stated in a file cost nothing until its tensors match them.
    Raises RuntimeError if the tensors do not match.
    """
    import torch

    with torch.device("meta"):
        network = make()
    types = {name: values.dtype for name, values in network.state_dict().items()}
    own = {name: values.to(types.get(name, values.dtype)) for name, values in tensors.items()}
    network.load_state_dict(own, strict=True, assign=True)
    return network
