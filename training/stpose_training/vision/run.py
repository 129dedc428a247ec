"""A training run of a network that reads pictures: its state, its checkpoint and its weights file.

A run may be stopped at any moment. The same command resumes it from its last checkpoint, on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stpose_core.weights import write_weights
from stpose_training.checkpoint import check_same_run, load_start, read_checkpoint, save_checkpoint
from stpose_training.journal import Journal
from stpose_training.loop import hold_norms, learn_through, moving_averages
from stpose_training.vision.optimiser import make_optimisers
from stpose_training.vision.recipe import Paths

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Measures = dict[str, dict[str, float]]

_AVERAGED = 8  # steps from one update of the averaged weights to the next


class PictureRun:
    """The state of training. seen: samples so far; step: batches so far; seconds: training time over all sessions.

    A subclass says how to build the network, what the losses are and how many samples a batch has. kind: of the weights file.
    """

    kind: ClassVar[str]

    def __init__(self, config: Any, recipe: Any, fabric: Fabric, paths: Paths) -> None:
        self.config, self.recipe, self.fabric, self.paths = config, recipe, fabric, paths
        self.checkpoint = paths.state / "checkpoint.pt"
        saved = self._read()
        torch.manual_seed(recipe.seed)
        self.network = self.built(config).to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if paths.start and not saved:
            load_start(self.network, paths.start, self.kind)
        self.average = AveragedModel(self.network, multi_avg_fn=moving_averages(recipe.decay(_AVERAGED)), use_buffers=True)  # type: ignore[arg-type]
        self._optimisers = make_optimisers(self.network, recipe)
        self.step, self.seen, self.seconds = 0, 0, 0.0
        if saved:
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            for optimiser, state in zip(self._optimisers, saved["optimisers"]):
                optimiser.load_state_dict(state)
            self.step, self.seen, self.seconds = int(saved["step"]), int(saved["seen"]), float(saved["seconds"])
        self._before, self._saved = self.seen, time.monotonic()
        self._model = fabric.setup_module(self._compiled(self.network))
        self._teacher = self._compiled(self.averaged)

    @staticmethod
    def built(config: Any) -> nn.Module:
        """A new network of these dimensions."""
        raise NotImplementedError

    def losses(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch and its parts."""
        raise NotImplementedError

    def count(self, batch: Any) -> int:
        """Samples of a batch."""
        return len(batch.pictures)

    @property
    def finished(self) -> bool:
        """Whether the length of the run is reached."""
        return bool(self.seen >= self.recipe.samples)

    @property
    def total(self) -> int:
        """Steps of the whole run, if the batch size stays as it is."""
        return int(self.step + -(-(self.recipe.samples - self.seen) // self.recipe.batch))

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self.recipe.learning_rate(self.seen))

    @property
    def save_due(self) -> bool:
        """Whether a checkpoint is due."""
        return self.finished or time.monotonic() - self._saved >= self.recipe.save_every

    @property
    def measure_due(self) -> bool:
        """Whether a measurement is due."""
        return bool(self.finished or self.seen // self.recipe.judge_every > self._before // self.recipe.judge_every)

    @property
    def averaged(self) -> Any:
        """The network with the averaged weights."""
        return self.average.module

    def draws(self) -> int:
        """A seed for samples. The cache grows, so a resumed run draws new samples instead of repeating old ones."""
        return hash((self.recipe.seed, self.seen, self.fabric.global_rank)) % (1 << 62)

    def add_time(self, seconds: float) -> None:
        """Adds the time of a step."""
        self.seconds += seconds

    def learn(self, batch: Any) -> dict[str, float]:
        """Does one step and returns the losses."""
        self._before = self.seen
        loss, parts = self.losses(batch)
        self.network.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser, factor in zip(self._optimisers, (self.recipe.kernels, 1.0)):
            for group in optimiser.param_groups:
                group["lr"] = factor * self.recipe.learning_rate(self.seen)
            optimiser.step()
        if self.step % _AVERAGED == 0:
            self.average.update_parameters(self.network)
        self.step += 1
        self.seen += self.count(batch) * self.fabric.world_size
        return parts

    def save(self) -> None:
        """Writes the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "step": self.step,
            "seen": self.seen,
            "seconds": self.seconds,
            "config": self.config.to_dict(),
            "recipe": self.recipe.identity(),
        }
        save_checkpoint(self.checkpoint, state)
        self._saved = time.monotonic()

    def write(self, measures: Measures) -> None:
        """Writes the averaged weights (fp16) with the network's dimensions, the recipe and the measures."""
        header = {
            "network": self.config.to_dict(),
            "recipe": asdict(self.recipe),
            "samples": self.seen,
            "measures": measures,
        }
        write_weights(self.paths.output, self.averaged.state_dict(), self.kind, header)

    def _compiled(self, network: nn.Module) -> Any:
        """The network, or a compiled one with the same weights."""
        return torch.compile(network, dynamic=False) if self.recipe.compiled else network

    def _read(self) -> dict[str, Any]:
        saved = read_checkpoint(self.checkpoint, self.fabric.device)
        if saved:
            # Fields that were added to the recipe after the run began have their defaults.
            was = {**type(self.recipe)().identity(), **saved["recipe"], **saved["config"]}
            check_same_run(self.checkpoint, was, {**self.recipe.identity(), **self.config.to_dict()})
        return saved


def begun(run: PictureRun, say: Callable[[str], None]) -> Journal | None:
    """Says where a run resumes; the journal of the first process, None in the others."""
    chief = run.fabric.global_rank == 0
    if run.step and chief:
        say(f"{run.paths.state}: resumes at {run.seen} samples")
    run.fabric.barrier()
    return Journal(run.paths.state, run.step, say) if chief else None


def run_through(
    run: PictureRun,
    batches: Generator[Any, None, None],
    *,
    journal: Journal | None,
    judged: Callable[[], Measures],
    more: Callable[[], bool] = lambda: True,
    noted: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Trains on batches until the run is finished or `more` says no; saves, measures and writes weights as the recipe says.

    judged: the measures of each set. noted: what is logged beside the samples.
    """
    run.network.train()
    if run.recipe.held:
        hold_norms(run.network)

    def measure() -> None:
        if journal:
            measures = judged()
            journal.measured(run.step, run.seconds, {"seen": {"samples": run.seen, **noted}, **measures})
            run.write(measures)

    learn_through(run, batches, journal, measure, more)
