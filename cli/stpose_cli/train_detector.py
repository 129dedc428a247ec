"""`stpose train detector`: trains a complete built-in detector with one command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from stpose_cli.commands import CACHE, DEVICE, FOLDER, THREADS, adjusted, check_footage, choose_place, into, workers_for
from stpose_cli.train_spatial import COMPILE, FOOTAGE, LABELLED, RECIPE, STATE, VIDEOS, WORKERS


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """The options of the command."""

    cache: Path
    assets: Path | None
    mocap: Path | None
    out: Path
    recipe: str
    labelled: Path | None
    footage: Path | None
    videos: Path | None
    state: Path | None
    compiled: bool
    device: str
    threads: int | None
    workers: int | None


@click.command()
@CACHE
@click.option("--assets", metavar="FOLDER", type=FOLDER, help="Clothes, hair, textures, backgrounds. Needed once per cache.")
@click.option("--mocap", metavar="FOLDER", type=FOLDER, help="Marker mocap with rotations. Needed once per cache.")
@click.option("-o", "--out", required=True, metavar="FOLDER", type=FOLDER, help="Folder for the two weights files.")
@RECIPE
@LABELLED
@FOOTAGE
@VIDEOS
@STATE
@COMPILE
@DEVICE
@THREADS
@WORKERS
@into(DetectorOptions)
def detector(options: DetectorOptions) -> None:
    """Render pictures, train both networks of a built-in detector on them, and calibrate it.

    The recipe sets the number of pictures and the length of training. After a stop, the same command resumes. Use the result with
    --detector FOLDER.
    """
    from stpose_training.detector_recipe import load_recipe

    plan = load_recipe(options.recipe)
    check_footage(options.footage)
    place, threads = choose_place(options.device, options.threads)
    from stpose_training.detector import DetectorPaths, train_detector
    from stpose_training.loop import make_fabric

    workers = workers_for(options.workers, place, options.footage)
    compiled = options.compiled or None
    spatial = adjusted(plan.spatial, place, threads=threads, compiled=compiled, workers=workers)
    finder = adjusted(plan.finder, place, threads=threads, compiled=compiled)
    paths = DetectorPaths(
        cache=options.cache,
        output=options.out,
        state=options.state or Path("runs") / options.out.name,
        assets=options.assets,
        mocap=options.mocap,
        footage=options.footage,
        labelled=options.labelled,
        videos=options.videos,
    )
    plan = replace(plan, spatial=spatial, finder=finder)
    train_detector(paths, recipe=plan, fabric=make_fabric(place, spatial.precision), say=click.echo)
