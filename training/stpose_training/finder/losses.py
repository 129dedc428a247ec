"""The losses of the finder: peaks at the centres of people, overlap of boxes, and the direction of trunks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.networks.configs import CELL
from stpose_core.networks.finder import FinderOutput
from stpose_training.finder.feed import FOUND, UNCLEAR, FrameBatch
from stpose_training.finder.recipe import Recipe

_SPREAD, _SHARPEST = 0.1, 0.6  # of a peak: share of the box's side, and at least so many cells
_NEAR = 0.3  # height of a peak from which a cell predicts the box


@dataclass(frozen=True)
class Target:
    """centre: (B, h, w) heights of peaks, 1 in the cells of people's centres. known: (B, h, w) 0 where it is unclear whether there
    is a person to find. owner: (B, h, w) index of the person whose peak is the highest in a cell."""

    centre: Tensor
    known: Tensor
    owner: Tensor


def targets(batch: FrameBatch, height: int, width: int) -> Target:
    """Targets for maps of that size. Peaks scale with the width and height of people (TTFNet, Liu et al., AAAI 2020)."""
    x = (torch.arange(width, device=batch.boxes.device) + 0.5) * CELL
    y = (torch.arange(height, device=batch.boxes.device) + 0.5) * CELL
    left, top, right, bottom = batch.boxes[..., None].unbind(2)

    def along(axis: Tensor, low: Tensor, high: Tensor) -> Tensor:
        middle = (((low + high) / 2 / CELL).floor() + 0.5) * CELL
        return torch.exp(-0.5 * ((axis - middle) / (_SPREAD * (high - low)).clamp(min=_SHARPEST * CELL)) ** 2)

    each = along(y, top, bottom)[..., :, None] * along(x, left, right)[..., None, :]
    each = each * (batch.who == FOUND)[..., None, None]
    centre, owner = each.max(1)
    in_x, in_y = (x >= left) & (x <= right), (y >= top) & (y <= bottom)
    unclear = (in_y[..., :, None] & in_x[..., None, :] & (batch.who == UNCLEAR)[..., None, None]).any(1)
    return Target(centre, (~unclear).float(), owner)


def finder_loss(output: FinderOutput, batch: FrameBatch, recipe: Recipe) -> tuple[Tensor, dict[str, float]]:
    """Focal loss of the centres (Law and Deng, CornerNet, ECCV 2018), -log of the overlap of boxes (Yu et al., UnitBox, 2016), and
    the cosine of the directions -> their weighted sum, and the parts."""
    height, width = output.centre.shape[1:]
    target = targets(batch, height, width)
    peak = (target.centre == 1).float()
    sure = output.centre.sigmoid()
    missed = (1 - sure) ** 2 * F.softplus(-output.centre) * peak
    false = (1 - target.centre) ** 4 * sure**2 * F.softplus(output.centre) * (1 - peak) * target.known
    count = peak.sum().clamp(min=1)
    centre = (missed.sum() + false.sum()) / count

    rows = torch.arange(len(batch.boxes), device=batch.boxes.device)[:, None, None]
    boxes, up = batch.boxes[rows, target.owner], batch.up[rows, target.owner]  # (B, h, w, 4), (B, h, w, 2)
    weight = target.centre * (target.centre > _NEAR)
    x = (torch.arange(width, device=weight.device) + 0.5) * CELL
    y = ((torch.arange(height, device=weight.device) + 0.5) * CELL)[:, None]
    true = torch.stack([x - boxes[..., 0], y - boxes[..., 1], boxes[..., 2] - x, boxes[..., 3] - y], 1)
    # A cell beside a thin person may lie outside of the box, whose sides cannot be negative.
    weight = weight * (true > 0).all(1)
    overlap = _overlap(output.sides, true.clamp(min=1e-3))
    box = (-(overlap.clamp(min=1e-4)).log() * weight).sum() / weight.sum().clamp(min=1)

    clear = weight * (up.abs().sum(-1) > 0)
    direction = F.normalize(output.up, dim=1, eps=1e-3)
    turned = 1 - (direction * up.movedim(-1, 1)).sum(1)
    upright = (turned * clear).sum() / clear.sum().clamp(min=1)
    parts = {"centre": float(centre.detach()), "box": float(box.detach()), "up": float(upright.detach())}
    return centre + recipe.box * box + recipe.up * upright, parts


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union (B, h, w) of boxes, given as distances (B, 4, h, w) of their sides from the same cells."""
    both = torch.minimum(one, other)
    shared = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])

    def area(sides: Tensor) -> Tensor:
        return (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])

    return shared / (area(one) + area(other) - shared).clamp(min=1e-6)
