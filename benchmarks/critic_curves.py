"""Curves of the spatio-temporal discriminator, from the logs of two runs that differ in it alone, as one picture.

    stpose train lifter --data MOCAP --critic 0.01 -o with.safetensors
    stpose train lifter --data MOCAP --critic 0 -o without.safetensors
    python benchmarks/critic_curves.py runs/with runs/without -o docs/images/critic.png

Above: the discriminator's loss, and the mean scores that it gives to recorded and to lifted motion (running means over about fifty
steps). 1 stands for recorded; a loss of 0.25 and scores of 0.5 say that it cannot tell them apart, and a loss of 0 that the lifter
has lost. Below: the error on people whom training never sees, with and without.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from stpose_core.files import written_whole

_SCORES = {"critic": "loss", "real": "score of recorded motion", "made": "score of lifted motion"}


def rows_of(folder: Path) -> list[dict[str, dict[str, float]]]:
    """The lines of a run's log.jsonl."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def curve(rows: Sequence[dict[str, dict[str, float]]], group: str, name: str) -> tuple[list[object], list[float]]:
    """Steps and values of one measure, of the lines that have it."""
    told = [row for row in rows if name in row.get(group, {})]
    return [row["step"] for row in told], [row[group][name] for row in told]


def draw(on: Path, off: Path, out: Path) -> None:
    """Writes the picture. on, off: the --state folders of the runs with and without the critic."""
    runs = {"with the critic": rows_of(on), "without": rows_of(off)}
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    for name, label in _SCORES.items():
        above.plot(*curve(runs["with the critic"], "train", name), label=label)
    for level in (0.25, 0.5):
        above.axhline(level, color="0.8", linewidth=0.8, zorder=0)
    above.set(ylabel="discriminator", ylim=(0, 1))
    above.legend()
    for (label, rows), style in zip(runs.items(), ("-", "--")):
        for number, (group, title) in enumerate((("cmu_validation", "CMU validation"), ("hdm05", "HDM05"))):
            below.plot(*curve(rows, group, "mpjpe"), style, color=f"C{number}", label=f"{title}, {label}")
    below.set(xlabel="step", ylabel="MPJPE, mm")
    below.legend()
    with written_whole(out, overwrite=True) as part:
        figure.savefig(part, format=out.suffix[1:], dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read both logs, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("on", type=Path, help="the run with the critic: its --state folder")
    parser.add_argument("off", type=Path, help="the run without")
    parser.add_argument("-o", "--out", type=Path, required=True, help="a .png or .svg file")
    options = parser.parse_args(arguments)
    draw(options.on, options.off, options.out)


if __name__ == "__main__":
    main()
