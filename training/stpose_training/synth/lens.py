"""Faults of cameras and codecs: blur, motion, exposure, colour casts, noise, block artefacts."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.data.bodies import Random

_REACH = 4  # pixels that blur reaches
# Annex K of ITU-T T.81 (JPEG): quantisation of luminance, and of colour.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMA = tuple(tuple(min(99, (17, 18, 24, 47, 99, 99, 99, 99)[max(r, c)]) for c in range(8)) for r in range(8))
_YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


def expose(linear: Tensor, random: Random, fine: float = 1.0) -> Tensor:
    """Linear pictures (B, 3, H, W) -> what a camera would store, 0..1, with its faults. fine: size of people in them,
    relative to pictures with large people; small people get weaker faults."""
    batch, device = len(linear), linear.device

    def each(values: Tensor) -> Tensor:
        return values.to(device).view(batch, -1, 1, 1)

    linear = _blurred(linear, random, fine)
    # Exposure around normal; one in twelve far too dark, as at night.
    gain = torch.exp(0.25 * random.normal(batch))
    night = random.chance(0.08, batch)
    gain = torch.where(night, gain * random.uniform(0.10, 0.45, batch), gain)
    cast = torch.exp(0.10 * random.normal(batch, 3))
    linear = linear * each(gain[:, None] * cast)
    shot = random.uniform(0, 1, batch) ** 3 * 0.012 + 0.0003 + 0.004 * night
    noise = torch.randn(linear.shape, generator=torch.Generator(device).manual_seed(_seed(random)), device=device)
    linear = linear + noise * (each(shot) * (linear.clamp(min=0) + 0.01)).sqrt()
    picture = linear.clamp(min=0).sqrt()
    contrast = torch.exp(0.15 * random.normal(batch))
    picture = (picture - 0.45) * each(contrast) + 0.45 + each(0.05 * random.normal(batch))
    # Night pictures are often brightened afterwards.
    lift = torch.where(night & random.chance(0.5, batch), random.uniform(1.0, 2.5, batch), torch.ones(batch))
    picture = picture * each(lift)
    grey = picture.mean(1, keepdim=True)
    colour = torch.where(random.chance(0.04, batch), torch.zeros(batch), torch.exp(0.25 * random.normal(batch)))
    return _compressed((grey + (picture - grey) * each(colour)).clamp(0, 1), random, fine)


def _seed(random: Random) -> int:
    return int(torch.randint(1 << 31, (1,), generator=random.generator))


def _blurred(pictures: Tensor, random: Random, fine: float) -> Tensor:
    """A third of the pictures out of focus, a sixth with motion blur."""
    batch = len(pictures)
    sigma = torch.where(random.chance(0.33, batch), random.uniform(0.4, 1.6, batch) * max(0.4, fine), torch.zeros(batch))
    length = torch.where(random.chance(0.16, batch), random.uniform(1.0, 8.0, batch) * fine, torch.zeros(batch))
    angle = random.uniform(0, math.pi, batch)
    rows = ((sigma > 0) | (length > 0)).nonzero()[:, 0]
    if not len(rows):
        return pictures
    sigma, length, angle = sigma[rows, None, None], length[rows, None, None], angle[rows, None, None]
    steps = torch.arange(-_REACH, _REACH + 1.0)
    x, y = steps[None, None], steps[None, :, None]
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    # A line of that length, smoothed across and at its ends.
    beyond = (along.abs() - length / 2).clamp(min=0)
    kernel = torch.exp(-(beyond**2 + across**2) / (2 * (sigma + 0.35) ** 2))
    kernel = (kernel / kernel.sum((1, 2), keepdim=True)).to(pictures)
    size = 2 * _REACH + 1
    stacked = pictures[rows.to(pictures.device)].flatten(0, 1)[None]
    stacked = functional.pad(stacked, (_REACH,) * 4, mode="replicate")
    done = functional.conv2d(stacked, kernel.repeat_interleave(3, 0).view(-1, 1, size, size), groups=3 * len(rows))
    out = pictures.clone()
    out[rows.to(pictures.device)] = done[0].unflatten(0, (-1, 3))
    return out


def _compressed(pictures: Tensor, random: Random, fine: float) -> Tensor:
    """Half of the pictures (sides: multiples of 8) after JPEG of quality 10 (small ones: 40) to 90."""
    rows = random.chance(0.5, len(pictures)).nonzero()[:, 0].to(pictures.device)
    if not len(rows):
        return pictures
    quality = random.uniform(50 - 40 * fine, 90, len(rows)).to(pictures)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(-1, 1, 1, 1, 1, 1)
    tables = pictures.new_tensor([_LUMA, _CHROMA, _CHROMA]).view(1, 3, 1, 8, 1, 8) * scale / 255
    k, n = torch.arange(8.0, device=pictures.device)[:, None], torch.arange(8.0, device=pictures.device)
    cosines = torch.cos((2 * n + 1) * k * math.pi / 16) * 0.5
    cosines[0] *= 0.5**0.5
    to_ycc = pictures.new_tensor(_YCC)
    values = torch.einsum("ij,bjhw->bihw", to_ycc, pictures[rows])
    blocks = values.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))
    spectrum = torch.einsum("ij,bchjwk,lk->bchiwl", cosines, blocks, cosines)
    spectrum = (spectrum / tables).round() * tables
    values = torch.einsum("ji,bchjwl,lk->bchiwk", cosines, spectrum, cosines).flatten(4, 5).flatten(2, 3)
    out = pictures.clone()
    out[rows] = torch.einsum("ij,bjhw->bihw", to_ycc.inverse(), values).clamp(0, 1)
    return out
