"""`stpose evaluate`: measures the accuracy of weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from stpose_cli.commands import ANY, DEVICE, FILE, FOLDER, THREADS, choose_place, into
from stpose_core.errors import TrainingError
from stpose_core.files import check_output, written_whole


@click.group()
def evaluate() -> None:
    """Measure the accuracy of weights."""


@dataclass(frozen=True, kw_only=True)
class LifterOptions:
    """The options of `stpose evaluate lifter`."""

    data: Path
    weights: Path | None
    clips: int | None
    refine: bool
    one_skeleton: bool
    out: Path | None
    overwrite: bool
    device: str
    threads: int


@evaluate.command()
@click.option("--data", required=True, metavar="FOLDER", type=ANY, help="Marker mocap: a folder with an index.csv.")
@click.option("--weights", metavar="FILE", type=ANY, help="Lifter to measure.  [default: the built-in one]")
@click.option("--clips", type=click.IntRange(1), metavar="N", help="Measure on only N clips of each set.")
@click.option("--refine", is_flag=True, help="Measure poses after the fit to the 2D joints, as in `stpose mocap`.")
@click.option("--one-skeleton", is_flag=True, help="Measure on mocap whose trunk joints are all defined alike.")
@click.option("--json", "out", metavar="FILE", type=ANY, help="Also write the figures to a file.")
@click.option("--overwrite", is_flag=True, help="Replace that file if it exists.")
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda", "mps"]))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads.")
@into(LifterOptions)
def lifter(options: LifterOptions) -> None:
    """Measure a lifter on held-out marker mocap: accuracy, hidden joints, distance, tempo, calibration.

    Errors are in mm, root-relative; cameras, noise and masks are the same for all lifters.
    """
    if options.out is not None:
        check_output(options.out, options.overwrite)
    import torch
    from stpose_training.evaluate import evaluate as measure

    from stpose_core.lift import load_lifter

    torch.set_num_threads(options.threads)
    network = load_lifter(options.weights, options.device)
    if network.reads_maps:
        click.echo("these weights read heat maps; the maps are drawn from the keypoints, one Gaussian per visible joint", err=True)
    report = measure(
        network,
        options.data,
        most=options.clips,
        say=lambda line: click.echo(line, err=True),
        refined=options.refine,
        one_skeleton=options.one_skeleton,
    )
    click.echo(str(report))
    if options.out is not None:
        with written_whole(options.out, options.overwrite) as path:
            path.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """The options of `stpose evaluate spatial` and `stpose evaluate finder`."""

    weights: Path | None
    cache: Path | None
    labelled: Path | None
    device: str
    threads: int | None
    videos: Path | None = None

    def __post_init__(self) -> None:
        if self.cache is None and self.labelled is None and self.videos is None:
            raise TrainingError("nothing to measure on: give --cache or --labelled")


_WEIGHTS = click.option("--weights", metavar="FILE", type=FILE, help="Network to measure.  [default: the built-in one]")
_CACHE = click.option("--cache", metavar="FOLDER", type=FOLDER, help="Measure on the held-out pictures of a rendered folder.")
_LABELLED = click.option(
    "--labelled", metavar="PATH", type=ANY, help="Measure on labelled photographs: a folder with COCO keypoints, or the .json file."
)


@evaluate.command()
@_WEIGHTS
@_CACHE
@_LABELLED
@click.option("--videos", metavar="FOLDER", type=FOLDER, help="Measure on the clips of balance/ in this folder.")
@DEVICE
@THREADS
@into(PictureOptions)
def spatial(options: PictureOptions) -> None:
    """Measure a spatial network with given boxes of people.

    Rendered people and videos: PCK at 0.2 torso. Photographs: OKS over the 12 limb joints, and average recall over the thresholds
    0.50 to 0.95, as COCO defines them.
    """
    from stpose_training.spatial.report import report

    from stpose_core.detect.networks import load_spatial
    from stpose_core.weights import DETECTOR, SPATIAL_FILE

    device, _ = choose_place(options.device, options.threads)
    network = load_spatial(options.weights or DETECTOR / SPATIAL_FILE)[0]
    click.echo(report(network, cache=options.cache, videos=options.videos, labelled=options.labelled, device=device))


@evaluate.command()
@_WEIGHTS
@_CACHE
@_LABELLED
@DEVICE
@THREADS
@into(PictureOptions)
def finder(options: PictureOptions) -> None:
    """Measure the network that finds people: people found, false boxes, empty pictures with a box."""
    import torch
    from stpose_training.finder.measure import held_out_frames, judge_finder, photo_frames

    from stpose_core.detect.networks import load_finder
    from stpose_core.weights import DETECTOR, FINDER_FILE

    device = torch.device(choose_place(options.device, options.threads)[0])
    network = load_finder(options.weights or DETECTOR / FINDER_FILE)[0].to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sets = {"rendered": held_out_frames(options.cache)} if options.cache else {}
    sets |= {"photographs": photo_frames(options.labelled)} if options.labelled else {}
    for name, frames in sets.items():
        measures = judge_finder(network, frames, device)
        click.echo("\n".join([name, *(f"  {measure:9} {value:.3f}" for measure, value in measures.items())]))
