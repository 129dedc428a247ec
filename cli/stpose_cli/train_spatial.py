"""`stpose train spatial`: trains the network that finds the joints of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from stpose_cli.commands import (
    ANY,
    CACHE,
    DEVICE,
    FILE,
    FOLDER,
    THREADS,
    adjusted,
    check_footage,
    choose_place,
    into,
    workers_for,
)  # fmt: skip
from stpose_core.files import check_output

RECIPE = click.option("--recipe", default="builtin", show_default=True, metavar="NAME", help="builtin, or a .toml file.")
LABELLED = click.option(
    "--labelled",
    metavar="PATH",
    type=ANY,
    help="Labelled photographs to train on: a folder with COCO keypoints, or the .json file.",
)
FOOTAGE = click.option(
    "--footage", metavar="FOLDER", type=FOLDER, help="Clips and photographs of people, without labels, to train on."
)
VIDEOS = click.option("--videos", metavar="FOLDER", type=FOLDER, help="Also measure on balance/ in this folder.")
STATE = click.option("--state", metavar="FOLDER", type=FOLDER, help="Checkpoint and log.  [default: runs/ and the name of --out]")
START = click.option("--start", metavar="FILE", type=FILE, help="Start from these weights of the same network.")
SAMPLES = click.option("--samples", type=click.IntRange(1), help="Length of the run.  [default: the recipe's]")
BATCH = click.option(
    "--batch", type=click.IntRange(2), help="Samples per step, over all processes.  [default: the recipe's, with CUDA 256]"
)
RATE = click.option("--rate", type=click.FloatRange(0, 0.1, min_open=True), help="Maximum learning rate for batches of 32.")
COMPILE = click.option("--compile", "compiled", is_flag=True, help="Compile the network for faster steps (needs a C++ compiler).")
SEED = click.option("--seed", type=int, help="Random seed.")
WORKERS = click.option("--workers", type=click.IntRange(0), help="Processes that draw samples.  [default: 0, with CUDA most cores]")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options that training the spatial network and the finder have in common."""

    cache: Path
    out: Path
    recipe: str
    labelled: Path | None
    state: Path | None
    start: Path | None
    samples: int | None
    batch: int | None
    rate: float | None
    compiled: bool
    seed: int | None
    device: str
    threads: int | None

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint and the log."""
        return self.state or Path("runs") / self.out.stem

    @property
    def changes(self) -> dict[str, object]:
        """Fields of the recipe that the options change."""
        given: dict[str, object] = {name: getattr(self, name) for name in ("samples", "batch", "rate", "seed")}
        return {**given, "compiled": self.compiled or None}


@dataclass(frozen=True, kw_only=True)
class SpatialOptions(TrainOptions):
    """The options of the command."""

    network: str | None
    videos: Path | None
    footage: Path | None
    workers: int | None


@click.command()
@CACHE
@click.option("-o", "--out", required=True, metavar="FILE", type=FILE, help="Weights to write (.safetensors).")
@RECIPE
@click.option("--network", metavar="NAME", help="Size of the network: small or base.  [default: the recipe's]")
@LABELLED
@FOOTAGE
@VIDEOS
@STATE
@START
@SAMPLES
@BATCH
@RATE
@COMPILE
@SEED
@DEVICE
@THREADS
@WORKERS
@into(SpatialOptions)
def spatial(options: SpatialOptions) -> None:
    """Train the network that detects the joints of a person on pictures of stpose render.

    After a stop, the same command resumes the run. Rendering may continue meanwhile.
    """
    from stpose_training.detector_recipe import load_recipe

    plan = load_recipe(options.recipe)
    check_footage(options.footage)
    check_output(options.out, overwrite=True)
    place, threads = choose_place(options.device, options.threads)
    from stpose_training.detector import config_of
    from stpose_training.loop import make_fabric
    from stpose_training.spatial.recipe import SpatialPaths
    from stpose_training.spatial.run import train

    recipe = plan.spatial.continued() if options.start else plan.spatial
    workers = workers_for(options.workers, place, options.footage)
    recipe = adjusted(recipe, place, threads=threads, workers=workers, **options.changes)
    paths = SpatialPaths(
        cache=options.cache,
        output=options.out,
        state=options.folder,
        labelled=options.labelled,
        start=options.start,
        videos=options.videos,
        footage=options.footage,
    )
    config = config_of(options.network or plan.network)
    train(paths, config=config, recipe=recipe, fabric=make_fabric(place, recipe.precision), say=click.echo)
