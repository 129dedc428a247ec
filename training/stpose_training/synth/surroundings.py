"""The surroundings of people: panoramas, photographs, rooms of tiles, clutter behind and in front, shadows on the floor.

Colours are linear light (the square of screen values). Pictures are (B, H, W, 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.data.bodies import Random
from stpose_training.synth.kit import Kit
from stpose_training.synth.surfaces import sample

_CELL, _CELLS = 0.05, 112  # metres per cell of the shadow map of the floor


@dataclass(frozen=True)
class Cameras:
    """A pinhole camera per picture. rotation: (B, 3, 3) world (z up) to camera (x right, y down, z forward). eye: (B, 3) metres.
    focal (B,) and centre (B, 2): pixels, of pictures of size (width, height)."""

    rotation: Tensor
    eye: Tensor
    focal: Tensor
    centre: Tensor
    size: tuple[int, int]

    def to_camera(self, points: Tensor, picture: Tensor) -> Tensor:
        """World points (N, 3) of pictures (N,) in camera axes."""
        return (self.rotation[picture] @ (points - self.eye[picture])[..., None])[..., 0]

    def to_pixels(self, points: Tensor, picture: Tensor) -> Tensor:
        """Points (N, 3) in camera axes -> x, y in pixels, and depth."""
        depth = points[:, 2:]
        far = torch.where(depth.abs() < 1e-4, 1e-4, depth)
        return torch.cat([points[:, :2] / far * self.focal[picture, None] + self.centre[picture], depth], 1)

    def rays(self) -> Tensor:
        """(B, H, W, 3) world direction of each pixel's centre, 1 along the camera's axis."""
        width, height = self.size
        device = self.focal.device
        x = (torch.arange(width, device=device) + 0.5 - self.centre[:, :1]) / self.focal[:, None]
        y = (torch.arange(height, device=device) + 0.5 - self.centre[:, 1:]) / self.focal[:, None]
        x, y = x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)
        return torch.stack([x, y, torch.ones_like(x)], -1).flatten(1, 2).bmm(self.rotation).unflatten(1, (height, width))

    def resized(self, size: tuple[int, int]) -> Cameras:
        """The same cameras for pictures of another size (of the same proportions)."""
        factor = size[0] / self.size[0]
        return Cameras(self.rotation, self.eye, self.focal * factor, self.centre * factor, size)


def draw_surroundings(kit: Kit, cameras: Cameras, part: str, random: Random) -> Tensor:
    """(B, H, W, 3) empty places in the cameras' pictures."""
    batch = len(cameras.focal)
    kind = torch.rand(batch, generator=random.generator)
    out = torch.zeros(batch, cameras.size[1], cameras.size[0], 3, device=kit.share.device)
    rays = cameras.rays()
    for chosen, paint in ((kind < 0.42, _panorama), (kind >= 0.72, _room)):
        rows = chosen.nonzero()[:, 0].to(out.device)
        if len(rows):
            out[rows] = paint(kit, rays[rows], cameras.eye[rows], part, random)
    rows = ((kind >= 0.42) & (kind < 0.72)).nonzero()[:, 0].to(out.device)
    if len(rows):
        out[rows] = _photo(kit, len(rows), cameras.size, part, random)
    return out


def _numbers(choices: list[int], count: int, random: Random, device: torch.device) -> Tensor:
    return torch.tensor(choices)[(torch.rand(count, generator=random.generator) * len(choices)).long()].to(device)


def _between(pictures: Tensor, number: Tensor, x: Tensor, y: Tensor, around: bool) -> Tensor:
    """Linear colour of byte pictures (N, H, W, 3) at positions x, y (B, H', W') in pixels, bilinear."""
    height, width = pictures.shape[1:3]
    flat = pictures.view(-1, 3)
    x0, y0 = x.floor(), y.floor()
    u, v = (x - x0)[..., None], (y - y0)[..., None]
    base = number[:, None, None] * (height * width)

    def pixel(dx: int, dy: int) -> Tensor:
        column = x0.long() + dx
        column = torch.remainder(column, width) if around else column.clamp(0, width - 1)
        return flat[base + (y0.long() + dy).clamp(0, height - 1) * width + column].float()

    mixed = (pixel(0, 0) * (1 - u) + pixel(1, 0) * u) * (1 - v) + (pixel(0, 1) * (1 - u) + pixel(1, 1) * u) * v
    return (mixed / 255) ** 2


