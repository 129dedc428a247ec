"""`stpose train finder`: renders whole frames and trains the network that finds people in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from stpose_cli.train_spatial import open_kit, place_and_threads
from stpose_core.errors import TrainingError
from stpose_core.files import check_output

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--cache", required=True, metavar="FOLDER", type=_FOLDER, help="Rendered pictures, as of stpose train spatial.")
@click.option("--assets", metavar="FOLDER", type=_FOLDER, help="Clothes, hair, textures, backgrounds; needed once a cache.")
@click.option("--mocap", metavar="FOLDER", type=_FOLDER, help="Marker mocap with rotations; needed once a cache.")
@click.option("--render", type=click.IntRange(1), metavar="N", help="Render until the cache holds N frames.")
@click.option("--held-out", type=click.IntRange(0), default=500, show_default=True, help="Frames to measure on, with --render.")
@click.option("--judge", metavar="FILE", type=_FILE, help="Measure these weights on the held-out frames, and end.")
@click.option("-o", "--out", metavar="FILE", type=_FILE, help="Train, and write the weights here (.safetensors).")
@click.option("--state", metavar="FOLDER", type=_FOLDER, help="Checkpoint and log.  [default: runs/ and the name of --out]")
@click.option("--start", metavar="FILE", type=_FILE, help="Begin with these weights, of a network of the same size.")
@click.option("--samples", type=click.IntRange(1), help="Length of the run.  [default: 2,000,000]")
@click.option("--batch", type=click.IntRange(2), help="Samples a step, of all processes.  [default: 32, with CUDA 256]")
@click.option("--seed", type=int, default=0, show_default=True, help="Other numbers give other frames and another run.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: 1, with CUDA all]")
@click.option("--judge-every", type=click.IntRange(1), help="Samples between measurements, which write the weights too.")
def finder(
    cache: Path,
    assets: Path | None,
    mocap: Path | None,
    render: int | None,
    held_out: int,
    judge: Path | None,
    out: Path | None,
    state: Path | None,
    start: Path | None,
    samples: int | None,
    batch: int | None,
    seed: int,
    device: str,
    threads: int | None,
    judge_every: int | None,
) -> None:
    """Train the network that finds people in whole pictures, on rendered ones.

    Frames lie beside the crops of stpose train spatial, of which it learns too. Rendering (--render) and training (-o) may run at
    once, and go on where they were stopped when the same command is given again.
    """
    import torch
    from stpose_training.spatial.recipe import Recipe

    if render is None and judge is None and out is None:
        raise TrainingError("nothing to do: give --render, --judge or -o")
    if out is not None:
        check_output(out, overwrite=True)
    cuda, threads = place_and_threads(device, threads)
    if render is not None:
        from stpose_training.synth.cache import FRAMES, fill_cache

        fill_cache(open_kit(cache, assets, mocap, cuda), cache, render, held_out, seed, click.echo, kind=FRAMES)
    if judge is not None:
        from stpose_training.finder.measure import held_out_frames, judge_finder

        from stpose_core.detect.networks import load_finder

        measures = judge_finder(load_finder(judge)[0], held_out_frames(cache), torch.device("cpu"))
        click.echo("\n".join(f"{name:9} {value:.3f}" for name, value in measures.items()))
    if out is not None:
        from stpose_training.finder.run import train_finder
        from stpose_training.lifter import make_fabric

        given: dict[str, Any] = {"samples": samples, "batch": batch or (256 if cuda else None), "judge_every": judge_every}
        recipe = replace(Recipe(seed=seed, threads=threads), **{name: value for name, value in given.items() if value is not None})
        fabric = make_fabric("cuda" if cuda else "cpu", recipe.precision)
        train_finder(cache, out, recipe, state or Path("runs") / out.stem, fabric, click.echo, start=start)
