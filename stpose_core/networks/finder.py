"""The finder: a whole picture -> position, size and orientation of the people in it.

A light network for pictures of about 320 pixels on the long side. Features from 1/4 to 1/64 of the picture are combined at 1/8 as
in a feature pyramid (Lin et al., CVPR 2017), so that large and small people are found in one pass. People are the peaks of a map of
centres (Zhou et al., "Objects as Points", 2019); boxes are distances to four sides (Tian et al., FCOS, ICCV 2019). The
sizes and the direction of the body are decisions of this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.networks.configs import CELL, FinderConfig
from stpose_core.networks.initial import normal_
from stpose_core.networks.spatial import Block, Convolution

_RARE = -4.6  # logit of 1 %: centres of people are rare, and the first training steps should not be spent on learning that


@dataclass
class FinderOutput:
    """Outputs for every cell of 8 x 8 pixels. centre: (B, h, w) logit of a person's centre. sides: (B, 4, h, w) distances from the
    cell's centre to the left, top, right and bottom of the person, pixels. up: (B, 2, h, w) direction of the body in the picture
    (x, y; of arbitrary length), from the pelvis to the neck."""

    centre: Tensor
    sides: Tensor
    up: Tensor


class FinderNetwork(nn.Module):
    """Pictures (B, 3, H, W), values 0..1 minus 0.5, sides multiples of 64 -> FinderOutput."""

    def __init__(self, config: FinderConfig) -> None:
        super().__init__()
        self.config = config
        widths, head = config.widths, config.head
        self.stem = nn.Sequential(Convolution(3, config.stem, stride=2), Convolution(config.stem, widths[0], stride=2))
        self.levels = nn.ModuleList(
            nn.Sequential(Convolution(before, after, stride=2), *(Block(after) for _ in range(config.blocks)))
            for before, after in zip(widths, widths[1:])
        )
        self.read = nn.ModuleList(nn.Conv2d(width, head, 1) for width in widths[1:])
        self.merge = nn.ModuleList(Convolution(head, head) for _ in widths[1:])
        self.out = nn.Conv2d(head, 7, 1)
        normal_(self.out.weight, std=0.01)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)
        nn.init.constant_(self.out.bias[:1], _RARE)

    def forward(self, pictures: Tensor) -> FinderOutput:
        x = self.stem(pictures)
        scales = []
        for level in self.levels:
            x = level(x)
            scales.append(x)
        top: Tensor | None = None
        for x, read, merge in zip(reversed(scales), reversed(self.read), reversed(self.merge)):
            own = read(x)
            top = merge(own if top is None else own + F.interpolate(top, own.shape[2:], mode="nearest"))
        out = self.out(top).float()
        # An output of zero corresponds to a person of 32 pixels to each side.
        return FinderOutput(out[:, 0], 4 * CELL * out[:, 1:5].clamp(-5, 5).exp(), out[:, 5:])
