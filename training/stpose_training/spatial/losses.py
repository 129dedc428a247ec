"""The losses of the spatial network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialOutput
from stpose_training.spatial.feed import Batch
from stpose_training.spatial.recipe import Recipe
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, UNKNOWN, VISIBLE


def gaussians(joints: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """Maps (B, J, height, width) that sum to 1, around joints (B, J, 2) in pixels of the picture, with subpixel centres."""
    x = torch.arange(width, device=joints.device) + 0.5 - joints[..., :1] / STRIDE
    y = torch.arange(height, device=joints.device) + 0.5 - joints[..., 1:] / STRIDE
    across, down = torch.softmax(-(x**2) / (2 * sigma**2), -1), torch.softmax(-(y**2) / (2 * sigma**2), -1)
    return down[..., :, None] * across[..., None, :]


def place_loss(maps: Tensor, batch: Batch, sigma: float, hidden: float) -> Tensor:
    """Cross entropy of maps (B, J, h, w) against Gaussians, less the Gaussians' own entropy: mean over joints with weight 1 if
    visible, `hidden` if hidden, and 0 otherwise."""
    height, width = maps.shape[2:]
    target = gaussians(batch.joints, height, width, sigma).flatten(2)
    spread = -torch.special.xlogy(target, target).sum(-1)
    excess = -(target * maps.flatten(2).log_softmax(-1)).sum(-1) - spread
    weight = (batch.state == VISIBLE).float() + hidden * (batch.state == HIDDEN).float()
    return (excess * weight).sum() / weight.sum().clamp(min=1)


def blank_loss(maps: Tensor, batch: Batch) -> Tensor:
    """Entropy of maps (B, J, h, w) of joints OUTSIDE of the picture, below that of a flat map: mean over these joints.

    Without this loss such maps are arbitrary, and a teacher passes the arbitrary positions of legs outside of the picture on
    (docs/training.md).
    """
    mass = maps.flatten(2).log_softmax(-1)
    said = math.log(mass.shape[-1]) + (mass.exp() * mass).sum(-1)
    outside = (batch.state == OUTSIDE).float()
    return (said * outside).sum() / outside.sum().clamp(min=1)


def spatial_loss(output: SpatialOutput, batch: Batch, recipe: Recipe) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of `place_loss`, `blank_loss` and the cross entropy of the visibility logit, and its parts. Joints of
    UNKNOWN state have no part in it."""
    place = place_loss(output.maps, batch, recipe.sigma, recipe.hidden)
    blank = blank_loss(output.maps, batch)
    labelled = (batch.state != UNKNOWN).float()
    flags = F.binary_cross_entropy_with_logits(output.hidden, (batch.state != VISIBLE).float(), reduction="none")
    unseen = (flags * labelled).sum() / labelled.sum().clamp(min=1)
    parts = {"maps": float(place.detach()), "blank": float(blank.detach()), "hidden": float(unseen.detach())}
    return place + recipe.blank * blank + recipe.flag * unseen, parts
