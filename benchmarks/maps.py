"""Heat maps against their peaks: what a lifter gains that reads the maps of the built-in detector.

    python benchmarks/maps.py scenes --scenes FOLDER --cache CACHE --mocap MOCAP --split train --count 40
    python benchmarks/maps.py scenes --scenes FOLDER --cache CACHE --mocap MOCAP --split validation --count 32
    python benchmarks/maps.py tune maps --scenes FOLDER --mocap MOCAP -o maps.safetensors --steps 600
    python benchmarks/maps.py measure --scenes FOLDER shipped peaks.safetensors maps.safetensors

`scenes` renders clips and stores what the detector makes of them (`benchmarks/map_scenes.py`); CACHE is that of `stpose render`. A
scene that is there is kept, so it can be stopped. `tune` continues the training of the shipped lifter, three quarters on scenes of
training subjects and the rest on samples of `stpose train lifter`. It reads keypoints (`peaks`), or also heat maps (`maps`), or a
few numbers of each map (`summary`), from the same start and with the same samples. `measure` prints the errors on the scenes of
validation subjects.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import count as counted
from pathlib import Path

import click
import numpy as np
import torch
from agreement import exchanged_sides
from map_scenes import COVERED, FPS, KINDS, OUTSIDE, SEEN, TURNED_AWAY, OnceDetector, Scene, Takes, load_scene, make
from numpy.typing import NDArray
from stpose_training.data.bodies import Random
from stpose_training.data.footage import Window
from stpose_training.data.mocap import MotionBank, load_mocap
from stpose_training.data.samples import Batch, Faults, draw_batch
from stpose_training.journal import Journal
from stpose_training.lifter import Run
from stpose_training.loop import learn_through, make_fabric
from stpose_training.recipe import Plan, Recipe
from stpose_training.spatial.measure import LIMBS
from stpose_training.synth.cache import open_kit
from torch import Tensor

from stpose_core.background import results
from stpose_core.data import Camera
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.heatmaps import HeatMaps
from stpose_core.lift.normalise import BOX_REACH, VISIBLE_SCORE, PersonView, network_inputs, person_view
from stpose_core.metrics import procrustes
from stpose_core.networks.heads import MAP_CELLS
from stpose_core.networks.lifting_configs import reads_maps
from stpose_core.skeletons import H36M17
from stpose_core.weights import LIFTER, read_config

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
OUTPUTS = 128
_FAR_OFF = 0.25  # person sizes: a detection this far from the joint is wrong, as in stpose_training.data.heatmaps
_MIRROR = list(H36M17.mirror)
_LIMBS = list(H36M17.index(*LIMBS))
WAYS: dict[str, dict[str, object]] = {
    "peaks": {"inputs": "keypoints"},
    "maps": {"inputs": "heatmaps", "peaks": True},
    "summary": {"inputs": "heatmaps", "peaks": True, "summary": True},
}
"""What a tuned lifter reads, as dimensions that differ from those of the lifter that it starts from."""


@dataclass
class Mixed(Batch):
    """Drawn samples, followed by those from scenes. maps: (B', T+, 17, cells, cells) of the latter."""

    maps: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """As that of a Batch."""
        if self.blobs is None or self.maps is None:
            return self.joints
        return torch.cat((self.blobs.draw(), self.maps))


@dataclass(frozen=True)
class Part:
    """What a lifter reads of some frames of scenes, and the truth, over T+ frames: as in a Batch, but nothing is cut off."""

    joints: Tensor
    context: Tensor
    pose: Tensor
    root: Tensor
    up: Tensor
    wrong: Tensor
    maps: Tensor | None


def part_of(scene: Scene, frames: NDArray[np.int64], known: Mask, maps: bool) -> Part:
    """These frames of a scene as one sample (B = 1), with axes and units of `stpose_training.data.samples.observe`. known: where it
    is False, the clip has not begun or has ended."""
    camera = Camera.assumed(scene.keypoints.image_size)
    middle, zoom = np.asarray(camera.centre), scene.focal / camera.focal
    rays = (np.nan_to_num(scene.keypoints.xy[frames]) - middle) / camera.focal
    score = scene.keypoints.score[frames] * known[:, None]
    points = torch.from_numpy(scene.joints[frames]).float()[None]
    flat, likely = torch.from_numpy(rays).float()[None], torch.from_numpy(score).float()[None]
    view = person_view(flat, likely)
    joints, context = network_inputs(flat, likely, view)
    true = points[..., :2] / points[..., 2:] * zoom
    off = ((flat - true) / view.size[..., None, None]).norm(dim=-1) > _FAR_OFF
    pelvis = points[:, :, 0] * torch.tensor([1, 1, 1 / zoom])
    seen = None
    if maps:
        own, there = scene.maps, torch.from_numpy(known)
        shown = HeatMaps(own.values[frames[known]], own.corner[frames[known]], own.cell[frames[known]])
        some = PersonView(view.rotation[:, there], view.size[:, there], view.known[:, there])
        seen = torch.zeros(1, len(frames), len(H36M17.joints), MAP_CELLS, MAP_CELLS)
        seen[:, there] = shown.seen_in(some, camera)
    up = view.rotation @ torch.from_numpy(scene.up).float()
    pose = (points - points[:, :, :1]) @ view.rotation.transpose(-1, -2)
    return Part(joints, context, pose, view.camera_to_root(pelvis), up, (likely < VISIBLE_SCORE) | off, seen)


def mirrored(part: Part) -> Part:
    """The same person in the mirror."""
    side = torch.tensor([-1.0, 1.0, 1.0])
    return Part(
        part.joints[:, :, _MIRROR] * torch.tensor([-1.0, 1.0, 1.0, 1.0]),
        part.context * torch.tensor([-1.0, 1.0, 1.0, 1.0]),
        part.pose[:, :, _MIRROR] * side,
        part.root * side,
        part.up * side,
        part.wrong[:, :, _MIRROR],
        None if part.maps is None else part.maps[:, :, _MIRROR].flip(-1),
    )


def drawn(scenes: list[Scene], size: int, reach: int, maps: bool, seed: int) -> Part:
    """Samples of OUTPUTS frames and `reach` on each side, the same for the same seed. Scenes are played to and fro; half of the
    samples have nothing before and after the outputs, as at the ends of a clip; half are mirrored."""
    random = np.random.default_rng(seed)
    margin, parts = reach + BOX_REACH, []
    for _ in range(size):
        scene = scenes[int(random.integers(len(scenes)))]
        length = len(scene.joints)
        at = np.arange(-margin, OUTPUTS + margin)
        known = (at >= 0) & (at < OUTPUTS) | (random.random() < 0.5)
        turn = 2 * length - 2
        there = np.abs((at + int(random.integers(turn)) + length - 1) % turn - (length - 1))
        part = part_of(scene, there, known, maps)
        parts.append(mirrored(part) if random.random() < 0.5 else part)
    inner = slice(BOX_REACH, BOX_REACH + OUTPUTS + 2 * reach)
    columns = {entry.name: [getattr(part, entry.name) for part in parts] for entry in fields(Part)}
    stacked = {name: torch.cat(column)[:, inner] for name, column in columns.items() if column[0] is not None}
    return Part(**{"maps": None, **stacked})


@dataclass(frozen=True)
class Feed:
    """The batches of a run: three quarters of each from scenes, the rest as `stpose train lifter` has it. reach: the network's."""

    scenes: list[Scene]
    bank: MotionBank
    reach: int
    maps: bool
    size: int
    seed: int = 0

    def batch(self, step: int) -> Mixed:
        """The batch of a step; apart from the maps, the same for every network of this reach."""
        own, number = self.size * 3 // 4, self.seed * 1_000_003 + step
        plain = draw_batch(
            self.bank,
            batch=self.size - own,
            window=Window(frames=OUTPUTS, reach=self.reach),
            random=Random(number),
            faults=Faults(masked=0.5, confused=0.15),
            maps=self.maps,
        )
        filmed = drawn(self.scenes, own, self.reach, self.maps, number)
        core = slice(self.reach, self.reach + OUTPUTS)
        both = {name: torch.cat((getattr(plain, name), getattr(filmed, name))) for name in ("joints", "context")}
        both |= {
            name: torch.cat((getattr(plain, name), getattr(filmed, name)[:, core])) for name in ("pose", "root", "up", "wrong")
        }
        contacts = torch.cat((plain.contacts, torch.full((own, OUTPUTS, 4), torch.nan)))
        return Mixed(**both, contacts=contacts, blobs=plain.blobs, maps=filmed.maps)

    def batches(self, first: int) -> Iterator[Mixed]:
        """Of step `first` and all later ones, drawn in a thread."""
        yield from results((partial(self.batch, step) for step in counted(first)), size=2)


def tune(
    way: str, scenes: list[Scene], mocap: Path, out: Path, *, steps: int, rate: float, size: int, start: Path, state: Path
) -> float:
    """Continue the training of `start` as one of WAYS; returns the seconds of it. It resumes from its checkpoint in `state`."""
    recipe = Recipe(
        steps=steps, rate=rate, batch=size, warmup=steps // 10, ema=0.99, limbs=0.5, evaluate_every=steps, checkpoint_every=50
    )
    header = read_config(start, "temporal")
    plan = Plan(recipe, str(header["architecture"]), {**dict(header["network"]), **WAYS[way]})  # type: ignore[call-overload]
    state.mkdir(parents=True, exist_ok=True)
    run = Run(plan, make_fabric("cpu", plan.recipe.precision), state / "checkpoint.pt", start)
    run.network.train()
    source = Feed(scenes, MotionBank(load_mocap(mocap)), run.config.context, reads_maps(run.config), size)
    journal = Journal(state, run.step, partial(click.echo, err=True))
    try:
        learn_through(run, source.batches(run.step), journal, lambda: run.write(out))  # type: ignore[arg-type]
    finally:
        journal.close()
    return run.seconds


@dataclass(frozen=True)
class Errors:
    """Of one scene, (T, 17) metres without the pelvis: of the pose, and after alignment of each frame; NaN where no pose is."""

    plain: Floats
    aligned: Floats


def errors(lifter: Lifter, scene: Scene, maps: HeatMaps | None) -> Errors:
    """Of a scene lifted as the program does, with these maps if the lifter reads some."""
    pose = lifter(scene.keypoints, maps=maps if lifter.reads_maps else None)
    true = scene.joints - scene.joints[:, :1]
    found = np.nan_to_num(pose.xyz)
    missing = np.where(pose.posed, 0.0, np.nan)[:, None]
    plain, aligned = (np.linalg.norm(guess - true, axis=-1) + missing for guess in (found, procrustes(found, true)))
    return Errors(plain, aligned)


def groups(scene: Scene) -> dict[str, Mask]:
    """The joints of a scene that a row of the table is about: (T, 17) each, without the pelvis."""
    wide, high = scene.keypoints.image_size
    flat = scene.joints[..., :2] / scene.joints[..., 2:] * scene.focal + np.array([wide, high]) / 2
    swapped = exchanged_sides(np.nan_to_num(scene.keypoints.xy[:, _LIMBS]), flat[:, _LIMBS]).any(0)
    every = np.ones(scene.state.shape, bool)
    every[:, 0] = False
    hidden = scene.state != SEEN
    unread = hidden & (scene.keypoints.score < VISIBLE_SCORE)
    rows = {
        "all": every,
        "in view": ~hidden,
        "hidden": hidden,
        "hidden, by the own body": scene.state == TURNED_AWAY,
        "hidden, by people or things": scene.state == COVERED,
        "outside of the picture": scene.state == OUTSIDE,
        "hidden, and below the score that counts as seen": unread,
        "frames with exchanged sides": every & swapped[:, None],
        **{f"scenes: {kind}, hidden": hidden & (scene.kind == kind) for kind in KINDS},
    }
    return {name: rows[name] & every for name in rows}


def table(names: list[str], scenes: list[Scene], found: list[list[Errors]], seed: int = 0) -> str:
    """Markdown. found: of each lifter, of each scene. MPJPE / PA-MPJPE in mm; in the last column the last lifter against
    the one before it, with the 95 % interval over scenes (bootstrap)."""
    lines = ["| joints | number | " + " | ".join(names) + " | last / before, MPJPE |", "|" + "---|" * (len(names) + 3)]
    masks = [groups(scene) for scene in scenes]
    random = np.random.default_rng(seed)
    again = random.integers(0, len(scenes), (1000, len(scenes)))
    for row in masks[0]:
        counts = np.array([int((mask[row] & np.isfinite(made.plain)).sum()) for mask, made in zip(masks, found[0])])
        if not counts.sum():
            continue
        cells, sums = [], []
        for each in found:
            totals = [
                [np.nansum(np.where(mask[row], part, 0)) for mask, made in zip(masks, each) for part in (getattr(made, name),)]
                for name in ("plain", "aligned")
            ]
            sums.append(np.array(totals[0]))
            cells.append(" / ".join(f"{1000 * sum(total) / counts.sum():.1f}" for total in totals))
        ratio = ""
        if len(found) > 1:
            low, high = np.nanquantile(sums[-1][again].sum(1) / sums[-2][again].sum(1), [0.025, 0.975])
            ratio = f"{sums[-1].sum() / sums[-2].sum():.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"| {row} | {counts.sum()} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


def shuffled(maps: HeatMaps, seed: int = 0) -> HeatMaps:
    """The maps of a clip in another order of frames, each in the place of the frame that it is given to: the control."""
    order = np.random.default_rng(seed).permutation(len(maps))
    return HeatMaps(maps.values[order], maps.corner, maps.cell)


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
@click.option("--batch", default=8, show_default=True)
@click.option("--start", type=_FILE, default=LIFTER, help="By default the shipped weights.")
@click.option("--state", type=_FOLDER, default=Path("runs/maps"), show_default=True)
def tune_command(
    way: str, folder: Path, mocap: Path, out: Path, *, steps: int, rate: float, batch: int, start: Path, state: Path
) -> None:
    seconds = tune(
        way, read_scenes(folder, "train"), mocap, out, steps=steps, rate=rate, size=batch, start=start, state=state / way
    )
    click.echo(f"{way}: {steps} steps in {seconds:.0f} s")


@main.command("measure", help="Print the errors of lifters (files, or `shipped`).")
@click.argument("weights", nargs=-1, required=True)
@_SCENES
@click.option("--split", default="validation", show_default=True)
@click.option("--control", is_flag=True, help="Give the maps in a wrong order of frames.")
def measure(weights: tuple[str, ...], folder: Path, split: str, control: bool) -> None:
    scenes = read_scenes(folder, split)
    change: Callable[[HeatMaps], HeatMaps] = shuffled if control else lambda maps: maps
    found = []
    for name in weights:
        lifter = load_lifter(LIFTER if name == "shipped" else name)
        found.append([errors(lifter, scene, change(scene.maps)) for scene in scenes])
    kinds = {kind: sum(scene.kind == kind for scene in scenes) for kind in KINDS}
    seconds = sum(len(scene.joints) for scene in scenes) / FPS
    click.echo(f"{len(scenes)} scenes, {seconds:.0f} s: {json.dumps(kinds)}\n")
    click.echo(table([Path(name).stem for name in weights], scenes, found))


if __name__ == "__main__":
    main()
