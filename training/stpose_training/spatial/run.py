"""Trains the spatial network on a folder of rendered pictures (`stpose train spatial`), on a processor or a GPU.

A run that is stopped, at any moment, goes on from its last checkpoint when the same command is given again, on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stpose_core.errors import TrainingError
from stpose_core.networks.spatial import SpatialConfig, SpatialNetwork, SpatialOutput
from stpose_core.weights import write_weights
from stpose_training.journal import Journal
from stpose_training.lifter import hold_norms, load_start, read_checkpoint, save_checkpoint
from stpose_training.spatial.crops import Crops, people_in
from stpose_training.spatial.feed import feed
from stpose_training.spatial.footage import pairs, taught
from stpose_training.spatial.losses import place_loss, spatial_loss
from stpose_training.spatial.measure import Truth, footage_truth, judge, rendered_truth
from stpose_training.spatial.optimiser import make_optimisers
from stpose_training.spatial.recipe import Recipe
from stpose_training.synth.pictures import VISIBLE

if TYPE_CHECKING:
    from lightning_fabric import Fabric

KIND = "spatial"
_AVERAGED = 8  # steps from one averaging of the weights to the next


class Run:
    """All that changes in training. seen: samples so far; step: batches so far; seconds: spent on them, over all sessions."""

    kind = KIND

    def __init__(self, config: Any, recipe: Recipe, fabric: Fabric, checkpoint: Path, start: Path | None = None) -> None:
        self.config, self.recipe, self.fabric, self.checkpoint = config, recipe, fabric, checkpoint
        saved = self._read()
        torch.manual_seed(recipe.seed)
        self.network = self.built(config).to(fabric.device, memory_format=torch.channels_last)
        if start and not saved:
            load_start(self.network, start, self.kind)
        self.average = AveragedModel(self.network, multi_avg_fn=_moving_average(recipe.decay(_AVERAGED)), use_buffers=True)
        self._optimisers = make_optimisers(self.network, recipe)
        self.step, self.seen, self.seconds = 0, 0, 0.0
        if saved:
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            for optimiser, state in zip(self._optimisers, saved["optimisers"]):
                optimiser.load_state_dict(state)
            self.step, self.seen, self.seconds = int(saved["step"]), int(saved["seen"]), float(saved["seconds"])
        self._model = fabric.setup_module(self._compiled(self.network))
        self._teacher = self._compiled(self.averaged)

    @property
    def finished(self) -> bool:
        """Whether all samples were seen."""
        return self.seen >= self.recipe.samples

    @staticmethod
    def built(config: Any) -> nn.Module:
        """A new network of these dimensions."""
        return SpatialNetwork(config)

    def hardness(self) -> float:
        """0..1 how hard samples are by now."""
        return self.recipe.hardness(self.seen)

    def draws(self) -> int:
        """A seed for samples. The cache grows, so no two runs see the same: a resumed run draws anew."""
        return hash((self.recipe.seed, self.seen, self.fabric.global_rank)) % (1 << 62)

    def losses(self, batch: Any, seen: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, with people of footage if they join in, and its parts."""
        recipe, count = self.recipe, len(batch.pictures)
        # One pass for both, so that norms that are not held see rendered and real people together.
        output = self._model(batch.pictures if seen is None else torch.cat((batch.pictures, seen.changed)))
        own = SpatialOutput(output.maps[:count], output.hidden[:count])
        loss, parts = spatial_loss(own, batch, recipe)
        if seen is not None:
            with self.fabric.autocast():
                lesson = taught(self._teacher, seen, recipe.trust)
            footage = place_loss(output.maps[count:], lesson, recipe.sigma, recipe.hidden)
            loss = loss + recipe.unlabelled * footage
            share = (lesson.state == VISIBLE).float().mean()
            parts |= {"footage": float(footage.detach()), "taught": float(share)}
        return loss, parts

    def learn(self, batch: Any, seen: Any = None) -> dict[str, float]:
        """One step -> the losses."""
        loss, parts = self.losses(batch, seen)
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
        self.seen += len(batch.pictures) * self.fabric.world_size
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

    def _compiled(self, network: nn.Module) -> Any:
        """The network, or a compiled one of the same weights."""
        return torch.compile(network, dynamic=False) if self.recipe.compiled else network

    def _read(self) -> dict[str, Any]:
        saved = read_checkpoint(self.checkpoint, self.fabric.device)
        if not saved:
            return {}
        # Fields that the recipe has had since are taken to be as usual.
        was = {**Recipe().identity(), **saved["recipe"], **saved["config"]}
        now = {**self.recipe.identity(), **self.config.to_dict()}
        names = [name for name in now if was.get(name) != now[name]]
        if names:
            changed = ", ".join(f"{name} {was.get(name)} -> {now.get(name)}" for name in names)
            raise TrainingError(f"{self.checkpoint.parent} holds another run ({changed}); give another --state folder")
        return saved


