"""How well the model of confused sides agrees with the built-in detector: `python -m stpose_training.data.fit_confusion CACHE`
prints the table.

CACHE holds held-out rendered people (`stpose render`), which the network of `--weights` reads one by one. The duration of confusion
cannot be measured this way.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from stpose_core.data import Array, Mask
from stpose_core.detect.builtin import Calibration
from stpose_core.detect.networks import load_spatial
from stpose_core.skeletons import H36M17
from stpose_core.weights import DETECTOR, SPATIAL_FILE
from stpose_training.data.bodies import Random
from stpose_training.data.confusion import PAIRS, confuse
from stpose_training.data.noise import detect
from stpose_training.data.samples import size_of
from stpose_training.spatial.calibrate import outputs
from stpose_training.spatial.feed import plain_view
from stpose_training.synth.cache import read_shard, shards
from stpose_training.synth.pictures import OUTSIDE

_NEAR, _APART, _FAR = 0.12, 0.15, 0.2  # person sizes
_UPRIGHT = 45  # degrees
_SIMULATED = 400  # takes


def statistics(found: Array, true: Array, score: Array, counted: Mask) -> dict[str, float]:
    """Shares of confused joints, from found (N, 17, 2) and true joints (N, 17, 2), scores (N, 17) and a mask of counted joints."""
    size = 2 * np.sqrt(((true - true.mean(1, keepdims=True)) ** 2).sum(-1).mean(1))[:, None]
    mirror = list(H36M17.mirror)
    off, other, apart = (
        np.linalg.norm(one - two, axis=-1) / size for one, two in ((found, true), (found, true[:, mirror]), (true, true[:, mirror]))
    )
    elsewhere = (other < _NEAR) & (off > _NEAR)
    lost = (off > _FAR) & ~elsewhere & counted
    shares: dict[str, float] = {}
    for left, right in PAIRS:
        pair = counted[:, left] & counted[:, right] & (apart[:, left] > _APART)
        name = H36M17.joints[left][2:]
        both = (elsewhere[:, left] & elsewhere[:, right])[pair].mean()
        shares[f"{name}: one on the other"] = float((elsewhere[:, left] | elsewhere[:, right])[pair].mean() - both)
        shares[f"{name}: exchanged"] = float(both)
        shares[f"{name}: elsewhere"] = float((lost[:, left].sum() + lost[:, right].sum()) / counted[:, [left, right]].sum())
    wrong = elsewhere & counted & (apart > _APART)
    for name, chosen in (("right", counted & (off < _NEAR)), ("of the other side", wrong), ("elsewhere", lost)):
        shares[f"mean score of joints {name}"] = float(score[chosen].mean()) if chosen.any() else float("nan")
    return shares


def seen_people(weights: Path, cache: Path) -> tuple[Array, Array, Array, Mask]:
    """Joints that the network of a weights file finds on upright held-out people, for `statistics`."""
    network, header = load_spatial(weights)
    calibration, views = Calibration.of(header), []
    for path in shards(cache, "validation"):
        shard = read_shard(path)
        upright = np.flatnonzero((shard.tilt < _UPRIGHT) & ((shard.state[:, 0] != OUTSIDE).sum(1) >= 4))
        views += [plain_view(shard, int(row), network.config.size) for row in upright]
    places, mass, hidden = outputs(network, views)
    score = np.stack([calibration.score(*one) for one in zip(mass, hidden)])
    return places, np.stack([view.joints for view in views]), score, np.stack([view.state for view in views]) != OUTSIDE


def simulated(true: Array) -> tuple[Array, Array, Array, Mask]:
    """The model's errors on people at rest like these (N, 17, 2), for `statistics`: one frame of each take."""
    rays = torch.from_numpy(true).float()[torch.arange(_SIMULATED) % len(true), None].expand(-1, 8, -1, -1)
    size = size_of(rays)
    random = Random(0)
    found, score, _ = confuse(*detect(rays, size, random), size, random)
    there, scores = found[:, 0].double().numpy(), score[:, 0].double().numpy()
    return there, rays[:, 0].double().numpy(), scores, np.ones(scores.shape, bool)


@click.command(help=__doc__)
@click.argument("cache", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), default=DETECTOR / SPATIAL_FILE, help="Default: the built-in one.")
def main(cache: Path, weights: Path) -> None:
    people = seen_people(weights, cache)
    # People who are partly out of the picture are left out: the model does not describe them.
    real, model = statistics(*people), statistics(*simulated(people[1][people[3].all(1)]))
    click.echo(f"| {'shares of joints, mean scores':36} | built-in | simulated |")
    click.echo("|---|---|---|")
    for name, value in real.items():
        click.echo(f"| {name:36} | {value:.3f} | {model[name]:.3f} |")


if __name__ == "__main__":
    main()
