"""Memory of long clips.

    python benchmarks/long_clips.py --minutes 10 --minutes 20
    python benchmarks/long_clips.py --minutes 1 --minutes 20 --video examples/walk.mp4 [--detector builtin]

Without a video, keypoints of a person who walks to and fro are lifted, fitted to the 2D joints and animated, each length in a
process of its own. Prints the peak memory of each process, after the imports and at the end, and the growth for each minute. With a
video, it is enlarged to 1920 x 1080 and repeated to each length, and `stpose mocap` captures it; a stand-in gives the walking
person unless a detector is named.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
from speed import loop, run

from stpose_core.detect.types import Box, Detector, Pose2D
from stpose_core.video import probe, read_frames

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


class Walker(Detector):
    """Sees the person of `keypoints` in any picture, one step further at each look."""

    name = "walker"
    skeleton = "h36m17"

    def __init__(self) -> None:
        self._poses, self._looks = keypoints(round(60 * FPS)), 0

    def find(self, image: np.ndarray, thorough: bool = False) -> list[Box]:
        """The person."""
        return [self._box(self._poses[self._looks % len(self._poses)])]

    def pose(self, image: np.ndarray, box: Box) -> Pose2D:
        """The next pose."""
        self._looks += 1
        xy = self._poses[self._looks % len(self._poses)]
        return Pose2D(xy, np.full(17, 0.8), 1.0, self._box(xy))

    def _box(self, xy: np.ndarray) -> Box:
        (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
        return Box(float(x0), float(y0), float(x1), float(y1))


def enlarged(video: Path, out: Path) -> Path:
    """The video in 1920 x 1080."""
    with av.open(str(out), "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(probe(video).fps).limit_denominator(1001), options={"preset": "veryfast"}
        )
        stream.width, stream.height = IMAGE
        stream.pix_fmt = "yuv420p"
        for frame in read_frames(video):
            picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24").reformat(*IMAGE, format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return out


def measure_videos(video: Path, minutes: tuple[float, ...], detector: str) -> None:
    """Print a row for each length: peak memory of the command, its processor time, and the size of the file."""
    click.echo("| minutes | memory, MB | seconds | result, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        large = enlarged(video, Path(folder, "large.mp4"))
        for length in minutes:
            long, out = Path(folder, "long.mp4"), Path(folder, "out.npz")
            loop(large, 60 * length, long)
            command = [sys.executable, "-m", "stpose_cli.main", "mocap", str(long), "-o", str(out), "--overwrite"]
            found = run([*command, "--detector", detector, "--progress", "json"])
            click.echo(f"| {length:g} | {found.memory:.0f} | {found.whole:.0f} | {out.stat().st_size / 1e6:.1f} |")


@click.command()
@click.option("--video", type=click.Path(path_type=Path), help="Measure the whole command on this video.")
@click.option("--detector", default="long_clips:Walker", show_default=True)
@click.option("--minutes", type=float, multiple=True, default=(10.0, 20.0), show_default=True)
def main(video: Path | None, detector: str, minutes: tuple[float, ...]) -> None:
    """Measure the memory of long clips."""
    if video is not None:
        measure_videos(video, minutes, detector)
        return
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
