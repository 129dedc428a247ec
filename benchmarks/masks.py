"""A picture of what training hides: `python benchmarks/masks.py --data MOCAP -o docs/images/masks.png`.

Each kind of occlusion of `stpose_training.data.occlusion`, at the severity that training begins with and at the one it ends with:
one frame of a held-out clip as the network is shown it, and all joints over 128 frames. The same seed gives the same picture.
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
from matplotlib.colors import ListedColormap
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.mocap import load_mocap
from stpose_training.data.occlusion import KINDS, hide
from stpose_training.data.samples import detections_of

from stpose_core.data import Array, Mask
from stpose_core.files import written_whole
from stpose_core.skeletons import H36M17

FRAMES = 128
LONGEST_START = 30
SEVERITIES = {"minor": 0.2, "severe": 1.0}
TITLES = {
    "point": "single joints",
    "part": "a limb",
    "area": "what lies\nin a box",
    "frame": "whole frames",
    "run": "a few joints\nfor a while",
    "person": "the person\nfor a while",
    "displaced": "wrong places,\nsides exchanged",
}
SEEN, HIDDEN, WRONG = "#e9e7e1", "#26547c", "#e4572e"
INK, BONE = "#3b3b3b", "#b9b6ae"
# Rows of a raster from above: joints of a limb side by side.
ROWS = (10, 9, 8, 7, 0, 11, 12, 13, 14, 15, 16, 4, 5, 6, 1, 2, 3)
PARTS = (("head, trunk", 5), ("left arm", 3), ("right arm", 3), ("left leg", 3), ("right leg", 3))


@dataclass(frozen=True)
class Example:
    """One clip under one kind. true, shown: (T, 17, 2) tangent units; hidden, wrong: (T, 17) masked, and in a wrong place."""

    true: Array
    shown: Array
    hidden: Mask
    wrong: Mask


def examples(positions: np.ndarray, seed: int) -> dict[tuple[str, str], Example]:
    """(kind, severity) -> what becomes of this clip (T, 17, 3), the same camera and detections for all."""
    random = Random(seed)
    plain = detections_of(film(torch.from_numpy(positions)[None], random, (1.2, 1.21)), random)
    true = plain.rays[0].double().numpy()
    found: dict[tuple[str, str], Example] = {}
    for number, kind in enumerate(KINDS):
        for name, severity in SEVERITIES.items():
            # Some draws of a kind hide nothing (a box beside the person): the first one that does.
            for attempt in range(50):
                draw = Random(seed + 1000 * number + attempt)
                shown, score, wrong = hide(
                    plain.rays, torch.ones_like(plain.score), draw, severity=severity, share=1.0, kinds=(kind,)
                )
                if wrong.float().mean() > 0.004:
                    break
            hidden = (score[0] == 0).numpy()
            found[kind, name] = Example(true, shown[0].double().numpy(), hidden, wrong[0].numpy() & ~hidden)
    return found


def frame_to_show(example: Example) -> int:
    """Of those in which most is wrong, the one in which the person is widest, as limbs then do not cover one another."""
    amount = (example.hidden | example.wrong).sum(1)
    wide = np.ptp(example.true[..., 0], axis=1)
    return int(np.where(amount == amount.max(), wide, -1).argmax())


def draw_figure(axes: Axes, example: Example) -> None:
    """The true skeleton, its hidden joints hollow, and those in a wrong place where the network's input marks them."""
    frame = frame_to_show(example)
    true, shown, hidden, wrong = (part[frame] for part in (example.true, example.shown, example.hidden, example.wrong))
    for joint, parent in enumerate(H36M17.parents):
        if parent >= 0:
            unsure = hidden[joint] or hidden[parent]
            axes.plot(*true[[joint, parent]].T, color=BONE, linewidth=1.8, linestyle=":" if unsure else "-", zorder=1)
    seen = ~hidden & ~wrong
    axes.scatter(true[seen, 0], true[seen, 1], s=18, color=INK, zorder=3)
    axes.scatter(true[hidden, 0], true[hidden, 1], s=20, facecolors="white", edgecolors=HIDDEN, linewidths=1.2, zorder=3)
    for start, end in zip(true[wrong], shown[wrong]):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": WRONG, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 1})
    axes.scatter(shown[wrong, 0], shown[wrong, 1], s=18, color=WRONG, zorder=4)
    middle = (example.true[frame].max(0) + example.true[frame].min(0)) / 2
    reach = 0.53 * np.ptp(example.true, axis=1).max()
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach), aspect="equal")
    axes.axis("off")


def draw_raster(axes: Axes, example: Example) -> None:
    """Joints over time, grouped by limbs, and a mark at the frame of the figure."""
    state = np.where(example.hidden, 1, np.where(example.wrong, 2, 0)).T[list(ROWS)]
    axes.imshow(state, aspect="auto", interpolation="nearest", cmap=ListedColormap([SEEN, HIDDEN, WRONG]), vmin=0, vmax=2)
    edge = 0
    places = []
    for _, count in PARTS:
        places.append(edge + (count - 1) / 2)
        edge += count
        if edge < len(ROWS):
            axes.axhline(edge - 0.5, color="white", linewidth=1)
    axes.set_yticks(places, [name for name, _ in PARTS], fontsize=6.5)
    axes.set_xticks([0, 32, 64, 96, 127], [])
    axes.plot(frame_to_show(example), -0.9, marker="v", color=INK, markersize=4, clip_on=False)
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Marker mocap folder.")
@click.option("-o", "out", default="masks.png", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=8, show_default=True)
def main(data: Path, out: Path, seed: int) -> None:
    clips = [clip for clip in load_mocap(data, "free", "validation") if len(clip.positions) >= FRAMES + LONGEST_START]
    clip = clips[seed % len(clips)]
    drawn = examples(clip.positions[LONGEST_START : LONGEST_START + FRAMES], seed)
    figure, grid = pyplot.subplots(
        len(KINDS), 4, figsize=(12, 1.5 * len(KINDS)), gridspec_kw={"width_ratios": [1, 3, 1, 3], "wspace": 0.2, "hspace": 0.2}
    )
    for row, kind in enumerate(KINDS):
        for column, name in enumerate(SEVERITIES):
            figures, raster = grid[row, 2 * column], grid[row, 2 * column + 1]
            draw_figure(figures, drawn[kind, name])
            draw_raster(raster, drawn[kind, name])
            if row == 0:
                raster.set_title(f"{name} (severity {SEVERITIES[name]:g})", fontsize=10, color=INK, pad=10)
        grid[row, 0].text(
            -0.12, 0.5, TITLES[kind], transform=grid[row, 0].transAxes, ha="right", va="center", fontsize=10, color=INK
        )
    for column in (1, 3):
        grid[-1, column].set_xticks([0, 32, 64, 96, 127], ["0", "32", "64", "96", "frame 127"], fontsize=7)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in (SEEN, HIDDEN, WRONG)]
    figure.legend(
        handles,
        ["seen", "hidden", "in a wrong place"],
        loc="lower center",
        ncol=3,
        frameon=False,
        fontsize=9,
        bbox_to_anchor=(0.55, 0.06),
    )
    with written_whole(out, overwrite=True) as part:
        figure.savefig(part, dpi=100, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    click.echo(f"wrote {out}")


if __name__ == "__main__":
    main()
