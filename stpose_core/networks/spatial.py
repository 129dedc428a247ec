"""The multi-scale spatial network: a picture of a person -> a heat map of each joint, and whether the joint is visible.

Source: HRNet (Sun et al., CVPR 2019), which Cheng et al. (AAAI 2020) build on: branches at 1/4, 1/8, 1/16 and 1/32 of the picture
run in parallel and exchange features throughout. Attention over the coarsest branch (Vaswani et al., NeurIPS 2017), reading all
branches at the end, softmax maps, the visibility logit and the sizes of the presets are this project's decisions (docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.networks.configs import STRIDE, SpatialConfig
from stpose_core.networks.initial import normal_


@dataclass
class SpatialOutput:
    """maps: (B, J, H / 4, W / 4) logits of the position of each joint; their softmax over the map sums to 1. The centre of pixel
    (row r, column c) of a map is at ((c + 0.5) * 4, (r + 0.5) * 4) of the picture. hidden: (B, J) logit that the joint is
    hidden."""

    maps: Tensor
    hidden: Tensor


class Convolution(nn.Sequential):
    """Convolution with batch norm, and ReLU if `active`; only the stride changes the size.

    If only the norm is in evaluation mode, with fixed statistics, it is fused into the weights of the convolution, because on CPUs
    a norm takes half as long as a convolution.
    """

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1, active: bool = True) -> None:
        layers: list[nn.Module] = [nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after)]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if active else []))

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The batch norm after the convolution."""
        norm = self[1]
        assert isinstance(norm, nn.BatchNorm2d)
        return norm

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.norm.training:
            return super().forward(x)
        norm, convolution = self.norm, self[0]
        assert isinstance(convolution, nn.Conv2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        kernel = convolution.weight * gain[:, None, None, None]
        bias = norm.bias - norm.running_mean * gain
        x = F.conv2d(x, kernel, bias, convolution.stride, padding=convolution.kernel_size[0] // 2)
        return F.relu(x, inplace=True) if len(self) > 2 else x


class Block(nn.Module):
    """Residual block of two 3x3 convolutions (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = Convolution(channels, channels)
        self.two = Convolution(channels, channels, active=False)
        nn.init.zeros_(self.two.norm.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.two(self.one(x)))


class Attention(nn.Module):
    """Attention between all positions of a branch. The trunk and the head determine which of two legs is the left one, and they are
    too far away for the few convolutions of the coarsest branch. Starts as the identity. size: (width, height) of the branch; for
    other sizes the position encoding is interpolated."""

    def __init__(self, channels: int, heads: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, channels)
        self.place = nn.Parameter(normal_(torch.empty(channels, size[1], size[0]), std=0.02))
        self.look = nn.Conv2d(channels, 3 * channels, 1)
        self.tell = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.tell.weight)
        assert self.tell.bias is not None
        nn.init.zeros_(self.tell.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        place = self.place[None]
        if place.shape[2:] != x.shape[2:]:
            place = F.interpolate(place, (height, width), mode="bilinear", align_corners=False)
        looked = self.look(self.norm(x) + place)
        query, key, value = looked.reshape(batch, 3, self.heads, channels // self.heads, height * width).transpose(3, 4).unbind(1)
        found = F.scaled_dot_product_attention(query, key, value)
        return x + self.tell(found.transpose(2, 3).reshape(batch, channels, height, width))


class Module(nn.Module):
    """Branches of blocks, then an exchange: each branch receives the sum of all, resampled to its own resolution."""

    def __init__(self, channels: list[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(Block(width) for _ in range(blocks))) for width in channels)
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(channels, source, target) for source in range(len(channels))) for target in range(len(channels))
        )

    def forward(self, scales: list[Tensor]) -> list[Tensor]:
        scales = [branch(x) for branch, x in zip(self.branches, scales)]
        ways = [list(paths.children()) for paths in self.paths]
        return [F.relu(_sum_at(scales[to], [path(x) for path, x in zip(paths, scales)])) for to, paths in enumerate(ways)]


def _path(channels: list[int], source: int, target: int) -> nn.Module:
    """Conversion to the channels of another resolution; for a coarser one also to its size, by strides of 2."""
    if source == target:
        return nn.Identity()
    if source > target:
        return Convolution(channels[source], channels[target], kernel=1, active=False)
    steps = [Convolution(channels[source], channels[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, Convolution(channels[source], channels[target], stride=2, active=False))


def _sum_at(like: Tensor, values: list[Tensor]) -> Tensor:
    """The sum of features at several resolutions, at that of `like`; coarser ones are enlarged."""
    size = like.shape[2:]
    total, *rest = [value if value.shape[2:] == size else F.interpolate(value, size, mode="nearest") for value in values]
    for value in rest:
        total = total + value
    return total


class SpatialNetwork(nn.Module):
    """Pictures (B, 3, H, W), values 0..1 minus 0.5 -> SpatialOutput."""

    def __init__(self, config: SpatialConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            Convolution(3, config.stem, stride=2),
            Convolution(config.stem, config.stem, stride=2),
            *(Block(config.stem) for _ in range(config.first)),
        )
        self.enter = Convolution(config.stem, config.width)
        self.deeper, self.stages = nn.ModuleList(), nn.ModuleList()
        channels = [config.width]
        if not config.modules:
            # One scale with the depth of the others, for comparison.
            self.stages.append(nn.ModuleList([Module(channels, 2 * config.blocks)]))
        for count in config.modules:
            self.deeper.append(Convolution(channels[-1], 2 * channels[-1], stride=2))
            channels = [*channels, 2 * channels[-1]]
            self.stages.append(nn.ModuleList(Module(channels, config.blocks) for _ in range(count)))
        times = config.modules[-1] if config.heads and config.modules else 0
        width, height = (side // STRIDE >> len(config.modules) for side in config.size)
        self.attention = nn.ModuleList(Attention(channels[-1], config.heads, (width, height)) for _ in range(times))
        self.read = nn.ModuleList(nn.Conv2d(width, config.head, 1, bias=False) for width in channels)
        self.norm = nn.BatchNorm2d(config.head)
        self.maps = nn.Conv2d(config.head, config.joints, 1)
        self.seen = nn.Parameter(torch.zeros(config.joints, config.head))
        self.context = nn.Linear(channels[-1], config.joints)

    def forward(self, pictures: Tensor) -> SpatialOutput:
        scales = [self.enter(self.stem(pictures))]
        for index, stage in enumerate(self.stages):
            if index < len(self.deeper):
                scales = [*scales, self.deeper[index](scales[-1])]
            for number, module in enumerate(stage.children()):
                if self.attention and index == len(self.stages) - 1:
                    scales = [*scales[:-1], self.attention[number](scales[-1])]
                scales = module(scales)
        features = [read(x) for read, x in zip(self.read, scales)]
        size = features[0].shape[2:]
        smooth = [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in features[1:]]
        merged = F.relu(self.norm(sum(smooth, features[0])))
        maps = self.maps(merged).float()
        # The visibility of a joint is read at the position of its map, without a gradient to the map.
        where = maps.detach().flatten(2).softmax(-1).to(merged.dtype)
        there = where @ merged.flatten(2).transpose(1, 2)
        hidden = (there * self.seen).sum(-1) + self.context(scales[-1].mean((2, 3)))
        return SpatialOutput(maps, hidden.float())


def count_multiplications(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulate operations of convolutions and linear maps for one picture of size (width, height)."""
    total = 0

    def counted(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        total += weight.numel() // weight.shape[0] * output.numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(counted) for layer in layers]
    training = network.training
    width, height = size
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, height, width, device=next(network.parameters()).device))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total
