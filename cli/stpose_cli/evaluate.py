"""`stpose evaluate`: how good weights are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stpose_core.files import check_output, written_whole


@click.command()
@click.option(
    "--data", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Marker mocap: a folder with an index.csv."
)
@click.option("--weights", metavar="FILE", type=click.Path(path_type=Path), help="Lifter to judge.  [default: the one that ships]")
@click.option("--clips", type=click.IntRange(1), metavar="N", help="Judge on so many clips of each set, for a quick look.")
@click.option("--refine", is_flag=True, help="Judge poses that were fitted to the 2D joints, as by `stpose mocap`.")
@click.option("--json", "out", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures to a file, too.")
@click.option("--overwrite", is_flag=True, help="Replace that file if it exists.")
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda", "mps"]))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads.")
def evaluate(
    data: Path, weights: Path | None, clips: int | None, refine: bool, out: Path | None, overwrite: bool, device: str, threads: int
) -> None:
    """Judge a lifter on held-out marker mocap: accuracy, hidden joints, distance, tempo, calibration.

    Errors are in mm, root-relative; cameras, noise and masks are the same for all lifters.
    """
    if out is not None:
        check_output(out, overwrite)
    import torch
    from stpose_training.evaluate import evaluate as judge

    from stpose_core.lift import load_lifter

    torch.set_num_threads(threads)
    lifter = load_lifter(weights, device)
    if lifter.reads_maps:
        click.echo("these weights read heat maps: maps are drawn of the keypoints, one Gaussian for each visible joint", err=True)
    report = judge(lifter, data, clips, say=lambda line: click.echo(line, err=True), refined=refine)
    click.echo(str(report))
    if out is not None:
        with written_whole(out, overwrite) as path:
            path.write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