def _moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """Exponential moving average of many tensors at a time, that forgets its first steps sooner."""

    @torch.no_grad()
    def average(means: list[Tensor], now: list[Tensor], count: Tensor | int) -> None:
        keep = min(decay, (1 + float(count)) / (10 + float(count)))
        if means[0].is_floating_point():
            torch._foreach_lerp_(means, now, 1 - keep)
        else:
            torch._foreach_copy_(means, now)

    return average


def train(
    cache: Path,
    output: Path,
    config: SpatialConfig,
    recipe: Recipe,
    state: Path,
    fabric: Fabric,
    videos: Path | None = None,
    say: Callable[[str], None] = print,
    footage: Path | None = None,
    start: Path | None = None,
) -> None:
    """Does a run or goes on with it.

    cache: folder of rendered pictures, which may grow meanwhile. output: the weights file (averaged, fp16), written at every
    measurement. state: folder of the checkpoint and the log. videos: folder with balance/reference.npz, for the learning curve.
    footage: folder of clips and photographs of people, without labels, which join in after the recipe's share of the run. start:
    weights to begin with instead of random ones.
    """
    torch.set_num_threads(recipe.threads)
    torch.backends.cudnn.benchmark = True  # pictures are all of one size
    chief = fabric.global_rank == 0
    state.mkdir(parents=True, exist_ok=True)
    if chief:
        rendered_truth(cache, config.size, most=1)  # what is missing is told before anything is begun
    run = Run(config, recipe, fabric, state / "checkpoint.pt", start)
    journal = begun(run, state, say)
    try:
        while not run.finished:
            size, people = recipe.size(run.seen, config.size), None
            if footage is not None and recipe.joined(run.seen):
                if chief:
                    people_in(footage, state / "footage.npz", run.averaged, size, fabric.device, say)
                fabric.barrier()
                people = people_in(footage, state / "footage.npz", run.averaged, size, fabric.device, say)
            _train_at(size, run, cache, output, videos, journal, people)
    finally:
        if journal:
            journal.close()


def begun(run: Run, state: Path, say: Callable[[str], None]) -> Journal | None:
    """Tells where a run goes on; the journal of the first process."""
    chief = run.fabric.global_rank == 0
    if run.step and chief:
        say(f"{state}: goes on from {run.seen} samples")
    run.fabric.barrier()
    return Journal(state, run.step, say) if chief else None


def _train_at(
    size: tuple[int, int],
    run: Run,
    cache: Path,
    output: Path,
    videos: Path | None,
    journal: Journal | None,
    people: Crops | None,
) -> None:
    """Trains until the recipe asks for something else, or the run is over. Measures at the size that is trained at."""
    recipe, fabric, full = run.recipe, run.fabric, run.config.size
    sets: dict[str, Truth] = {}
    if journal:
        sets = {"rendered": rendered_truth(cache, size), **(footage_truth(videos, size) if videos else {})}
    share = max(1, recipe.batch // fabric.world_size)
    seed = run.draws()
    samples = feed(cache, size, share, seed, fabric.device, recipe, run.hardness)
    unlabelled = max(1, round(share * recipe.unlabelled))
    real = pairs(people, size, unlabelled, seed, fabric.device, -(-recipe.workers // 2)) if people else None
    asked = size, recipe.joined(run.seen)

    def judged() -> dict[str, dict[str, float]]:
        return {name: judge(run.averaged, truth, fabric.device) for name, truth in sets.items()}

    def more() -> bool:
        return (recipe.size(run.seen, full), recipe.joined(run.seen)) == asked

    run_through(run, samples, judged, output, journal, real, more, {"width": size[0], "height": size[1]})


def run_through(
    run: Run,
    samples: Iterator[Any],
    judged: Callable[[], dict[str, dict[str, float]]],
    output: Path,
    journal: Journal | None,
    real: Iterator[Any] | None = None,
    more: Callable[[], bool] = lambda: True,
    noted: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Learns from samples (and `real` ones beside them) until the run's length is reached or there are no more of this kind; saves,
    measures and writes as its recipe says. judged: the measures of each set; noted: what is
    logged beside the samples; journal: of the first process only."""
    recipe = run.recipe
    run.network.train()
    if recipe.held:
        hold_norms(run.network)
    saved = time.monotonic()
    try:
        while not run.finished and more():
            began = time.monotonic()
            before = run.seen
            losses = run.learn(next(samples), next(real) if real else None)
            run.seconds += time.monotonic() - began
            due = run.finished or run.seen // recipe.judge_every > before // recipe.judge_every
            if journal:
                total = run.step + -(-(recipe.samples - run.seen) // recipe.batch)
                journal.step(run.step, total, losses, recipe.learning_rate(run.seen))
                if run.finished or time.monotonic() - saved >= recipe.save_every:
                    run.save()
                    saved = time.monotonic()
                if due:
                    measures = judged()
                    journal.measured(run.step, run.seconds, {"seen": {"samples": run.seen, **noted}, **measures})
                    run.write(output, measures)
    finally:
        for stream in (samples, real) if real else (samples,):
            stream.close()  # type: ignore[attr-defined]
