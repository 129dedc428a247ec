"""`stpose train`: trains networks."""

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
    """Train networks. Needs the extra "train"; stpose doctor shows whether it is installed, and how to install it."""


train.add_command(detector)
train.add_command(spatial)
train.add_command(finder)


@dataclass(frozen=True, kw_only=True)
class RecipeChanges:
    """Fields of the lifter's recipe that the command can change. None keeps the preset's value."""

    steps: int | None
    minutes: float | None
    rate: float | None
    batch: int | None
    critic: float | None
    masked: float | None
    confused: float | None
    overlapped: float | None
    straight_knees: bool | None
    one_skeleton: bool | None
    seed: int | None
    threads: int | None
    evaluate_every: int | None
    checkpoint_every: int | None


@dataclass(frozen=True, kw_only=True)
class LifterOptions(RecipeChanges):
    """The options of `stpose train lifter`."""

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
    help="2D-only clips to train on: an .npz of stpose mocap, or a folder of them. May be given several times.",
)
@click.option("--preset", default="default", show_default=True, help="default, plain, maps, paper, published, or a .toml file.")
@click.option("--network", metavar="NAME", help="multi-stride, dilated-81 or dilated-243.  [default: the preset's]")
@click.option(
    "--state",
    metavar="FOLDER",
    type=ANY,
    help="Folder of the checkpoint, log and TensorBoard files.  [default: runs/ and the name of FILE]",
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--start", metavar="FILE", type=ANY, help="Weights to start from, of the same network.  [default: random]")
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0), help="Length of the run in minutes instead of steps, without validation.")
@click.option("--rate", type=click.FloatRange(0, 0.1, min_open=True), help="Maximum learning rate.")
@click.option("--batch", type=click.IntRange(1), help="Samples per step, over all processes.")
@click.option("--critic", type=click.FloatRange(0), help="Weight of the spatio-temporal discriminator; 0 disables it.")
@click.option("--masked", type=click.FloatRange(0, 1), help="Share of samples with hidden joints.")
@click.option("--confused", type=click.FloatRange(0, 1), help="Share of samples with left and right of some joints swapped.")
@click.option("--overlapped", type=click.FloatRange(0, 1), help="Share of samples in which another person passes in front.")
@click.option(
    "--straight-knees", is_flag=True, default=None, help="Straighten recorded legs that stand; marker mocap bends their knees."
)
@click.option(
    "--one-skeleton",
    is_flag=True,
    default=None,
    help="Define the joints of the trunk alike in all mocap; draw bodies as people's vary.",
)
@click.option("--seed", type=int, help="Random seed. The same seed gives the same run.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps between validations. Each validation also writes FILE.")
@click.option("--checkpoint-every", type=click.IntRange(1), help="Steps between checkpoints.")
@into(LifterOptions)
def lifter(options: LifterOptions) -> None:
    """Train the network that lifts 2D joints to 3D on marker mocap.

    The preset sets all options that are not given. After a stop, the same command resumes the run.
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
    """The options of `stpose train adapt`. None in the last five keeps the default of `Adaptation`."""

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
    help="Marker mocap to train on as well, and to check the result on. Without it, nothing is checked.",
)
@click.option("--detector", default="auto", show_default=True, help="For videos: auto, builtin, mediapipe or rtmpose.")
@click.option("--person", default="largest", show_default=True, help="In videos: largest, left, right, center, or a number from 1.")
@click.option("--steps", type=click.IntRange(1), help="Length of the run.  [default: 400]")
@click.option("--rate", type=click.FloatRange(0, 0.1), help="Maximum learning rate.  [default: 0.00015]")
@click.option("--batch", type=click.IntRange(4), help="Samples per step.  [default: 16]")
@click.option("--seed", type=int, help="Random seed. The same seed gives the same result.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@into(AdaptOptions)
def adapt(options: AdaptOptions) -> None:
    """Fine-tune the lifter on your own footage, without 3D data.

    CLIP is a video, an .npz file of stpose mocap, or a folder of .npz files. Some clips are held out, and the errors on them before
    and after are printed. With --data, weights are not written if their error on marker mocap grew by more than 2 %.
    """
    check_output(options.out, options.overwrite)
    from stpose_training.adapt import Adaptation, adapt, read_clips

    from stpose_core.devices import choose_device

    names = ("steps", "rate", "batch", "seed", "threads")
    plan = Adaptation(**{name: getattr(options, name) for name in names if getattr(options, name) is not None})
    device = choose_device(options.device)
    clips = read_clips(options.clips, detector=options.detector, person=options.person, device=options.device, say=click.echo)
    adapt(clips, output=options.out, weights=options.weights, data=options.data, plan=plan, device=device, say=click.echo)
