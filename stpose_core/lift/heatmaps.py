"""Heat maps as input of the temporal network: their geometry, how they are drawn, and how maps of a picture are resampled.

A map covers a square of the person's own view (stpose_core.lift.normalise). Its centre is the direction to the person, and it
extends MAP_REACH person sizes to each side, so that in all of the marker mocap, including tilted and lying bodies, fewer than one
joint in a thousand lies outside. Cell (row, column) of MAP_CELLS x MAP_CELLS has its centre at MAP_REACH * (2 * (index + 0.5) /
MAP_CELLS - 1), x to the right, y down. Values are 0 (nothing) to 1 (certain). These are decisions of this project; the paper crops
the picture to the person and reads the maps of its spatial network directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.data import Camera
from stpose_core.lift.normalise import PersonView
from stpose_core.networks.heads import MAP_CELLS, cell_centres

_SHARPEST = 0.1  # person sizes, nearly a cell: the width of the peak of a clearly visible joint


def spread_of(score: Tensor) -> Tensor:
    """Standard deviation (person sizes) of the Gaussian for a joint of that score: from 0.1 at 1, to 0.2 at the lowest score that
    counts as visible. The width grows like the expected error of a detector (training/stpose_training/data/noise.py)."""
    difficulty = -torch.log(score.clamp(0.05, 1.0)) / 1.2
    return (_SHARPEST**2 + (0.02 * (1 + 5 * difficulty)) ** 2).sqrt()


@dataclass
class Blobs:
    """Heat maps as sums of K Gaussians per joint, before they are drawn.

    place: (B, T, J, K, 2) person sizes from the middle of the map; height: (B, T, J, K) 0..1; spread: (B, T, J, K) person sizes.
    ground: (B, T, 1 or J, 2, cells): the background is the product of its two rows, along y and along x; None for none.
    """

    place: Tensor
    height: Tensor
    spread: Tensor
    ground: Tensor | None = None

    def frames(self, chosen: slice) -> Blobs:
        """The blobs of some frames."""
        ground = None if self.ground is None else self.ground[:, chosen]
        return Blobs(self.place[:, chosen], self.height[:, chosen], self.spread[:, chosen], ground)

    def draw(self, cells: int = MAP_CELLS) -> Tensor:
        """(B, T, J, cells, cells) maps. Overlapping Gaussians are added, up to 1."""
        axis = cell_centres(cells, self.place.device)
        along = torch.exp(-0.5 * ((axis - self.place.unsqueeze(-1)) / self.spread[..., None, None]) ** 2)
        columns, rows = along[..., 0, :], along[..., 1, :] * self.height.unsqueeze(-1)
        if self.ground is not None:
            ground = self.ground.expand(*rows.shape[:3], 2, cells)
            rows = torch.cat((rows, ground[..., :1, :]), -2)
            columns = torch.cat((columns, ground[..., 1:, :]), -2)
        return torch.matmul(rows.transpose(-1, -2), columns).clamp_(max=1.0)


def keypoint_blobs(joints: Tensor) -> Blobs:
    """(B, T, J, 4) joints from `network_inputs` -> one Gaussian for each visible joint; its height is the score, and its width
    depends on the score (`spread_of`). Hidden joints have none."""
    score = joints[..., 2] * joints[..., 3]
    return Blobs(joints[..., None, :2], score.unsqueeze(-1), spread_of(score).unsqueeze(-1))


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps of one person, with a square grid over the picture for each frame.

    values: (T, J, H, W) 0..1. corner: (T, 2) pixels, the outer corner of the first cell. cell: (T,) pixels, side of a cell.
    """

    values: NDArray[np.float16] | NDArray[np.float32]
    corner: NDArray[np.float64]
    cell: NDArray[np.float64]

    def __post_init__(self) -> None:
        frames = len(self.values)
        if self.values.ndim != 4 or self.corner.shape != (frames, 2) or self.cell.shape != (frames,):
            shapes = f"values {self.values.shape}, corner {self.corner.shape}, cell {self.cell.shape}"
            raise ValueError(f"heat maps must be (T, J, H, W) with a corner (T, 2) and a cell (T,), got {shapes}")
        if not (np.isfinite(self.corner).all() and np.isfinite(self.cell).all() and (self.cell > 0).all()):
            raise ValueError("the grids of heat maps must be finite, and their cells larger than 0")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: slice) -> HeatMaps:
        return HeatMaps(self.values[chosen], self.corner[chosen], self.cell[chosen])

    def window(self, start: int, stop: int) -> HeatMaps:
        """Frames `start` to `stop`; those before the first and after the last are empty."""
        frames = np.arange(start, stop)
        inside = (frames >= 0) & (frames < len(self))
        near = frames.clip(0, len(self) - 1)
        values = self.values[near] * inside[:, None, None, None].astype(self.values.dtype)
        return HeatMaps(values, self.corner[near], self.cell[near])

    def seen_in(self, view: PersonView, camera: Camera) -> Tensor:
        """(1, T, J, MAP_CELLS, MAP_CELLS): the same maps in the person's own view, sampled bilinearly; 0 outside the grids.

        view: of one clip (B = 1). camera: the camera that the view was made with.
        """
        device, size = view.size.device, view.size[0]
        axis = cell_centres(MAP_CELLS, device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        flat = torch.stack((x, y), -1).reshape(1, -1, 2) * size[:, None, None]
        direction = view.to_camera(torch.cat((flat, torch.ones_like(flat[..., :1])), -1)[None])[0]
        pixels = camera.focal * direction[..., :2] / direction[..., 2:].clamp_min(0.05)
        pixels = pixels + torch.tensor(camera.centre, dtype=pixels.dtype, device=device)
        corner = torch.from_numpy(self.corner).to(pixels)
        cells = (pixels - corner[:, None]) / torch.from_numpy(self.cell).to(pixels)[:, None, None]
        height, width = self.values.shape[2:]
        places = 2 * cells / torch.tensor([width, height], dtype=cells.dtype, device=device) - 1
        values = torch.from_numpy(np.ascontiguousarray(self.values)).to(device).float()
        grid = places.reshape(len(self), MAP_CELLS, MAP_CELLS, 2)
        maps: Tensor = F.grid_sample(values, grid, align_corners=False)
        return (maps * view.known[0][:, None, None, None])[None]
