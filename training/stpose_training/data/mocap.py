"""Marker mocap as positions of 17 joints: reading the folder, and drawing windows from it.

The folder holds `index.csv` (a row a clip: clip, subject, split, part, file, fps 30) and npz files with a (T, 17, 3) array a
clip: metres, z up, right-handed, Human3.6M order.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpose_core.errors import FormatError

MOCAP_FPS = 30.0


@dataclass(frozen=True)
class Clip:
    """One take. positions: (T, 17, 3) metres, z up, 30 fps."""

    name: str
    subject: str
    action: str
    positions: np.ndarray


def load_mocap(folder: str | Path, part: str = "free", split: str = "train") -> list[Clip]:
    """All clips of one part and split. Raises FormatError where the folder does not hold what its index says."""
    folder = Path(folder)
    index = folder / "index.csv"
    if not index.is_file():
        raise FormatError(f"no mocap at {folder}: expected an index.csv there")
    with index.open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["part"] == part and row["split"] == split]
    opened: dict[str, dict[str, np.ndarray]] = {}
    clips = []
    for row in rows:
        if row["file"] not in opened:
            with np.load(folder / row["file"], allow_pickle=False) as archive:
                opened[row["file"]] = {key: archive[key] for key in archive.files}
        positions = opened[row["file"]].get(row["clip"])
        if positions is None or positions.shape[1:] != (17, 3):
            raise FormatError(f"{folder / row['file']}: no (T, 17, 3) array '{row['clip']}'")
        clips.append(Clip(row["clip"], row["subject"], row["action"], np.asarray(positions, np.float32)))
    if not clips:
        raise FormatError(f"{index}: no clip with part '{part}' and split '{split}'")
    return clips


class MotionBank:
    """All frames of many clips in one tensor, for drawing batches of windows.

    Clips are drawn with a weight of the square root of their length: long takes of one subject would otherwise rule.
    """

    def __init__(self, clips: list[Clip], device: torch.device | str = "cpu") -> None:
        self.frames = torch.from_numpy(np.concatenate([clip.positions for clip in clips])).to(device)
        lengths = torch.tensor([len(clip.positions) for clip in clips], device=device)
        self.lengths = lengths
        self.starts = torch.cumsum(lengths, 0) - lengths
        self.weights = lengths.float().sqrt()

    def windows(
        self, batch: int, frames: int, generator: torch.Generator, tempo: tuple[float, float] = (0.5, 2.0)
    ) -> Tensor:
        """(B, T, 17, 3): windows at a random place and tempo (log-uniform). Beyond a clip's ends its motion runs backwards."""
        device = self.frames.device
        clip = torch.multinomial(self.weights, batch, replacement=True, generator=generator)
        draw = torch.rand(batch, 2, generator=generator, device=device)
        low, high = float(np.log(tempo[0])), float(np.log(tempo[1]))
        # Slightly more weight on the true tempo: the sum of two uniform draws peaks in the middle.
        speed = torch.exp(low + (high - low) * (draw[:, 0] + torch.rand(batch, generator=generator, device=device)) / 2)
        length = self.lengths[clip]
        centre = draw[:, 1] * (length - 1)
        when = centre[:, None] + speed[:, None] * (torch.arange(frames, device=device) - frames / 2)
        period = 2 * (length[:, None] - 1).clamp_min(1)
        when = when.remainder(period)
        when = torch.minimum(when, period - when)
        before = when.floor().long().clamp_max((length - 1)[:, None])
        after = torch.minimum(before + 1, (length - 1)[:, None])
        part = (when - before).clamp(0, 1)[..., None, None]
        first = self.starts[clip][:, None]
        return self.frames[first + before] * (1 - part) + self.frames[first + after] * part
