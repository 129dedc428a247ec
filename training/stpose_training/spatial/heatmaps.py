"""Sub-pixel positions of joints from batches of heat maps on the training device: as `stpose_core.detect.heatmaps`, in torch.

Source: Zhang et al., Distribution-aware coordinate representation for human pose estimation (CVPR 2020): the logarithm of a
Gaussian is a parabola, so one step of Newton's method from the highest pixel leads to its centre, without bias to the pixel grid.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.skeletons import H36M17

_BLUR = (0.06136, 0.24477, 0.38774, 0.24477, 0.06136)  # Gaussian of sigma 1: the curvature of raw maps is noisy


def with_mirrored(maps: Tensor, hidden: Tensor, other_maps: Tensor, other_hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the outputs for pictures and their mirror images: log of the maps' mass (B, J, h, w), and hidden logits (B, J)."""
    order = list(H36M17.mirror)
    mirrored = other_maps[:, order].flip(-1).flatten(2).log_softmax(-1)
    both = torch.logaddexp(maps.flatten(2).log_softmax(-1), mirrored).view_as(maps)
    return both, (hidden + other_hidden[:, order]) / 2


def decode(maps: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Logits of maps (B, J, h, w) -> places (B, J, 2) in pixels of the picture, and the share (B, J) of each map's mass that lies
    within three pixels of the highest."""
    batch, joints, height, width = maps.shape
    mass = maps.float().flatten(2).softmax(-1).view(batch * joints, height, width)
    smooth = _blur(height).to(mass) @ mass @ _blur(width).to(mass).T
    peak = smooth.flatten(1).argmax(1)
    row, column = torch.div(peak, width, rounding_mode="floor"), peak % width
    height_at = F.pad(smooth.clamp(min=1e-12).log()[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    index = torch.arange(len(peak), device=maps.device)

    def at(dy: int, dx: int) -> Tensor:
        return height_at[index, row + 1 + dy, column + 1 + dx]

    slope = torch.stack([at(0, 1) - at(0, -1), at(1, 0) - at(-1, 0)], -1) / 2
    xx, yy = at(0, 1) - 2 * at(0, 0) + at(0, -1), at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    area = xx * yy - xy * xy
    # There is a peak to step to only if the map curves downwards in every direction.
    peak = (xx < 0) & (area > 1e-6)
    safe = torch.where(peak, area, torch.ones_like(area))
    step = -torch.stack([yy * slope[:, 0] - xy * slope[:, 1], xx * slope[:, 1] - xy * slope[:, 0]], -1) / safe[:, None]
    step = torch.where(peak[:, None], step.clamp(-1, 1), torch.zeros_like(step))
    places = (torch.stack([column, row], -1) + 0.5 + step) * stride
    reach = torch.arange(7, device=maps.device)
    around = F.pad(mass, (3, 3, 3, 3))[index[:, None, None], row[:, None, None] + reach[:, None], column[:, None, None] + reach]
    return places.view(batch, joints, 2), around.sum((1, 2)).clamp(max=1).view(batch, joints)


@lru_cache(maxsize=16)
def _blur(length: int) -> Tensor:
    """(length, length) matrix that smooths a line. It is many times as fast as a convolution of few maps. The ends of a line are
    extended with their values."""
    rows, matrix = torch.arange(length), torch.zeros(length, length)
    for step, share in enumerate(_BLUR):
        matrix[rows, (rows + step - len(_BLUR) // 2).clamp(0, length - 1)] += share
    return matrix
