"""A small folder of marker mocap in the layout that training reads: a figure whose limbs swing."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stpose_training.data import bodies
from stpose_training.data.bodies import Random
from stpose_training.data.mocap import MotionBank

if TYPE_CHECKING:
    import pytest  # tools/test_wheel.py writes the folder where pytest is not installed

REST = np.array(
    [(0, 0, 0.95), (-0.1, 0, 0.9), (-0.1, 0.02, 0.5), (-0.1, 0, 0.1), (0.1, 0, 0.9), (0.1, 0.02, 0.5), (0.1, 0, 0.1)]
    + [(0, 0, 1.15), (0, 0, 1.4), (0, 0.05, 1.5), (0, 0, 1.65), (0.17, 0, 1.38), (0.3, 0.0, 1.15), (0.35, 0.1, 0.95)]
    + [(-0.17, 0, 1.38), (-0.3, 0.0, 1.15), (-0.35, 0.1, 0.95)],
    dtype=np.float32,
)  # facing +y: its left is -x in the mocap's axes, so left joints get x < 0 below
REST[:, 0] *= -1


def moving(frames: int, seed: int) -> np.ndarray:
    """A figure whose limbs swing about their joints with constant bone lengths."""
    random = Random(seed)
    posture = bodies.take_apart(torch.from_numpy(REST)[None, None].expand(1, frames, 17, 3).contiguous())
    return bodies.put_together(bodies.perturb(posture, random, share=1.0))[0].numpy()


def kept_banks(monkeypatch: pytest.MonkeyPatch, training: ModuleType) -> list[MotionBank]:
    """The banks of motions that a training module makes from now on, in this order."""
    banks: list[MotionBank] = []

    class Kept(MotionBank):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            banks.append(self)

    monkeypatch.setattr(training, "MotionBank", Kept)
    return banks


def write_folder(path: Path) -> Path:
    """Six clips to train on, two to validate on, and two of another source; returns the folder."""
    rows = []
    for part, split, count in (("free", "train", 6), ("free", "validation", 2), ("by-sa", "validation", 2)):
        file = f"{part}_{split}.npz"
        names = [f"{part}_{split}_{number}" for number in range(count)]
        np.savez(path / file, **{name: moving(80 + 10 * number, number) for number, name in enumerate(names)})
        rows += [{"clip": n, "subject": n, "action": "swing", "split": split, "part": part, "file": file} for n in names]
    with (path / "index.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
