"""The multi-stride temporal network: features of each frame -> 3D pose of each frame.

Source: Cheng et al., AAAI 2020, section "temporal networks": TCNs with strides 1, 2, 4 and 8 over latent features of each
frame, their outputs concatenated. Kernel sizes, widths, the residual form and the heads beyond the pose are this project's
decisions (docs/method.md). Stride s is realised as a dilation by s, which for the centre frame equals sub-sampling by s and
stays fully convolutional: a whole clip is lifted in one pass.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.networks.heads import MAP_CELLS, SUMMARY, Heads, ProjectiveHeads, peaks, summaries
from stpose_core.networks.initial import zeros_
from stpose_core.networks.lifting_configs import (
    CONTEXT_CHANNELS,
    INPUTS,
    KEYPOINT_CHANNELS,
    TemporalConfig,
    ahead_of,
    reach_of,
    reads_both,
)
from stpose_core.networks.outputs import TemporalOutput, averaged, places


class KeypointEncoder(nn.Module):
    """(B, T, J, 4) keypoints and (B, T, 4) context -> (B, latent, T)."""

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.places = None if config.visibility else 2
        self.linear = nn.Conv1d(config.joints * (self.places or KEYPOINT_CHANNELS) + CONTEXT_CHANNELS, config.latent, 1)

    def forward(self, joints: Tensor, context: Tensor) -> Tensor:
        joints = joints[..., : self.places]
        return self.linear(torch.cat((joints.flatten(2), context), -1).transpose(1, 2))


class HeatmapEncoder(nn.Module):
    """(B, T, J, MAP_CELLS, MAP_CELLS) heat maps and (B, T, 4) context -> (B, latent, T): one small CNN reads each joint's map.

    The maps are encoded, not reduced to their peaks: spread and second maxima show uncertainty (Cheng et al., AAAI 2020).
    One layer reads non-overlapping patches of 8 x 8 cells, the next combines the nine patches of a joint. On a CPU this is many
    times as fast as layers of 3 x 3 kernels, which would take most of a training step. Sizes are decisions of this project.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        features, patch = config.map_features, MAP_CELLS // 3
        self.cnn = nn.Sequential(nn.Conv2d(1, features, patch, stride=patch), nn.ReLU(), nn.Flatten())
        self.joint = nn.Sequential(nn.Linear(9 * features, 2 * features), nn.ReLU(), nn.Linear(2 * features, features))
        self.linear = nn.Conv1d(config.joints * features + CONTEXT_CHANNELS, config.latent, 1)

    def read(self, maps: Tensor) -> Tensor:
        """-> (B, T, J * features)."""
        features = self.joint(self.cnn(maps.reshape(-1, 1, *maps.shape[3:])))
        return features.reshape(*maps.shape[:2], maps.shape[2] * features.shape[-1])

    def forward(self, maps: Tensor, context: Tensor) -> Tensor:
        return self.linear(torch.cat((self.read(maps), context), -1).transpose(1, 2))


