"""Errors of a detector that confuses left and right, as the built-in one does.

For some time it reports a joint at the position of its counterpart, with the other joints of the limb; and it reports arms and
legs far off when they are hard to see. Mostly one joint of a pair is reported at the other, less often both are exchanged.
Scores show only some of these errors. The rates are fitted to the built-in detector on held-out rendered people (`python -m
stpose_training.data.fit_confusion CACHE` prints both): a fifth of the knees and ankles, a third of the wrists, few hips.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import Random
from stpose_training.data.noise import correlated

# Pairs (left, right), the limbs that they belong to, and the share of frames in which a pair is confused.
PAIRS = ((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16))
_LIMBS = (0, 0, 0, 1, 1, 1)
_CONFUSED = (0.10, 0.24, 0.27, 0.15, 0.16, 0.32)
_BOTH = 0.25  # share of these in which both joints are exchanged
_FAR = (0.05, 0.07, 0.10, 0.09, 0.07, 0.10, 0.09, 0.04, 0.03, 0.04, 0.05, 0.05, 0.17, 0.23, 0.05, 0.17, 0.23)
_AWAY = 0.33  # person sizes along each axis, of joints that are reported far off
_PERSISTENCE = 0.93  # correlation of short-lived doubt from one frame to the next


def confuse(rays: Tensor, score: Tensor, size: Tensor, random: Random, share: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Confuses the sides in a `share` of the samples, in some of them much more than in others.

    rays: (B, T, 17, 2); score: (B, T, 17); size: (B, T) the person's angular size. Returns rays, score and which joints were
    displaced (B, T, 17).
    """
    batch, frames = score.shape[:2]
    taking = random.chance(share, batch)[:, None, None]
    ease = 0.7 * random.normal(batch, 1, 1)

    def doubt(groups: tuple[int, ...], lasting: float) -> Tensor:
        """(B, T, len(groups)) unit-variance noise: a part common to a sample, a part of each group, and a short-lived part."""
        together = random.normal(batch, 1, max(groups) + 1)[..., list(groups)]
        own = random.normal(batch, 1, len(groups))
        passing = correlated(random, frames, _PERSISTENCE, batch, len(groups))
        rest = math.sqrt(1 - lasting**2)
        return lasting * (0.8 * together + 0.6 * own) + rest * passing

    def beyond(shares: tuple[float, ...]) -> Tensor:
        """The threshold that doubt, with the variance of `ease` added, exceeds in that share of frames."""
        quantile = torch.special.ndtri(1 - torch.tensor(shares, device=score.device))
        return quantile * math.sqrt(1 + 0.7**2)

    margin = beyond(_CONFUSED) - doubt(_LIMBS, 0.6) - ease  # negative where a pair is confused
    confused = (margin < 0) & taking
    # Which joint of the pair is displaced changes more slowly than the confusion.
    turn = random.normal(batch, 1, 2)[..., list(_LIMBS)] + correlated(random, frames, 0.97, batch, len(PAIRS))
    both = random.chance(_BOTH, batch, 1, len(PAIRS))
    wrong, doubted = torch.zeros_like(score, dtype=torch.bool), torch.zeros_like(score)
    for pair, (left, right) in enumerate(PAIRS):
        wrong[..., left] = confused[..., pair] & (both[..., pair] | (turn[..., pair] > 0))
        wrong[..., right] = confused[..., pair] & (both[..., pair] | (turn[..., pair] <= 0))
        # Scores of both joints are low near the changes, and that of the displaced one stays low.
        doubted[..., left] = doubted[..., right] = torch.exp(-4 * margin[..., pair].square())
    near = rays[:, :, list(H36M17.mirror)] + 0.03 * size[..., None, None] * random.normal(batch, frames, 17, 2)
    rays = torch.where(wrong.unsqueeze(-1), near, rays)
    doubted = torch.maximum(doubted, wrong * random.uniform(0.2, 1.0, batch, 1, 17)) * taking

    lost = (beyond(_FAR) < doubt((0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 3, 3, 3, 4, 4, 4), 0.5) + ease) & taking & ~wrong
    off = 0.7 * random.normal(batch, 1, 17, 2) + 0.7 * correlated(random, frames, 0.85, batch, 17, 2)
    rays = rays + torch.where(lost.unsqueeze(-1), _AWAY * size[..., None, None] * off, torch.zeros_like(rays))
    score = score * (1 - 0.5 * doubted) * torch.where(lost, random.uniform(0.15, 0.6, batch, 1, 17), torch.ones_like(score))
    return rays, torch.where(score > 0, score.clamp_min(0.05), score), wrong | lost
