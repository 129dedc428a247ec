"""The built-in detector's networks, read from weights files and made ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stpose_core.errors import WeightsError
from stpose_core.networks.finder import FinderConfig, FinderNetwork
from stpose_core.networks.spatial import SpatialConfig, SpatialNetwork
from stpose_core.reading import one_line
from stpose_core.weights import filled, read_weights


def load_spatial(path: str | Path) -> tuple[SpatialNetwork, dict[str, object]]:
    """The network of a weights file, for use, and the file's header. Raises WeightsError if it is missing, damaged, another's."""
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
        raise WeightsError(f"{path} does not hold the network that it says: {one_line(error)}") from error
    return network.eval(), header
