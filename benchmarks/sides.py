"""Frames in which a detector exchanges left and right: `python benchmarks/sides.py --folder FILMS [--kit KIT --mocap MOCAP]`.

Rendered films of one person each, with the joints known: seen from behind, and turning about, dressed and bare-chested, in the
motions of people that no network was trained on. Films that are not in the folder are rendered first (kit: as `stpose render` makes
it). Exchanged: arms or legs of a frame that agree better with their sides exchanged, by half the distance or more, where they are
off by more than 0.2 torso (as in `benchmarks/agreement.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from agreement import exchanged_sides, longest_run
from extremity_films import clip_file
from numpy.typing import NDArray
from people_footage import follow
from stpose_training.spatial.measure import LIMBS
from stpose_training.synth.film import Actor, Shot, act, compose
from stpose_training.synth.kit import Kit, load_kit
from stpose_training.synth.poses import Clip, axis_turn, load_clip, retarget
from stpose_training.synth.scene import Light, Room, View, develop, empty_room

from stpose_core.detect import load_detector
from stpose_core.files import written_whole
from stpose_core.skeletons import get_skeleton
from stpose_core.video_writer import PreviewWriter

SIZE, FINER, FRAMES = (360, 480), 2, 90
TURNS = 360.0  # degrees that a film of a turning person adds to the motion
BOTTOMS, TOPS = ("tight_leggings", "male_casualsuit04_bottom", "tight_knee"), ("tight_tee", "male_casualsuit06_top")
HAIR = ("short01", "short03", "bob02", "ponytail01", "short04", "short02")


@dataclass(frozen=True)
class Film:
    """One film. clip, first: mocap. turning: whether the person turns about once, else is seen from behind. bare: without a top."""

    clip: str
    first: int
    turning: bool
    bare: bool
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.clip}_{'turning' if self.turning else 'behind'}_{'bare' if self.bare else 'dressed'}"


FILMS = tuple(
    Film(clip, first, turning, bare, seed)
    for seed, (clip, first, turning, bare) in enumerate(
        (
            ("06_06", 0, False, True), ("55_02", 30, False, True), ("03_03", 120, False, True), ("06_13", 200, False, False),
            ("55_02", 250, True, True), ("06_13", 500, True, True), ("03_04", 300, True, False), ("06_12", 60, True, False),
        )
    )
)  # fmt: skip


def turned(clip: Clip, degrees: float) -> Clip:
    """The clip of a person who also turns about the vertical, by so many degrees over its length; the path turns as well."""
    up = torch.tensor([0.0, 0.0, 1.0])
    angles = torch.linspace(0, float(np.radians(degrees)), len(clip))
    turns = torch.stack([axis_turn(up, float(angle)) for angle in angles])
    half = angles[:, None] / 2
    spin = torch.cat([half.cos(), half.sin() * up], 1)
    w, x, y, z = clip.quats[:, 0].unbind(-1)
    a, _, _, d = spin.unbind(-1)
    quats = clip.quats.clone()
    quats[:, 0] = torch.stack([a * w - d * z, a * x - d * y, a * y + d * x, a * z + d * w], -1)
    steps = torch.diff(clip.root, dim=0, prepend=clip.root[:1])
    return replace(clip, quats=quats, root=clip.root[:1] + (turns @ steps[..., None])[..., 0].cumsum(0))


def render(film: Film, kit: Kit, mocap: Path, folder: Path) -> None:
    """Write the film and its joints, unless they are there."""
    path = folder / f"{film.name}.npz"
    if path.exists():
        return
    clip = load_clip(clip_file(mocap, film.clip), film.clip)[film.first : film.first + FRAMES]
    random = np.random.default_rng([7, film.seed])
    shape = (float(random.uniform(0, 0.4 if film.bare else 1)), 0.7, *(float(value) for value in random.uniform(0.3, 0.7, 4)))
    garments = (BOTTOMS[film.seed % 3], "shoes02", HAIR[film.seed % len(HAIR)])
    actor = Actor(shape, garments if film.bare else (TOPS[film.seed % 2], *garments), 40 + film.seed)
    turns, _ = retarget(clip, kit.body, kit.body.rest(torch.tensor([actor.phenotypes])))
    facing = (turns[:, kit.body.bone("spine01")] @ torch.tensor([0.0, -1.0, 0.0])).mean(0)
    heading = float(np.pi / 2 - np.arctan2(facing[1], facing[0]))  # away from the camera
    acting = act(kit, turned(clip, TURNS) if film.turning else clip, actor, heading)
    reach = float((acting.joints[:, 0, :2] - acting.joints[:, 0, :2].mean(0)).norm(dim=1).amax())
    view = View((0.0, -4.2 - reach, 1.4), (0.0, 0.0, 0.9), 1.4 * SIZE[1], SIZE)
    large, light = view.enlarged(FINER), Light()
    shot = Shot(large, empty_room(large, Room(wall=4.0), light), light)
    with PreviewWriter(folder / f"{film.name}.mp4", clip.fps, SIZE) as writer:
        for frame in range(len(acting.crowds)):
            writer.write(develop(compose(shot.background, [acting.layer(frame, shot)])[None], FINER)[0].numpy())
    with written_whole(path, overwrite=True) as part, part.open("wb") as file:
        np.savez(file, xy=view.project(acting.joints).double().numpy())


def exchanged(folder: Path, film: Film, detector: object) -> tuple[int, NDArray[np.bool_]]:
    """Frames with a detection, and (N,) in which of them arms or legs are exchanged; of the track with most frames."""
    with np.load(folder / f"{film.name}.npz", allow_pickle=False) as data:
        truth = data["xy"][:, get_skeleton("h36m17").index(*LIMBS)]
    tracks, _, _ = follow(folder / f"{film.name}.mp4", detector)
    track = max(tracks, key=lambda track: len(track.frames))
    found = track.xy[:, get_skeleton(track.skeleton).index(*LIMBS)].astype(float)
    return len(track.frames), exchanged_sides(found, truth[track.frames]).any(0)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Folder of the films.")
@click.option("--kit", type=click.Path(exists=True, path_type=Path))
@click.option("--mocap", type=click.Path(exists=True, path_type=Path))
@click.option("--detector", default="builtin", show_default=True)
def main(folder: Path, kit: Path | None, mocap: Path | None, detector: str) -> None:
    """Print a row for each film, and the share of all frames."""
    missing = [film for film in FILMS if not (folder / f"{film.name}.npz").exists()]
    if missing and (kit is None or mocap is None):
        raise click.UsageError(f"{len(missing)} films are not in {folder}; give --kit and --mocap to render them")
    if missing and kit is not None and mocap is not None:
        folder.mkdir(parents=True, exist_ok=True)
        loaded = load_kit(kit)
        for film in missing:
            render(film, loaded, mocap, folder)
    network = load_detector(detector)
    click.echo("| film | frames detected, of 90 | with exchanged sides | longest run |\n|---|---|---|---|")
    total = wrong = 0
    for film in FILMS:
        frames, sides = exchanged(folder, film, network)
        total, wrong = total + frames, wrong + int(sides.sum())
        run = longest_run(sides, np.arange(len(sides)))
        click.echo(f"| {film.name.replace('_', ' ')} | {frames} | {sides.sum()} | {run} |")
    click.echo(f"| all | {total} | {wrong}, {100 * wrong / max(total, 1):.1f} % | |")


if __name__ == "__main__":
    main()
