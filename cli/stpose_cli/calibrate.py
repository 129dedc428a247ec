"""`stpose calibrate`: measures what the scores of a spatial network mean."""

from __future__ import annotations

from pathlib import Path

import click

from stpose_cli.commands import CACHE, FILE


@click.command()
@click.argument("weights", metavar="WEIGHTS", type=FILE)
@CACHE
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the views.")
def calibrate(weights: Path, cache: Path, seed: int) -> None:
    """Calibrate a spatial network on held-out rendered pictures and frames.

    The calibration is written into WEIGHTS: a joint's score becomes the probability that it is correct, and a person's presence the
    probability that there is a person. Run it after every training.
    """
    from stpose_training.spatial.calibrate import calibrate as run

    click.echo(run(weights, cache, seed))
