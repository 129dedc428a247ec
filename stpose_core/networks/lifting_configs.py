"""The dimensions of the lifting networks, and the networks by name, as stated in a weights file or in the options of training.

Without torch: `stpose_core.networks.lifting` makes torch modules of them, `stpose_core.networks.plain` runs them in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod

from stpose_core.networks.dimensions import check_dimensions

CONTEXT_CHANNELS = 4  # per frame: ray (x, y) to the person, log angular size, whether the person box is known
KEYPOINT_CHANNELS = 4  # per joint: x, y, score, visible

INPUTS = ("keypoints", "heatmaps")
OUTPUTS = ("metric", "projective")
# Limits of the dimensions in a weights file: far above any useful network, and half a gigabyte of memory at most.
_RANGES = {
    "joints": (1, 200), "latent": (1, 2048), "width": (1, 1024), "kernel": (1, 9), "spread": (1, 15), "map_features": (1, 256),
    "frame_blocks": (0, 8), "place_window": (0, 8), "output_window": (0, 8), "contacts": (0, 4), "look_ahead": (-1, 64),
}  # fmt: skip
_MOST_STRIDES, _LONGEST_STRIDE = 6, 64


@dataclass(frozen=True)
class TemporalConfig:
    """The dimensions of a TemporalNetwork, which are stored in the weights file.

    inputs: "keypoints" or "heatmaps". strides: one branch each. kernel: taps of a convolution; a branch is one residual block
    with dilation s and one with dilation `spread` * s, so it covers 1 + s * (kernel - 1) * (1 + spread) frames. frame_blocks:
    residual blocks of single frames before the branches. output: "metric", joints in metres from the heads, or "projective",
    positions in the picture, depths and the person's size, which the camera model converts to metres.
    place_window: frames on each side over which the input positions of a projective output are averaged. output_window: frames on
    each side over which poses and roots are averaged (Hann weights), which removes jitter that the branches cannot resolve.
    visibility: whether the keypoint path receives scores and flags of hidden joints; otherwise, a hidden joint is placed in the
    middle of the person. map_features: size of the encoding of a heat map. peaks: whether a network that reads heat maps also reads
    the joints that belong to them, as the keypoint path does; summary: whether it then reads a few numbers of each map, without a
    CNN. contacts: 4 for a head of heel and toe contacts, else 0. look_ahead: number of later frames that an output may depend on,
    for live use; -1: as many as earlier ones. output_window and place_window must not exceed it.
    """

    inputs: str = "keypoints"
    joints: int = 17
    latent: int = 512
    width: int = 256
    kernel: int = 5
    spread: int = 3
    strides: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.1
    map_features: int = 32
    frame_blocks: int = 0
    output: str = "metric"
    place_window: int = 0
    visibility: bool = True
    output_window: int = 0
    contacts: int = 0
    look_ahead: int = -1
    peaks: bool = False
    summary: bool = False

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the header of a weights file."""
        return {**asdict(self), "strides": list(self.strides)}

    @staticmethod
    def from_dict(values: dict[str, object]) -> TemporalConfig:
        """The inverse of `to_dict`. Values are untrusted. Raises ValueError if they are unknown, of a wrong type or absurd."""
        check_dimensions(values, TemporalConfig, _RANGES)
        if values.get("kernel", 1) % 2 == 0:  # type: ignore[operator]
            raise ValueError(f"kernel must be odd, got {values['kernel']}")
        inputs, strides = values.get("inputs", TemporalConfig.inputs), values.get("strides", TemporalConfig.strides)
        if values.get("contacts", 0) not in (0, 4):
            raise ValueError(f"contacts must be 0 or 4, got {values['contacts']!r:.40}")
        if inputs not in INPUTS:
            raise ValueError(f"inputs must be one of {', '.join(INPUTS)}, got {inputs!r:.40}")
        output = values.get("output", TemporalConfig.output)
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got {output!r:.40}")
        if not isinstance(strides, list | tuple) or not 1 <= len(strides) <= _MOST_STRIDES:
            raise ValueError(f"strides must be a list of 1 to {_MOST_STRIDES} numbers, got {strides!r:.40}")
        if not all(type(stride) is int and 1 <= stride <= _LONGEST_STRIDE for stride in strides):
            raise ValueError(f"strides must be whole numbers from 1 to {_LONGEST_STRIDE}, got {strides!r:.40}")
        config = TemporalConfig(**{**values, "strides": tuple(strides)})  # type: ignore[arg-type]
        window = max(config.output_window, config.place_window)
        if config.causal and window > config.look_ahead:
            raise ValueError(f"a window of {window} frames exceeds the look_ahead of {config.look_ahead}")
        return config

    @property
    def causal(self) -> bool:
        """Whether an output depends on a limited number of later frames."""
        return self.look_ahead >= 0

    @property
    def context(self) -> int:
        """Frames on each side of an output that the network requires. A causal network ignores those beyond its look-ahead."""
        return max(max(reach_of(self, stride)) for stride in self.strides) + self.output_window


