"""`stpose render`: renders pictures of people to train and measure networks on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from stpose_cli.commands import DEVICE, FILE, FOLDER, THREADS, choose_place, into
from stpose_core.errors import TrainingError
from stpose_core.files import check_output


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """The options of the command."""

    cache: Path
    assets: Path | None
    mocap: Path | None
    count: int | None
    frames: bool
    held_out: int | None
    preview: Path | None
    seed: int
    device: str
    threads: int | None


@click.command()
@click.option("--cache", required=True, metavar="FOLDER", type=FOLDER, help="Folder of the pictures and their sources.")
@click.option("--assets", metavar="FOLDER", type=FOLDER, help="Clothes, hair, textures, backgrounds. Needed once per cache.")
@click.option("--mocap", metavar="FOLDER", type=FOLDER, help="Marker mocap with rotations. Needed once per cache.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Render until the cache holds N training pictures.")
@click.option("--frames", is_flag=True, help="Render whole frames for the finder instead of crops of one person.")
@click.option("--held-out", type=click.IntRange(0), metavar="N", help="Held-out pictures.  [default: 1000 crops, 500 frames]")
@click.option("--preview", metavar="FILE", type=FILE, help="Write a contact sheet with labels (.png).")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
@DEVICE
@THREADS
@into(RenderOptions)
def render(options: RenderOptions) -> None:
    """Render people for training.

    A training run may read the folder meanwhile. After a stop, the same command resumes. Several processes may fill one folder.
    """
    if options.count is None and options.preview is None:
        raise TrainingError("nothing to do: give --count or --preview")
    if options.preview is not None:
        check_output(options.preview, overwrite=True)
    device, _ = choose_place(options.device, options.threads)
    from stpose_training.synth.cache import FRAMES, batches, fill_cache, open_kit
    from stpose_training.synth.sheet import draw_sheet

    kit = open_kit(options.cache, options.assets, options.mocap).to(device)
    kind = FRAMES if options.frames else ""
    if options.preview is not None:
        draw_sheet(list(batches(kit, f"{kind}train", 99_999, options.seed, 64)), options.preview)
        click.echo(options.preview)
    if options.count is not None:
        held_out = (500 if options.frames else 1000) if options.held_out is None else options.held_out
        fill_cache(kit, folder=options.cache, count=options.count, held_out=held_out, seed=options.seed, say=click.echo, kind=kind)
