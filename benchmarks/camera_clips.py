"""The camera's rotation in rendered clips of 10 s: `python benchmarks/camera_clips.py --panoramas FOLDER`.

A virtual camera turns, zooms and moves in equirectangular panoramas. Textured figures that move on their own stand for people in
the foreground; the boxes around them are known, as a detector gives them. The pictures have motion blur, noise and compression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import click
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stpose_core.data import Array, Camera, CameraPath
from stpose_core.world.camera_motion import CameraMotion

Image = NDArray[np.uint8]
SIZE, FPS, SECONDS = (960, 540), 30.0, 10.0
FIELD = 55.0  # degrees over the longer side at zoom 1
PHOTO_FIELD = 100.0  # degrees that a photograph spans
NOISE, CRF = 4.0, 27
SHUTTER = 0.5  # share of a frame's time that it is exposed
ROOM = np.array([[-2.0, -1.3, -4.0], [2.4, 1.5, 7.0]])  # metres from the camera to the walls, ceiling and floor at first
_COARSE = 8
_GRAINS = 5  # pictures of noise, which take turns


@dataclass(frozen=True)
class Movement:
    """The motion of a camera. angles: (T, 3) degrees of yaw (to the right), pitch (up) and roll (clockwise). zoom: (T,) factors.

    position: (T, 3) metres in the axes of the first frame; panoramas are then taken for a room around the camera.
    """

    name: str
    angles: Array
    zoom: Array
    position: Array

    @property
    def rotation(self) -> Array:
        """(T, 3, 3) from the camera axes of each frame to those of the first."""
        yaw, pitch, roll = np.radians(self.angles).T
        turns = Rotation.from_euler("YXZ", np.stack([yaw, pitch, roll], 1)).as_matrix()
        return np.asarray(turns[0].T @ turns)


def movements(seconds: float = SECONDS, fps: float = FPS) -> dict[str, Movement]:
    """The movements by name."""
    time = np.arange(round(seconds * fps)) / fps
    share = time / seconds
    ease = share - np.sin(2 * np.pi * share) / (2 * np.pi)
    none = np.zeros_like(time)
    draw = np.random.default_rng(4)

    def shake(degrees: float) -> Array:
        """Hand tremor: sines from 0.3 to 9 Hz with amplitude 1 / frequency; `degrees` is the standard deviation."""
        total = np.zeros((len(time), 3))
        for hertz in (0.3, 0.7, 1.3, 2.2, 3.7, 5.9, 9.0):
            total += np.sin(2 * np.pi * (hertz * time[:, None] + draw.random(3))) / hertz
        return (total - total[0]) * degrees / total.std()

    def of(
        name: str,
        yaw: Array = none,
        pitch: Array = none,
        roll: Array = none,
        zoom: Array = none,
        hand: float = 0.0,
        going: tuple[Array, Array, Array] = (none, none, none),
        sway: float = 0.0,
    ) -> Movement:
        angles = np.stack([yaw, pitch, roll], 1) + (shake(hand) if hand else 0.0)
        return Movement(name, angles, np.exp(zoom), np.stack(going, 1) + (shake(sway) if sway else 0.0))

    swing = np.sin(2 * np.pi * share)
    bob = 0.03 * np.abs(np.sin(2 * np.pi * time))
    return {
        m.name: m
        for m in (
            of("still"),
            of("pan 60", 60 * ease),
            of("pan 180", 180 * ease),
            of("pan and back", 25 * swing),
            of("whip", 45 / (1 + np.exp(-(time - seconds / 2) * 9))),
            of("tilt", pitch=20 * swing),
            of("hand", hand=1.0),
            of("pan by hand", 50 * ease, hand=0.7),
            of("zoom", zoom=0.7 * np.sin(np.pi * share) ** 2),
            of("pan and zoom", 40 * ease, 5 * swing, zoom=0.5 * share, hand=0.3),
            of("roll", roll=15 * swing),
            of("hand with sway", hand=1.0, sway=0.03),
            of("pan with sway", 50 * ease, hand=0.7, sway=0.03),
            of("sidestep", hand=0.5, going=(0.2 * time, none, none)),
            of("walk ahead", hand=0.7, going=(none, bob, 0.25 * time)),
        )
    }


class Scene:
    """What is around the camera. image: equirectangular if it is twice as wide as high, else a photograph before the camera."""

    def __init__(self, path: Path, seed: int = 0, grain: float = 0.0) -> None:
        image = cv2.imread(str(path))
        if image is None:
            raise FileNotFoundError(f"{path} is not a picture")
        self.panorama = image.shape[1] == 2 * image.shape[0]
        if self.panorama:
            image = cv2.resize(image, (4096, 2048), interpolation=cv2.INTER_CUBIC)
        if grain:
            # Panoramas of few pixels a degree are soft; grain that is fixed to them stands for what they have lost.
            rough = np.random.default_rng(seed).normal(size=image.shape[:2]).astype(np.float32)
            rough = cv2.GaussianBlur(rough, (0, 0), 1.5)
            image = np.clip(image * (1 + grain * rough / rough.std())[..., None], 0, 255).astype(np.uint8)
        self.image = image

    def seen(self, rotation: Array, focal: float, size: tuple[int, int], position: Array) -> Image:
        """The picture of a camera. rotation: (3, 3) from camera axes (x right, y down, z forward) to those of the scene."""
        width, height = size
        # The map is smooth: it is worked out at every eighth pixel, with a row and a column around the picture.
        columns, rows = (np.arange(-1, -(-side // _COARSE) + 1) * _COARSE + (_COARSE - 1) / 2 for side in size)
        x, y = np.meshgrid((columns - (width - 1) / 2) / focal, (rows - (height - 1) / 2) / focal)
        rays = np.stack([x, y, np.ones_like(x)], -1) @ rotation.T
        if position.any():
            # To where the ray meets a wall: what is seen there lies in that direction from the middle of the walls.
            walls = np.where(rays > 0, ROOM[1], ROOM[0])
            rays = position + rays * np.min((walls - position) / np.where(np.abs(rays) > 1e-9, rays, 1e-9), -1)[..., None]
        high, wide = self.image.shape[:2]
        if self.panorama:
            # Longitudes around that of the camera's axis, so that they do not jump within the picture.
            middle = np.arctan2(rotation[0, 2], rotation[2, 2])
            c, s = np.cos(middle), np.sin(middle)
            across = np.arctan2(c * rays[..., 0] - s * rays[..., 2], s * rays[..., 0] + c * rays[..., 2]) + middle
            u = (across / (2 * np.pi) + 0.5) * wide - 0.5
            v = (np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / np.pi + 0.5) * high - 0.5
        else:
            scale = wide / 2 / np.tan(np.radians(PHOTO_FIELD / 2))
            u = rays[..., 0] / rays[..., 2] * scale + (wide - 1) / 2
            v = rays[..., 1] / rays[..., 2] * scale + (high - 1) / 2
        full = (len(columns) * _COARSE, len(rows) * _COARSE)
        u, v = (cv2.resize(m.astype(np.float32), full)[_COARSE : _COARSE + height, _COARSE : _COARSE + width] for m in (u, v))
        border = cv2.BORDER_WRAP if self.panorama else cv2.BORDER_REFLECT
        return np.asarray(cv2.remap(self.image, u, v, cv2.INTER_LINEAR, borderMode=border), np.uint8)


@dataclass(frozen=True)
class Figure:
    """A moving figure in the foreground. centre: (T, 2) and height: of the picture, 0..1. skin: the texture."""

    centre: Array
    height: float
    skin: Image

    def paste(self, picture: Image, frame: int) -> Array:
        """Draw the figure; give the box (4,) around its joints, which are inside of its outline."""
        rows, columns = picture.shape[:2]
        high, wide = self.skin.shape[:2]
        left, top = (self.centre[frame] * (columns, rows)).astype(int) - (wide // 2, high // 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, columns), min(top + high, rows)
        if x0 < x1 and y0 < y1:
            part = self.skin[y0 - top : y1 - top, x0 - left : x1 - left]
            target = picture[y0:y1, x0:x1]
            # Black is where the figure is not: an outline of ellipses.
            target[:] = np.where(part.any(-1, keepdims=True), part, target)
        inset = 0.06 * high
        return np.array([left + inset, top + inset, left + wide - inset, top + high - inset], float)


def figures(covered: float, frames: int, size: tuple[int, int], seed: int) -> list[Figure]:
    """People whose boxes cover about that share of the picture, each on a path of its own; the first stays near the middle."""
    draw = np.random.default_rng(seed)
    width, height = size
    time = np.arange(frames) / FPS
    people: list[Figure] = []
    area = 0.0
    while area < covered:
        tall = float(np.clip(draw.uniform(0.5, 0.95), 0, 1))
        high = round(tall * height)
        wide = round(high * draw.uniform(0.4, 0.6))
        skin = cv2.resize(draw.integers(30, 255, (high // 6 + 1, wide // 6 + 1, 3), dtype=np.uint8), (wide, high))
        outline = np.zeros((high, wide), np.uint8)
        cv2.ellipse(outline, (wide // 2, high // 2), (wide // 2, high // 2), 0, 0, 360, 255, -1)
        skin = np.where(outline[..., None] > 0, np.maximum(skin, 1), 0).astype(np.uint8)
        home = np.array([0.5 if not people else draw.uniform(0.1, 0.9), 0.5 + (1 - tall) * 0.4])
        reach, slow = draw.uniform(0.02, 0.06, 2) * (1 + 3 * bool(people)), draw.uniform(0.1, 0.5, 2)
        path = home + reach * np.sin(2 * np.pi * (slow * time[:, None] + draw.random(2)))
        people.append(Figure(path, tall, skin))
        area += wide * high / (width * height)
    return people


@dataclass(frozen=True)
class Clip:
    """A clip with a known camera."""

    scene: Scene
    movement: Movement
    covered: float = 0.15
    size: tuple[int, int] = SIZE
    field: float = FIELD
    crf: int = CRF
    noise: float = NOISE
    flicker: float = 0.0
    seed: int = 0
    heading: float = 0.0
    cut: Scene | None = None  # what is around the camera in the second half

    @property
    def focal(self) -> float:
        """Pixels, at zoom 1."""
        return float(max(self.size) / 2 / np.tan(np.radians(self.field / 2)))

    def frames(self) -> Iterator[tuple[Image, Array]]:
        """RGB pictures after compression, and the boxes (B, 4) of the people in them."""
        boxes: list[Array] = []
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt, codec.framerate = *self.size, "yuv420p", round(FPS)
        codec.options = {"preset": "veryfast", "crf": str(self.crf)}
        codec.time_base = 1 / codec.framerate
        back = av.CodecContext.create("h264", "r")
        count = 0
        packets = (packet for picture in self._drawn(boxes) for packet in codec.encode(_video_frame(picture)))
        for packet in [*packets, *codec.encode(None), None]:
            for frame in back.decode(packet):
                yield frame.to_ndarray(format="rgb24"), boxes[count]
                count += 1

    def _drawn(self, boxes: list[Array]) -> Iterator[Image]:
        draw = np.random.default_rng(self.seed)
        total = len(self.movement.zoom)
        people = figures(self.covered, total, self.size, self.seed)
        heading = Rotation.from_euler("Y", self.heading, degrees=True).as_matrix()
        turns = Rotation.from_matrix(heading @ self.movement.rotation)
        places = self.movement.position @ heading.T
        width, height = self.size
        grains = [draw.normal(0, self.noise, (height, width, 1)).repeat(3, -1).astype(np.int16) for _ in range(_GRAINS)]
        for frame in range(total):
            scene = self.cut if self.cut is not None and frame >= total // 2 else self.scene
            picture = self._exposed(scene, turns, places, frame)
            boxes.append(np.array([person.paste(picture, frame) for person in people]).reshape(-1, 4))
            if self.flicker:
                rows = np.arange(height)[:, None, None] / height
                picture = np.clip(picture * (1 + self.flicker * np.sin(2 * np.pi * (1.5 * rows - frame * 0.37))), 0, 255)
            yield np.asarray(cv2.add(picture, grains[draw.integers(_GRAINS)], dtype=cv2.CV_8U), np.uint8)

    def _exposed(self, scene: Scene, turns: Rotation, places: Array, frame: int) -> Image:
        after = min(frame + 1, len(self.movement.zoom) - 1)
        step, way = (turns[frame].inv() * turns[after]).as_rotvec(), places[after] - places[frame]
        focal = self.focal * self.movement.zoom[frame]
        blur = np.linalg.norm(step) * focal * SHUTTER
        # One picture for every two pixels of blur.
        shares = np.linspace(-0.5, 0.5, int(np.clip(blur / 2, 1, 9))) * SHUTTER if blur >= 4 else np.zeros(1)
        pictures = [
            scene.seen(
                (turns[frame] * Rotation.from_rotvec(step * share)).as_matrix(), focal, self.size, places[frame] + way * share
            )
            for share in shares
        ]
        return pictures[0] if len(pictures) == 1 else np.asarray(np.mean(pictures, 0), np.uint8)


def _video_frame(picture: Image) -> av.VideoFrame:
    # OpenCV reads pictures as BGR.
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")


def estimate(clip: Clip) -> CameraPath:
    """The path that is found in a clip, with its focal length known."""
    motion = CameraMotion(clip.size, Camera(clip.focal, (clip.size[0] / 2, clip.size[1] / 2)))
    for number, (picture, boxes) in enumerate(clip.frames()):
        motion.update(picture, number / FPS, boxes)
    return motion.path()


def rotation_errors(movement: Movement, path: CameraPath) -> Array:
    """(T,) degrees between estimated and true rotation since the first frame of each shot."""
    errors = np.zeros(len(path))
    for shot in np.unique(path.shot):
        frames = np.flatnonzero(path.shot == shot)
        true = movement.rotation[frames[0]].T @ movement.rotation[frames]
        found = path.rotation[frames[0]].T @ path.rotation[frames]
        errors[frames] = np.degrees(Rotation.from_matrix(true.swapaxes(1, 2) @ found).magnitude())
    return errors


@click.command()
@click.option("--panoramas", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of pictures 2:1.")
@click.option("--covered", type=float, multiple=True, default=(0.15, 0.5), show_default=True, help="Share of people's boxes.")
@click.option("--seconds", type=float, default=SECONDS, show_default=True)
@click.option("--places", "many", type=int, default=4, show_default=True, help="Panoramas for each movement.")
def main(panoramas: Path, covered: tuple[float, ...], seconds: float, many: int) -> None:
    """Measure the rotation of the camera in rendered clips. Each movement has panoramas of its own, in order of their names."""
    places = sorted(path for path in panoramas.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not places:
        raise click.ClickException(f"there are no pictures in {panoramas}")
    click.echo("| movement | people cover | turns by, degrees | largest error of each panorama, degrees | mean confidence |")
    click.echo("|---" * 5 + "|")
    moves = movements(seconds)
    for number, movement in enumerate(moves.values()):
        for share in covered:
            errors, sure = [], []
            for place in range(many):
                scene = Scene(places[(number + place * len(moves)) * len(places) // (many * len(moves))])
                path = estimate(Clip(scene, movement, share, (480, 270), crf=20, seed=number))
                errors.append("static" if path.static else f"{rotation_errors(movement, path).max():.2f}")
                sure.append(f"{path.confidence.mean():.2f}")
            turn = np.degrees(Rotation.from_matrix(movement.rotation).magnitude()).max()
            click.echo(f"| {movement.name} | {100 * share:.0f} % | {turn:.0f} | {'; '.join(errors)} | {'; '.join(sure)} |")


if __name__ == "__main__":
    main()
