"""The baseline: a single-stride dilated TCN over keypoints.

Source: Pavllo, Feichtenhofer, Grangier, Auli, CVPR 2019, "3D human pose estimation in video with temporal convolutions and
semi-supervised training", section 3 and figure 3: an expanding convolution of kernel 3, residual blocks of a convolution of
kernel 3 with dilations 3, 9, 27(, 81) and a 1x1 convolution, 1024 channels, no padding, slices as residuals. Here it has the
inputs and the heads of TemporalNetwork, so that both are trained and used in the same way; the rest is as published.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod

import torch
from torch import Tensor, nn

from stpose_core.networks.dimensions import check_dimensions
from stpose_core.networks.heads import Heads, TemporalOutput
from stpose_core.networks.temporal import CONTEXT_CHANNELS, KEYPOINT_CHANNELS, Block

# Limits of the dimensions in a weights file.
_RANGES = {"joints": (1, 200), "channels": (1, 2048)}
_KERNELS, _MOST_KERNELS = (1, 3, 5, 7), 6


@dataclass(frozen=True)
class DilatedConfig:
    """The dimensions of a DilatedNetwork. kernels: of the expanding convolution and of each block after it; the receptive field is
    their product: (3, 3, 3, 3) covers 81 frames, (3, 3, 3, 3, 3) covers 243. channels and dropout as published."""

    joints: int = 17
    channels: int = 1024
    kernels: tuple[int, ...] = (3, 3, 3, 3)
    dropout: float = 0.25

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the header of a weights file."""
        return {**asdict(self), "kernels": list(self.kernels)}

    @staticmethod
    def from_dict(values: dict[str, object]) -> DilatedConfig:
        """The inverse of `to_dict`. Values are untrusted. Raises ValueError if they are unknown, of a wrong type or absurd."""
        check_dimensions(values, DilatedConfig, _RANGES)
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


class DilatedNetwork(nn.Module):
    """forward(joints (B, T, J, 4), context (B, T, 4)) -> TemporalOutput of T - 2 * config.context frames, as TemporalNetwork."""

    def __init__(self, config: DilatedConfig) -> None:
        super().__init__()
        if any(kernel % 2 == 0 for kernel in config.kernels):
            raise ValueError(f"kernels must be odd, got {config.kernels}")
        self.config = config
        first, *others = config.kernels
        self.expand = nn.Sequential(
            nn.Conv1d(config.joints * KEYPOINT_CHANNELS + CONTEXT_CHANNELS, config.channels, first, bias=False),
            nn.BatchNorm1d(config.channels),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )
        dilations = [prod(config.kernels[: index + 1]) for index in range(len(others))]
        steps = zip(others, dilations)
        blocks = [Block(config.channels, taps, step, step * (taps // 2), config.dropout) for taps, step in steps]
        self.blocks = nn.Sequential(*blocks)
        self.heads = Heads(config.channels, config.joints)

    def forward(self, inputs: Tensor, context: Tensor) -> TemporalOutput:
        frames, reach = inputs.shape[1], self.config.context
        if frames <= 2 * reach:
            raise ValueError(f"{frames} frames are too few: the network needs {2 * reach + 1} for one output")
        features = torch.cat((inputs.flatten(2), context), -1).transpose(1, 2)
        output: TemporalOutput = self.heads(self.blocks(self.expand(features)))
        return output
