"""Errors of a detector when another person passes in front of the person.

While the other covers a joint, a detector reports it on the other's body, or somewhere near, or says that it is hidden. Which of
these happens differs by clip and joint, and a score says little about it. The numbers are guesses of this project: a passage lasts
0.3 to 2 s at 30 frames a second, and now and then the other stops in front.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stpose_training.data.bodies import Random
from stpose_training.data.noise import correlated

# Bones that cover what is behind them, by their ends, and how far to their sides, in sizes of the other person.
_BONES = ((0, 8), (8, 10), (1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16), (1, 4), (11, 14))
_WIDTH = (0.20, 0.13, 0.10, 0.07, 0.10, 0.07, 0.06, 0.05, 0.06, 0.05, 0.14, 0.10)
_POINTS = 5  # along a bone
_TAKEN, _GUESSED = 0.3, 0.35  # shares of covered joints reported on the other's body, and near their own place; others are hidden
_AWAY = 0.25  # person sizes along each axis, of the guesses


def overlap(rays: Tensor, score: Tensor, size: Tensor, random: Random, share: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Lets the person of another sample pass in front, in a `share` of the samples.

    rays: (B, T, 17, 2); score: (B, T, 17); size: (B, T) the person's angular size. Returns rays, score (0 where a joint is reported
    as hidden) and which joints are covered (B, T, 17).
    """
    batch, frames = score.shape[:2]
    device = score.device
    taking = random.chance(share, batch)[:, None, None]
    own = rays.mean(2, keepdim=True)
    scale = size[:, :, None, None]
    # The other's body, in units of its own size, as large as this person or nearer to the camera.
    other = rays.roll(1, 0) - rays.roll(1, 0).mean(2, keepdim=True)
    large = torch.exp(random.uniform(0.0, 0.4, batch))[:, None, None, None] * scale
    other = other / size.roll(1, 0)[:, :, None, None] * large

    # It crosses at some moment, at a speed in person sizes a frame; one in four stops there.
    time = torch.arange(frames, device=device)[None] - (random.uniform(0.1, 0.9, batch) * frames)[:, None]
    lasts = random.uniform(10, 60, batch)[:, None]
    across = time / lasts * torch.sign(random.normal(batch))[:, None]
    stopping = random.chance(0.25, batch)[:, None]
    across = torch.where(stopping, torch.sign(across) * (across.abs() - 0.5).clamp_min(0), across)
    beside = torch.stack((across, 0.1 * random.normal(batch, 1).expand(-1, frames)), -1)
    other = other + own + beside[:, :, None] * scale

    covered = torch.zeros_like(score, dtype=torch.bool)
    along = torch.linspace(0, 1, _POINTS, device=device)[:, None]
    for (start, stop), width in zip(_BONES, _WIDTH):
        body = other[:, :, start, None].lerp(other[:, :, stop, None], along)
        near = torch.cdist(rays.flatten(0, 1), body.flatten(0, 1)).amin(-1).reshape(score.shape)
        covered |= near < width * large[..., 0]
    covered &= taking

    # What happens to a covered joint stays the same for a while, and is much alike for the joints of one clip.
    mood = 0.7 * random.normal(batch, 1, 1) + 0.5 * random.normal(batch, 1, 17) + 0.5 * correlated(random, frames, 0.95, batch, 17)
    rank = torch.special.ndtr(mood / math.sqrt(0.99))
    taken, guessed = covered & (rank < _TAKEN), covered & (rank >= _TAKEN) & (rank < _TAKEN + _GUESSED)
    off = 0.7 * random.normal(batch, 1, 17, 2) + 0.7 * correlated(random, frames, 0.9, batch, 17, 2)
    rays = torch.where(taken.unsqueeze(-1), other, rays)
    rays = torch.where(guessed.unsqueeze(-1), rays + _AWAY * scale * off, rays)
    low = random.uniform(0.15, 0.9, batch, 1, 17)
    score = torch.where((taken | guessed) & (score > 0), (score * low).clamp_min(0.05), score)
    return rays, torch.where(covered & ~taken & ~guessed, torch.zeros_like(score), score), covered
