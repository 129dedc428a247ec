"""`stpose train`: makes weights from motion capture."""

from __future__ import annotations

from pathlib import Path

import click

from stpose_cli.train_spatial import spatial
from stpose_core.files import check_output


@click.group()
def train() -> None:
    """Train networks. Needs the extra: pip install '.[train]'."""


train.add_command(spatial)


@train.command()
@click.option(
    "--data", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Marker mocap: a folder with an index.csv."
)
@click.option("-o", "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Weights to write, .safetensors.")
@click.option("--preset", default="default", show_default=True, help="default, paper, or a .toml file.")
@click.option("--network", metavar="NAME", help="multi-stride, dilated-81 or dilated-243.  [default: the preset's]")
@click.option(
    "--state",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Checkpoint, log and TensorBoard files; the same command goes on from there.  [default: runs/ and the name of FILE]",
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0), help="Length of the run by the clock instead, without validation.")
@click.option("--batch", type=click.IntRange(1), help="Samples a step, of all processes together.")
@click.option("--critic", type=click.FloatRange(0), help="Weight of the spatio-temporal discriminator; 0 for none.")
@click.option("--masked", type=click.FloatRange(0, 1), help="Share of samples with hidden joints.")
@click.option("--seed", type=int, help="Other numbers give other runs, the same number the same run.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps between validations, which write FILE too.")
@click.option("--checkpoint-every", type=click.IntRange(1), help="Steps between checkpoints.")
def lifter(data: Path, out: Path, preset: str, network: str | None, state: Path | None, device: str, **changes: object) -> None:
    """Train the network that lifts 2D joints to 3D, on marker mocap.

    Options that are not given are the preset's. A run that was stopped goes on when the same command is given again.
    """
    from stpose_training.recipe import load_plan

    plan = load_plan(preset, network, **changes)
    check_output(out, overwrite=True)
    from stpose_training.lifter import make_fabric
    from stpose_training.lifter import train as run

    fabric = make_fabric(device, plan.recipe.precision)
    run(data, out, plan, state or Path("runs") / out.stem, fabric, click.echo)
