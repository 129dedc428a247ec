"""`stpose train`: makes weights from motion capture."""

from __future__ import annotations

from pathlib import Path

import click

from stpose_cli.train_finder import finder
from stpose_cli.train_spatial import spatial
from stpose_core.files import check_output


@click.group()
def train() -> None:
    """Train networks. Needs the extra "train"; stpose doctor says whether it is installed, and how to install it."""


train.add_command(spatial)
train.add_command(finder)


@train.command()
@click.option(
    "--data", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Marker mocap: a folder with an index.csv."
)
@click.option("-o", "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Weights to write, .safetensors.")
@click.option(
    "--footage",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="2D-only clips that join in: an .npz of stpose mocap, or a folder of them. May be given several times.",
)
@click.option("--preset", default="default", show_default=True, help="default, plain, paper, or a .toml file.")
@click.option("--network", metavar="NAME", help="multi-stride, dilated-81 or dilated-243.  [default: the preset's]")
@click.option(
    "--state",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Checkpoint, log and TensorBoard files; the same command goes on from there.  [default: runs/ and the name of FILE]",
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option(
    "--start", metavar="FILE", type=click.Path(path_type=Path), help="Weights to go on from, of the same network.  [default: none]"
)
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0), help="Length of the run by the clock instead, without validation.")
@click.option("--rate", type=click.FloatRange(0, 0.1, min_open=True), help="Greatest learning rate.")
@click.option("--batch", type=click.IntRange(1), help="Samples a step, of all processes together.")
@click.option("--critic", type=click.FloatRange(0), help="Weight of the spatio-temporal discriminator; 0 for none.")
@click.option("--masked", type=click.FloatRange(0, 1), help="Share of samples with hidden joints.")
@click.option("--confused", type=click.FloatRange(0, 1), help="Share of samples in which sides are taken for each other.")
@click.option("--seed", type=int, help="Other numbers give other runs, the same number the same run.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps between validations, which write FILE too.")
@click.option("--checkpoint-every", type=click.IntRange(1), help="Steps between checkpoints.")
def lifter(
    data: Path,
    out: Path,
    footage: tuple[Path, ...],
    preset: str,
    network: str | None,
    state: Path | None,
    device: str,
    start: Path | None,
    **changes: object,
) -> None:
    """Train the network that lifts 2D joints to 3D, on marker mocap.

    Options that are not given are the preset's. A run that was stopped goes on when the same command is given again.
    """
    from stpose_training.recipe import load_plan

    plan = load_plan(preset, network, **changes)
    check_output(out, overwrite=True)
    from stpose_training.lifter import make_fabric
    from stpose_training.lifter import train as run

    fabric = make_fabric(device, plan.recipe.precision)
    run(data, out, plan, state or Path("runs") / out.stem, fabric, click.echo, footage, start)


@train.command()
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Weights to write, .safetensors.")
@click.option(
    "--weights", metavar="FILE", type=click.Path(path_type=Path), help="Lifter to start from.  [default: the one that ships]"
)
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Marker mocap to learn from as well, and to check on; without it nothing is checked.",
)
@click.option("--detector", default="auto", show_default=True, help="Of videos: auto, builtin, mediapipe or rtmpose.")
@click.option("--person", default="largest", show_default=True, help="Of videos: largest, left, right, center, or a number from 1.")
@click.option("--steps", type=click.IntRange(1), help="How long to learn.  [default: 400]")
@click.option("--rate", type=click.FloatRange(0, 0.1), help="How much each step may change.  [default: 0.00015]")
@click.option("--batch", type=click.IntRange(4), help="Samples a step.  [default: 16]")
@click.option("--seed", type=int, help="Other numbers give other results, the same number the same.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def adapt(
    clips: tuple[Path, ...],
    out: Path,
    weights: Path | None,
    data: Path | None,
    detector: str,
    person: str,
    device: str,
    overwrite: bool,
    **changes: object,
) -> None:
    """Fine-tune the lifter on your own footage, of which no 3D is needed.

    CLIPs are videos, .npz files that stpose mocap wrote, or folders of those. Some are kept apart, and the error on them is told
    before and after. With --data, weights that got worse on marker mocap by more than 2 % are not written.
    """
    check_output(out, overwrite)
    from stpose_training.adapt import Adaptation, adapt, read_clips

    from stpose_core.devices import choose_device

    plan = Adaptation(**{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
    place = choose_device(device)
    adapt(read_clips(clips, detector, person, device, click.echo), out, weights, data, plan, place, click.echo)
