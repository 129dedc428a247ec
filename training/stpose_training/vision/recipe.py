"""What decides a training run on pictures, and the files of a run. Importing this loads no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from stpose_core.errors import TrainingError


@dataclass(frozen=True)
class PictureRecipe:
    """What the recipes of the spatial network and of the finder have in common. Lengths are in samples seen, so that a run can
    resume on another machine with another batch size.

    samples: length of the run. batch: samples a step, of all processes. rate: of AdamW at batches of 32; it grows with the root
    of the batch. kernels: rate of Muon, as a multiple of that of AdamW. weight_decay: of both. warmup: samples. settle: last
    share of the run, in which the rate falls to zero. ema: range of the averaged weights, samples. labelled: share of labelled
    photographs, where some are given. precision: "bf16-mixed" or "32-true". threads: of the CPU. judge_every: samples between
    measurements. save_every: seconds between checkpoints. held: whether batch norms keep their initial statistics, for a
    network that was trained before. compiled: whether torch compiles the network first, which needs a C++ compiler.
    """

    samples: int = 2_000_000
    batch: int = 32
    rate: float = 1.5e-3
    kernels: float = 4.0
    weight_decay: float = 0.02
    warmup: int = 20_000
    settle: float = 0.3
    ema: int = 20_000
    labelled: float = 0.25
    precision: str = "bf16-mixed"
    seed: int = 0
    threads: int = 1
    judge_every: int = 20_000
    save_every: float = 120.0
    held: bool = False
    compiled: bool = False

    FREE: ClassVar[frozenset[str]] = frozenset(
        ("samples", "batch", "settle", "labelled", "threads", "judge_every", "save_every", "compiled")
    )
    """Fields that may change when a run resumes."""
    SHARES: ClassVar[tuple[str, ...]] = ("labelled",)
    """Fields that lie in 0..1."""

    def __post_init__(self) -> None:
        for name in ("samples", "batch", "threads", "judge_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in self.SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        if self.precision not in ("bf16-mixed", "32-true"):
            raise TrainingError(f"precision must be bf16-mixed or 32-true, got '{self.precision}'")

    def identity(self) -> dict[str, object]:
        """The fields that must be the same when a run resumes."""
        return {name: value for name, value in asdict(self).items() if name not in self.FREE}

    def learning_rate(self, seen: int) -> float:
        """Warm-up, then constant, then a linear fall. While it is constant, the length of the run may change."""
        left = (self.samples - seen) / max(1.0, self.settle * self.samples)
        factor = min(1.0, (seen + self.batch) / max(1, self.warmup), max(0.01, left))
        return self.rate * math.sqrt(self.batch / 32) * factor

    def decay(self, steps: int) -> float:
        """Decay of the averaged weights over a number of steps."""
        return math.exp(-steps * self.batch / self.ema)


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Files of a run. cache: folder of rendered pictures, which may grow during the run. output: weights file (averaged, fp16),
    written at every measurement. state: folder of the checkpoint and the log. labelled: photographs with COCO keypoints
    (`stpose_training.data.coco`). start: weights to start from; random by default."""

    cache: Path
    output: Path
    state: Path
    labelled: Path | None = None
    start: Path | None = None
