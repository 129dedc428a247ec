"""The built-in detector's networks, loaded from weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stpose_core.errors import WeightsError
from stpose_core.networks.finder import FinderConfig, FinderNetwork
from stpose_core.networks.spatial import SpatialConfig, SpatialNetwork
from stpose_core.reading import one_line
from stpose_core.weights import filled, read_weights


def load_spatial(path: str | Path) -> tuple[SpatialNetwork, dict[str, object]]:
    """The network of a weights file in evaluation mode, and the file's header.

    Raises WeightsError if the file is missing, damaged or belongs to another network.
    """
    return _load(path, "spatial", SpatialConfig, SpatialNetwork)


def load_finder(path: str | Path) -> tuple[FinderNetwork, dict[str, object]]:
    """As `load_spatial`."""
    return _load(path, "finder", FinderConfig, FinderNetwork)


def _load(path: str | Path, kind: str, config: Any, network_of: Any) -> tuple[Any, dict[str, object]]:
    tensors, header = read_weights(path, kind)
    try:
        dimensions = config.from_dict(header["network"])
        network = filled(lambda: network_of(dimensions), tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} does not contain the stated network: {one_line(error)}") from error
    return network.eval(), header
