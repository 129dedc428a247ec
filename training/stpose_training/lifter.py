"""Trains the lifter on marker mocap (`stpose train lifter`). Needs no GPU; torchrun spreads it over several processes.

A run that is stopped, at any moment, goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from stpose_core.errors import TrainingError
from stpose_core.extras import how_to_install
from stpose_core.networks.lifting import LiftingNetwork, config_of, make_network, reads_maps
from stpose_core.weights import read_weights, write_weights
from stpose_training.critic import Critic
from stpose_training.data.contacts import with_contacts
from stpose_training.data.footage import FootageBank, load_footage
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch
from stpose_training.feed import feed
from stpose_training.journal import Journal
from stpose_training.losses import lifting_loss
from stpose_training.precision import pays_in_bfloat16
from stpose_training.recipe import Plan, critic_weight, learning_rate, severity
from stpose_training.unlabelled import both, check_inputs, parted, unlabelled_loss
from stpose_training.validation import held_out, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def make_fabric(device: str = "auto", precision: str = "bf16-mixed") -> Fabric:
    """Lightning Fabric, launched: device, precision, and the exchange between the processes that torchrun has started.

    device: "auto", "cpu", "cuda" or "mps". precision: "32-true", or "bf16-mixed", which is taken where the device is faster in it.
    Raises TrainingError if the package is missing or the device is.
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
    """Exponential moving average that forgets its first steps sooner: decay min(decay, (1 + n) / (10 + n))."""

    def average(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        keep = min(decay, (1 + float(count)) / (10 + float(count)))
        return mean + (1 - keep) * (now - mean) if mean.is_floating_point() else now

    return average


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all, so that a run may be killed while it saves."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_start(network: torch.nn.Module, weights: Path, kind: str) -> None:
    """Loads a weights file into a network that is to be trained. A lifter that reads heat maps may start from one that reads
    keypoints, all but its encoder; one with a head of contacts from one without; a spatial network that attends from one that
    does not.

    Raises TrainingError if the file holds a network of other dimensions.
    """
    tensors, _ = read_weights(weights, kind)
    own = network.state_dict()
    if getattr(network.config, "inputs", "") == "heatmaps" and "encoder.cnn.0.weight" not in tensors:
        tensors = {name: value for name, value in tensors.items() if not name.startswith("encoder.")}
        tensors |= {name: value for name, value in own.items() if name.startswith("encoder.")}
    if not any(name.startswith("attention.") for name in tensors):
        tensors = tensors | {name: value for name, value in own.items() if name.startswith("attention.")}
    added = getattr(network.config, "contacts", 0)
    for name in ("heads.weight", "heads.bias") if added else ():
        if len(tensors[name]) + added == len(own[name]):  # the contacts are the last channels of the heads
            tensors = tensors | {name: torch.cat((tensors[name], own[name][-added:]))}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{weights} holds another network than this run's: {network.config}") from error


def hold_norms(network: torch.nn.Module) -> None:
    """Batch norms of a network in training keep their statistics, until `train()` is called again."""
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


class Run:
    """All that changes in training: the network, its average, optimiser and critic, and how far it has come.

    step: steps done. seconds: of training, without validation, over all its sessions.
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
        network: LiftingNetwork = self.average.module
        return network

    @property
    def total(self) -> int:
        """Steps of the whole run; with a budget in minutes, what it comes to at the pace so far."""
        if self.recipe.minutes <= 0 or self.seconds < 1:
            return self.recipe.steps
        return max(self.step + 1, round(self.step * 60 * self.recipe.minutes / self.seconds))

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        if self.recipe.minutes > 0:
            return self.seconds >= 60 * self.recipe.minutes
        return self.step >= self.recipe.steps

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step -> the losses."""
        # Dropout draws from the global generator: with a seed for each step, a resumed run drops the same.
        torch.manual_seed((self.recipe.seed * 1_000_003 + self.step) * self.fabric.world_size + self.fabric.global_rank)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step, self.total)
        made = self._model(*both(batch))
        output, rest = parted(made, len(batch.pose))
        recipe = self.recipe
        weights = (recipe.velocity, recipe.bones, recipe.limbs, recipe.acceleration, recipe.hinges, recipe.contacts)
        loss, parts = lifting_loss(output, batch, *weights)
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


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote; empty where there is none. Raises TrainingError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is damaged and cannot be gone on from; remove it, or give another --state folder") from error
    return saved


