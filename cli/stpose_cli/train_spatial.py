"""`stpose train spatial`: renders people and trains the network that sees them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stpose_core.errors import TrainingError
from stpose_core.files import check_output

if TYPE_CHECKING:
    from stpose_training.synth.kit import Kit

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--cache", required=True, metavar="FOLDER", type=_FOLDER, help="Rendered pictures, and what they are rendered from.")
@click.option("--assets", metavar="FOLDER", type=_FOLDER, help="Clothes, hair, textures, backgrounds; needed once a cache.")
@click.option("--mocap", metavar="FOLDER", type=_FOLDER, help="Marker mocap with rotations; needed once a cache.")
@click.option("--render", type=click.IntRange(1), metavar="N", help="Render until the cache holds N pictures.")
@click.option("--held-out", type=click.IntRange(0), default=1000, show_default=True, help="Pictures to measure on, with --render.")
@click.option("--preview", metavar="FILE", type=_FILE, help="Draw a contact sheet with labels (.png), and end.")
@click.option("--judge", metavar="FILE", type=_FILE, help="Measure these weights on the held-out pictures (and --videos), and end.")
@click.option("--calibrate", metavar="FILE", type=_FILE, help="Measure what these weights' scores mean, note it there, and end.")
@click.option("-o", "--out", metavar="FILE", type=_FILE, help="Train, and write the weights here (.safetensors).")
@click.option("--preset", default="small", show_default=True, type=click.Choice(["small", "base"]), help="Size of the network.")
@click.option("--videos", metavar="FOLDER", type=_FOLDER, help="Measure on balance/ of this folder as well, while training.")
@click.option("--footage", metavar="FOLDER", type=_FOLDER, help="Clips and photographs of people without labels, which join in.")
@click.option("--state", metavar="FOLDER", type=_FOLDER, help="Checkpoint and log.  [default: runs/ and the name of --out]")
@click.option("--start", metavar="FILE", type=_FILE, help="Go on from these weights, of a network of the same size.")
@click.option("--samples", type=click.IntRange(1), help="Length of the run.  [default: 2,000,000]")
@click.option("--batch", type=click.IntRange(2), help="Samples a step, of all processes.  [default: 32, with CUDA 256]")
@click.option("--coarse", type=click.FloatRange(0, 1), help="First share of the run, at half size.  [default: 0.7; 0 with --start]")
@click.option("--rate", type=click.FloatRange(0, 0.1, min_open=True), help="Greatest learning rate, at batches of 32.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network first (needs a C++ compiler): quicker steps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other numbers give other pictures and another run.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: 1, with CUDA all]")
@click.option("--workers", type=click.IntRange(0), help="Processes that draw samples.  [default: 0, with CUDA most cores]")
@click.option("--judge-every", type=click.IntRange(1), help="Samples between measurements, which write the weights too.")
def spatial(
    cache: Path,
    assets: Path | None,
    mocap: Path | None,
    render: int | None,
    held_out: int,
    preview: Path | None,
    judge: Path | None,
    calibrate: Path | None,
    out: Path | None,
    preset: str,
    videos: Path | None,
    footage: Path | None,
    state: Path | None,
    start: Path | None,
    samples: int | None,
    batch: int | None,
    coarse: float | None,
    rate: float | None,
    compiled: bool,
    seed: int,
    device: str,
    threads: int | None,
    workers: int | None,
    judge_every: int | None,
) -> None:
    """Train the network that finds 2D joints in pictures, on rendered people.

    Pictures are rendered into a folder (--render), which may go on while training reads it (-o). Either goes on where it was
    stopped when the same command is given again.
    """
    from stpose_training.spatial.recipe import Recipe

    if preview is None and render is None and judge is None and calibrate is None and out is None:
        raise TrainingError("nothing to do: give --preview, --render, --judge, --calibrate or -o")
    if start is not None and coarse:
        raise TrainingError("--start goes on at full size: the weights' norms are those of such pictures. Leave out --coarse")
    if footage is not None and not footage.is_dir():
        raise TrainingError(f"there is no folder {footage}")
    for path in (preview, out):
        if path is not None:
            check_output(path, overwrite=True)
    cuda, threads = place_and_threads(device, threads)
    if preview is not None or render is not None:
        _render(open_kit(cache, assets, mocap, cuda), cache, render, held_out, preview, seed)
    if judge is not None:
        from stpose_training.spatial.measure import report

        from stpose_core.detect.networks import load_spatial

        click.echo(report(load_spatial(judge)[0], cache, videos, "cuda" if cuda else "cpu"))
    if calibrate is not None:
        from stpose_training.spatial.calibrate import calibrate as note_calibration

        click.echo(note_calibration(calibrate, cache, seed))
    if out is not None:
        from stpose_training.lifter import make_fabric
        from stpose_training.spatial.run import train

        from stpose_core.networks.spatial import PRESETS

        given: dict[str, Any] = {"samples": samples, "batch": batch or (256 if cuda else None), "judge_every": judge_every}
        given |= {"coarse": coarse, "rate": rate}
        if workers is None:
            # Half as many again draw footage.
            spare = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 2
            workers = max(1, spare * 2 // 3 if footage else spare) if cuda else 0
        recipe = Recipe(seed=seed, threads=threads, compiled=compiled, workers=workers)
        recipe = replace(
            recipe.going_on() if start else recipe, **{name: value for name, value in given.items() if value is not None}
        )
        fabric = make_fabric("cuda" if cuda else "cpu", recipe.precision)
        train(cache, out, PRESETS[preset], recipe, state or Path("runs") / out.stem, fabric, videos, click.echo, footage, start)


def place_and_threads(device: str, threads: int | None) -> tuple[bool, int]:
    """Whether to use CUDA, and how many threads torch is set to. Raises TrainingError if CUDA is asked for and not there."""
    import torch

    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise TrainingError("cannot use 'cuda': there is no CUDA device")
    threads = threads or (os.cpu_count() or 1 if cuda else 1)
    torch.set_num_threads(threads)
    return cuda, threads


def open_kit(cache: Path, assets: Path | None, mocap: Path | None, cuda: bool) -> Kit:
    """What pictures are rendered from, baked first if the cache has none. Raises TrainingError if that needs what is not given."""
    from stpose_training.synth.cache import KIT
    from stpose_training.synth.kit import bake_kit, load_kit

    path = cache / KIT
    if not path.exists():
        if assets is None or mocap is None:
            raise TrainingError(f"there is no {path}: give --assets and --mocap, and it is made from them")
        cache.mkdir(parents=True, exist_ok=True)
        bake_kit(assets, mocap, path)
    return load_kit(path).to("cuda" if cuda else "cpu")


def _render(kit: Kit, cache: Path, count: int | None, held_out: int, preview: Path | None, seed: int) -> None:
    from stpose_training.synth.cache import batches, fill_cache
    from stpose_training.synth.sheet import draw_sheet

    if preview is not None:
        draw_sheet(list(batches(kit, "train", 99_999, seed, 64)), preview)
        click.echo(preview)
    if count is not None:
        fill_cache(kit, cache, count, held_out, seed, click.echo)
