"""What the spatial network is trained for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.networks.spatial import STRIDE, SpatialOutput
from stpose_training.spatial.feed import Batch
from stpose_training.synth.pictures import OUTSIDE, VISIBLE


def gaussians(joints: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """(B, J, height, width) that sum to 1, around joints (B, J, 2) in pixels of the picture, finer than the maps' pixels."""
    x = torch.arange(width, device=joints.device) + 0.5 - joints[..., :1] / STRIDE
    y = torch.arange(height, device=joints.device) + 0.5 - joints[..., 1:] / STRIDE
    across, down = torch.softmax(-(x**2) / (2 * sigma**2), -1), torch.softmax(-(y**2) / (2 * sigma**2), -1)
    return down[..., :, None] * across[..., None, :]


def place_loss(maps: Tensor, batch: Batch, sigma: float, hidden: float) -> Tensor:
    """Cross entropy of maps (B, J, h, w) against Gaussians, less the Gaussians' own entropy: mean over joints, of weight 1 where
    visible, `hidden` where hidden, 0 where outside."""
    height, width = maps.shape[2:]
    target = gaussians(batch.joints, height, width, sigma).flatten(2)
    spread = -torch.special.xlogy(target, target).sum(-1)
    excess = -(target * maps.flatten(2).log_softmax(-1)).sum(-1) - spread
    weight = torch.where(batch.state == VISIBLE, 1.0, hidden) * (batch.state != OUTSIDE)
    return (excess * weight).sum() / weight.sum().clamp(min=1)


def spatial_loss(output: SpatialOutput, batch: Batch, sigma: float, hidden: float, flag: float) -> tuple[Tensor, dict[str, float]]:
    """`place_loss` and `flag` times the cross entropy of the hidden-or-visible logit -> loss, and its parts."""
    place = place_loss(output.maps, batch, sigma, hidden)
    unseen = F.binary_cross_entropy_with_logits(output.hidden, (batch.state != VISIBLE).float())
    return place + flag * unseen, {"maps": float(place.detach()), "hidden": float(unseen.detach())}
