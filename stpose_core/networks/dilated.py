"""The baseline: a single-stride dilated TCN over keypoints.

Source: Pavllo, Feichtenhofer, Grangier, Auli, CVPR 2019, "3D human pose estimation in video with temporal convolutions and
semi-supervised training", section 3 and figure 3: an expanding convolution of kernel 3, residual blocks of a convolution of
kernel 3 with dilations 3, 9, 27(, 81) and a 1x1 convolution, 1024 channels, no padding, slices as residuals. Here it has the
inputs and the heads of TemporalNetwork, so that both are trained and used in the same way; the rest is as published.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from stpose_core.networks.heads import Heads
from stpose_core.networks.lifting_configs import CONTEXT_CHANNELS, KEYPOINT_CHANNELS, DilatedConfig
from stpose_core.networks.outputs import TemporalOutput
from stpose_core.networks.temporal import Block


class DilatedNetwork(nn.Module):
    """forward(joints (B, T, J, 4), context (B, T, 4)) -> TemporalOutput of T - 2 * config.context frames, as TemporalNetwork."""

    def __init__(self, config: DilatedConfig) -> None:
        super().__init__()
        if any(kernel % 2 == 0 for kernel in config.kernels):
            raise ValueError(f"kernels must be odd, got {config.kernels}")
        self.config = config
        first, *others = config.kernels
        self.read = KEYPOINT_CHANNELS if config.visibility else 2
        self.expand = nn.Sequential(
            nn.Conv1d(config.joints * self.read + CONTEXT_CHANNELS, config.channels, first, bias=False),
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
        features = torch.cat((inputs[..., : self.read].flatten(2), context), -1).transpose(1, 2)
        output: TemporalOutput = self.heads(self.blocks(self.expand(features)))
        return output
