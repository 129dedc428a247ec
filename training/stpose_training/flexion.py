"""Trains the network that estimates the flexion of knees and elbows: `python -m stpose_training.flexion --data MOCAP -o OUT`.

New motions are made from marker mocap of the training subjects as for the lifter, with corrected knees
(`stpose_training.data.knees`), filmed by random cameras with a detector's noise, confusions and occlusion, and lifted. Input:
features of the lifted pose and the 2D joints (`stpose_core.lift.flexion.features`). Target: the true flexion, as a distribution;
each range of flexion counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.data import Array, Camera, Keypoints
from stpose_core.errors import StposeError, TrainingError
from stpose_core.files import check_output
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.flexion import CENTRES, FARTHEST, FEATURES, PARTS, bend, corrected, features, reading
from stpose_core.skeletons import H36M17
from stpose_core.weights import write_weights
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.confusion import confuse
from stpose_training.data.knees import with_straight_knees
from stpose_training.data.mocap import MOCAP_FPS, Clip, MotionBank, load_mocap
from stpose_training.data.occlusion import hide
from stpose_training.data.samples import detections_of, new_motions, size_of

WINDOW, BATCH, DRAWN = 180, 40, 48
HIDDEN, TAPS = 48, 7
SIDE = 1000  # pixels of the square picture; only rays matter
RECORDED = 0.6  # share of motions that keep their recorded posture
CONFUSED, MASKED, SEVERITY = 0.1, 0.3, 0.7  # see stpose_training.data.samples.Faults
KNOWN = 0.4  # share of windows whose focal length is known
NOISE = 0.1  # standard deviations of a feature that are added to it in training
RANGES = np.array([0, 10, 20, 30, 45, 60, 80, 100, 120, 180], np.float64)
"""Degrees; ranges of flexion that count alike, those of 10 and 15 degrees by their width."""
CURVE = (0, 10, 20, 30, 45, 60, 80, 100, 120)  # degrees; ranges whose medians correct the network
FEWEST = 100  # frames of a range
# Share of the bias that is taken off. All of it would leave angles without bias but with larger errors than half of it; straight
# arms are worth that (left-out subjects: 0 to 10 degrees 12 -> 5, mean error of the ranges 18.6 -> 19.1), knees are not.
TAKEN_OFF = {"knee": 0.5, "elbow": 1.0}


@dataclass(frozen=True)
class Windows:
    """Lifted windows. features: (N, T, 4, FEATURES) half precision. angles: (N, T, 4) degrees, the true flexion."""

    features: np.ndarray
    angles: np.ndarray


def lifted_windows(bank: MotionBank, lifter: Lifter, count: int, seed: int) -> Windows:
    """`count` windows of new motions, as the lifter sees them."""
    random, camera = Random(seed), Camera.assumed((SIDE, SIDE))
    values: list[Array] = []
    angles: list[Array] = []
    while len(values) < count:
        motions, _ = new_motions(bank, batch=DRAWN, frames=WINDOW, random=random, recorded=RECORDED)
        views = film(motions, random)
        found = detections_of(views, random)
        rays, score, _ = confuse(found.rays, found.score, size_of(found.true), random, CONFUSED)
        rays, score, _ = hide(rays, score, random, severity=SEVERITY, share=MASKED)
        known = random.chance(KNOWN, DRAWN)[:, None, None, None]
        rays = torch.where(known, rays / views.zoom[:, None, None, None], rays)
        xy = rays.double().numpy() * camera.focal + np.asarray(camera.centre)
        seen = score.double().numpy()
        for number in range(DRAWN):
            points = np.where(seen[number, ..., None] > 0, xy[number], np.nan)
            keypoints = Keypoints(points, seen[number], MOCAP_FPS, (SIDE, SIDE), H36M17.name)
            pose = lifter(keypoints, camera)
            if pose.posed.all():
                values.append(features(pose, keypoints).astype(np.float16))
                angles.append(np.degrees(bend(found.points[number].double().numpy())).astype(np.float32))
    return Windows(np.stack(values[:count]), np.stack(angles[:count]))


class FlexionNetwork(nn.Module):
    """Convolutions over time, the same for both sides. mean, spread: (FEATURES,) of the features."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor, dropout: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.first = nn.Conv1d(FEATURES, HIDDEN, 1)
        self.near = nn.Conv1d(HIDDEN, HIDDEN, TAPS)
        self.far = nn.Conv1d(HIDDEN, HIDDEN, TAPS, dilation=3)
        self.last = nn.Conv1d(HIDDEN, len(CENTRES), 1)
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, values: Tensor) -> Tensor:
        """(B, T, FEATURES) -> logits (B, T, K)."""
        signal = ((values - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST).transpose(1, 2)
        if self.training:
            signal = signal + NOISE * torch.randn_like(signal)
        signal = self.dropout(self.first(signal).relu())
        for layer, apart in ((self.near, 1), (self.far, 3)):
            reach = TAPS // 2 * apart
            signal = signal + self.dropout(layer(F.pad(signal, (reach, reach), mode="replicate")).relu())
        logits: Tensor = self.last(signal).transpose(1, 2)
        return logits


def fit(windows: Windows, part: str, steps: int, seed: int) -> FlexionNetwork:
    """Train the network of a part of the body; weighted cross entropy, AdamW, one cycle of the learning rate."""
    if not len(windows.features):
        raise TrainingError("there are no windows to train on")
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    own = np.ascontiguousarray(windows.features[:, :, PARTS[part]])
    inputs, goals = torch.from_numpy(own), torch.from_numpy(windows.angles[:, :, PARTS[part]].astype(np.float32))
    flat = inputs[::3, ::10].float().reshape(-1, FEATURES)
    network = FlexionNetwork(flat.mean(0), flat.std(0) + 1e-3)
    inner = torch.from_numpy(RANGES[1:-1].astype(np.float32))
    weights = torch.from_numpy(_weights(windows.angles[:, :, PARTS[part]]).astype(np.float32))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=max(2, steps), pct_start=0.15)
    network.train()
    for _ in range(steps):
        chosen, side = torch.from_numpy(draw.integers(0, len(inputs), BATCH)), torch.from_numpy(draw.integers(0, 2, BATCH))
        goal = goals[chosen, :, side]
        weight = weights[torch.bucketize(goal, inner)]
        missed = -(soft(goal) * network(inputs[chosen, :, side].float()).log_softmax(-1)).sum(-1)
        loss = (missed * weight).sum() / weight.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def _weights(angles: Array) -> Array:
    """(ranges,) by which samples count, so that ranges count by their width, up to 20 degrees."""
    share = np.histogram(angles, RANGES)[0] / angles.size
    return np.minimum(np.diff(RANGES), 20.0) / 20.0 / np.maximum(share, 1e-3)


