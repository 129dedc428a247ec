"""The spatio-temporal discriminator: it judges whether the proportions and the motion of a body are realistic.

Sources: the kinematic chain space (KCS) of a pose, Psi = B^T B for the matrix B of its bone vectors, contains bone lengths on its
diagonal and the angles between bones elsewhere, independent of orientation (Wandt and Rosenhahn, CVPR 2019, RepNet). The temporal
KCS, Phi_i(t) = B(t+i)^T B(t+i) - B(t)^T B(t), is their change over i frames (Cheng et al., AAAI 2020). Intervals 1 and 5,
the critic's layers, the least-squares form without a sigmoid (Mao et al., ICCV 2017) and spectral norm (Miyato et al., ICLR
2018) are decisions of this project (docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stpose_core.skeletons import H36M17

INTERVALS = (1, 5)

_CHILDREN = [joint for joint, parent in enumerate(H36M17.parents) if parent >= 0]
_PARENTS = [H36M17.parents[joint] for joint in _CHILDREN]
_BONES = len(_CHILDREN)
# Scales metres to about 1: a bone is about a quarter of a metre long, and changes little within a frame.
_UNIT = 0.25
_GAIN = {1: 8.0, 5: 2.0}


def bone_vectors(pose: Tensor) -> Tensor:
    """(..., 17, 3) joints -> (..., 16, 3) from each joint's parent to it, in the unit of the pose."""
    return pose[..., _CHILDREN, :] - pose[..., _PARENTS, :]


def kcs(pose: Tensor) -> Tensor:
    """(..., 17, 3) -> (..., 16, 16): Psi = B^T B, the inner products of all bone vectors."""
    bones = bone_vectors(pose)
    return bones @ bones.transpose(-1, -2)


def temporal_kcs(pose: Tensor, interval: int) -> Tensor:
    """(B, T, 17, 3) -> (B, T - interval, 16, 16): how the KCS changes from each frame to the one `interval` later."""
    matrix = kcs(pose)
    return matrix[:, interval:] - matrix[:, :-interval]


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The dimensions of a Discriminator. width: channels of its convolutions. slope: of the leaky ReLUs."""

    width: int = 128
    slope: float = 0.2


class Discriminator(nn.Module):
    """(B, T, 17, 3) root-relative poses in metres -> (B, N) one score per window of 28 frames, every fourth frame.

    The features of a frame are its KCS, its joints and the temporal KCS at both intervals. A TCN with spectral norm scores 23 such
    frames (28 including those of the intervals). Scores have no sigmoid: 1 is real, 0 is generated.
    """

    window = 28

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = torch.triu_indices(_BONES, _BONES)
        self.upper: Tensor
        self.register_buffer("upper", rows * _BONES + columns, persistent=False)
        channels = (1 + len(INTERVALS)) * len(rows) + 3 * _BONES
        layers: list[nn.Module] = []
        # 1x1, then receptive fields of 3, 7, 15 and 23 frames.
        for before, after, kernel, stride in (
            (channels, config.width, 1, 1),
            (config.width, config.width, 3, 1),
            (config.width, config.width, 5, 2),
            (config.width, config.width, 5, 2),
            (config.width, config.width, 3, 1),
        ):
            layers += [spectral_norm(nn.Conv1d(before, after, kernel, stride=stride)), nn.LeakyReLU(config.slope)]
        self.critic = nn.Sequential(*layers, spectral_norm(nn.Conv1d(config.width, 1, 1)))

    def features(self, pose: Tensor) -> Tensor:
        """(B, T, 17, 3) -> (B, C, T - 5): KCS, joints and temporal KCS of each frame."""
        scaled = pose / _UNIT
        frames = pose.shape[1] - max(INTERVALS)
        parts = [kcs(scaled), *(_GAIN[interval] * temporal_kcs(scaled, interval) for interval in INTERVALS)]
        flat = [part[:, :frames].flatten(2)[..., self.upper] for part in parts]
        return torch.cat((*flat, scaled[:, :frames, 1:].flatten(2)), -1).transpose(1, 2)

    def forward(self, pose: Tensor) -> Tensor:
        if pose.shape[1] < self.window:
            raise ValueError(f"{pose.shape[1]} frames are too few: the discriminator needs windows of {self.window}")
        # Half precision is insufficient for differences of products of small numbers.
        with torch.autocast(pose.device.type, enabled=False):
            scores: Tensor = self.critic(self.features(pose.float())).squeeze(1)
        return scores


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """The loss of the discriminator: least squares to 1 for real and to 0 for generated motion (Mao et al. 2017)."""
    return 0.5 * (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(made, torch.zeros_like(made)))


def fooling_loss(made: Tensor) -> Tensor:
    """The loss of the lifter: least squares of the scores of its motion to 1."""
    return F.mse_loss(made, torch.ones_like(made))
