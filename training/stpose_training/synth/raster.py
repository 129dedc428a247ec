"""A batched z-buffer rasteriser in torch: the triangle of each pixel, and the position on it.

Image axes: x right, y down, in pixels from the top left corner, so that the centre of pixel (row r, column c) lies at
(c + 0.5, r + 0.5). Depth is the distance along the optical axis, metres. Runs on any device; the result does not depend
on the order of faces except between surfaces at the very same depth, where the lower face number wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NEAR = 0.05  # metres; faces with a corner nearer than this are not drawn
_EMPTY = torch.iinfo(torch.int64).max
# Faces are processed in groups of similar extent, each with one square window of pixels; larger ones are divided into windows.
_WINDOWS = (2, 4, 8, 16, 32)
_CHUNK = 4_000_000  # window pixels processed at once


@dataclass(frozen=True)
class Fragments:
    """The surface at each pixel: face (B, H, W), -1 for none; bary (B, H, W, 3), the weights of the face's corners on the surface
    (perspective-correct, 0 where there is no face); depth (B, H, W) in metres, infinite where there is no face."""

    face: Tensor
    bary: Tensor
    depth: Tensor

    def interpolate(self, values: Tensor, faces: Tensor) -> Tensor:
        """Vertex values (B, V, C) or (V, C) at each pixel: (B, H, W, C), 0 where there is no face."""
        hit = self.face >= 0
        person = torch.where(hit)[0]
        corners = values.expand(len(self.face), *values.shape[-2:])[person[:, None], faces[self.face[hit]]]
        out = values.new_zeros(*self.face.shape, values.shape[-1])
        out[hit] = (corners * self.bary[hit][..., None]).sum(dim=-2)
        return out


def rasterize(corners: Tensor, faces: Tensor, height: int, width: int) -> Fragments:
    """Draws meshes that share their faces (F, 3).

    corners: (B, V, 3) of image x, y in pixels and depth in metres, as `project` gives them. Both sides of a face are drawn.
    A face with a corner nearer than 5 cm is left out.
    """
    batch, device = len(corners), corners.device
    keys = torch.full((batch * height * width,), _EMPTY, dtype=torch.int64, device=device)
    triangles = corners[:, faces].double()
    low, high = triangles[..., :2].amin(dim=2), triangles[..., :2].amax(dim=2)
    # The first and last pixel whose centre lies in the face's bounding box, inside the image.
    size = torch.tensor([width, height], device=device)
    first = (low - 0.5).ceil().clamp(min=0)
    last = torch.minimum((high - 0.5).floor(), size - 1.0)
    extent = (last - first + 1).amax(dim=-1)
    drawn = (last >= first).all(dim=-1) & (triangles[..., 2] > _NEAR).all(dim=-1)
    extent = torch.where(drawn & torch.isfinite(extent), extent, 0.0)
    previous = 0
    for window in _WINDOWS:
        largest = window == _WINDOWS[-1]
        person, face = torch.where((extent > previous) & ((extent <= window) | torch.tensor(largest, device=device)))
        previous = window
        step = max(1, _CHUNK // window**2)
        for start in range(0, len(person), step):
            part = slice(start, start + step)
            _draw(keys, triangles, first, last, person[part], face[part], window, height, width)
    return _resolve(keys.view(batch, height, width), triangles)


def project(points: Tensor, focal: float | Tensor, centre: tuple[float, float]) -> Tensor:
    """Points (..., 3) in camera axes (x right, y down, z forward, metres) -> image x, y in pixels and depth in metres."""
    depth = points[..., 2:]
    middle = torch.tensor(centre, dtype=points.dtype, device=points.device)
    return torch.cat([focal * points[..., :2] / depth + middle, depth], dim=-1)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals (B, V, 3): the mean of the normals of the faces around a vertex, by their areas."""
    a, b, c = (vertices[:, faces[:, corner]] for corner in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(1, faces[:, corner], normals)
    return torch.nn.functional.normalize(total, dim=-1)


def _weights(triangles: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Barycentric weights (..., 3) of image points x, y in triangles (..., 3, 3), in the image (not on the surface)."""
    (ax, ay), (bx, by), (cx, cy) = (triangles[..., corner, :2].unbind(-1) for corner in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    inverse = torch.where(area == 0, torch.nan, 1 / area)
    v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) * inverse
    w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * inverse
    return torch.stack([1 - v - w, v, w], dim=-1)


def _draw(
    keys: Tensor,
    triangles: Tensor,
    first: Tensor,
    last: Tensor,
    person: Tensor,
    face: Tensor,
    window: int,
    height: int,
    width: int,
) -> None:
    """Writes the pixels of some faces into the z-buffer: key = depth order in the upper bits, face number in the lower."""
    corner, end = first[person, face], last[person, face]
    tiles = torch.ceil((end - corner + 1) / window).long()
    # Faces larger than the window are processed tile by tile.
    for tile_y in range(int(tiles[:, 1].max()) if len(tiles) else 0):
        for tile_x in range(int(tiles[:, 0].max())):
            here = (tiles[:, 0] > tile_x) & (tiles[:, 1] > tile_y)
            who, which = person[here], face[here]
            offset = torch.arange(window, device=keys.device)
            x = corner[here, 0, None, None] + tile_x * window + offset
            y = corner[here, 1, None, None] + tile_y * window + offset[:, None]
            shape = triangles[who, which][:, None, None]
            weights = _weights(shape, x + 0.5, y + 0.5)
            inside = (weights >= 0).all(dim=-1) & (x <= end[here, 0, None, None]) & (y <= end[here, 1, None, None])
            # 1 / depth is linear in the image and larger for nearer surfaces. It is stored with a resolution of 2^-30 of the
            # largest.
            nearness = (weights * (1 / shape[..., 2])).sum(dim=-1)
            order = ((1 - nearness * _NEAR) * 2**30).long()
            pixel = (who[:, None, None] * height + y.long()) * width + x.long()
            key = (order << 32) | which[:, None, None]
            keys.scatter_reduce_(0, pixel[inside], key[inside], "amin")


def _resolve(keys: Tensor, triangles: Tensor) -> Fragments:
    hit = keys != _EMPTY
    person, row, column = torch.where(hit)
    which = keys[hit] & 0xFFFFFFFF
    shape = triangles[person, which]
    weights = _weights(shape, column + 0.5, row + 0.5) / shape[..., 2]
    depth = 1 / weights.sum(dim=-1)
    face = keys.new_full(keys.shape, -1)
    bary = torch.zeros(*keys.shape, 3, device=keys.device)
    distance = torch.full(keys.shape, torch.inf, device=keys.device)
    face[hit], bary[hit], distance[hit] = which, (weights * depth[..., None]).float(), depth.float()
    return Fragments(face, bary, distance)
