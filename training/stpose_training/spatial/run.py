"""Trains the spatial network on a folder of rendered pictures (`stpose train spatial`), on a processor or a GPU.

A run that is stopped, at any moment, goes on from its last checkpoint when the same command is given again, on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stpose_core.errors import TrainingError
from stpose_core.networks.spatial import PRESETS, SpatialNetwork
from stpose_core.weights import write_weights
from stpose_training.journal import Journal
from stpose_training.lifter import moving_average, save_checkpoint
from stpose_training.spatial.feed import feed
from stpose_training.spatial.losses import spatial_loss
from stpose_training.spatial.measure import Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

KIND = "spatial"


class Run:
    """All that changes in training. seen: samples so far; step: batches so far; seconds: spent on them, over all sessions."""

    kind = KIND

    def __init__(self, config: Any, recipe: Recipe, fabric: Fabric, checkpoint: Path) -> None:
        self.config, self.recipe, self.fabric, self.checkpoint = config, recipe, fabric, checkpoint
        saved = self._read()
        torch.manual_seed(recipe.seed)
        self.network = self.built(config).to(fabric.device, memory_format=torch.channels_last)
        decay = moving_average(recipe.decay())
        self.average = AveragedModel(self.network, avg_fn=decay, use_buffers=True)
        # Norms and biases are not decayed.
        flat = [parameter for parameter in self.network.parameters() if parameter.ndim < 2]
        deep = [parameter for parameter in self.network.parameters() if parameter.ndim >= 2]
        groups = [{"params": deep, "weight_decay": recipe.weight_decay}, {"params": flat, "weight_decay": 0.0}]
        self._raw = torch.optim.AdamW(groups, lr=recipe.rate)
        self.step, self.seen, self.seconds = 0, 0, 0.0
        if saved:
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            self._raw.load_state_dict(saved["optimiser"])
            self.step, self.seen, self.seconds = int(saved["step"]), int(saved["seen"]), float(saved["seconds"])
        self._model, self._optimiser = fabric.setup(self.network, self._raw)

    @property
    def finished(self) -> bool:
        """Whether all samples were seen."""
        return self.seen >= self.recipe.samples

    @staticmethod
    def built(config: Any) -> nn.Module:
        """A new network of these dimensions."""
        return SpatialNetwork(config)

    def loss(self, output: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and its parts."""
        return spatial_loss(output, batch, self.recipe.sigma, self.recipe.hidden, self.recipe.flag)

    def learn(self, batch: Any) -> dict[str, float]:
        """One step -> the losses."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(self.seen)
        output = self._model(batch.pictures)
        loss, parts = self.loss(output, batch)
        self._optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self._model, self._optimiser, max_norm=1.0)
        self._optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        self.seen += len(batch.pictures) * self.fabric.world_size
        return parts

    def draws(self) -> int:
        """A seed for samples. The cache grows, so no two runs see the same: a resumed run draws anew."""
        return hash((self.recipe.seed, self.seen, self.fabric.global_rank)) % (1 << 62)

    def save(self) -> None:
        """Writes the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._raw.state_dict(),
            "step": self.step,
            "seen": self.seen,
            "seconds": self.seconds,
            "config": self.config.to_dict(),
            "recipe": self.recipe.identity(),
        }
        save_checkpoint(self.checkpoint, state)

    def write(self, output: Path, measures: dict[str, dict[str, float]]) -> None:
        """Writes the averaged weights (fp16) with the network's dimensions, how they were trained, and what they reach."""
        header = {
            "network": self.config.to_dict(),
            "recipe": asdict(self.recipe),
            "samples": self.seen,
            "measures": measures,
        }
        write_weights(output, self.averaged.state_dict(), self.kind, header)

    @property
    def averaged(self) -> Any:
        """The network with the averaged weights."""
        return self.average.module

    def _read(self) -> dict[str, Any]:
        if not self.checkpoint.is_file():
            return {}
        saved: dict[str, Any] = torch.load(self.checkpoint, map_location=self.fabric.device, weights_only=True)
        was, now = {**saved["recipe"], **saved["config"]}, {**self.recipe.identity(), **self.config.to_dict()}
        if was != now:
            names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
            changed = ", ".join(f"{name} {was.get(name)} -> {now.get(name)}" for name in names)
            raise TrainingError(f"{self.checkpoint.parent} holds another run ({changed}); give another --state folder")
        return saved


def train(
    cache: Path,
    output: Path,
    preset: str,
    recipe: Recipe,
    state: Path,
    fabric: Fabric,
    videos: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Does a run or goes on with it.

    cache: folder of rendered pictures, which may grow meanwhile. output: the weights file (averaged, fp16), written at every
    measurement. state: folder of the checkpoint and the log. videos: folder with balance/reference.npz, for the learning curve.
    """
    if preset not in PRESETS:
        raise TrainingError(f"there is no preset {preset}; there are {', '.join(PRESETS)}")
    torch.set_num_threads(recipe.threads)
    torch.backends.cudnn.benchmark = True  # pictures are all of one size
    config, chief = PRESETS[preset], fabric.global_rank == 0
    state.mkdir(parents=True, exist_ok=True)
    sets: dict[str, Truth] = {}
    if chief:
        sets = {"rendered": rendered_truth(cache, config.size), **(footage_truth(videos, config.size) if videos else {})}
    run = Run(config, recipe, fabric, state / "checkpoint.pt")
    share = max(1, recipe.batch // fabric.world_size)
    samples = feed(cache, config.size, share, run.draws(), recipe.threads, fabric.device)
    run_through(
        run, samples, lambda: {name: judge(run.averaged, truth, fabric.device) for name, truth in sets.items()}, output, state, say
    )


def run_through(
    run: Run,
    samples: Iterator[Any],
    judged: Callable[[], dict[str, dict[str, float]]],
    output: Path,
    state: Path,
    say: Callable[[str], None],
) -> None:
    """Learns from samples until the run's length is reached; saves, measures and writes as its recipe says. judged: the measures
    of each set, asked for in the first process only."""
    recipe, fabric = run.recipe, run.fabric
    chief, first = fabric.global_rank == 0, run.step
    if first and chief:
        say(f"{state}: goes on from {run.seen} samples")
    fabric.barrier()
    journal = Journal(state, first, say) if chief else None

    def measure() -> None:
        if journal:
            measures = judged()
            journal.measured(run.step, run.seconds, {"seen": {"samples": run.seen}, **measures})
            run.write(output, measures)

    run.network.train()
    try:
        while not run.finished:
            began = time.monotonic()
            before = run.seen
            losses = run.learn(next(samples))
            run.seconds += time.monotonic() - began
            if journal:
                total = run.step + -(-(recipe.samples - run.seen) // recipe.batch)
                journal.step(run.step, total, losses, recipe.learning_rate(run.seen))
            if chief and (run.seen // recipe.save_every > before // recipe.save_every or run.finished):
                run.save()
            if run.seen // recipe.judge_every > before // recipe.judge_every or run.finished:
                measure()
    finally:
        samples.close()  # type: ignore[attr-defined]
        if journal:
            journal.close()
