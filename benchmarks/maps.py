"""Heat maps against their peaks: what a lifter gains that reads the maps of the built-in detector.

    python benchmarks/maps.py scenes --scenes FOLDER --cache CACHE --mocap MOCAP --split train --count 40
    python benchmarks/maps.py scenes --scenes FOLDER --cache CACHE --mocap MOCAP --split validation --count 32
    python benchmarks/maps.py tune maps --scenes FOLDER --mocap MOCAP -o maps.safetensors --steps 600
    python benchmarks/maps.py inform --scenes FOLDER
    python benchmarks/maps.py measure --scenes FOLDER peaks.safetensors maps.safetensors shipped

`scenes` renders clips and stores what the detector makes of them (`benchmarks/map_scenes.py`); CACHE is that of `stpose render`. A
scene that is there is kept, so it can be stopped. `tune` continues the training of the shipped lifter, three quarters on scenes of
training subjects and the rest on samples of `stpose train lifter`. It reads keypoints (`peaks`), or also heat maps (`maps`), or a
few numbers of each map (`summary`), from the same start and with the same samples. `measure` prints the errors on the scenes of
validation subjects, `inform` what maps tell of places in the picture (`benchmarks/map_information.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import torch
from map_errors import CHANGES, errors, table
from map_information import better_of_two, information, judged, places_of, with_truth
from map_samples import Feed
from map_scenes import FPS, KINDS, OnceDetector, Scene, Takes, load_scene, make
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.journal import Journal
from stpose_training.lifter import Run
from stpose_training.loop import learn_through, make_fabric
from stpose_training.recipe import Plan, Recipe
from stpose_training.synth.cache import open_kit

from stpose_core.lift import load_lifter
from stpose_core.networks.lifting_configs import reads_maps
from stpose_core.weights import LIFTER, read_config

BATCH = 8
WAYS: dict[str, dict[str, object]] = {
    "peaks": {"inputs": "keypoints"},
    "maps": {"inputs": "heatmaps", "peaks": True},
    "summary": {"inputs": "heatmaps", "peaks": True, "summary": True},
}
"""What a tuned lifter reads, as dimensions that differ from those of the lifter that it starts from."""


def tune(way: str, scenes: list[Scene], mocap: Path, out: Path, *, steps: int, rate: float, start: Path, state: Path) -> float:
    """Continue the training of `start` as one of WAYS; returns the seconds of it. It resumes from its checkpoint in `state`."""
    recipe = Recipe(
        steps=steps, rate=rate, batch=BATCH, warmup=steps // 10, ema=0.99, limbs=0.5, evaluate_every=steps, checkpoint_every=50
    )
    header = read_config(start, "temporal")
    plan = Plan(recipe, str(header["architecture"]), {**dict(header["network"]), **WAYS[way]})  # type: ignore[call-overload]
    state.mkdir(parents=True, exist_ok=True)
    run = Run(plan, make_fabric("cpu", plan.recipe.precision), state / "checkpoint.pt", start)
    run.network.train()
    source = Feed(scenes, MotionBank(load_mocap(mocap)), run.config.context, reads_maps(run.config), BATCH)
    journal = Journal(state, run.step, partial(click.echo, err=True))
    try:
        learn_through(run, source.batches(run.step), journal, lambda: run.write(out))  # type: ignore[arg-type]
    finally:
        journal.close()
    return run.seconds


def read_scenes(folder: Path, split: str) -> list[Scene]:
    """All scenes of a split. Raises click.UsageError if there are none."""
    scenes = [load_scene(path) for path in sorted(folder.glob(f"{split}_*.npz"))]
    if not scenes:
        raise click.UsageError(f"{folder} has no scenes of the split {split}; make them first (maps.py scenes)")
    return scenes


_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_SCENES = click.option("--scenes", "folder", type=_FOLDER, required=True, help="Folder of the scenes.")


@click.group(help=__doc__)
def main() -> None:
    torch.set_num_threads(1)


@main.command("scenes", help="Render scenes that are missing.")
@_SCENES
@click.option("--cache", type=_FOLDER, required=True, help="Folder with kit.npz, as stpose render makes it.")
@click.option("--mocap", type=_FOLDER, required=True)
@click.option("--split", type=click.Choice(["train", "validation"]), required=True)
@click.option("--first", default=0, show_default=True, help="Number of the first scene, so that processes can share the work.")
@click.option("--count", default=40, show_default=True, help="Scenes up to this number.")
@click.option("--minutes", default=1e9, help="Stop after so long.")
def make_scenes(folder: Path, cache: Path, mocap: Path, split: str, first: int, count: int, minutes: float) -> None:
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    kit, takes, detector = open_kit(cache, None, None), Takes(mocap, split), OnceDetector()
    for number in range(first, count):
        if time.monotonic() - began > 60 * minutes:
            click.echo(f"stopped at {number} of {count} scenes")
            return
        make(kit, takes, detector, split, number, folder)


@main.command("tune", help="Continue the shipped lifter's training.")
@click.argument("way", type=click.Choice(sorted(WAYS)))
@_SCENES
@click.option("--mocap", type=_FOLDER, required=True)
@click.option("-o", "--out", type=_FILE, required=True)
@click.option("--steps", default=600, show_default=True)
@click.option("--rate", default=3e-4, show_default=True)
@click.option("--start", type=_FILE, default=LIFTER, help="By default the shipped weights.")
@click.option("--state", type=_FOLDER, default=Path("runs/maps"), show_default=True)
def tune_command(way: str, folder: Path, mocap: Path, out: Path, *, steps: int, rate: float, start: Path, state: Path) -> None:
    seconds = tune(way, read_scenes(folder, "train"), mocap, out, steps=steps, rate=rate, start=start, state=state / way)
    click.echo(f"{way}: {steps} steps in {seconds:.0f} s")


@main.command("inform", help="Print what maps tell of places in the picture beyond peaks and scores.")
@_SCENES
def inform(folder: Path) -> None:
    scenes = read_scenes(folder, "validation")
    click.echo(information(places_of(read_scenes(folder, "train")), places_of(scenes)) + "\n")
    lifter, same = load_lifter(), partial(replace)
    changes: dict[str, Callable[[Scene], Scene]]
    changes = {"peaks": same, "better of two maxima": better_of_two, "the same, judged": judged, "true places": with_truth}
    found = [[errors(lifter, change(scene), None) for scene in scenes] for change in changes.values()]
    click.echo(table(list(changes), scenes, found))


@main.command("measure", help="Print the errors of lifters (files, or `shipped`).")
@click.argument("weights", nargs=-1, required=True)
@_SCENES
@click.option("--split", default="validation", show_default=True)
@click.option("--change", type=click.Choice(list(CHANGES)), default="none", help="What to do to the maps before.")
def measure(weights: tuple[str, ...], folder: Path, split: str, change: str) -> None:
    scenes = read_scenes(folder, split)
    found = []
    for name in weights:
        lifter = load_lifter(LIFTER if name == "shipped" else name)
        found.append([errors(lifter, scene, CHANGES[change](scene.maps)) for scene in scenes])
    kinds = {kind: sum(scene.kind == kind for scene in scenes) for kind in KINDS}
    seconds = sum(len(scene.joints) for scene in scenes) / FPS
    click.echo(f"{len(scenes)} scenes, {seconds:.0f} s: {json.dumps(kinds)}\n")
    click.echo(table([Path(name).stem for name in weights], scenes, found))


if __name__ == "__main__":
    main()
