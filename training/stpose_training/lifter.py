"""Trains the lifter on marker mocap (`stpose train lifter`). No GPU is needed; torchrun distributes a run over several processes.

A run may be stopped at any moment. The same command resumes it from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.optim.swa_utils import AveragedModel

from stpose_core.errors import TrainingError
from stpose_core.networks.lifting import LiftingNetwork, make_network
from stpose_core.networks.lifting_configs import config_of, reads_maps
from stpose_core.weights import write_weights
from stpose_training.checkpoint import check_same_run, load_start, read_checkpoint, save_checkpoint
from stpose_training.critic import Critic
from stpose_training.data.anatomy import ANATOMICAL, with_one_skeleton
from stpose_training.data.bodies import PROPORTIONS
from stpose_training.data.contacts import with_contacts
from stpose_training.data.footage import FootageBank, load_footage
from stpose_training.data.knees import with_straight_knees
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch
from stpose_training.feed import Source, feed
from stpose_training.journal import Journal
from stpose_training.loop import learn_through, make_fabric, moving_average
from stpose_training.losses import lifting_loss
from stpose_training.recipe import Plan, critic_weight, learning_rate, severity
from stpose_training.unlabelled import both, check_inputs, parted, unlabelled_loss
from stpose_training.validation import held_out, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_WEIGHTED = ("velocity", "bones", "limbs", "acceleration", "hinges", "contacts")  # losses with a weight in the recipe


class Run:
    """The state of training: the network, its average, the optimiser, the critic, and the progress.

    step: steps done. seconds: of training, without validation, over all sessions.
    """

    def __init__(self, plan: Plan, fabric: Fabric, checkpoint: Path, start: Path | None = None) -> None:
        self.plan, self.recipe, self.fabric, self.checkpoint = plan, plan.recipe, fabric, checkpoint
        saved = _read_run(checkpoint, plan, fabric.device)
        torch.manual_seed(plan.recipe.seed)
        try:
            self.config = config_of(plan.architecture, plan.dimensions)
            self.network: LiftingNetwork = make_network(self.config).to(fabric.device)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"cannot make the network: {error}") from error
        if start and not saved:
            load_start(self.network, start, "temporal")
        self.average = AveragedModel(self.network, avg_fn=moving_average(self.recipe.ema), use_buffers=True)
        self._raw = torch.optim.AdamW(self.network.parameters(), lr=self.recipe.rate, weight_decay=self.recipe.weight_decay)
        self.step, self.seconds = 0, 0.0
        if saved:
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            self._raw.load_state_dict(saved["optimiser"])
            self.step, self.seconds = int(saved["step"]), float(saved.get("seconds", 0.0))
        self._model, self._optimiser = fabric.setup(self.network, self._raw)
        self.critic = Critic(self.recipe.critic_rate, fabric, saved.get("critic")) if self.recipe.critic > 0 else None

    def save(self) -> None:
        """Writes the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._raw.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "plan": self.plan.identity(),
        }
        save_checkpoint(self.checkpoint, {**state, **({"critic": self.critic.state_dict()} if self.critic else {})})

    def write(self, output: Path) -> None:
        """Writes the averaged weights (fp16) with the network's dimensions and the recipe."""
        header = {
            "architecture": self.plan.architecture,
            "network": self.config.to_dict(),
            "recipe": asdict(self.recipe),
            "steps": self.step,
        }
        write_weights(output, self.network_average.state_dict(), "temporal", header)

    @property
    def network_average(self) -> LiftingNetwork:
        """The network with the averaged weights."""
        return cast(LiftingNetwork, self.average.module)

    @property
    def total(self) -> int:
        """Steps of the whole run; with a budget in minutes, an estimate from the pace so far."""
        if self.recipe.minutes <= 0 or self.seconds < 1:
            return self.recipe.steps
        return max(self.step + 1, round(self.step * 60 * self.recipe.minutes / self.seconds))

    @property
    def finished(self) -> bool:
        """Whether the budget is used up."""
        if self.recipe.minutes > 0:
            return self.seconds >= 60 * self.recipe.minutes
        return self.step >= self.recipe.steps

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return learning_rate(self.recipe, self.step - 1, self.total)

    @property
    def save_due(self) -> bool:
        """Whether a checkpoint is due."""
        return self.finished or self.step % self.recipe.checkpoint_every == 0

    @property
    def measure_due(self) -> bool:
        """Whether a validation is due."""
        return self.finished or self.step % self.recipe.evaluate_every == 0

    def add_time(self, seconds: float) -> None:
        """Adds the time of a step. With a budget in minutes all processes take the time of the first, so they stop at the same
        step."""
        self.seconds += seconds
        if self.recipe.minutes > 0 and self.fabric.world_size > 1:
            self.seconds = self.fabric.broadcast(self.seconds)

    def learn(self, batch: Batch) -> dict[str, float]:
        """Does one step and returns the losses."""
        # Dropout draws from the global generator. A seed for each step makes a resumed run drop the same units.
        torch.manual_seed((self.recipe.seed * 1_000_003 + self.step) * self.fabric.world_size + self.fabric.global_rank)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step, self.total)
        made = self._model(*both(batch, self.config))
        output, rest = parted(made, len(batch.pose))
        loss, parts = lifting_loss(output, batch, **{name: getattr(self.recipe, name) for name in _WEIGHTED})
        if batch.seen:
            added, more = unlabelled_loss(rest, batch.seen, self.recipe.reprojection, self.recipe.bones)
            loss, parts = loss + added, parts | more
        weight = critic_weight(self.recipe, self.step, self.total)
        if self.critic and weight is not None:
            loss = loss + weight * self.critic.fooled(made.pose)
        self._optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self._model, self._optimiser, max_norm=1.0)
        self._optimiser.step()
        self.average.update_parameters(self.network)
        if self.critic and weight is not None:
            parts |= self.critic.learn(batch.pose, made.pose)
        self.step += 1
        return parts


