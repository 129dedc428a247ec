"""What is found of the camera in real clips: whether it is static, how far it turns and zooms, and what that costs.

    python benchmarks/camera_motion.py CLIP_OR_FOLDER ...

People are found by the built-in detector, as in a capture, so that corners on them do not count.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
from scipy.spatial.transform import Rotation

from stpose_core.data import CameraPath
from stpose_core.detect import load_detector
from stpose_core.detect.boxes import extent
from stpose_core.track.tracker import PeopleTracker
from stpose_core.video import probe, read_frames
from stpose_core.world.camera_motion import CameraMotion

HEAD = ("clip", "frames", "camera", "shots", "largest turn, degrees", "zoom", "confidence", "ms a frame")
SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")


def camera_of(clip: Path, detector: str = "builtin") -> tuple[CameraPath, float]:
    """The path of a clip's camera, and the processor time that it took, milliseconds a frame."""
    info = probe(clip)
    motion, tracker = CameraMotion((info.width, info.height)), PeopleTracker(load_detector(detector))  # type: ignore[arg-type]
    spent = 0.0
    for frame in read_frames(clip):
        boxes = [extent(person.pose.xy, person.pose.score) for person in tracker.update(frame)]
        began = time.process_time()
        motion.update(frame.image, frame.time, [(box.x0, box.y0, box.x1, box.y1) for box in boxes])
        spent += time.process_time() - began
    path = motion.path()
    return path, 1000 * spent / max(len(path), 1)


def described(name: str, path: CameraPath, milliseconds: float) -> str:
    """A row of the table."""
    angle = np.degrees(Rotation.from_matrix(path.rotation).magnitude()).max()
    zoom = path.focal.max() / path.focal.min()
    static = "static" if path.static else "moving"
    figures = f"{int(path.shot[-1]) + 1} | {angle:.2f} | {zoom:.2f} | {np.median(path.confidence):.2f} | {milliseconds:.1f}"
    return f"| {name} | {len(path)} | {static} | {figures} |"


def clips_in(paths: tuple[Path, ...]) -> list[Path]:
    """The clips among files and folders."""
    found = [sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path] for path in paths]
    return [clip for clips in found for clip in clips]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--detector", default="builtin", show_default=True)
def main(paths: tuple[Path, ...], detector: str) -> None:
    """Print a table of all clips."""
    click.echo(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for clip in clips_in(paths):
        click.echo(described(clip.name, *camera_of(clip, detector)))


if __name__ == "__main__":
    main()
