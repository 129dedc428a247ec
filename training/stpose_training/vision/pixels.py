"""Pictures as a network reads them, with changed light and colours in training."""

from __future__ import annotations

import torch
from torch import Tensor


def shown(pictures: Tensor, device: torch.device, seed: int | None = None) -> Tensor:
    """Bytes (B, H, W, 3) as a network reads them on a device: (B, 3, H, W), 0..1 minus 0.5; with a seed in changed colours."""
    floats = pictures.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255 - 0.5
    if seed is not None:
        floats = recoloured(floats, seed)
    return floats.contiguous(memory_format=torch.channels_last)


def recoloured(pictures: Tensor, seed: int) -> Tensor:
    """Pictures (B, 3, H, W) with other brightness, contrast and colour balance; some grey, some with exchanged channels."""
    generator = torch.Generator().manual_seed(seed)
    count = len(pictures)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    # All changes of a picture make one colour matrix, so that its pixels are read once.
    keep = torch.exp(0.3 * normal(1, 1))
    keep = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.06, torch.zeros_like(keep), keep)
    mixing = keep * torch.eye(3) + (1 - keep) / 3
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(count)])
    swapped = torch.eye(3)[order]
    mixing = torch.where(torch.rand(count, 1, 1, generator=generator) < 0.1, swapped @ mixing, mixing)
    mixing = mixing * torch.exp(0.15 * normal(1, 1) + 0.06 * normal(3, 1))
    shift = 0.08 * normal(1, 1) + 0.03 * normal(3, 1)
    mixed = torch.baddbmm(shift.to(pictures), mixing.to(pictures), pictures.flatten(2))
    return mixed.clamp(-0.5, 0.5).view_as(pictures)
