"""What a 2D detector does to true joints: noise in place tied to the score it reports.

Each joint has a slowly changing difficulty. Place errors are a constant bias per take (what the detector thinks the joint is),
a slow drift, quick jitter and rare large errors, all growing with difficulty; the score falls with it. Units: the person's
angular size (see stpose_core.lift.normalise), about 0.9 m on a grown-up.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpose_training.data.bodies import Random

# Hips, head and spine have no visible point; wrists and ankles move most. Order of h36m17.
_BIAS = (1.0, 1.3, 0.8, 0.8, 1.3, 0.8, 0.8, 1.3, 1.0, 1.2, 1.2, 1.0, 0.8, 0.8, 1.0, 0.8, 0.8)
_JITTER = (0.7, 0.8, 1.0, 1.3, 0.8, 1.0, 1.3, 0.7, 0.7, 0.8, 0.8, 0.8, 1.1, 1.4, 0.8, 1.1, 1.4)


def _correlated(random: Random, frames: int, keep: float, *shape: int) -> Tensor:
    """(B, T, ...) unit-variance noise, each frame keeping `keep` of the last one: a first-order autoregression, by convolution."""
    taps = min(frames, max(2, round(4 / (1 - keep))))
    kernel = keep ** torch.arange(taps - 1, -1, -1, device=random.device, dtype=torch.float32)
    kernel = kernel / kernel.square().sum().sqrt()
    batch, rest = shape[0], shape[1:]
    count = int(torch.tensor(rest).prod()) if rest else 1
    white = random.normal(batch * count, 1, frames + taps - 1)
    noise = torch.nn.functional.conv1d(white, kernel.reshape(1, 1, -1))
    return noise.reshape(batch, count, frames).transpose(1, 2).reshape(batch, frames, *rest)


def detect(rays: Tensor, size: Tensor, random: Random) -> tuple[Tensor, Tensor]:
    """rays: (B, T, 17, 2) true; size: (B, T) the person's angular size -> noisy rays and scores (B, T, 17) in 0..1."""
    batch, frames, joints = rays.shape[:3]
    device = rays.device
    # Median error of a take 0.03 to 0.15 torsos: BlazePose errs by 0.06 on clear footage, by more where people are small.
    level = torch.exp(random.uniform(-2.2, 0.5, batch))[:, None, None]
    hard = (0.25 * level * _correlated(random, frames, 0.93, batch, joints).abs() ** 1.5).clamp(0, 1.2)
    rare = (_correlated(random, frames, 0.6, batch, joints) > 2.9) & random.chance(0.5, batch)[:, None, None]
    bias_weight = torch.tensor(_BIAS, device=device)[None, None, :, None]
    jitter_weight = torch.tensor(_JITTER, device=device)[None, None, :, None]
    own = torch.exp(random.uniform(-1.0, 0.5, batch))[:, None, None, None]
    bias = 0.02 * own * bias_weight * random.normal(batch, 1, joints, 2)
    drift = 0.02 * level.unsqueeze(-1) * bias_weight * _correlated(random, frames, 0.95, batch, joints, 2)
    quick = 0.012 * level.unsqueeze(-1) * jitter_weight * _correlated(random, frames, 0.4, batch, joints, 2)
    wrong = 0.4 * rare.unsqueeze(-1) * _correlated(random, frames, 0.8, batch, joints, 2)
    error = bias + (drift + quick) * (1 + 5 * hard).unsqueeze(-1) + wrong
    score = torch.exp(-1.2 * hard) * (1 - 0.4 * rare.float()) + 0.06 * random.normal(batch, frames, joints)
    # Some detectors report nearly the same score for all: then it tells nothing, and must not be relied on.
    flat = random.chance(0.15, batch)[:, None, None]
    score = torch.where(flat, 0.9 + 0.02 * random.normal(batch, frames, joints), score)
    return rays + error * size[..., None, None], score.clamp(0.16, 1.0)