def soft(angles: Tensor) -> Tensor:
    """(...,) degrees -> (..., K) shares of the two centres that an angle lies between."""
    centres = torch.from_numpy(CENTRES.astype(np.float32))
    angles = angles.clamp(0.0, float(CENTRES[-1]))
    low = (torch.searchsorted(centres, angles, right=True) - 1).clamp(0, len(centres) - 2)
    part = (angles - centres[low]) / (centres[low + 1] - centres[low])
    shares = torch.zeros(*angles.shape, len(centres))
    shares.scatter_(-1, low[..., None], (1 - part)[..., None])
    return shares.scatter_(-1, (low + 1)[..., None], part[..., None])


def predicted(network: FlexionNetwork, windows: Windows, part: str) -> Array:
    """(N, T, 2) degrees that a network predicts for a part of the body."""
    sides = []
    with torch.no_grad():
        for limb in PARTS[part]:
            values = torch.from_numpy(np.ascontiguousarray(windows.features[:, :, limb])).float()
            sides.append(reading(network(values).softmax(-1).double().numpy())[0])
    return np.stack(sides, axis=-1)


def curve(network: FlexionNetwork, windows: Windows, part: str) -> Array:
    """(2, N) readings of the network and the angles that they are to become: nearer to the truth by `TAKEN_OFF`, by medians of
    ranges of it."""
    true, found = windows.angles[:, :, PARTS[part]], predicted(network, windows, part)
    pairs = []
    for low, high in zip(CURVE, CURVE[1:]):
        inside = (true >= low) & (true < high)
        if inside.sum() >= FEWEST:
            said = float(np.median(found[inside]))
            pairs.append((said, said + TAKEN_OFF[part] * (float(np.median(true[inside])) - said)))
    if not pairs:
        return np.zeros((2, 1))
    said, meant = np.array(sorted(pairs)).T
    return np.stack([said, np.maximum.accumulate(meant)])


def report(network: FlexionNetwork, windows: Windows, part: str) -> str:
    """Medians by the range of the true flexion, degrees."""
    true = windows.angles[:, :, PARTS[part]]
    found = corrected(predicted(network, windows, part), curve(network, windows, part))
    ranges = ((0, 10), (10, 30), (30, 60), (60, 100), (100, 140))
    inside = [(low, high, (true >= low) & (true < high)) for low, high in ranges]
    figures = (f"{low}-{high}: {np.median(true[i]):.0f} -> {np.median(found[i]):.0f}" for low, high, i in inside if i.any())
    return f"{part}, true -> predicted: " + ", ".join(figures)


def held_out(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on, and those of every fifth subject to judge on."""
    subjects = sorted({clip.subject for clip in clips})
    judged = set(subjects[1::5])
    return [clip for clip in clips if clip.subject not in judged], [clip for clip in clips if clip.subject in judged]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of marker mocap.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights to write, .safetensors.")
@click.option("--weights", type=click.Path(exists=True, path_type=Path), help="Lifter weights other than those that ship.")
@click.option("--steps", type=click.IntRange(1), default=500, show_default=True)
@click.option("--windows", "count", type=click.IntRange(5), default=1100, show_default=True, help="Windows of 6 s to train on.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
def main(data: Path, output: Path, weights: Path | None, steps: int, count: int, seed: int, threads: int) -> None:
    """Train the flexion network."""
    torch.set_num_threads(threads)
    try:
        check_output(output, overwrite=True)
        lifter = load_lifter(weights)
        trained, others = held_out(with_straight_knees(load_mocap(data, "free", "train")))
        training = lifted_windows(MotionBank(trained), lifter, count, 2 * seed)
        judged = lifted_windows(MotionBank(others or trained), lifter, count // 5, 2 * seed + 1)
        tensors: dict[str, Tensor] = {}
        for part in PARTS:
            network = fit(training, part, steps, seed)
            click.echo("subjects left out: " + report(network, judged, part))
            tensors |= {f"{part}.{name}": values.detach() for name, values in network.state_dict().items()}
            tensors[f"{part}.curve"] = torch.from_numpy(curve(network, judged, part))
        write_weights(output, tensors, "flexion", {"steps": steps, "windows": count, "seed": seed})
    except StposeError as error:
        click.echo(f"stpose: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
