"""Trains the network that tells foot contacts: `python -m stpose_training.contacts --data MOCAP -o contacts.safetensors`.

Marker mocap of the training subjects is filmed by virtual cameras with a detector's noise, lifted, fitted and smoothed as by
`stpose mocap`. Input: features of the legs (`stpose_core.world.contacts.features`). Target: the recorded contacts. Some samples
have no picture, so that motions whose keypoints are not known have contacts, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.animate.motion import start_of
from stpose_core.data import Array, Camera, Mask
from stpose_core.errors import StposeError, TrainingError
from stpose_core.files import check_output
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.refine import refine
from stpose_core.options import CaptureOptions
from stpose_core.weights import write_weights
from stpose_core.world.contacts import ALONG, FARTHEST, FEATURES, SLOWEST, features
from stpose_training.data.contacts import foot_contacts
from stpose_training.data.filmed import KINDS, Shot, scene, shoot
from stpose_training.data.mocap import MOCAP_FPS, load_mocap

PIECE = round(20 * MOCAP_FPS)
SHORTEST = round(1.5 * MOCAP_FPS)
WINDOW, BATCH = 120, 48
HIDDEN, TAPS = 64, 13
FASTEST = 0.8  # m/s along the ray that a person may seem to move
NOISE = 0.1  # standard deviations of a feature that are added to it in training
UNSEEN = 0.2  # share of the samples of which no picture is known


@dataclass(frozen=True)
class Sample:
    """One piece. features: (T, 2, 38); blind: those without a picture. contacts: (T, 2, 2) of both feet, heel and toe."""

    subject: str
    features: Array
    blind: Array
    contacts: Mask


def samples(folder: Path, lifter: Lifter, shots: int, seed: int) -> Iterator[Sample]:
    """Pieces of the training clips that have toes, each through `shots` virtual cameras."""
    number = seed
    for clip in load_mocap(folder, "free", "train"):
        if foot_contacts(folder, clip.name) is None:
            continue
        for first in range(0, len(clip.positions) - SHORTEST, PIECE):
            piece = scene(folder, clip, slice(first, first + PIECE))
            for _ in range(shots):
                number += 1
                seen, blind = shot_features(lifter, shoot(piece, KINDS[number % len(KINDS)], number), number % 3 > 0)
                yield Sample(clip.subject, seen, blind, piece.contacts.reshape(-1, 2, 2))


def shot_features(lifter: Lifter, shot: Shot, known: bool) -> tuple[Array, Array]:
    """(T, 2, 38) the features of a shot, and without its picture. known: with its true focal length."""
    lifted = lifter(shot.keypoints, shot.camera if known else Camera.assumed(shot.keypoints.image_size))
    start = start_of(refine(lifted, shot.keypoints), CaptureOptions.smooth, shot.path, shot.keypoints)
    legs = start.legs.at(start.root)
    return features(legs, MOCAP_FPS), features(replace(legs, off=None, score=None), MOCAP_FPS)


class ContactNetwork(nn.Module):
    """Three convolutions over time, the same for both feet. mean, spread: (38,) of the features."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor, dropout: float = 0.3) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        widths = (FEATURES, HIDDEN, HIDDEN, 2)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, TAPS) for a, b in zip(widths, widths[1:]))
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, values: Tensor) -> Tensor:
        """(B, T, 38) -> logits (B, T, 2) of heel and toe."""
        signal = ((values - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST).transpose(1, 2)
        for number, layer in enumerate(self.layers):
            signal = self.dropout(signal.relu()) if number else signal
            signal = layer(F.pad(signal, (TAPS // 2, TAPS // 2), mode="replicate"))
        return signal.transpose(1, 2)

    def tensors(self) -> dict[str, Tensor]:
        """As `stpose_core.world.contacts` reads them."""
        found = {"mean": self.mean, "spread": self.spread}
        for number, layer in enumerate(self.layers):
            found |= {f"layer{number}.{name}": value.detach() for name, value in layer.named_parameters()}
        return found


def fit(pieces: Sequence[Sample], steps: int, seed: int) -> ContactNetwork:
    """Train on pieces; binary cross entropy, AdamW, one cycle of the learning rate."""
    if not pieces:
        raise TrainingError("no clip has toes, so no contacts are known to train on")
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    flat = np.concatenate([piece.features.reshape(-1, FEATURES) for piece in pieces])
    network = ContactNetwork(_tensor(flat.mean(0)), _tensor(flat.std(0) + 1e-3))
    inputs = [(_tensor(piece.features), _tensor(piece.blind)) for piece in pieces]
    targets = [_tensor(piece.contacts) for piece in pieces]
    share = np.array([len(piece.features) for piece in pieces], float)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=max(2, steps), pct_start=0.1)
    network.train()
    for _ in range(steps):
        chosen = draw.choice(len(pieces), BATCH, p=share / share.sum())
        rows = [_window(len(targets[index]), draw) for index in chosen]
        feet = draw.integers(0, 2, BATCH)
        blind = (draw.random(BATCH) < UNSEEN).astype(int)
        value = torch.stack([inputs[index][without][row, foot] for index, without, row, foot in zip(chosen, blind, rows, feet)])
        goal = torch.stack([targets[index][row, foot] for index, row, foot in zip(chosen, rows, feet)])
        value = _misjudged_distance(value, draw)
        value = value + NOISE * network.spread * torch.randn(value.shape)
        loss = F.binary_cross_entropy_with_logits(network(value), goal)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def _misjudged_distance(values: Tensor, draw: np.random.Generator) -> Tensor:
    """Features (B, T, 38) as if the whole person moved along the camera's ray as well, in half of the samples.

    Lifters misjudge the distance of postures that are rare in training, such as squats, by half a metre within a second.
    """
    batch, frames, _ = values.shape
    speed = draw.uniform(-FASTEST, FASTEST, (batch, 1)) * (draw.random((batch, 1)) < 0.5)
    angle = 2 * np.pi * (np.arange(frames) / MOCAP_FPS / draw.uniform(0.7, 4.0, (batch, 1)) + draw.random((batch, 1)))
    extra = _tensor(speed * np.sin(angle))[..., None]
    along = values[..., list(ALONG)]
    moved = values.clone()
    moved[..., list(ALONG)] = ((along.exp() - SLOWEST + extra).abs() + SLOWEST).log()
    return moved


def _window(frames: int, draw: np.random.Generator) -> Tensor:
    """(WINDOW,) frame numbers of a random window; the last frame is repeated in shorter pieces."""
    first = int(draw.integers(0, max(1, frames - WINDOW + 1)))
    return torch.arange(first, first + WINDOW).clamp(max=frames - 1)


def _tensor(values: Array | Mask) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def f1(network: ContactNetwork, pieces: Sequence[Sample]) -> tuple[float, float]:
    """F1 of heel and toe frame by frame, threshold 0.5."""
    counts = np.zeros((2, 3))
    with torch.no_grad():
        for piece in pieces:
            on = (network(_tensor(piece.features).transpose(0, 1)) > 0).numpy().swapaxes(0, 1)
            true = piece.contacts
            counts += np.stack([(on & true).sum((0, 1)), (on & ~true).sum((0, 1)), (~on & true).sum((0, 1))], 1)
    heel, toe = 2 * counts[:, 0] / np.maximum(1, 2 * counts[:, 0] + counts[:, 1] + counts[:, 2])
    return float(heel), float(toe)


def held_out(pieces: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Pieces to train on, and those of every sixth subject to judge on."""
    subjects = sorted({piece.subject for piece in pieces})[::6] if len({piece.subject for piece in pieces}) > 1 else []
    return [p for p in pieces if p.subject not in subjects], [p for p in pieces if p.subject in subjects]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of marker mocap.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights to write, .safetensors.")
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--shots", type=click.IntRange(1), default=4, show_default=True, help="Virtual cameras for each piece of 20 s.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
def main(data: Path, output: Path, steps: int, shots: int, seed: int, threads: int) -> None:
    """Train the contact network."""
    torch.set_num_threads(threads)
    try:
        check_output(output, overwrite=True)
        pieces = list(samples(data, load_lifter(), shots, 1000 * seed))
        training, judged = held_out(pieces)
        click.echo(f"{len(training)} pieces to train on, {len(judged)} of other subjects to judge on")
        heel, toe = f1(fit(training, steps, seed), judged)
        click.echo(f"subjects left out: F1 of heel {heel:.3f}, toe {toe:.3f}")
        network = fit(pieces, steps, seed)
        config = {"steps": steps, "shots": shots, "seed": seed, "f1_heel": round(heel, 3), "f1_toe": round(toe, 3)}
        write_weights(output, network.tensors(), "contacts", config)
    except StposeError as error:
        click.echo(f"stpose: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