def reach_of(config: TemporalConfig, stride: int) -> tuple[int, int]:
    """Earlier and later frames that an output of the branch with this stride depends on."""
    ahead = sum(ahead_of(config, stride))
    return stride * (config.kernel - 1) * (1 + config.spread) - ahead, ahead


def ahead_of(config: TemporalConfig, stride: int) -> tuple[int, int]:
    """Later frames that the two blocks of a branch read: half of their taps, or as many as the look-ahead allows."""
    near, far = stride, stride * config.spread
    half = (config.kernel - 1) // 2
    if not config.causal:
        return half * near, half * far
    allowed = config.look_ahead - config.output_window
    first = near * min(half, allowed // near)
    return first, far * min(half, (allowed - first) // far)


# Limits of the dimensions in a weights file.
_DILATED_RANGES = {"joints": (1, 200), "channels": (1, 2048)}
_KERNELS, _MOST_KERNELS = (1, 3, 5, 7), 6


@dataclass(frozen=True)
class DilatedConfig:
    """The dimensions of a DilatedNetwork. kernels: of the expanding convolution and of each block after it; the receptive field is
    their product: (3, 3, 3, 3) covers 81 frames, (3, 3, 3, 3, 3) covers 243. channels and dropout as published. visibility: as in
    `TemporalConfig`; the published network has none."""

    joints: int = 17
    channels: int = 1024
    kernels: tuple[int, ...] = (3, 3, 3, 3)
    dropout: float = 0.25
    visibility: bool = True

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the header of a weights file."""
        return {**asdict(self), "kernels": list(self.kernels)}

    @staticmethod
    def from_dict(values: dict[str, object]) -> DilatedConfig:
        """The inverse of `to_dict`. Values are untrusted. Raises ValueError if they are unknown, of a wrong type or absurd."""
        check_dimensions(values, DilatedConfig, _DILATED_RANGES)
        kernels = values.get("kernels", DilatedConfig.kernels)
        if not isinstance(kernels, list | tuple) or not 1 <= len(kernels) <= _MOST_KERNELS:
            raise ValueError(f"kernels must be a list of 1 to {_MOST_KERNELS} numbers, got {kernels!r:.40}")
        if not all(type(kernel) is int and kernel in _KERNELS for kernel in kernels):
            raise ValueError(f"kernels must be of {', '.join(map(str, _KERNELS))}, got {kernels!r:.40}")
        return DilatedConfig(**{**values, "kernels": tuple(kernels)})  # type: ignore[arg-type]

    causal = False
    """Outputs depend on equally many earlier and later frames."""

    @property
    def context(self) -> int:
        """Frames that an output needs on each side."""
        return (prod(self.kernels) - 1) // 2


LiftingConfig = TemporalConfig | DilatedConfig

MULTI_STRIDE, DILATED = "multi-stride", "dilated"


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


def reads_both(config: LiftingConfig) -> bool:
    """Whether a network of these dimensions reads heat maps and the joints that belong to them."""
    return isinstance(config, TemporalConfig) and config.inputs == "heatmaps" and config.peaks
