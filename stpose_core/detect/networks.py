"""The built-in detector's networks, read from weights files: as ONNX graphs to be run, and as torch modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stpose_core.detect.graph import Tensors, finder_graph, spatial_graph
from stpose_core.errors import WeightsError
from stpose_core.networks.configs import FinderConfig, SpatialConfig
from stpose_core.reading import one_line
from stpose_core.weights import filled, read_arrays

if TYPE_CHECKING:
    from torch import nn

    from stpose_core.networks.finder import FinderNetwork
    from stpose_core.networks.spatial import SpatialNetwork

Config = TypeVar("Config", SpatialConfig, FinderConfig)


@dataclass(frozen=True)
class NetworkFile(Generic[Config]):
    """The content of a weights file. config: dimensions. header: all that is noted in the file. graph: the network as an .onnx
    file. tensors: parameters by name."""

    path: Path
    config: Config
    header: dict[str, object]
    graph: bytes
    tensors: Tensors

    def module(self) -> nn.Module:
        """The network in torch, for use."""
        import torch

        from stpose_core.networks.finder import FinderNetwork
        from stpose_core.networks.spatial import SpatialNetwork

        config = self.config
        kind: Any = SpatialNetwork if isinstance(config, SpatialConfig) else FinderNetwork
        tensors = {name: torch.from_numpy(values) for name, values in self.tensors.items()}
        try:
            network: nn.Module = filled(lambda: kind(config), tensors)
        except RuntimeError as error:
            raise _mismatch(self.path, error) from error
        return network.eval()


def read_spatial(path: str | Path) -> NetworkFile[SpatialConfig]:
    """A spatial network. Raises WeightsError if the file is missing, damaged or of another kind."""
    return _read(path, "spatial", SpatialConfig.from_dict, spatial_graph)


def read_finder(path: str | Path) -> NetworkFile[FinderConfig]:
    """As `read_spatial`."""
    return _read(path, "finder", FinderConfig.from_dict, finder_graph)


def load_spatial(path: str | Path) -> tuple[SpatialNetwork, dict[str, object]]:
    """The network of a weights file in torch, and the file's header. Raises WeightsError as `read_spatial` does."""
    file = read_spatial(path)
    network: Any = file.module()
    return network, file.header


def load_finder(path: str | Path) -> tuple[FinderNetwork, dict[str, object]]:
    """As `load_spatial`."""
    file = read_finder(path)
    network: Any = file.module()
    return network, file.header


def _read(
    path: str | Path, kind: str, config_of: Callable[[dict[str, object]], Config], graph_of: Callable[[Config, Tensors], bytes]
) -> NetworkFile[Config]:
    tensors, header = read_arrays(path, kind)
    try:
        dimensions: Any = header["network"]
        config = config_of(dimensions)
        graph = graph_of(config, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise _mismatch(path, error) from error
    return NetworkFile(Path(path), config, header, graph, tensors)


def _mismatch(path: str | Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} does not contain the stated network: {one_line(error)}")
