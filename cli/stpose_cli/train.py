"""`stpose train`: makes weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import click

from stpose_cli.commands import ANY, into
from stpose_cli.train_detector import detector
from stpose_cli.train_finder import finder
from stpose_cli.train_spatial import spatial
from stpose_core.files import check_output


@click.group()
def train() -> None:
    """Train networks. Needs the extra "train"; stpose doctor says whether it is installed, and how to install it."""


train.add_command(detector)
train.add_command(spatial)
train.add_command(finder)


@dataclass(frozen=True, kw_only=True)
class RecipeChanges:
    """Fields of the lifter's recipe that the command can change; None leaves the preset's."""

    steps: int | None
    minutes: float | None
    rate: float | None
    batch: int | None
    critic: float | None
    masked: float | None
    confused: float | None
    seed: int | None
    threads: int | None
    evaluate_every: int | None
    checkpoint_every: int | None


@dataclass(frozen=True, kw_only=True)
class LifterOptions(RecipeChanges):
    """The options of `stpose train lifter`, by their names."""

    data: Path
    out: Path
    footage: tuple[Path, ...]
    preset: str
    network: str | None
    state: Path | None
    device: str
    start: Path | None


@train.command()
@click.option("--data", required=True, metavar="FOLDER", type=ANY, help="Marker mocap: a folder with an index.csv.")
@click.option("-o", "--out", required=True, metavar="FILE", type=ANY, help="Weights to write, .safetensors.")
@click.option(
    "--footage",
    multiple=True,
    metavar="PATH",
    type=ANY,
    help="2D-only clips to learn from: an .npz of stpose mocap, or a folder of them. May be given several times.",
)
@click.option("--preset", default="default", show_default=True, help="default, plain, maps, paper, or a .toml file.")
@click.option("--network", metavar="NAME", help="multi-stride, dilated-81 or dilated-243.  [default: the preset's]")
@click.option(
    "--state",
    metavar="FOLDER",
    type=ANY,
    help="Checkpoint, log and TensorBoard files; the same command resumes from there.  [default: runs/ and the name of FILE]",
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--start", metavar="FILE", type=ANY, help="Weights to start from, of the same network.  [default: random]")
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0), help="Length of the run in minutes instead, without validation.")
@click.option("--rate", type=click.FloatRange(0, 0.1, min_open=True), help="Greatest learning rate.")
@click.option("--batch", type=click.IntRange(1), help="Samples a step, of all processes together.")
@click.option("--critic", type=click.FloatRange(0), help="Weight of the spatio-temporal discriminator; 0 for none.")
@click.option("--masked", type=click.FloatRange(0, 1), help="Share of samples with hidden joints.")
@click.option("--confused", type=click.FloatRange(0, 1), help="Share of samples with left and right exchanged in some joints.")
@click.option("--seed", type=int, help="Each number gives another run; the same number gives the same run.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps between validations, which also write FILE.")
@click.option("--checkpoint-every", type=click.IntRange(1), help="Steps between checkpoints.")
@into(LifterOptions)
def lifter(options: LifterOptions) -> None:
    """Train the network that lifts 2D joints to 3D, on marker mocap.

    Options that are not given are the preset's. The same command resumes a run after a stop.
    """
    from stpose_training.recipe import load_plan

    changes = {entry.name: getattr(options, entry.name) for entry in fields(RecipeChanges)}
    plan = load_plan(options.preset, options.network, **changes)
    check_output(options.out, overwrite=True)
    from stpose_training.lifter import train as run
    from stpose_training.loop import make_fabric

    run(
        options.data,
        output=options.out,
        plan=plan,
        state=options.state or Path("runs") / options.out.stem,
        fabric=make_fabric(options.device, plan.recipe.precision),
        say=click.echo,
        footage=options.footage,
        start=options.start,
    )


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """The options of `stpose train adapt`, by their names; None of the last five leaves the default of `Adaptation`."""

    clips: tuple[Path, ...]
    out: Path
    weights: Path | None
    data: Path | None
    detector: str
    person: str
    device: str
    overwrite: bool
    steps: int | None
    rate: float | None
    batch: int | None
    seed: int | None
    threads: int | None


@train.command()
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...", type=ANY)
@click.option("-o", "--out", required=True, metavar="FILE", type=ANY, help="Weights to write, .safetensors.")
@click.option("--weights", metavar="FILE", type=ANY, help="Lifter to start from.  [default: the built-in one]")
@click.option(
    "--data",
    metavar="FOLDER",
    type=ANY,
    help="Marker mocap to learn from as well, and to check on; without it nothing is checked.",
)
@click.option("--detector", default="auto", show_default=True, help="For videos: auto, builtin, mediapipe or rtmpose.")
@click.option("--person", default="largest", show_default=True, help="In videos: largest, left, right, center, or a number from 1.")
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: 400]")
@click.option("--rate", type=click.FloatRange(0, 0.1), help="Greatest learning rate.  [default: 0.00015]")
@click.option("--batch", type=click.IntRange(4), help="Samples a step.  [default: 16]")
@click.option("--seed", type=int, help="Each number gives another result; the same number gives the same.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@into(AdaptOptions)
def adapt(options: AdaptOptions) -> None:
    """Fine-tune the lifter on your own footage, without any 3D.

    CLIPs are videos, .npz files of stpose mocap, or folders of those. Some are kept apart, and the errors on them before and after
    are printed. With --data, weights whose error on marker mocap grew by more than 2 % are not written.
    """
    check_output(options.out, options.overwrite)
    from stpose_training.adapt import Adaptation, adapt, read_clips

    from stpose_core.devices import choose_device

    names = ("steps", "rate", "batch", "seed", "threads")
    plan = Adaptation(**{name: getattr(options, name) for name in names if getattr(options, name) is not None})
    device = choose_device(options.device)
    clips = read_clips(options.clips, detector=options.detector, person=options.person, device=options.device, say=click.echo)
    adapt(clips, output=options.out, weights=options.weights, data=options.data, plan=plan, device=device, say=click.echo)
