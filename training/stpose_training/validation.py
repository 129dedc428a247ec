"""The lifter's error on held-out motion while it is trained: fixed cameras and noise, batches that stay in memory.

What a user gets is measured by stpose_training.evaluate; this is its quick relative, for curves.
"""

from __future__ import annotations

from pathlib import Path

import torch

from stpose_core.metrics import acceleration_error, mpjpe, pa_mpjpe
from stpose_core.networks.lifting import LiftingNetwork
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch, observe

REACH = 64
"""Frames drawn on each side of the outputs: networks that need no more are all shown the same."""


def fixed_batches(bank: MotionBank, reach: int, count: int = 6, size: int = 24, maps: bool = False) -> list[Batch]:
    """Recorded motions as they are, at their own tempo, fixed cameras and detector-like noise, nothing masked. maps: with heat
    maps of them."""
    random = Random(20_040, bank.frames.device)
    drawn = max(reach, REACH)
    result = []
    for _ in range(count):
        positions = bank.windows(size, 128 + 2 * drawn + 32, random.generator, tempo=(0.999, 1.001))
        batch = observe(film(positions, random), random, drawn, severity=0.0, share=0.0, maps=maps)
        result.append(batch.narrowed(drawn - reach))
    return result


def held_out(data: Path, reach: int, device: torch.device | str, count: int = 6, maps: bool = False) -> dict[str, list[Batch]]:
    """Batches of subjects that training never sees: CMU's validation split, and HDM05, of other people in another studio."""
    sets = {"cmu_validation": ("free", "validation"), "hdm05": ("by-sa", "validation")}
    banks = {name: MotionBank(load_mocap(data, *which), device) for name, which in sets.items()}
    return {name: fixed_batches(bank, reach, count, maps=maps) for name, bank in banks.items()}


@torch.no_grad()
def validate(network: LiftingNetwork, data: list[Batch]) -> dict[str, float]:
    """MPJPE, PA-MPJPE and acceleration error, all in mm, of batches in memory."""
    network.eval()
    predicted, true = [], []
    for batch in data:
        predicted.append(network(batch.inputs, batch.context).pose.cpu())
        true.append(batch.pose.cpu())
    p, t = torch.cat(predicted).double().numpy(), torch.cat(true).double().numpy()
    network.train()
    measured = {"mpjpe": mpjpe(p, t), "pa_mpjpe": pa_mpjpe(p, t), "acceleration": acceleration_error(p, t)}
    return {name: round(1000 * value, 2) for name, value in measured.items()}
