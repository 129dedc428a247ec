"""What decides a training run of the spatial network beside its data. Importing this loads no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

from stpose_core.errors import TrainingError

_FREE = ("samples", "batch", "threads", "judge_every", "save_every", "settle", "coarse", "alone", "trust", "compiled", "workers")


@dataclass(frozen=True)
class Recipe:
    """Lengths are in samples seen, so that a run may go on on another machine with other batches.

    samples: the whole run. batch: samples a step. rate: of AdamW at batches of 32; it grows with the root of the batch. kernels:
    how many times that is the rate of Muon. settle: last share of the run, in which the rate falls to nothing. warmup, and ema, how
    far back averaged weights reach: samples.
    coarse: share of the run, its first, that sees pictures at half the network's size, at a quarter of the price. recomposed: share
    of samples with other surroundings or other people put into them. others: whether there may be people beside the subject.
    deserted: share of samples in which nobody is: from these the network learns when it sees no person.
    hardening: share of the run, its first, in which the hardest samples become ever harder: turned, cut off, covered, recomposed.
    alone: share of the run before footage joins in; unlabelled: samples of footage to one rendered, from then on; trust: least
    share of a joint's map around its peak for the place that the averaged weights find to be learned from.
    sigma: of the Gaussians that maps learn, in pixels of a map. hidden: weight of places of hidden joints against visible ones.
    blank: weight of the loss of maps of joints outside of the picture. flag: weight of the loss of the hidden-or-visible logit.
    save_every: seconds between checkpoints.
    held: whether norms keep the statistics that they begin with (those of a network that has been taught before).
    compiled: whether torch compiles the network first, for which it needs a C++ compiler: minutes at the start, then a quarter less
    time a step on a processor.
    workers: processes that draw samples, with half as many again for footage; 0: threads of the process that trains do.
    """

    samples: int = 2_000_000
    batch: int = 32
    rate: float = 1.5e-3
    kernels: float = 4.0
    weight_decay: float = 0.02
    warmup: int = 20_000
    settle: float = 0.3
    ema: int = 20_000
    coarse: float = 0.7
    recomposed: float = 0.5
    hardening: float = 0.5
    others: bool = True
    deserted: float = 0.1
    alone: float = 0.5
    unlabelled: float = 0.1
    trust: float = 0.6
    sigma: float = 1.5
    hidden: float = 0.5
    blank: float = 0.1
    flag: float = 0.1
    precision: str = "bf16-mixed"
    seed: int = 0
    threads: int = 1
    judge_every: int = 20_000
    save_every: float = 120
    held: bool = False
    compiled: bool = False
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "batch", "threads", "judge_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("coarse", "recomposed", "hardening", "deserted", "alone", "unlabelled", "trust"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    def going_on(self) -> Recipe:
        """For a network that was taught before: full size, hard samples, footage and a falling rate from the first, norms held."""
        return replace(self, coarse=0.0, hardening=0.0, alone=0.0, settle=1.0, held=True)

    def identity(self) -> dict[str, object]:
        """What must be the same for a run that goes on from another's checkpoint."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}

    def learning_rate(self, seen: int) -> float:
        """Warm-up, then constant, then a straight fall: a run's length may be changed while it is constant."""
        left = (self.samples - seen) / max(1.0, self.settle * self.samples)
        factor = min(1.0, (seen + self.batch) / max(1, self.warmup), max(0.01, left))
        return self.rate * math.sqrt(self.batch / 32) * factor

    def size(self, seen: int, full: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the pictures that follow after so many samples."""
        return (full[0] // 2, full[1] // 2) if seen < self.coarse * self.samples else full

    def hardness(self, seen: int) -> float:
        """0..1 how hard samples are after so many: from plain views to what the network must bear."""
        return min(1.0, seen / (self.hardening * self.samples)) if self.hardening else 1.0

    def joined(self, seen: int) -> bool:
        """Whether footage takes part after so many samples."""
        return seen >= self.alone * self.samples

    def decay(self, steps: int) -> float:
        """Of the averaged weights, over so many steps."""
        return math.exp(-steps * self.batch / self.ema)