def _read_run(path: Path, plan: Plan, device: torch.device) -> dict[str, Any]:
    saved = read_checkpoint(path, device)
    if saved:
        was, now = saved.get("plan", {}), plan.identity()
        # Fields that were added to the recipe after the run began are not compared.
        check_same_run(path, was, {name: now.get(name) for name in was})
    return saved


def train(
    data: Path,
    *,
    output: Path,
    plan: Plan,
    state: Path,
    fabric: Fabric | None = None,
    say: Callable[[str], None] = print,
    footage: Sequence[Path] = (),
    start: Path | None = None,
) -> None:
    """Starts or resumes a run. state: folder of its checkpoint and log. output: the weights file (averaged, fp16).

    footage: files and folders of 2D-only clips (`load_footage`) to train on as well. start: initial weights; random by default.
    fabric: from `make_fabric`; one process on the CPU by default. say: receives lines of progress.
    """
    if not footage:  # a run that began with footage cannot resume without
        plan = replace(plan, recipe=replace(plan.recipe, footage=0.0))
    fabric = fabric or make_fabric("cpu", plan.recipe.precision)
    recipe, chief = plan.recipe, fabric.global_rank == 0
    torch.set_num_threads(recipe.threads)
    state.mkdir(parents=True, exist_ok=True)
    clips = load_mocap(data)
    if recipe.one_skeleton:  # first: it gives bones their mean lengths, and straightened legs may be longer
        clips = with_one_skeleton(clips)
    if recipe.straight_knees:
        clips = with_straight_knees(clips)
    bodies = ANATOMICAL if recipe.one_skeleton else PROPORTIONS
    bank = MotionBank(with_contacts(data, clips) if recipe.contacts else clips, fabric.device, bodies)
    films = FootageBank(load_footage(footage), fabric.device) if footage else None
    run = Run(plan, fabric, state / "checkpoint.pt", start)
    if films:
        check_inputs(run.config)
    first, ready = run.step, run.finished
    if first and chief:
        say(f"{state}: finished at step {first}" if ready else f"{state}: resumes at step {first}")
    fabric.barrier()  # no process may write a checkpoint that another still reads
    if ready and output.exists():
        return
    maps = reads_maps(run.config)
    sets = held_out(data, run.config, fabric.device, recipe.judged) if chief else {}
    journal = Journal(state, first, say) if chief else None

    def measure() -> None:
        if journal:
            measures = {name: validate(run.network_average, batches) for name, batches in sets.items()}
            journal.measured(run.step, run.seconds, measures)
            run.write(output)

    run.network.train()
    source = Source(bank, run.config.context, maps=maps, footage=films, causal=run.config.causal)
    batches = feed(source, recipe, first, lambda step: severity(recipe, step, run.total), fabric.global_rank, fabric.world_size)
    try:
        learn_through(run, batches, journal, measure)
        if ready:
            measure()
    finally:
        if journal:
            journal.close()
