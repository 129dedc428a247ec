"""`stpose train spatial`: renders people and trains the network that sees them."""

from __future__ import annotations

from pathlib import Path

import click

from stpose_core.errors import TrainingError
from stpose_core.files import check_output

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--cache", required=True, metavar="FOLDER", type=_FOLDER, help="Rendered pictures, and what they are rendered from.")
@click.option("--assets", metavar="FOLDER", type=_FOLDER, help="Clothes, hair, textures, backgrounds; needed once a cache.")
@click.option("--mocap", metavar="FOLDER", type=_FOLDER, help="Marker mocap with rotations; needed once a cache.")
@click.option("--render", type=click.IntRange(1), metavar="N", help="Render until the cache holds N pictures, and end.")
@click.option("--held-out", type=click.IntRange(0), default=2000, show_default=True, help="Pictures to measure on, with --render.")
@click.option("--preview", metavar="FILE", type=_FILE, help="Draw a contact sheet with labels (.png), and end.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other numbers give other pictures and another run.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
def spatial(
    cache: Path,
    assets: Path | None,
    mocap: Path | None,
    render: int | None,
    held_out: int,
    preview: Path | None,
    seed: int,
    device: str,
    threads: int,
) -> None:
    """Train the network that finds 2D joints in pictures, on rendered people."""
    import torch

    torch.set_num_threads(threads)
    if preview is not None or render is not None:
        from stpose_training.synth.cache import batches, fill_cache
        from stpose_training.synth.kit import bake_kit, load_kit
        from stpose_training.synth.sheet import draw_sheet

        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        path = cache / "kit.npz"
        if not path.exists():
            if assets is None or mocap is None:
                raise TrainingError(f"there is no {path}: give --assets and --mocap, and it is made from them")
            cache.mkdir(parents=True, exist_ok=True)
            bake_kit(assets, mocap, path)
        kit = load_kit(path).to(where)
        if preview is not None:
            check_output(preview, overwrite=True)
            draw_sheet(list(batches(kit, "train", 99_999, seed, 64)), preview)
            click.echo(preview)
        if render is not None:
            fill_cache(kit, cache, render, held_out, seed, click.echo)
