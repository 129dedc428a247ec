"""The lifting networks by name, as stated in a weights file or in the options of training."""

from __future__ import annotations

from collections.abc import Mapping

from stpose_core.networks.dilated import DilatedConfig, DilatedNetwork
from stpose_core.networks.temporal import TemporalConfig, TemporalNetwork

LiftingConfig = TemporalConfig | DilatedConfig
LiftingNetwork = TemporalNetwork | DilatedNetwork

MULTI_STRIDE, DILATED = "multi-stride", "dilated"


def make_network(config: LiftingConfig) -> LiftingNetwork:
    """A network of these dimensions, untrained."""
    return DilatedNetwork(config) if isinstance(config, DilatedConfig) else TemporalNetwork(config)


def config_of(name: str, dimensions: Mapping[str, object]) -> LiftingConfig:
    """Dimensions of the network `name`; by default, those of its class. Raises ValueError for an unknown name and for dimensions
    that are unknown, of a wrong type or absurd."""
    if name == MULTI_STRIDE:
        return TemporalConfig.from_dict(dict(dimensions))
    if name == DILATED:
        return DilatedConfig.from_dict(dict(dimensions))
    raise ValueError(f"unknown network '{name:.40}'; known: {MULTI_STRIDE} and {DILATED}")


def name_of(config: LiftingConfig) -> str:
    """The inverse of `config_of`: the name of the network with these dimensions."""
    return DILATED if isinstance(config, DilatedConfig) else MULTI_STRIDE


def reads_maps(config: LiftingConfig) -> bool:
    """Whether a network of these dimensions reads heat maps instead of keypoints."""
    return isinstance(config, TemporalConfig) and config.inputs == "heatmaps"
