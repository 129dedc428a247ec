"""The built-in detector's networks, read from weights files and made ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from stpose_core.errors import WeightsError
from stpose_core.networks.finder import FinderConfig, FinderNetwork
from stpose_core.networks.spatial import SpatialConfig, SpatialNetwork
from stpose_core.weights import read_weights

_KINDS: dict[str, tuple[Any, Any]] = {"spatial": (SpatialConfig, SpatialNetwork), "finder": (FinderConfig, FinderNetwork)}


def load_spatial(path: str | Path) -> tuple[SpatialNetwork, dict[str, object]]:
    """The network of a weights file, for use, and the file's header. Raises WeightsError if it is missing, damaged, another's."""
    network, header = _load(path, "spatial")
    return network, header  # type: ignore[return-value]


def load_finder(path: str | Path) -> tuple[FinderNetwork, dict[str, object]]:
    """As `load_spatial`."""
    network, header = _load(path, "finder")
    return network, header  # type: ignore[return-value]


def _load(path: str | Path, kind: str) -> tuple[nn.Module, dict[str, object]]:
    tensors, header = read_weights(path, kind)
    config, network_of = _KINDS[kind]
    try:
        network: nn.Module = network_of(config.from_dict(header["network"]))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} does not hold the network that it says: {' '.join(str(error).split())[:200]}") from error
    return network.eval(), header
