"""The last layers of a lifting network, in metres or projective, and the geometry of its heat maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpose_core.networks.initial import normal_
from stpose_core.networks.outputs import TemporalOutput, head_sizes, metric_output, projective_output

MAP_CELLS = 24
"""Rows and columns of a heat map."""

MAP_REACH = 1.4
"""Half the side of a map in person sizes (see stpose_core.lift.heatmaps)."""

LEAST_PEAK = 0.1
"""Minimum height of a peak; a lower maximum of a heat map is background."""


class Heads(nn.Conv1d):
    """(B, C, T) features -> TemporalOutput, by one linear map per frame."""

    def __init__(self, channels: int, joints: int, contacts: int = 0, projective: bool = False) -> None:
        self.sizes = head_sizes(joints, contacts, projective)
        super().__init__(channels, sum(self.sizes), 1)
        normal_(self.weight, std=0.002)  # outputs start near zero, because values in metres are small

    def values(self, features: Tensor) -> Tensor:
        """-> (B, T, sum of sizes)."""
        return super().forward(features).transpose(1, 2).float()

    def forward(self, features: Tensor) -> TemporalOutput:  # type: ignore[override]  # one map with several meanings
        return metric_output(self.values(features), self.sizes)


class ProjectiveHeads(Heads):
    """Heads that correct the input positions and add depths (`projective_output`)."""

    def __init__(self, channels: int, joints: int, contacts: int = 0) -> None:
        super().__init__(channels, joints, contacts, projective=True)

    def forward(  # type: ignore[override]
        self, features: Tensor, seen: Tensor | None = None, size: Tensor | None = None
    ) -> TemporalOutput:
        """seen: (B, T, J, 2) positions of the joints, arbitrary for hidden ones; size: (B, T) angular size of the person."""
        if seen is None or size is None:
            raise ValueError("a projective output needs the positions of the joints and the person's angular size")
        return projective_output(self.values(features), self.sizes, seen, size)


def cell_centres(cells: int, device: torch.device) -> Tensor:
    """(cells,) centres of a heat map's cells along x or y, in person sizes."""
    return MAP_REACH * ((torch.arange(cells, device=device) + 0.5) * (2 / cells) - 1)


def peaks(maps: Tensor) -> Tensor:
    """(B, T, J, cells, cells) heat maps -> (B, T, J, 4) joints in the form of keypoint inputs: position, height, visible.

    The position is the mean of the cells near the highest one, weighted by their values, because an argmax has no gradient.
    """
    height, best = maps.flatten(3).max(-1)
    cells = maps.shape[-1]
    index = torch.arange(cells, device=maps.device)
    row, column = best // cells, best % cells
    around = ((index - row.unsqueeze(-1)).abs() <= 2).unsqueeze(-1) & ((index - column.unsqueeze(-1)).abs() <= 2).unsqueeze(-2)
    weight = maps * around
    weight = weight / weight.sum((-1, -2), keepdim=True).clamp_min(1e-6)
    axis = cell_centres(cells, maps.device)
    place = torch.stack(((weight.sum(-2) * axis).sum(-1), (weight.sum(-1) * axis).sum(-1)), -1)
    visible = (height > LEAST_PEAK).to(maps.dtype).unsqueeze(-1)
    return torch.cat((place, height.unsqueeze(-1), torch.ones_like(visible)), -1) * visible


SUMMARY = 10
"""Numbers of a map that `summaries` gives."""


def summaries(maps: Tensor) -> Tensor:
    """(B, T, J, cells, cells) heat maps -> (B, T, J, SUMMARY), zero for an empty map.

    Position and height of the peak, also where it is too low to count as visible; mean and standard deviation of the whole map
    along x and y; height of the second maximum against the first, and its position times that. Positions in person sizes.
    """
    cells = maps.shape[-1]
    axis = cell_centres(cells, maps.device)
    height, best = maps.flatten(3).max(-1)
    there = height > 1e-3
    scaled = maps / height.clamp_min(1e-3)[..., None, None]
    row, column = best // cells, best % cells
    index = torch.arange(cells, device=maps.device)
    down, across = (index - row.unsqueeze(-1)).abs(), (index - column.unsqueeze(-1)).abs()
    rest = scaled * ~((down <= 3).unsqueeze(-1) & (across <= 3).unsqueeze(-2))
    second, other = rest.flatten(3).max(-1)
    columns, rows = scaled.sum(-2), scaled.sum(-1)
    total = rows.sum(-1, keepdim=True).clamp_min(1e-3)
    mean = torch.cat(((columns * axis).sum(-1, keepdim=True), (rows * axis).sum(-1, keepdim=True)), -1) / total
    squares = torch.cat(((columns * axis**2).sum(-1, keepdim=True), (rows * axis**2).sum(-1, keepdim=True)), -1) / total
    wide = (squares - mean**2).clamp_min(0).sqrt()
    peak = torch.stack((axis[column], axis[row]), -1)
    aside = torch.stack((axis[other % cells], axis[other // cells]), -1) * second.unsqueeze(-1)
    numbers = torch.cat((peak, height.unsqueeze(-1), mean, wide, second.unsqueeze(-1), aside), -1)
    return numbers * there.unsqueeze(-1)
