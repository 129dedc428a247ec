"""What a capture gives, as a picture: `python benchmarks/contact_sheet.py VIDEO ... -o sheet.jpg` (some frames beside one another).

First row: the video with the joints that were seen. Second and third row: the skeleton of the .bvh, as the camera sees it and
from its left side, on a floor of half-metre squares.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

import stpose_core as sp
from stpose_core.animate import forward_kinematics
from stpose_core.data import Array, Capture, Motion
from stpose_core.preview import LEFT, MIDDLE, RIGHT, draw_skeleton
from stpose_core.skeletons import get_skeleton
from stpose_core.video import read_frames

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 300, 380
MOST_WIDE = 1600  # pixels of a sheet of several videos, which would be large otherwise
TALL, BELOW = 1.8, 0.2  # metres of a tile above and below the floor
PAPER, GRID, INK = (250, 250, 248), (214, 214, 210), (70, 70, 70)


def view(points: Array, turn: float, tilt: float = 0.12) -> Array:
    """(..., 3) metres, y up -> (..., 2) pixels of a tile, seen from `turn` radians to the left and a little from above."""
    c, s = np.cos(turn), np.sin(turn)
    x, z = points[..., 0] * c - points[..., 2] * s, points[..., 0] * s + points[..., 2] * c
    y = points[..., 1] * np.cos(tilt) - z * np.sin(tilt)
    scale = HEIGHT / (TALL + BELOW)
    return np.stack((WIDTH / 2 + x * scale, (TALL - y) * scale), -1)


def draw_motion(motion: Motion, frame: int, turn: float, filled: bool) -> Image:
    """One tile: the skeleton of a frame, with the floor under it moving past as the person goes."""
    tile: Image = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    places = forward_kinematics(motion)[frame]
    here = places[0] * [1, 0, 1]
    ticks = np.arange(-3, 3.01, 0.5)
    for tick in ticks:
        for ends in (((tick, -3), (tick, 3)), ((-3, tick), (3, tick))):
            line = np.array([[a, 0, b] for a, b in ends]) - np.mod(here, 0.5)
            flat = view(line, turn).round().astype(int)
            cv2.line(tile, flat[0].tolist(), flat[1].tolist(), GRID, 1, cv2.LINE_AA)
    flat = view(places - here, turn).round().astype(int)
    for joint, parent in enumerate(motion.parents):
        if parent < 0:
            continue
        name = motion.names[joint]
        colour = LEFT if name.startswith("Left") else RIGHT if name.startswith("Right") else tuple(value // 2 for value in MIDDLE)
        cv2.line(tile, flat[parent].tolist(), flat[joint].tolist(), INK, 7, cv2.LINE_AA)
        cv2.line(tile, flat[parent].tolist(), flat[joint].tolist(), colour, 4, cv2.LINE_AA)
    if filled:
        cv2.putText(tile, "filled", (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, INK, 1, cv2.LINE_AA)
    return tile


def crop(image: Image, capture: Capture, frame: int) -> Image:
    """A tile of the video around the person, with the seen joints."""
    seen = capture.keypoints
    picture = np.array(image)
    draw_skeleton(picture, seen.xy[frame], seen.score[frame], get_skeleton(seen.skeleton))
    high, wide = picture.shape[:2]
    size = min(high, wide * HEIGHT / WIDTH)
    middle = np.nanmean(seen.xy[frame], axis=0) if seen.seen[frame] else np.array([wide, high]) / 2
    half = np.array([size * WIDTH / HEIGHT, size]) / 2
    left, top = np.clip(middle - half, 0, np.maximum([wide, high] - 2 * half, 0)).round().astype(int)
    part = picture[top : top + round(2 * half[1]), left : left + round(2 * half[0])]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--frames", default=6, show_default=True, help="How many, evenly spread over the clip.")
@click.option("--person", default="largest", show_default=True)
@click.option("--detector", default="auto", show_default=True)
@click.option("--film", is_flag=True, help="The first row alone.")
def main(videos: tuple[Path, ...], output: Path, frames: int, person: str, detector: str, film: bool) -> None:
    """Draw the contact sheet of a capture, or of several, below one another."""
    sheet = np.vstack([sheet_of(video, frames, person, detector, film) for video in videos])
    if len(videos) > 1 and sheet.shape[1] > MOST_WIDE:
        size = (MOST_WIDE, sheet.shape[0] * MOST_WIDE // sheet.shape[1])
        sheet = np.asarray(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.imwrite(str(output), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def sheet_of(video: Path, frames: int, person: str, detector: str, film: bool) -> Image:
    """The rows of one video."""
    capture = sp.capture(video, person=person, detector=detector)
    with tempfile.TemporaryDirectory() as folder:
        sp.save(capture.motion, Path(folder) / "motion.bvh")
        written = sp.load_motion(Path(folder) / "motion.bvh")
    chosen = np.linspace(0, len(capture) - 1, frames).round().astype(int).tolist()
    pictures = {frame.index: frame.image for frame in read_frames(video) if frame.index in chosen}
    columns = [
        np.vstack(
            [crop(pictures[frame], capture, frame)]
            + [draw_motion(written, frame, turn, bool(capture.motion.filled[frame])) for turn in (() if film else (0.0, np.pi / 2))]
        )
        for frame in chosen
    ]
    click.echo(f"{video.name}: frames {', '.join(map(str, chosen))}")
    return np.hstack(columns)


if __name__ == "__main__":
    main()
