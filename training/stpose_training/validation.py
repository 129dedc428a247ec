"""The lifter's error on held-out motion during training: fixed cameras and noise, batches that stay in memory.

This is a fast approximation for learning curves; `stpose_training.evaluate` measures what a user gets.
"""

from __future__ import annotations

from pathlib import Path

import torch

from stpose_core.metrics import acceleration_error, mpjpe, pa_mpjpe
from stpose_core.networks.lifting import LiftingNetwork
from stpose_core.networks.lifting_configs import LiftingConfig, reads_maps
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.contacts import with_contacts
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch, observe
from stpose_training.losses import BENDS, flexion

REACH = 64
"""Frames drawn on each side of the outputs, so that networks of shorter reach are measured on the same samples."""


def fixed_batches(bank: MotionBank, config: LiftingConfig, count: int = 6, size: int = 24) -> list[Batch]:
    """Recorded motions at their own tempo as this network reads them: fixed cameras, detector-like noise, nothing masked."""
    random = Random(20_040, bank.frames.device)
    reach, maps = config.context, reads_maps(config)
    drawn = max(reach, REACH)
    result = []
    for _ in range(count):
        positions, contacts = bank.labelled_windows(size, 128 + 2 * drawn + 32, random.generator, tempo=(0.999, 1.001))
        batch = observe(film(positions, random), random, drawn, maps=maps, contacts=contacts, causal=config.causal)
        result.append(batch.narrowed(drawn - reach))
    return result


def held_out(data: Path, config: LiftingConfig, device: torch.device | str, count: int = 6) -> dict[str, list[Batch]]:
    """Batches of subjects that are never trained on: CMU's validation split, and HDM05, of other people in another studio."""
    sets = {"cmu_validation": ("free", "validation"), "hdm05": ("by-sa", "validation")}
    banks = {name: MotionBank(with_contacts(data, load_mocap(data, *which)), device) for name, which in sets.items()}
    return {name: fixed_batches(bank, config, count) for name, bank in banks.items()}


@torch.no_grad()
def validate(network: LiftingNetwork, data: list[Batch]) -> dict[str, float]:
    """MPJPE, PA-MPJPE and acceleration error in mm; `bent_0`, `bent_10`, ...: median error in degrees of the flexion of knees and
    elbows that are bent by that much and up to the next; `contact_f1` where contacts are known.
    """
    network.eval()
    outputs = [network(*batch.shown_to(network.config)) for batch in data]
    network.train()
    predicted, true = torch.cat([output.pose.cpu() for output in outputs]), torch.cat([batch.pose.cpu() for batch in data])
    p, t = predicted.double().numpy(), true.double().numpy()
    measured = {"mpjpe": mpjpe(p, t), "pa_mpjpe": pa_mpjpe(p, t), "acceleration": acceleration_error(p, t)}
    measures = {name: round(1000 * value, 2) for name, value in measured.items()}
    bent, off = torch.rad2deg(flexion(true)), torch.rad2deg(flexion(predicted) - flexion(true))
    for low, high in zip(BENDS, BENDS[1:]):
        chosen = off[(bent >= low) & (bent < high)]
        if len(chosen):
            measures[f"bent_{low}"] = round(float(chosen.median()), 1)
    logits, contacts = torch.cat([output.contacts.cpu() for output in outputs]), torch.cat([batch.contacts.cpu() for batch in data])
    if logits.shape[-1] and contacts.isfinite().any():
        measures["contact_f1"] = round(f1(logits, contacts), 3)
    return measures


def f1(logits: torch.Tensor, contacts: torch.Tensor) -> float:
    """F1 of contacts with a probability above 0.5, where they are known."""
    known = contacts.isfinite()
    said, true = logits[known] > 0, contacts[known] > 0.5
    return 2 * float((said & true).sum()) / max(1.0, float(said.sum() + true.sum()))
