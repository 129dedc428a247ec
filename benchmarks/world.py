"""A motion in the world against marker mocap: `python benchmarks/world.py --data MOCAP` prints the tables of the docs.

MOCAP is the folder that `stpose evaluate` reads. Fixed pieces of at most 10 s of subjects that no training saw are filmed by four
kinds of cameras with a detector's noise (`stpose_training.data.filmed`), lifted, fitted and animated as `stpose mocap` does, and
measured (world_measures.py). A moving camera's rotation is known with an error of 0.3 degrees after 10 s; its position is not
known. The true contacts follow from heights and speeds of heels and balls of feet. `--ignore-camera` animates as if each camera
stood still.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from stpose_training.data.filmed import KINDS, Scene, Shot, scene, shoot
from stpose_training.data.knees import with_straight_knees
from stpose_training.data.mocap import MOCAP_FPS, load_mocap
from world_measures import Result, bends, measures

from stpose_core.animate import animate
from stpose_core.data import Camera, Motion, Pose3D
from stpose_core.lift import Lifter, load_lifter
from stpose_core.lift.refine import refine

PIECE = round(10 * MOCAP_FPS)
# (clip, first frame) of CMU validation.
CMU = (
    ("55_02", 0), ("06_13", 0), ("06_13", 600), ("06_10", 0), ("06_12", 0), ("06_02", 0), ("06_15", 0), ("06_08", 0),
    ("08_04", 0), ("08_11", 0), ("08_07", 0), ("08_09", 0), ("06_01", 0), ("03_03", 0), ("03_04", 300), ("03_01", 0),
)  # fmt: skip
# Numbers of clips of an action of HDM05. Those of people who stand are played to and fro until they last 10 s.
HDM05 = {
    "depositFloorR": 2, "squat1Reps": 2, "throwBasketball": 2, "elbowToKnee1RepsLelbowStart": 1, "hopBothLegs1hops": 1,
    "jogLeftCircle4StepsRstart": 3, "kickLFront1Reps": 2, "lieDownFloor": 2, "sneak2StepsLStart": 2, "grabHighR": 2,
}  # fmt: skip
STANDING = {"rotateArmsBothBackward1Reps": 4, "squat1Reps": 2}


def scenes(folder: Path, straight_knees: bool = False) -> dict[str, list[Scene]]:
    """The pieces by set. straight_knees: with corrected knees."""
    cmu, hdm = (load_mocap(folder, part, "validation") for part in ("free", "by-sa"))
    if straight_knees:
        cmu, hdm = with_straight_knees(cmu), with_straight_knees(hdm)
    clips = {clip.name: clip for clip in cmu}
    found = {"CMU validation": [scene(folder, clips[name], slice(first, first + PIECE)) for name, first in CMU]}
    pieces = []
    for counts, standing in ((HDM05, False), (STANDING, True)):
        for action, count in counts.items():
            clips_of = [clip for clip in hdm if clip.action == action]
            # Those who stand come last: others than those above.
            for clip in clips_of[-count:] if standing else clips_of[:count]:
                swings = -(-PIECE // len(clip.positions)) if standing else 1
                pieces.append(scene(folder, clip, slice(0, PIECE), swings))
    found["HDM05"] = pieces
    return found


def lift(lifter: Lifter, shot: Shot, known: bool) -> tuple[Pose3D, Pose3D]:
    """Lifted and fitted. known: with the true focal length."""
    lifted = lifter(shot.keypoints, shot.camera if known else Camera.assumed(shot.keypoints.image_size))
    return lifted, refine(lifted, shot.keypoints)


CONDITIONS = tuple((kind, known) for kind in KINDS for known in (True, False) if known or kind != "walking")


def results(
    pieces: list[Scene], lifter: Lifter, move: Callable[[Pose3D, Shot], Motion], every: int = 1
) -> dict[tuple[str, bool], list[Result]]:
    """Everything made of every piece, by kind of camera and whether its focal length is known. every: of so many shots, one."""
    found: dict[tuple[str, bool], list[Result]] = {}
    for kind, known in CONDITIONS:
        row = found[kind, known] = []
        for number, piece in enumerate(pieces):
            if (KINDS.index(kind) * len(pieces) + number) % every:
                continue
            shot = shoot(piece, kind, 100 * KINDS.index(kind) + number)
            lifted, fitted = lift(lifter, shot, known)
            row.append(Result(piece, kind, lifted, fitted, move(fitted, shot)))
    return found


def report(name: str, found: dict[tuple[str, bool], list[Result]]) -> str:
    """The tables of a set, Markdown."""
    figures = {key: measures(row) for key, row in found.items()}
    titles = [kind + ("" if known else ", focal unknown") for kind, known in figures]
    lines = [f"| {name} | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for what in next(iter(figures.values())):
        lines.append(f"| {what} | " + " | ".join(f"{row[what]:.2f}" for row in figures.values()) + " |")
    known = [result for (_, focal), row in found.items() if focal for result in row]
    for joint, rows in bends(known).items():
        lines += ["", f"| {name}: {joint} flexion | samples | true | lifted | fitted | animated |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {bin_} | {count} | " + " | ".join(f"{value:.1f}" for value in medians) + " |" for bin_, count, medians in rows
        ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of marker mocap.")
@click.option("--weights", type=click.Path(exists=True, path_type=Path), help="Lifter weights other than those that ship.")
@click.option("--ignore-camera", is_flag=True, help="Animate as if every camera stood still.")
@click.option("--straight-knees", is_flag=True, help="Correct recorded knees, so that people who stand do so on straight legs.")
@click.option("--every", type=click.IntRange(1), default=1, help="Measure one in so many shots.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The figures as JSON.")
def main(data: Path, weights: Path | None, ignore_camera: bool, straight_knees: bool, every: int, output: Path | None) -> None:
    """Measure motions in the world."""
    torch.set_num_threads(1)
    lifter = load_lifter(weights)
    sets = scenes(data, straight_knees)
    for name, pieces in sets.items():
        click.echo(f"{name}: " + ", ".join(f"{piece.name} ({len(piece) / MOCAP_FPS:.1f} s)" for piece in pieces) + "\n")
    figures = {}
    for name, pieces in sets.items():
        begun = time.perf_counter()

        def move(pose: Pose3D, shot: Shot) -> Motion:
            return animate(pose, camera=None if ignore_camera else shot.path, keypoints=shot.keypoints)

        found = results(pieces, lifter, move, every)
        click.echo(report(name, found))
        click.echo(f"{time.perf_counter() - begun:.0f} s\n", err=True)
        figures[name] = {f"{kind}, focal {'known' if known else 'unknown'}": measures(row) for (kind, known), row in found.items()}
    if output:
        output.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
