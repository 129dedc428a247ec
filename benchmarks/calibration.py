"""Does a lifter know where it errs? `python benchmarks/calibration.py --data MOCAP [--weights FILE] [-o PICTURE]` prints the table.

Held-out people under fixed cameras and noise, once with nothing masked and once with everything that training hides, at its most
severe. Joints are put into equal groups by the error that the network expects, and by the probability that it gives to an input
being missing or wrong; what it says of a group is set against what came true.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import matplotlib
import numpy as np
import torch

matplotlib.use("agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Faults, observe
from stpose_training.evaluate import SETS

from stpose_core.data import Array
from stpose_core.files import written_whole
from stpose_core.lift import Lifter
from stpose_core.lift.torch_network import torch_lifter

MASKED = {"nothing masked": 0.0, "masked": 1.0}
GROUPS = 10
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
FAR_OFF = 0.15
_SEED = 20_041
COLOURS = {"CMU validation": "#26547c", "HDM05": "#e4572e"}


@dataclass(frozen=True)
class Said:
    """One row a joint, the pelvis left out. expected, error: metres. chance: that its input is missing or wrong; wrong: whether
    it was; seen: whether there was an input at all."""

    expected: Array
    error: Array
    chance: Array
    wrong: Array
    seen: Array


@dataclass(frozen=True)
class Group:
    """Joints that the network says about the same of: how many, what it says, what came true, share off by more than 150 mm."""

    count: int
    said: float
    true: float
    far_off: float


@torch.inference_mode()
def ask(lifter: Lifter, bank: MotionBank, share: float, batches: int) -> Said:
    """What the network says of people that it never saw, at their own tempo."""
    network = lifter.network.module
    reach, random = network.config.context, Random(_SEED)
    parts: list[list[Array]] = []
    for _ in range(batches):
        positions = bank.windows(24, 128 + 2 * reach + 32, random.generator, tempo=(0.999, 1.001))
        batch = observe(film(positions, random), random, reach, Faults(share), maps=lifter.reads_maps, causal=network.config.causal)
        out = network(*batch.shown_to(network.config))
        core = slice(reach, batch.joints.shape[1] - reach)
        error = (out.pose - batch.pose).norm(dim=-1)
        seen = batch.joints[:, core, :, 3] > 0
        columns = (out.log_sigma.exp(), error, out.hidden.sigmoid(), batch.wrong, seen)
        parts.append([column[:, :, 1:].double().numpy().ravel() for column in columns])
    return Said(*(np.concatenate(column) for column in zip(*parts)))


def by_expected_error(said: Said, groups: int = GROUPS) -> list[Group]:
    """Equal groups by the expected error; said and true in metres."""
    edges = np.quantile(said.expected, np.arange(1, groups) / groups)
    place = np.searchsorted(edges, said.expected, side="right")
    return [_group(said.expected, said.error, said.error, place == number) for number in range(groups)]


def by_chance(said: Said, seen_only: bool = False) -> list[Group]:
    """By the probability that an input is missing or wrong; said and true are shares. Groups of fewer than 100 are left out."""
    place = np.clip(np.searchsorted(EDGES, said.chance, side="right") - 1, 0, len(EDGES) - 2)
    among = said.seen > 0 if seen_only else np.ones(len(said.seen), bool)
    groups = [among & (place == number) for number in range(len(EDGES) - 1)]
    return [_group(said.chance, said.wrong, said.error, chosen) for chosen in groups if chosen.sum() >= 100]


def _group(said: Array, true: Array, error: Array, chosen: Array) -> Group:
    return Group(int(chosen.sum()), float(said[chosen].mean()), float(true[chosen].mean()), float((error[chosen] > FAR_OFF).mean()))


def draw(found: dict[tuple[str, str], Said], out: Path) -> None:
    """Three charts: expected and true error, chance and share of wrong inputs, chance and share of joints that are far off."""
    figure, (errors, flags, far) = pyplot.subplots(1, 3, figsize=(12, 3.9), constrained_layout=True)
    for (name, how), said in found.items():
        style = {"color": COLOURS[name], "marker": "o", "markersize": 4, "linestyle": "-" if how == "masked" else ":"}
        groups = by_expected_error(said)
        errors.plot([1000 * g.said for g in groups], [1000 * g.true for g in groups], label=f"{name}, {how}", **style)
        if how == "masked":
            for among, line in (("all joints", "-"), ("seen joints", ":")):
                groups = by_chance(said, among == "seen joints")
                style["linestyle"] = line
                flags.plot([100 * g.said for g in groups], [100 * g.true for g in groups], label=f"{name}, {among}", **style)
                far.plot([100 * g.said for g in groups], [100 * g.far_off for g in groups], label=f"{name}, {among}", **style)
    _finish(errors, "expected error, mm", "true error, mm", "is the error as expected?")
    _finish(flags, "said to be missing or wrong, %", "was missing or wrong, %", "is the input missing or wrong?")
    _finish(
        far,
        "input said to be missing or wrong, %",
        "joints off by more than 150 mm, %",
        "does the 3D joint err more?",
        diagonal=False,
    )
    with written_whole(out, overwrite=True) as part:
        figure.savefig(part, dpi=100, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)


def _finish(axes: Axes, across: str, up: str, title: str, diagonal: bool = True) -> None:
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if diagonal:
        most = min(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot([0, most], [0, most], color="#b9b6ae", linewidth=1, zorder=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def table(found: dict[tuple[str, str], Said]) -> str:
    """The same as text."""
    lines = ["| held-out people | expected error, mm | true error, mm | true / expected |", "|---|---|---|---|"]
    for (name, how), said in found.items():
        groups = by_expected_error(said, 5)
        for number, g in enumerate(groups):
            figures = f"{1000 * g.said:.0f} | {1000 * g.true:.0f} | {g.true / g.said:.2f}"
            lines.append(f"| {name}, {how}: fifth {number + 1} of {len(groups)} | {figures} |")
        whole = said.error.mean() / said.expected.mean()
        lines.append(f"| {name}, {how}: all | {1000 * said.expected.mean():.0f} | {1000 * said.error.mean():.0f} | {whole:.2f} |")
    header = "said to be missing or wrong | was missing or wrong | 3D joint off by > 150 mm"
    lines += ["", f"| masked samples | joints | {header} |", "|---|---|---|---|---|"]
    for (name, how), said in found.items():
        if how == "masked":
            for among in ("all", "seen"):
                for g in by_chance(said, among == "seen"):
                    shares = f"{100 * g.said:.1f} % | {100 * g.true:.1f} % | {100 * g.far_off:.1f} %"
                    lines.append(f"| {name}, {among} joints | {g.count} | {shares} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Marker mocap folder.")
@click.option(
    "--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Lifter.  [default: the one that ships]"
)
@click.option("-o", "out", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curves, too.")
@click.option("--batches", default=6, show_default=True, type=click.IntRange(1), help="Of 24 samples of 128 frames.")
def main(data: Path, weights: Path | None, out: Path | None, batches: int) -> None:
    lifter = torch_lifter(weights)
    found = {}
    for name, which in SETS.items():
        bank = MotionBank(load_mocap(data, *which))
        for how, share in MASKED.items():
            found[name, how] = ask(lifter, bank, share, batches)
    click.echo(table(found))
    if out:
        draw(found, out)


if __name__ == "__main__":
    main()
