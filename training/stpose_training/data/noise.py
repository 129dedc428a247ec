"""The error model of a 2D detector: position noise that is coupled to the reported score.

Each joint has a difficulty, most of which is constant over a take. Position errors are a constant bias per take (the detector's
own definition of the joint), a slow drift, fast jitter and rare large errors; drift and jitter grow with difficulty, and the
score falls with it. Units: the person's angular size (see stpose_core.lift.normalise), about 0.95 m for an adult.

Fitted to a real detector on footage with a reference; `python -m stpose_training.data.fit_noise` prints the agreement.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpose_training.data.bodies import Random

# Per joint in the order of h36m17, for a clearly visible joint: constant bias, slow drift and fast jitter (standard deviation along
# each axis), and the difficulty at which the score falls. Shoulders, hips and limbs are fitted; pelvis, spine, neck and head had no
# reference and get the values of their neighbours.
_BIAS = (0.014, 0.016, 0.004, 0.006, 0.016, 0.004, 0.006, 0.014, 0.014, 0.016, 0.016, 0.016, 0.004, 0.006, 0.016, 0.004, 0.006)
_DRIFT = (0.010, 0.013, 0.015, 0.015, 0.013, 0.015, 0.015, 0.012, 0.012, 0.015, 0.015, 0.013, 0.015, 0.015, 0.013, 0.015, 0.015)
_JITTER = (0.003, 0.004, 0.004, 0.005, 0.004, 0.004, 0.005, 0.003, 0.003, 0.004, 0.005, 0.004, 0.005, 0.006, 0.004, 0.005, 0.006)
_CLEAR = (2.4, 2.4, 1.0, 0.8, 2.4, 1.0, 0.8, 2.4, 2.4, 2.0, 2.0, 2.4, 1.0, 0.8, 2.4, 1.0, 0.8)
# Highest score of the fitted detector.
_CEILING = 0.83
# Joints whose difficulty is correlated.
_PARTS = (0, 0, 1, 1, 0, 2, 2, 0, 0, 3, 3, 0, 4, 4, 0, 5, 5)
# Joints that detectors do not report are computed from others (see stpose_core.conversions) and share their errors:
# (joint, share of its own error, share of the mean error of the others, the others).
_MADE = ((0, 0.5, 1.0, (1, 4)), (7, 0.5, 1.0, (1, 4, 11, 14)), (8, 0.6, 1.0, (11, 14)), (10, 0.6, 0.8, (9,)))


def correlated(random: Random, frames: int, keep: float, *shape: int) -> Tensor:
    """(B, T, ...) unit-variance noise, a first-order autoregression with coefficient `keep`, computed by convolution."""
    taps = min(frames, max(2, round(4 / (1 - keep))))
    kernel = keep ** torch.arange(taps - 1, -1, -1, device=random.device, dtype=torch.float32)
    kernel = kernel / kernel.square().sum().sqrt()
    batch, rest = shape[0], shape[1:]
    count = int(torch.tensor(rest).prod()) if rest else 1
    white = random.normal(batch * count, 1, frames + taps - 1)
    noise = torch.nn.functional.conv1d(white, kernel.reshape(1, 1, -1))
    return noise.reshape(batch, count, frames).transpose(1, 2).reshape(batch, frames, *rest)


def detect(rays: Tensor, size: Tensor, random: Random, variety: float = 1.0) -> tuple[Tensor, Tensor]:
    """rays: (B, T, 17, 2) true; size: (B, T) the person's angular size -> noisy rays and scores (B, T, 17) in 0..1.

    variety: spread of the noise level between takes; with 0, all takes are as noisy as the fitted footage.
    """
    batch, frames, joints = rays.shape[:3]
    device = rays.device

    def drawn(middle: float, spread: float) -> Tensor:
        return middle * torch.exp(variety * random.uniform(-spread, spread, batch))[:, None, None]

    def each(numbers: tuple[float, ...]) -> Tensor:
        return torch.tensor(numbers, device=device)[None, None, :, None]

    # The fitted footage lies in the middle of these ranges: other detectors and small or blurred people give more noise.
    level, own, growth, ceiling = drawn(1.0, 0.9), drawn(1.0, 0.7), drawn(2.0, 0.7), drawn(_CEILING, 0.18)
    # Limbs that are turned away stay hard to detect for a long time, so most of the difficulty is constant over a take.
    lasting = 0.6 * random.normal(batch, 1, joints) + 0.8 * random.normal(batch, 1, max(_PARTS) + 1)[..., list(_PARTS)]
    passing = correlated(random, frames, 0.95, batch, joints)
    hard = 0.85 * lasting + 0.7 * passing + 0.5 * level.log() - torch.tensor(_CLEAR, device=device)
    hard = torch.nn.functional.softplus(hard, beta=2.5).clamp_max(1.6)
    rare = (correlated(random, frames, 0.7, batch, joints) > 2.9 - hard) & random.chance(0.5, batch)[:, None, None]

    bias = own.unsqueeze(-1) * each(_BIAS) * random.normal(batch, 1, joints, 2)
    drift = each(_DRIFT) * correlated(random, frames, 0.92, batch, joints, 2)
    quick = each(_JITTER) * correlated(random, frames, 0.5, batch, joints, 2)
    wrong = 0.35 * rare.unsqueeze(-1) * correlated(random, frames, 0.85, batch, joints, 2)
    drift, quick = drift * (1 + growth * hard).unsqueeze(-1), quick * (1 + 0.4 * growth * hard).unsqueeze(-1)
    error = bias + level.unsqueeze(-1) * (drift + quick + wrong)
    for joint, alone, shared, others in _MADE:
        error[:, :, joint] = alone * error[:, :, joint] + shared * error[:, :, list(others)].mean(2)
    sure = torch.exp(-1.2 * hard - 0.02 * random.normal(batch, frames, joints).abs()) * (1 - 0.2 * rare.float())
    score = ceiling * sure
    # Some detectors report nearly constant scores, so the network must not rely on them.
    flat = random.chance(0.15 * variety, batch)[:, None, None]
    score = torch.where(flat, ceiling + 0.02 * random.normal(batch, frames, joints), score)
    return rays + error * size[..., None, None], score.clamp(0.16, 1.0)
