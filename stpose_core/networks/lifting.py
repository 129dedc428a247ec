"""The networks that lift, by name: what a weights file says it holds, and what training is asked to make."""

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
    """Dimensions of the network `name`; those not given are its defaults. Raises ValueError at an unknown name and at
    dimensions that are unknown, of a wrong type or absurd."""
    if name == MULTI_STRIDE:
        return TemporalConfig.from_dict(dict(dimensions))
    if name == DILATED:
        return DilatedConfig.from_dict(dict(dimensions))
    raise ValueError(f"there is no network '{name:.40}'; there are {MULTI_STRIDE} and {DILATED}")


def name_of(config: LiftingConfig) -> str:
    """The inverse of `config_of`: the name of the network that these dimensions are for."""
    return DILATED if isinstance(config, DilatedConfig) else MULTI_STRIDE


def reads_maps(config: LiftingConfig) -> bool:
    """Whether a network of these dimensions reads heat maps in the place of keypoints."""
    return isinstance(config, TemporalConfig) and config.inputs == "heatmaps"