def _panorama(kit: Kit, rays: Tensor, eye: Tensor, part: str, random: Random) -> Tensor:
    count = len(rays)
    number = _numbers(kit.surroundings(len(kit.panoramas), part), count, random, rays.device)
    height, width = kit.panoramas.shape[1:3]
    yaw = random.uniform(0, 1, count).to(rays.device)
    mirrored = (1 - 2 * random.chance(0.5, count).float()).to(rays.device)
    along = torch.atan2(rays[..., 0] * mirrored[:, None, None], rays[..., 1]) / (2 * math.pi) + yaw[:, None, None]
    down = 0.5 - torch.atan2(rays[..., 2], rays[..., :2].norm(dim=-1)) / math.pi
    return _between(kit.panoramas, number, along * width, down * height - 0.5, around=True)


def _photo(kit: Kit, count: int, size: tuple[int, int], part: str, random: Random) -> Tensor:
    device = kit.share.device
    number = _numbers(kit.surroundings(len(kit.photos), part), count, random, device)
    height, width = kit.photos.shape[1:3]
    most = min(width / size[0], height / size[1])
    step = (random.uniform(0.35, 1.0, count) * most).to(device)
    left = random.uniform(0, 1, count).to(device) * (width - step * size[0])
    top = random.uniform(0, 1, count).to(device) * (height - step * size[1])
    columns = torch.arange(size[0], device=device).expand(count, -1)
    columns = torch.where(random.chance(0.5, count, 1).to(device), columns, size[0] - 1 - columns)
    x = left[:, None] + (columns + 0.5) * step[:, None]
    y = top[:, None] + (torch.arange(size[1], device=device) + 0.5) * step[:, None]
    shape = (count, size[1], size[0])
    return _between(kit.photos, number, x[:, None].expand(shape), y[:, :, None].expand(shape), around=False)


def _room(kit: Kit, rays: Tensor, eye: Tensor, part: str, random: Random) -> Tensor:
    """A floor of tiles and a wall behind, of another tile or plain."""
    count, device = len(rays), rays.device
    wall = random.uniform(0.6, 6.0, count).to(device)[:, None, None]
    depth = (wall - eye[:, 1, None, None]) / rays[..., 1].clamp(min=1e-3)
    floor = torch.where(rays[..., 2] < -1e-4, -eye[:, 2, None, None] / rays[..., 2], torch.inf)
    on_floor = floor < depth
    reach = torch.minimum(floor, depth).clamp(0, 60)
    place = eye[:, None, None] + rays * reach[..., None]
    choices = kit.textures.chosen(part)
    numbers = [_numbers(choices, count, random, device) for _ in range(2)]
    scale = random.uniform(0.4, 2.2, 2, count).to(device)
    which = torch.where(on_floor, numbers[0][:, None, None], numbers[1][:, None, None])
    size = torch.where(on_floor, scale[0][:, None, None], scale[1][:, None, None])
    uv = torch.stack([place[..., 0], torch.where(on_floor, place[..., 1], -place[..., 2])], -1) / size[..., None]
    colour = (sample(kit.textures, which.view(-1), uv.view(-1, 2), smooth=True)[:, :3] ** 2).view(*which.shape, 3)
    plain = (random.uniform(0.02, 0.9, count, 1, 1, 3) * random.uniform(0.3, 1.0, count, 1, 1, 1)).to(device)
    tint = (random.uniform(0.5, 1.5, count, 1, 1, 3)).to(device)
    painted = random.chance(0.45, count, 1, 1).to(device) & ~on_floor
    colour = torch.where(painted[..., None], plain.expand_as(colour), colour * tint)
    glow = 1 - 0.5 * random.uniform(0, 1, count, 1, 1).to(device) * ((place[..., 0] + 1).abs() / 4).clamp(max=1)
    return (colour * glow[..., None]).clamp(0, 1)


