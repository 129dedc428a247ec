"""Contacts on a floor that moves: `python benchmarks/moving_floor.py --data MOCAP`.

Recorded people who stand (one piece of 8 s of each training subject that has one) ride on a floor that springs up and down, conveys
them, sways or rises like a staircase, before a static camera with a detector's noise. Nothing should hold their feet. Counted are
frames in which the floor moves by more than 0.25 m/s and a heel stands on it: the share with a contact, and speeds of the ankles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from stpose_training.data.contacts import foot_contacts
from stpose_training.data.filmed import Scene, scene, shoot
from stpose_training.data.mocap import MOCAP_FPS, load_mocap
from world_measures import _ANKLES

from stpose_core.animate import animate, forward_kinematics
from stpose_core.data import Array
from stpose_core.lift import load_lifter
from stpose_core.lift.refine import refine

PIECE = round(8 * MOCAP_FPS)
FAST = 0.25  # m/s of the floor

# (T,) seconds -> (T, 3) metres of the floor; x is turned to a direction that differs from piece to piece.
FLOORS: dict[str, Callable[[Array], Array]] = {
    "at rest": lambda t: np.zeros((len(t), 3)),
    "springs by 15 cm, 1.2 times a second": lambda t: 0.075 * (np.cos(2 * np.pi * 1.2 * t) - 1)[:, None] * np.eye(3)[1],
    "conveys at 0.4 m/s": lambda t: 0.4 * t[:, None] * np.eye(3)[0],
    "sways by 30 cm, 0.6 times a second": lambda t: 0.15 * np.sin(2 * np.pi * 0.6 * t)[:, None] * np.eye(3)[0],
    "rises like a moving staircase at 0.5 m/s": lambda t: 0.5 * t[:, None] * np.array([0.86, 0.5, 0.0]),
}


def standing(folder: Path) -> list[Scene]:
    """The first piece of each training subject in which the heels stand for most of the time."""
    found: dict[str, Scene] = {}
    for clip in load_mocap(folder, "free", "train"):
        contacts = foot_contacts(folder, clip.name)
        if contacts is None:
            continue
        for first in range(0, len(clip.positions) - PIECE, PIECE):
            if clip.subject not in found and contacts[first : first + PIECE, [0, 2]].mean() > 0.7:
                found[clip.subject] = scene(folder, clip, slice(first, first + PIECE))
    return list(found.values())


def speed(points: Array) -> Array:
    """m/s of points (T, ..., 3)."""
    return np.asarray(np.linalg.norm(np.gradient(points, axis=0), axis=-1) * MOCAP_FPS)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of marker mocap.")
def main(data: Path) -> None:
    """Print a table."""
    torch.set_num_threads(1)
    lifter, pieces = load_lifter(), standing(data)
    click.echo("| the floor | frames | with a contact, % | speed of the ankles, m/s | in the motion |\n|---|---|---|---|---|")
    for name, floor in FLOORS.items():
        rows: list[tuple[float, float, float, float]] = []
        for number, piece in enumerate(pieces):
            way = np.array([np.cos(1.3 * number), 0.0, np.sin(1.3 * number)])
            path = floor(np.arange(len(piece)) / MOCAP_FPS)
            path = path[:, :1] * way + path * [0.0, 1.0, 0.0]
            moved = replace(piece, joints=piece.joints + path[:, None], balls=piece.balls + path[:, None])
            shot = shoot(moved, "static", 500 + number)
            fitted = refine(lifter(shot.keypoints, shot.camera), shot.keypoints)
            motion = animate(fitted, camera=shot.path, keypoints=shot.keypoints)
            counted = piece.contacts[:, [0, 2]] & ((speed(path) > FAST) | (name == "at rest"))[:, None]
            feet = forward_kinematics(motion)[:, [motion.names.index(side + "Foot") for side in ("Left", "Right")]]
            told = motion.contacts[:, [0, 2]] > 0.5
            true, found = speed(moved.joints[:, _ANKLES]), speed(feet)
            rows.append((counted.sum(), (told & counted).sum(), true[counted].sum(), found[counted].sum()))
        frames, told_, true_, found_ = np.sum(rows, axis=0)
        click.echo(f"| {name} | {frames:.0f} | {100 * told_ / frames:.0f} | {true_ / frames:.2f} | {found_ / frames:.2f} |")


if __name__ == "__main__":
    main()
