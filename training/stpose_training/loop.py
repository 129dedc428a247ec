"""What all training runs share: the device and its processes, averaged weights, batch norms, and the loop over batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from stpose_core.errors import TrainingError
from stpose_core.extras import how_to_install
from stpose_training.journal import Journal
from stpose_training.precision import pays_in_bfloat16

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def make_fabric(device: str = "auto", precision: str = "bf16-mixed") -> Fabric:
    """Lightning Fabric, launched: device, precision, and communication between the processes that torchrun started.

    device: "auto", "cpu", "cuda" or "mps". precision: "32-true", or "bf16-mixed", which is used only where the device is faster
    in it. Raises TrainingError if the package or the device is missing.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise TrainingError(f"training needs Lightning Fabric ({error}); {how_to_install('train')}") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if precision == "bf16-mixed" and not pays_in_bfloat16(device):
        precision = "32-true"
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    try:
        fabric = Fabric(
            accelerator=device,
            devices=local,
            num_nodes=max(1, world // local),
            strategy="ddp" if world > 1 else "auto",
            precision=precision,
        )
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"cannot train on '{device}': {error}") from error
    fabric.launch()
    return fabric


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average of a tensor. Early steps are forgotten sooner: the decay is min(decay, (1 + n) / (10 + n))."""

    def average(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        keep = _kept(decay, count)
        return mean + (1 - keep) * (now - mean) if mean.is_floating_point() else now

    return average


def moving_averages(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """As `moving_average`, for a list of tensors at once and in place: one call instead of hundreds."""

    @torch.no_grad()
    def average(means: list[Tensor], now: list[Tensor], count: Tensor | int) -> None:
        if means[0].is_floating_point():
            torch._foreach_lerp_(means, now, 1 - _kept(decay, count))
        else:
            torch._foreach_copy_(means, now)

    return average


def _kept(decay: float, count: Tensor | int) -> float:
    return min(decay, (1 + float(count)) / (10 + float(count)))


def hold_norms(network: torch.nn.Module) -> None:
    """Stops the batch norms of a network in training from updating their statistics, until `train()` is called again."""
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


class Run(Protocol):
    """A training run. step: steps done. total: steps of the whole run, as far as is known. rate: learning rate of the last step."""

    step: int

    @property
    def finished(self) -> bool:
        """Whether the length of the run is reached."""

    @property
    def total(self) -> int: ...

    @property
    def rate(self) -> float: ...

    @property
    def save_due(self) -> bool:
        """Whether a checkpoint is due after the last step."""

    @property
    def measure_due(self) -> bool:
        """Whether a measurement is due after the last step."""

    def learn(self, batch: Any) -> dict[str, float]:
        """Does one step and returns the losses."""

    def add_time(self, seconds: float) -> None:
        """Adds the time of a step, including the wait for its batch."""

    def save(self) -> None:
        """Writes the checkpoint."""


def learn_through(
    run: Run,
    batches: Generator[Any, None, None],
    journal: Journal | None,
    measure: Callable[[], None],
    more: Callable[[], bool] = lambda: True,
) -> None:
    """Steps through batches until the run is finished or `more` says no; logs, saves and measures when due, then closes the
    batches.

    journal: that of the first process; the other processes have None and neither save nor measure.
    """
    try:
        while not run.finished and more():
            began = time.monotonic()
            losses = run.learn(next(batches))
            run.add_time(time.monotonic() - began)
            if journal is None:
                continue
            journal.step(run.step, run.total, losses, run.rate)
            if run.save_due:
                run.save()
            if run.measure_due:
                measure()
    finally:
        batches.close()