def draw_clutter(
    kit: Kit, picture: Tensor, *, centre: Tensor, extent: Tensor, share: float, part: str, random: Random
) -> tuple[Tensor, Tensor]:
    """Textured shapes over pictures (B, H, W, 3), around positions centre (B, 2), as large as extent (B,) pixels.

    -> the pictures, and the covered share of each pixel (B, H, W).
    """
    batch, height, width = picture.shape[:3]
    rows = random.chance(share, batch).nonzero()[:, 0].to(picture.device)
    covered = torch.zeros(batch, height, width, device=picture.device)
    count = len(rows)
    if not count:
        return picture, covered
    device = picture.device
    x = torch.arange(width, device=device) + 0.5 - centre[rows, :1]
    y = torch.arange(height, device=device) + 0.5 - centre[rows, 1:]
    span = extent[rows, None]
    x, y = x / span - 0.45 * random.normal(count, 1).to(device), y / span - 0.45 * random.normal(count, 1).to(device)
    angle = (random.uniform(-0.4, 0.4, count) + 1.5708 * random.chance(0.5, count)).to(device)[:, None, None]
    across = x[:, None] * angle.cos() + y[:, :, None] * angle.sin()
    along = -x[:, None] * angle.sin() + y[:, :, None] * angle.cos()
    half = torch.exp(random.normal(count, 2) * 0.6 - 2.0).to(device)
    # Some are as long as the picture, like poles, rails and table tops.
    half[:, 1] = torch.where(random.chance(0.3, count).to(device), 3.0, half[:, 1])
    a, b = across / half[:, :1, None], along / half[:, 1:, None]
    round_ = random.chance(0.35, count).to(device)[:, None, None]
    far = torch.where(round_, (a * a + b * b).sqrt(), torch.maximum(a.abs(), b.abs()))
    edge = (half.amin(1)[:, None, None] * span[..., None]).clamp(min=1)
    cover = ((1 - far) * edge + 0.5).clamp(0, 1)
    number = _numbers(kit.textures.chosen(part), count, random, device)[:, None, None].expand_as(cover)
    repeat = torch.exp(random.normal(count, 1, 1, 1) * 0.7).to(device)
    uv = torch.stack([across, along], -1) * repeat * 2 + random.uniform(0, 1, count, 1, 1, 2).to(device)
    colour = (sample(kit.textures, number.reshape(-1), uv.view(-1, 2), smooth=True)[:, :3] ** 2).view(*cover.shape, 3)
    gain = torch.exp(0.5 * random.normal(count, 1, 1, 3)).to(device)
    plain = random.uniform(0.0, 0.9, count, 1, 1, 3).to(device) ** 2
    colour = torch.where(random.chance(0.3, count, 1, 1, 1).to(device), plain.expand_as(colour), colour * gain).clamp(0, 1)
    # Round shapes are shaded like pipes.
    shade = 1 - 0.5 * random.uniform(0, 1, count, 1, 1).to(device) * a.abs().clamp(max=1) ** 2
    out = picture.clone()
    out[rows] = picture[rows] + (colour * shade[..., None] - picture[rows]) * cover[..., None]
    covered[rows] = cover
    return out, covered


def floor_shade(cameras: Cameras, vertices: Tensor, picture: Tensor, lamp: Tensor, strength: Tensor) -> Tensor:
    """Shadow (B, H, W), 0..1, of points (N, 3) of pictures (N,) on the floor z = 0, for lamps (B, 3, unit, towards them)."""
    batch, device = len(lamp), vertices.device
    slope = lamp[:, :2] / lamp[:, 2:].clamp(min=0.25)
    cast = vertices[:, :2] - vertices[:, 2:] * slope[picture]
    near = (1 - vertices[:, 2] / 0.2).clamp(0, 1)

    def filled(places: Tensor, values: Tensor) -> Tensor:
        cell = (places / _CELL + _CELLS / 2).floor().long()
        inside = ((cell >= 0) & (cell < _CELLS)).all(1)
        index = ((picture * _CELLS + cell[:, 1]) * _CELLS + cell[:, 0])[inside]
        grid = torch.zeros(batch * _CELLS * _CELLS, device=device)
        return grid.scatter_reduce_(0, index, values[inside], "amax").view(batch, 1, _CELLS, _CELLS)

    far = functional.avg_pool2d(filled(cast, torch.ones_like(near)), 3, 1, 1)
    close = functional.avg_pool2d(filled(vertices[:, :2], near), 3, 1, 1)
    dark = (strength[:, 0, None, None, None] * far).maximum(strength[:, 1, None, None, None] * close)
    dark = functional.avg_pool2d(dark, 3, 1, 1)
    rays = cameras.rays()
    reach = torch.where(rays[..., 2] < -1e-3, -cameras.eye[:, 2, None, None] / rays[..., 2], 1e3)
    place = cameras.eye[:, None, None, :2] + rays[..., :2] * reach[..., None]
    grid = (place / (_CELL * _CELLS / 2)).clamp(-3, 3)
    return functional.grid_sample(dark, grid, padding_mode="zeros", align_corners=False)[:, 0].clamp(0, 0.9)
