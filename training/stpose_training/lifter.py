"""Trains the lifter on marker mocap: `python -m stpose_training.lifter --data MOCAP -o lifter.safetensors`.

Needs no GPU. A run that is stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from stpose_core.metrics import acceleration_error, mpjpe, pa_mpjpe
from stpose_core.networks.temporal import TemporalConfig, TemporalNetwork
from stpose_core.weights import write_weights
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch, draw_batch, observe
from stpose_training.losses import lifting_loss


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside data and network."""

    steps: int = 8000
    batch: int = 16
    frames: int = 128
    rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 300
    ema: float = 0.998
    full_severity_at: float = 0.4
    seed: int = 0
    threads: int = 1
    evaluate_every: int = 500
    checkpoint_every: int = 250


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a half cosine down to 1 % of the rate."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1))))


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average that forgets its first steps sooner: decay min(decay, (1 + n) / (10 + n))."""

    def average(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        keep = min(decay, (1 + float(count)) / (10 + float(count)))
        return mean + (1 - keep) * (now - mean) if mean.is_floating_point() else now

    return average


def severity(recipe: Recipe, step: int) -> float:
    """The occlusion curriculum: from minor to severe, linearly over the first part of the run."""
    return min(1.0, 0.2 + 0.8 * step / max(1, recipe.full_severity_at * recipe.steps))


def batches(bank: MotionBank, recipe: Recipe, reach: int, first: int) -> Iterator[Batch]:
    """Batches of the steps from `first` on, drawn ahead in a thread. Each step has its own seed, so a resumed run sees the same."""
    ready: queue.Queue[Batch] = queue.Queue(maxsize=3)
    stop = threading.Event()

    def draw() -> None:
        for step in range(first, recipe.steps):
            random = Random(recipe.seed * 1_000_003 + step, bank.frames.device)
            batch = draw_batch(bank, recipe.batch, recipe.frames, reach, random, severity(recipe, step))
            while not stop.is_set():
                try:
                    ready.put(batch, timeout=1)
                    break
                except queue.Full:
                    continue
            if stop.is_set():
                return

    worker = threading.Thread(target=draw, daemon=True)
    worker.start()
    try:
        for _ in range(first, recipe.steps):
            while True:
                try:
                    yield ready.get(timeout=5)
                    break
                except queue.Empty:
                    if not worker.is_alive():
                        raise RuntimeError("the thread that draws training samples has failed") from None
    finally:
        stop.set()


def fixed_batches(bank: MotionBank, reach: int, count: int = 6, size: int = 24) -> list[Batch]:
    """The validation set: motions as recorded, at their own tempo, fixed cameras, detector-like noise, nothing masked."""
    random = Random(20_040, bank.frames.device)
    result = []
    for _ in range(count):
        positions = bank.windows(size, 128 + 2 * reach + 32, random.generator, tempo=(0.999, 1.001))
        result.append(observe(film(positions, random), random, reach, severity=0.0, share=0.0))
    return result


@torch.no_grad()
def validate(network: torch.nn.Module, data: list[Batch]) -> dict[str, float]:
    """MPJPE, PA-MPJPE and acceleration error, all in mm, of batches in memory."""
    network.eval()
    predicted, true = [], []
    for batch in data:
        predicted.append(network(batch.joints, batch.context).pose.cpu())
        true.append(batch.pose.cpu())
    p, t = torch.cat(predicted).double().numpy(), torch.cat(true).double().numpy()
    network.train()
    measured = {"mpjpe": mpjpe(p, t), "pa_mpjpe": pa_mpjpe(p, t), "acceleration": acceleration_error(p, t)}
    return {name: round(1000 * value, 2) for name, value in measured.items()}


def _save(path: Path, state: dict[str, object]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(data: Path, output: Path, recipe: Recipe, config: TemporalConfig, state: Path, device: str = "cpu") -> None:
    """Runs or resumes a run. `state` is the folder of its checkpoint and log; `output` the weights file (EMA, fp16)."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    state.mkdir(parents=True, exist_ok=True)
    bank = MotionBank(load_mocap(data), device)
    network = TemporalNetwork(config).to(device)
    average = AveragedModel(network, avg_fn=moving_average(recipe.ema), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    checkpoint, log = state / "checkpoint.pt", state / "log.jsonl"
    first = 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first = int(saved["step"])
        click.echo(f"goes on from step {first}")
    held_out = {
        "cmu_validation": fixed_batches(MotionBank(load_mocap(data, "free", "validation"), device), config.context),
        "hdm05": fixed_batches(MotionBank(load_mocap(data, "by-sa", "validation"), device), config.context),
    }
    network.train()
    began = time.time()
    running: dict[str, float] = {}
    for step, batch in enumerate(batches(bank, recipe, config.context, first), first):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            output_batch = network(batch.joints, batch.context)
        loss, parts = lifting_loss(output_batch, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(network)
        running = {name: 0.98 * running.get(name, value) + 0.02 * value for name, value in parts.items()}
        done = step + 1
        if done % 50 == 0:
            left = (time.time() - began) / (done - first) * (recipe.steps - done)
            text = " ".join(f"{name} {value:.4f}" for name, value in running.items())
            click.echo(f"step {done}/{recipe.steps} {text} eta {left / 60:.0f} min")
        if done % recipe.checkpoint_every == 0 or done == recipe.steps:
            states = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            _save(checkpoint, {**states, "step": done})
        if done % recipe.evaluate_every == 0 or done == recipe.steps:
            measured = {name: validate(average.module, data) for name, data in held_out.items()}
            row = {"step": done, "seconds": round(time.time() - began), "train": running, **measured}
            with log.open("a") as handle:
                handle.write(json.dumps(row) + "\n")
            click.echo(json.dumps(measured))
            write_weights(
                output, average.module.state_dict(), "temporal", {"network": config.to_dict(), "recipe": asdict(recipe)}
            )


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each field of Recipe."""
    for field in reversed(fields(Recipe)):
        option = click.option(
            f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default, show_default=True
        )
        command = option(command)
    return command


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of marker mocap (index.csv)."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights file to write.")
@click.option("--state", type=click.Path(path_type=Path), default=Path("runs/lifter"), show_default=True)
@click.option("--width", default=256, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@recipe_options
def main(data: Path, output: Path, state: Path, width: int, device: str, **options: float) -> None:
    """Train the lifter's keypoint path on marker mocap."""
    train(data, output, Recipe(**options), TemporalConfig(width=width), state, device)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
