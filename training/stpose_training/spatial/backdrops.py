"""Backgrounds without people: parts of the panoramas and photographs of a rendering kit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stpose_core.detect.views import cut, view_of
from stpose_core.errors import FormatError
from stpose_training.synth.cache import decode, pages_of
from stpose_training.synth.kit import Kit

_PLATE = (288, 320)
_PLATES, _FRESH = 240, 12  # number kept; number exchanged at a time


class Backdrops:
    """A changing collection of backgrounds for training: parts of a kit's panoramas and photographs as (H, W, 3) bytes."""

    def __init__(self, kit: Path, random: np.random.Generator) -> None:
        self._random = random
        try:
            with np.load(kit, allow_pickle=False) as data:
                self._pages = {name: pages_of(data[f"{name}_bytes"], data[f"{name}_lengths"]) for name in ("pano", "photo")}
        except (KeyError, ValueError, OSError) as error:
            raise FormatError(f"{kit} is not a kit for rendering: {error}") from error
        self._plates = [self._cut_plate() for _ in range(_PLATES)]

    def renew(self) -> None:
        """Exchanges a part of the collection."""
        for _ in range(_FRESH):
            self._plates[int(self._random.integers(len(self._plates)))] = self._cut_plate()

    def draw(self, size: tuple[int, int], random: np.random.Generator, least: float = 0.45) -> NDArray[np.uint8]:
        """A random part of a random background, (height, width, 3). least: smallest part, relative to the largest possible."""
        plate = self._plates[int(random.integers(len(self._plates)))]
        height, width = plate.shape[:2]
        most = min(width / size[0], height / size[1])
        extent = np.array(size) * most * random.uniform(least, 1)
        corner = random.uniform(0, 1, 2) * ((width, height) - extent)
        return cut(plate, view_of(np.concatenate([corner, corner + extent]), size, 1.0, mirrored=random.random() < 0.5), size)

    def _cut_plate(self) -> NDArray[np.uint8]:
        name = "pano" if self._random.random() < 0.55 else "photo"
        pages = self._pages[name]
        choices = Kit.surroundings(len(pages), "train")
        picture = decode(pages[choices[int(self._random.integers(len(choices)))]])
        return perspective(picture, self._random) if name == "pano" else picture


def perspective(panorama: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A pinhole camera's view of an equirectangular panorama, in a random direction."""
    height, width = panorama.shape[:2]
    focal = _PLATE[1] / 2 / np.tan(np.deg2rad(random.uniform(40, 85)) / 2)
    pitch, yaw = np.deg2rad(random.normal() * 12 - 5), random.uniform(0, 1)
    x, y = np.meshgrid(np.arange(_PLATE[0]) + 0.5 - _PLATE[0] / 2, np.arange(_PLATE[1]) + 0.5 - _PLATE[1] / 2)
    down, ahead = y * np.cos(pitch) - focal * np.sin(pitch), y * np.sin(pitch) + focal * np.cos(pitch)
    across = (np.arctan2(x, ahead) / (2 * np.pi) + yaw) * width
    along = (0.5 + np.arctan2(down, np.hypot(x, ahead)) / np.pi) * height
    wide = np.concatenate([panorama, panorama[:, :1]], axis=1)  # the right edge continues at the left one
    at = ((across - 0.5) % width).astype(np.float32), (along - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(wide, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
