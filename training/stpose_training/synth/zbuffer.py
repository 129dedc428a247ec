"""A z-buffer for many pictures of different meshes at once: every triangle has the number of its picture.

Same axes as `raster.py` (which draws one mesh per picture, exactly); this one is in single precision and several times faster.
Every stage works on flat lists of triangles or pixels, so a batch keeps a CPU core or a GPU equally busy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_NEAR = 0.05  # metres; triangles with a corner nearer than this are not drawn
_CHUNK = {"cpu": 1 << 18, "cuda": 1 << 25}  # pixels of bounding boxes processed at once: as many as fit the cache, or the memory
_EMPTY = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Hits:
    """The covered pixels. pixel: (P,) indices in a flat (B, H, W). triangle: (P,) of each pixel. weight: (P, 3) of its
    corners, perspective-correct. depth: (P,) metres."""

    pixel: Tensor
    triangle: Tensor
    weight: Tensor
    depth: Tensor

    def chosen(self, rows: Tensor) -> Hits:
        """The chosen rows."""
        return Hits(self.pixel[rows], self.triangle[rows], self.weight[rows], self.depth[rows])


def draw(
    corners: Tensor,
    picture: Tensor,
    shape: tuple[int, int, int],
    one_sided: Tensor | None = None,
    keeps: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Hits:
    """Draws triangles.

    corners: (N, 3, 3) of image x, y in pixels and depth in metres. picture: (N,) which of the B pictures each is in. shape:
    (B, H, W). one_sided: (N,) whether a triangle is visible only from the side where its corners are counter-clockwise in the world
    (the sign is opposite in the image, whose y points down). keeps: for triangles (Q,) and their plain weights (Q, 3) at pixels,
    which of these are not holes.
    """
    batch, height, width = shape
    device = corners.device
    x, y, depth = corners.unbind(-1)
    low_x = (x.amin(1) - 0.5).ceil().clamp(0, width)
    low_y = (y.amin(1) - 0.5).ceil().clamp(0, height)
    wide = ((x.amax(1) - 0.5).floor().clamp(-1, width - 1) - low_x + 1).clamp(min=0)
    high = ((y.amax(1) - 0.5).floor().clamp(-1, height - 1) - low_y + 1).clamp(min=0)
    ax, ay = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]
    bx, by = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0]
    area = ax * by - ay * bx
    drawn = (depth.amin(1) > _NEAR) & (area.abs() > 1e-9) & torch.isfinite(area) & (wide * high > 0)
    if one_sided is not None:
        drawn &= ~one_sided | (area < 0)
    index = drawn.nonzero()[:, 0]
    low_x, low_y, wide, high, area = low_x[index], low_y[index], wide[index], high[index], area[index]
    ax, ay, bx, by = ax[index], ay[index], bx[index], by[index]
    dx, dy = low_x + 0.5 - x[index, 0], low_y + 0.5 - y[index, 0]
    near = 1 / depth[index]
    # Weights of corners 1 and 2, and 1 / depth, are linear in the image: value at the first pixel, steps along x and y.
    one = torch.stack([(dx * by - dy * bx) / area, by / area, -bx / area], 1)
    two = torch.stack([(ax * dy - ay * dx) / area, -ay / area, ax / area], 1)
    slope = one * (near[:, 1] - near[:, 0])[:, None] + two * (near[:, 2] - near[:, 0])[:, None]
    slope[:, 0] += near[:, 0]
    plane = torch.cat([one, two, slope], 1)
    first = (picture[index] * height + low_y.long()) * width + low_x.long()
    wide_n, count = wide.int(), (wide * high).long()
    ends = count.cumsum(0)
    keys = torch.full((batch * height * width,), _EMPTY, dtype=torch.int64, device=device)
    chunk = _CHUNK.get(device.type, _CHUNK["cpu"])
    at = 0
    total = int(ends[-1]) if len(ends) else 0
    while at < len(index):
        done = int(ends[at - 1]) if at else 0
        stop = len(index) if total - done <= chunk else max(at + 1, int(torch.searchsorted(ends, done + chunk, right=True)))
        part = slice(at, stop)
        size = int(ends[stop - 1]) - done
        owner = torch.repeat_interleave(torch.arange(at, stop, device=device), count[part], output_size=size)
        place = (torch.arange(done, done + size, device=device) - (ends - count)[owner]).int()
        across = wide_n[owner]
        row = torch.div(place, across, rounding_mode="floor")
        column = place - row * across
        steps = plane[owner]
        column_f, row_f = column.float(), row.float()
        first_weight = steps[:, 0] + steps[:, 1] * column_f + steps[:, 2] * row_f
        second_weight = steps[:, 3] + steps[:, 4] * column_f + steps[:, 5] * row_f
        inside = ((first_weight >= 0) & (second_weight >= 0) & (first_weight + second_weight <= 1)).nonzero()[:, 0]
        owner, column, row, steps = owner[inside], column[inside], row[inside], steps[inside]
        nearness = steps[:, 6] + steps[:, 7] * column + steps[:, 8] * row
        pixel = first[owner] + row * width + column
        if keeps is not None:
            v, w = first_weight[inside], second_weight[inside]
            solid = keeps(index[owner], torch.stack([1 - v - w, v, w], 1)).nonzero()[:, 0]
            owner, nearness, pixel = owner[solid], nearness[solid], pixel[solid]
        # The bits of a positive float sort like its value: depth in the upper bits, the number of the triangle in the lower.
        order = ((1 / nearness).view(torch.int32).long() << 32) | owner
        keys.scatter_reduce_(0, pixel, order, "amin")
        at = stop
    pixel = (keys != _EMPTY).nonzero()[:, 0]
    owner = keys[pixel] & 0xFFFFFFFF
    rest = pixel - first[owner]
    row = torch.div(rest, width, rounding_mode="floor")
    # A row of the picture may begin inside the box: its first column is where the box's first pixel lies.
    column = rest - row * width
    steps = plane[owner]
    column_f, row_f = column.float(), row.float()
    v = steps[:, 0] + steps[:, 1] * column_f + steps[:, 2] * row_f
    w = steps[:, 3] + steps[:, 4] * column_f + steps[:, 5] * row_f
    distance = 1 / (steps[:, 6] + steps[:, 7] * column_f + steps[:, 8] * row_f)
    weight = torch.stack([1 - v - w, v, w], 1) * near[owner] * distance[:, None]
    return Hits(pixel, index[owner], weight, distance)
