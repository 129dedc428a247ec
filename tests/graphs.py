"""Tiny networks of the built-in detector, in torch and as ONNX graphs, with statistics and weights as after training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from stpose_core.detect.graph import finder_graph, spatial_graph
from stpose_core.networks.configs import FinderConfig, SpatialConfig
from stpose_core.networks.finder import FinderNetwork
from stpose_core.networks.spatial import SpatialNetwork

FINDER = FinderConfig(side=128, stem=8, widths=(8, 16), blocks=1, head=16)


def trained(network: nn.Module, seed: int) -> nn.Module:
    """As if it had been trained: no parameter is zero or one, no norm leaves its input as it is."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if values.is_floating_point():
                scale, middle = (0.3, 1.0) if name.endswith(("running_var", "norm.weight")) or values.ndim == 1 else (0.2, 0.0)
                values.copy_(middle + scale * (2 * torch.rand(values.shape, generator=generator) - 1))
    return network.eval()


def arrays_of(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in network.state_dict().items()}


def spatial_network(config: SpatialConfig, seed: int = 1) -> tuple[nn.Module, bytes]:
    network = trained(SpatialNetwork(config), seed)
    return network, spatial_graph(config, arrays_of(network))


def finder_network(config: FinderConfig = FINDER, seed: int = 1) -> tuple[nn.Module, bytes]:
    network = trained(FinderNetwork(config), seed)
    return network, finder_graph(config, arrays_of(network))


def finder_of(seed: int) -> bytes:
    return finder_network(seed=seed)[1]
