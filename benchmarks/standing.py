"""Frames in which feet that stand were detected as standing: `python benchmarks/standing.py CLIP --frames 30-72 --foot both`.

The frames in which the feet stand are read off the pictures by eye, and given as ranges with both ends.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import stpose_core as sp
from stpose_core.data import Array, Mask

# Columns of `Motion.contacts`: heel and toes.
FEET = {"left": [0, 1], "right": [2, 3]}


def standing(contacts: Array, frames: Mask, foot: str) -> float:
    """Share of the frames in which heel or toes of the foot are in contact. contacts: (T, 4). frames: (T,). foot: left or right."""
    return float((contacts[frames][:, FEET[foot]] > 0.5).any(1).mean())


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", "ranges", multiple=True, required=True, help="Range of frames in which the feet stand, as 30-72.")
@click.option("--foot", type=click.Choice(["left", "right", "both"]), default="both", show_default=True)
@click.option("--detector", default="auto", show_default=True)
def main(clip: Path, ranges: tuple[str, ...], foot: str, detector: str) -> None:
    """Capture the clip, and print for each foot the share of the frames in which it stands."""
    capture = sp.capture(clip, detector=detector)
    frames = np.zeros(len(capture), bool)
    for text in ranges:
        first, last = (int(end) for end in text.split("-"))
        frames[first : last + 1] = True
    assert capture.motion.contacts is not None
    for name in FEET if foot == "both" else [foot]:
        click.echo(
            f"{clip.name}, {name} foot: {100 * standing(capture.motion.contacts, frames, name):.0f} % of {frames.sum()} frames"
        )


if __name__ == "__main__":
    main()
