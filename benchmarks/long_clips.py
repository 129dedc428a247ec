"""Memory of long clips: `python benchmarks/long_clips.py --minutes 10 --minutes 20`.

Keypoints of a person who walks to and fro are lifted, fitted to the 2D joints and animated, each length in a process of its own.
Prints the peak memory of each process, after the imports and at the end, and the growth for each minute of video.
"""

from __future__ import annotations

import multiprocessing
import resource
import time

import click
import numpy as np

FPS = 30.0
IMAGE = (1920, 1080)


def keypoints(frames: int) -> np.ndarray:
    """(T, 17, 2) pixels of a person who walks to and fro and swings arms and legs, with 2 pixels of noise."""
    t = np.arange(frames) / FPS
    swing = np.sin(2 * np.pi * t)
    place = 960 + 500 * np.sin(t / 5)
    height = np.array([0, 0, 200, 400, 0, 200, 400, -120, -240, -290, -350, -230, -110, 0, -230, -110, 0], float)
    side = np.array([0, -45, -45, -45, 45, 45, 45, 0, 0, 0, 0, 80, 95, 100, -80, -95, -100], float)
    reach = np.array([0, 0, 60, 110, 0, -60, -110, 0, 0, 0, 0, 0, 40, 80, 0, -40, -80], float)
    xy = np.stack([place[:, None] + side + reach * swing[:, None], np.full((frames, 1), 560.0) + height], axis=-1)
    return xy + np.random.default_rng(0).normal(0, 2, xy.shape)


def peak() -> float:
    """Peak resident memory of this process in MB. Linux counts in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(minutes: float, answers: multiprocessing.Queue) -> None:
    """Peak memory in MB before and after, and seconds of processor time."""
    import torch

    from stpose_core.animate import animate
    from stpose_core.data import Keypoints
    from stpose_core.lift import load_lifter
    from stpose_core.lift.refine import refine

    torch.set_num_threads(1)
    lifter = load_lifter()
    frames = round(minutes * 60 * FPS)
    xy = keypoints(frames)
    points = Keypoints(xy, np.ones(xy.shape[:2]), FPS, IMAGE, "h36m17")
    lifter(Keypoints(xy[:100], np.ones((100, 17)), FPS, IMAGE, "h36m17"))
    before, begun = peak(), time.process_time()
    stages = []
    pose = lifter(points)
    stages.append(peak())
    pose = refine(pose, points)
    stages.append(peak())
    animate(pose)
    stages.append(peak())
    answers.put((before, stages, time.process_time() - begun))


@click.command()
@click.option("--minutes", type=float, multiple=True, default=(10.0, 20.0), show_default=True)
def main(minutes: tuple[float, ...]) -> None:
    """Measure the memory of long clips."""
    click.echo("| minutes | frames | before, MB | lifted | fitted | animated | MB a minute | processor, s |\n" + "|---" * 8 + "|")
    context = multiprocessing.get_context("spawn")
    for length in minutes:
        answers: multiprocessing.Queue = context.Queue()
        process = context.Process(target=measure, args=(length, answers))
        process.start()
        before, stages, seconds = answers.get()
        process.join()
        figures = " | ".join(f"{value:.0f}" for value in (before, *stages))
        click.echo(f"| {length:g} | {length * 60 * FPS:.0f} | {figures} | {(stages[-1] - before) / length:.1f} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