def _read_run(path: Path, plan: Plan, device: torch.device) -> dict[str, Any]:
    saved = read_checkpoint(path, device)
    if not saved:
        return {}
    was, now = saved.get("plan", {}), plan.identity()
    # What a run that began before a field was thought of does not name has no say.
    names = [name for name in was if was[name] != now.get(name)]
    if names:
        changed = ", ".join(f"{name} {was.get(name)} -> {now.get(name)}" for name in names)
        raise TrainingError(f"{path.parent} holds a run with another plan ({changed}); give another --state folder")
    return saved


def train(
    data: Path,
    output: Path,
    plan: Plan,
    state: Path,
    fabric: Fabric | None = None,
    say: Callable[[str], None] = print,
    footage: Sequence[Path] = (),
    start: Path | None = None,
) -> None:
    """Does a run or goes on with it. `state`: folder of its checkpoint and log. `output`: the weights file (averaged, fp16).

    footage: files and folders of 2D-only clips (`load_footage`) that join in. start: weights that a run begins with, else random.
    fabric: from `make_fabric`, else one process on the CPU. say: is given lines of progress.
    """
    if not footage:  # a run that began with some is not gone on with without
        plan = replace(plan, recipe=replace(plan.recipe, footage=0.0))
    fabric = fabric or make_fabric("cpu", plan.recipe.precision)
    recipe, chief = plan.recipe, fabric.global_rank == 0
    torch.set_num_threads(recipe.threads)
    state.mkdir(parents=True, exist_ok=True)
    clips = load_mocap(data)
    bank = MotionBank(with_contacts(data, clips) if recipe.contacts else clips, fabric.device)
    films = FootageBank(load_footage(footage), fabric.device) if footage else None
    run = Run(plan, fabric, state / "checkpoint.pt", start)
    if films:
        check_inputs(run.config)
    first, ready = run.step, run.finished
    if first and chief:
        say(f"{state}: was finished at step {first}" if ready else f"goes on from step {first}")
    fabric.barrier()  # nobody writes a checkpoint that another still reads
    if ready and output.exists():
        return
    maps = reads_maps(run.config)
    sets = held_out(data, run.config.context, fabric.device, recipe.judged, maps) if chief else {}
    journal = Journal(state, first, say) if chief else None

    def judge() -> None:
        if journal:
            measures = {name: validate(run.network_average, batches) for name, batches in sets.items()}
            journal.measured(run.step, run.seconds, measures)
            run.write(output)

    run.network.train()
    batches = feed(
        bank,
        recipe,
        run.config.context,
        first,
        lambda step: severity(recipe, step, run.total),
        fabric.global_rank,
        fabric.world_size,
        maps,
        films,
    )
    try:
        while not run.finished:
            began = time.monotonic()
            losses = run.learn(next(batches))
            run.seconds += time.monotonic() - began
            if recipe.minutes > 0 and fabric.world_size > 1:
                run.seconds = fabric.broadcast(run.seconds)  # all stop at the same step
            if journal:
                journal.step(run.step, run.total, losses, learning_rate(recipe, run.step - 1, run.total))
            if chief and (run.step % recipe.checkpoint_every == 0 or run.finished):
                run.save()
            if run.step % recipe.evaluate_every == 0 or run.finished:
                judge()
        if ready:
            judge()
    finally:
        batches.close()
        if journal:
            journal.close()