class DoubtEncoder(KeypointEncoder):
    """As a KeypointEncoder, of maps and the joints that belong to them: what the maps show beside is added to that.

    It is nothing at first, so that such a network can start as one that reads keypoints. With `summary`, a few numbers of each map
    are read (`summaries`); otherwise, a CNN reads the square roots of the maps, in which low maps of hidden joints and second
    maxima are higher.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__(config)
        features, self.summary = config.map_features, config.summary
        if self.summary:
            self.joint = nn.Sequential(nn.Linear(SUMMARY, 2 * features), nn.ReLU(), nn.Linear(2 * features, features))
        else:
            self.maps = HeatmapEncoder(config)
        self.doubts = nn.Conv1d(config.joints * (features + SUMMARY * self.summary), config.latent, 1, bias=False)
        zeros_(self.doubts.weight)

    def forward(self, maps: Tensor, context: Tensor, joints: Tensor) -> Tensor:  # type: ignore[override]  # one input more
        if self.summary:
            numbers = summaries(maps)
            read = torch.cat((numbers, self.joint(numbers)), -1).flatten(2)
        else:
            read = self.maps.read(maps.sqrt())
        return super().forward(joints, context) + self.doubts(read.transpose(1, 2))


class Block(nn.Module):
    """Residual block: dilated convolution without padding, then 1x1, each with batch norm and ReLU; (B, C, T) -> (B, C, T - r).

    ahead: how many of the r frames are later than the output.
    """

    def __init__(self, width: int, kernel: int, dilation: int, ahead: int, dropout: float) -> None:
        super().__init__()
        self.before, self.ahead = dilation * (kernel - 1) - ahead, ahead
        self.wide = nn.Conv1d(width, width, kernel, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm1d(width)
        self.point = nn.Conv1d(width, width, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(F.relu(self.norm1(self.wide(x))))
        y = self.drop(F.relu(self.norm2(self.point(y))))
        return x[..., self.before : x.shape[-1] - self.ahead] + y


class FrameBlock(nn.Module):
    """Residual block of single frames, two 1x1 convolutions: (B, C, T) -> (B, C, T)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Branch(nn.Module):
    """One temporal scale: 17 taps (kernel 5, then kernel 5 with three times the dilation) at the given stride."""

    def __init__(self, config: TemporalConfig, stride: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv1d(config.latent, config.width, 1, bias=False), nn.BatchNorm1d(config.width), nn.ReLU())
        near, far = ahead_of(config, stride)
        self.near = Block(config.width, config.kernel, stride, near, config.dropout)
        self.far = Block(config.width, config.kernel, stride * config.spread, far, config.dropout)
        self.before, self.ahead = reach_of(config, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.far(self.near(self.enter(x)))


class TemporalNetwork(nn.Module):
    """Latent features of frames -> branches at several strides -> concatenated -> heads. See TemporalOutput.

    forward(joints or maps, context) with T frames returns T - 2 * config.context frames. There is no internal padding; the caller
    pads the ends of a clip. With maps, forward takes the joints (B, T, J, 4) that belong to them as well; by default they are the
    maps' peaks.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        if config.inputs not in INPUTS:
            raise ValueError(f"inputs must be 'keypoints' or 'heatmaps', got '{config.inputs}'")
        self.config = config
        encoder = DoubtEncoder if reads_both(config) else HeatmapEncoder if config.inputs == "heatmaps" else KeypointEncoder
        self.encoder = encoder(config)
        self.norm = nn.BatchNorm1d(config.latent)
        self.frame = nn.Sequential(*(FrameBlock(config.latent, config.dropout) for _ in range(config.frame_blocks)))
        self.branches = nn.ModuleList(Branch(config, stride) for stride in config.strides)
        merged = config.width * len(config.strides)
        self.merge = nn.Sequential(
            nn.Conv1d(merged, config.latent, 1, bias=False),
            nn.BatchNorm1d(config.latent),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )
        # The heads read the concatenated branches and their mixture.
        heads = ProjectiveHeads if config.output == "projective" else Heads
        self.heads = heads(merged + config.latent, config.joints, contacts=config.contacts)

    def forward(self, inputs: Tensor, context: Tensor, joints: Tensor | None = None) -> TemporalOutput:
        window, frames = self.config.output_window, inputs.shape[1]
        if frames <= 2 * self.config.context:
            raise ValueError(f"{frames} frames are too few: the network needs {2 * self.config.context + 1} for one output")
        reach = self.config.context - window
        used = frames - reach + max(reach_of(self.config, stride)[1] for stride in self.config.strides)
        if joints is None:
            joints = peaks(inputs.float()) if self.config.inputs == "heatmaps" else inputs.float()
        read = (inputs, context, joints) if reads_both(self.config) else (inputs, context)
        latent = self.frame(F.relu(self.norm(self.encoder(*(part[:, :used] for part in read)))))
        scales = []
        for branch in self.branches:
            assert isinstance(branch, Branch)
            scales.append(branch(latent[..., reach - branch.before : frames - reach + branch.ahead]))
        merged = torch.cat(scales, 1)
        features = torch.cat((merged, self.merge(merged)), 1)
        if not isinstance(self.heads, ProjectiveHeads):
            return averaged(self.heads(features), window)
        core = slice(reach, frames - reach)
        # Context: log of the angular size, and whether it is known.
        size = torch.exp(context[:, core, 2].float()) * context[:, core, 3]
        joints = joints.float()
        if not self.config.visibility:
            joints = torch.cat((joints[..., :3], torch.ones_like(joints[..., 3:])), -1)
        return averaged(self.heads(features, places(joints, self.config.place_window)[:, core], size), window)
