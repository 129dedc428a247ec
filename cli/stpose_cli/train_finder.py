"""`stpose train finder`: trains the network that finds people in whole pictures."""

from __future__ import annotations

import click

from stpose_cli.commands import CACHE, DEVICE, FILE, THREADS, adjusted, choose_place, into
from stpose_cli.train_spatial import BATCH, COMPILE, LABELLED, RATE, RECIPE, SAMPLES, SEED, START, STATE, TrainOptions
from stpose_core.files import check_output


@click.command()
@CACHE
@click.option("-o", "--out", required=True, metavar="FILE", type=FILE, help="Weights to write (.safetensors).")
@RECIPE
@LABELLED
@STATE
@START
@SAMPLES
@BATCH
@RATE
@COMPILE
@SEED
@DEVICE
@THREADS
@into(TrainOptions)
def finder(options: TrainOptions) -> None:
    """Train the network that finds people on the frames of stpose render --frames and the crops in the same folder.

    After a stop, the same command resumes the run. Rendering may continue meanwhile.
    """
    from stpose_training.detector_recipe import load_recipe

    plan = load_recipe(options.recipe)
    check_output(options.out, overwrite=True)
    place, threads = choose_place(options.device, options.threads)
    from stpose_training.finder.run import train_finder
    from stpose_training.loop import make_fabric
    from stpose_training.vision.recipe import Paths

    recipe = adjusted(plan.finder, place, threads=threads, **options.changes)
    paths = Paths(cache=options.cache, output=options.out, state=options.folder, labelled=options.labelled, start=options.start)
    train_finder(paths, recipe=recipe, fabric=make_fabric(place, recipe.precision), say=click.echo)
