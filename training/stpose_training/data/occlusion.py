"""Explicit occlusion training: joints masked from minor to severe (Cheng et al., AAAI 2020), seven kinds.

Kinds beyond the paper's statement, and all numbers, are decisions of this project.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, Random

KINDS = ("point", "part", "area", "frame", "run", "person", "displaced")
_LIMBS = ((2, 3), (5, 6), (12, 13), (15, 16), LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_LEG + RIGHT_LEG, (3, 6))


def _runs(random: Random, batch: int, frames: int, shortest: int, longest: Tensor) -> Tensor:
    """(B, T) one run of frames per sample, at a random position, of random length from `shortest` to its `longest`."""
    length = shortest + random.uniform(0, 1, batch) * (longest - shortest).clamp_min(0)
    start = random.uniform(0, 1, batch) * (frames - length)
    time = torch.arange(frames, device=random.device)[None]
    return (time >= start[:, None]) & (time < (start + length)[:, None])


def _some_joints(random: Random, batch: int, most: int) -> Tensor:
    """(B, 17) one to `most` joints per sample."""
    rank = torch.rand(batch, 17, generator=random.generator, device=random.device).argsort(1).argsort(1)
    count = random.uniform(1, most + 1, batch).floor()
    return rank < count[:, None]


def hide(
    rays: Tensor,
    score: Tensor,
    random: Random,
    *,
    severity: float = 1.0,
    share: float = 0.5,
    kinds: tuple[str, ...] = KINDS,
) -> tuple[Tensor, Tensor, Tensor]:
    """Masks joints in a `share` of the samples, by one or two kinds each.

    rays: (B, T, 17, 2); score: (B, T, 17); severity: 0 (minor) to 1 (severe) scales number, duration and displacement.
    kinds: those to draw from.
    Returns rays (some displaced or exchanged left/right), score (0 where masked) and wrong (B, T, 17): masked or displaced.
    """
    batch, frames = score.shape[:2]
    device = score.device
    severity = max(severity, 0.05)
    taking = random.chance(share, batch)
    kind = torch.randint(len(kinds), (batch, 2), generator=random.generator, device=device)
    second = random.chance(0.35, batch)

    def on(name: str) -> Tensor:
        number = kinds.index(name) if name in kinds else -1
        return (taking & ((kind[:, 0] == number) | ((kind[:, 1] == number) & second)))[:, None, None]

    gone = torch.zeros_like(score, dtype=torch.bool)
    rate = random.uniform(0, 0.3 * severity, batch)[:, None, None]
    # Blocks of 1 to 8 frames are hidden together, because joints disappear for several frames rather than for one.
    block = int(torch.randint(1, 9, (1,), generator=random.generator, device=device))
    coarse = torch.rand(batch, -(-frames // block), 17, generator=random.generator, device=device).repeat_interleave(block, 1)
    gone |= on("point") & (coarse[:, :frames] < rate)

    limbs = torch.zeros(len(_LIMBS), 17, dtype=torch.bool, device=device)
    for row, members in enumerate(_LIMBS):
        limbs[row, list(members)] = True
    limb = limbs[torch.randint(len(_LIMBS), (batch,), generator=random.generator, device=device)]
    long = torch.full((batch,), 20 + 110 * severity, device=device)
    gone |= on("part") & limb[:, None] & _runs(random, batch, frames, 10, long).unsqueeze(-1)

    centre = rays[:, frames // 2].mean(1)
    spread = rays[:, frames // 2].std(1) + 1e-3
    middle = centre + spread * 1.2 * random.normal(batch, 2)
    half = spread * random.uniform(0.3, 0.5 + 1.0 * severity, batch, 2)
    inside = ((rays - middle[:, None, None]).abs() < half[:, None, None]).all(-1)
    gone |= on("area") & inside & _runs(random, batch, frames, 15, long * 1.5).unsqueeze(-1)

    rate = 0.05 + 0.15 * severity * random.uniform(0, 1, batch, 1)
    whole = random.uniform(0, 1, batch, frames) < rate
    gone |= on("frame") & whole.unsqueeze(-1)
    for _ in range(2):
        run = _runs(random, batch, frames, 3, torch.full((batch,), 5 + 25 * severity, device=device))
        gone |= on("run") & run.unsqueeze(-1) & _some_joints(random, batch, 5)[:, None]
        away = _runs(random, batch, frames, 1, torch.full((batch,), 2 + 13 * severity, device=device))
        gone |= on("person") & away.unsqueeze(-1)

    wrong = torch.zeros_like(gone)
    run = _runs(random, batch, frames, 2, torch.full((batch,), 4 + 16 * severity, device=device)).unsqueeze(-1)
    joints = _some_joints(random, batch, 4)[:, None]
    far = spread[:, None, None] * severity * random.normal(batch, 1, 17, 2)
    moved = on("displaced") & run & joints & random.chance(0.5, batch)[:, None, None]
    rays = torch.where(moved.unsqueeze(-1), rays + far, rays)
    swapped = on("displaced") & run & ~moved.any(-1, keepdim=True)
    lower = torch.zeros(17, dtype=torch.bool, device=device)
    lower[[1, 2, 3, 4, 5, 6]] = True
    which = torch.where(random.chance(0.5, batch)[:, None], lower, ~lower)[:, None]
    crossed = swapped & which & random.chance(0.8, batch)[:, None, None]
    rays = torch.where(crossed.unsqueeze(-1), rays[:, :, list(H36M17.mirror)], rays)
    wrong |= moved | crossed
    # A joint that is not reported at all stays so.
    score = torch.where(wrong & (score > 0), (score * (0.5 + 0.5 * random.uniform(0, 1, batch, 1, 1))).clamp_min(0.16), score)
    return rays, torch.where(gone, torch.zeros_like(score), score), gone | wrong
