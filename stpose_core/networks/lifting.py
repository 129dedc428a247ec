"""The lifting networks as torch modules, from their dimensions."""

from __future__ import annotations

from stpose_core.networks.dilated import DilatedNetwork
from stpose_core.networks.lifting_configs import DilatedConfig, LiftingConfig
from stpose_core.networks.temporal import TemporalNetwork

LiftingNetwork = TemporalNetwork | DilatedNetwork


def make_network(config: LiftingConfig) -> LiftingNetwork:
    """A network of these dimensions, untrained."""
    return DilatedNetwork(config) if isinstance(config, DilatedConfig) else TemporalNetwork(config)
