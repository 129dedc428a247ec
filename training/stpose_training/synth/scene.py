"""A plain room with a camera and a light, and persons rendered into it.

World axes: metres, z up, floor at z = 0, the wall behind the persons at y = `Room.wall`; a camera in front looks towards +y.
Colours are linear RGB until the picture is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.synth.body import Body, Posed
from stpose_training.synth.looks import Look, paint
from stpose_training.synth.raster import project, rasterize, vertex_normals

_GRID = 0.025  # metres per cell of the shadow map on the floor
_CELLS = 320


@dataclass(frozen=True)
class View:
    """A pinhole camera at `eye` that looks at `target` (metres, world), upright. focal in pixels; size (width, height)."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    focal: float
    size: tuple[int, int]

    @property
    def centre(self) -> tuple[float, float]:
        """The principal point, pixels."""
        return self.size[0] / 2, self.size[1] / 2

    @property
    def rotation(self) -> Tensor:
        """(3, 3): world axes to camera axes (x right, y down, z forward)."""
        forward = functional.normalize(torch.tensor(self.target) - torch.tensor(self.eye), dim=0)
        right = functional.normalize(torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0])), dim=0)
        return torch.stack([right, torch.linalg.cross(forward, right), forward])

    def to_camera(self, points: Tensor) -> Tensor:
        """World points (..., 3) in camera axes."""
        return (points - points.new_tensor(self.eye)) @ self.rotation.to(points).T

    def project(self, points: Tensor) -> Tensor:
        """World points (..., 3) -> pixels (..., 2)."""
        return project(self.to_camera(points), self.focal, self.centre)[..., :2]

    def rays(self) -> Tensor:
        """The world direction (H, W, 3) of each pixel's centre, at depth 1."""
        width, height = self.size
        x = (torch.arange(width) + 0.5 - self.centre[0]) / self.focal
        y = (torch.arange(height) + 0.5 - self.centre[1]) / self.focal
        grid = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width)], dim=-1)
        return grid @ self.rotation

    def enlarged(self, factor: int) -> View:
        """The same view with `factor` times as many pixels each way."""
        return View(self.eye, self.target, self.focal * factor, (self.size[0] * factor, self.size[1] * factor))


@dataclass(frozen=True)
class Room:
    """A floor of planks and a wall with a skirting board."""

    wall: float = 2.2
    paint: tuple[float, float, float] = (0.56, 0.55, 0.50)
    planks: tuple[float, float, float] = (0.36, 0.24, 0.15)
    skirting: float = 0.10


@dataclass(frozen=True)
class Light:
    """One large lamp in `direction` (world) and ambient light, stronger from above."""

    direction: tuple[float, float, float] = (-0.45, -0.55, 0.75)
    strength: float = 0.75
    ambient: float = 0.42


@dataclass(frozen=True)
class Background:
    """The empty room: colour (H, W, 3), and floor (H, W, 2), the point of the floor at each pixel in metres, NaN elsewhere."""

    colour: Tensor
    floor: Tensor


def empty_room(view: View, room: Room, light: Light) -> Background:
    """The surroundings from the camera, without people."""
    eye, rays = torch.tensor(view.eye), view.rays()
    to_floor = torch.where(rays[..., 2] < -1e-6, -eye[2] / rays[..., 2], torch.inf)
    to_wall = torch.where(rays[..., 1] > 1e-6, (room.wall - eye[1]) / rays[..., 1], torch.inf)
    distance = torch.minimum(to_floor, to_wall).clamp(max=1e3)
    place = eye + rays * distance[..., None]
    x, y, z = place.unbind(-1)
    on_floor = to_floor < to_wall
    plank = torch.floor(x / 0.14)
    tone = torch.frac(torch.sin(plank * 12.9898 + torch.floor(y / 1.3 + plank * 0.37) * 78.233) * 43758.5453).abs()
    grain = torch.sin(x * 260 + torch.sin(y * 7 + plank) * 3) * 0.03
    joint = (torch.frac((x / 0.14).abs()) - 0.5).abs() > 0.485
    wood = torch.tensor(room.planks) * (0.82 + 0.30 * tone + grain)[..., None] * torch.where(joint, 0.6, 1.0)[..., None]
    # The wall is brighter near the lamp, and darker towards floor and corners.
    glow = 0.80 + 0.35 * torch.exp(-(((x + 1.2) / 2.2) ** 2 + ((z - 1.9) / 1.6) ** 2)) - 0.15 * torch.exp(-z / 0.35)
    wall = torch.tensor(room.paint) * glow[..., None]
    board = (z < room.skirting)[..., None]
    wall = torch.where(board, torch.tensor([0.72, 0.71, 0.68]) * (0.85 + 0.6 * z)[..., None], wall)
    wall = torch.where(((z - room.skirting).abs() < 0.006)[..., None], wall * 0.7, wall)
    near_wall = 1 - 0.35 * torch.exp(-(room.wall - y) / 0.25)
    colour = torch.where(on_floor[..., None], wood * near_wall[..., None], wall)
    lit = light.ambient + 0.75 * light.strength
    floor = torch.where(on_floor[..., None], place[..., :2], torch.nan)
    return Background(colour * lit, floor)


def render(body: Body, posed: Posed, look: Look, view: View, background: Background, light: Light) -> Tensor:
    """One picture per person: (B, H, W, 3) linear RGB, at the view's size, not smoothed. posed: bodies with their feet on z = 0."""
    width, height = view.size
    camera = view.to_camera(posed.vertices)
    fragments = rasterize(project(camera, view.focal, view.centre), body.faces, height, width)
    normals = fragments.interpolate(vertex_normals(posed.vertices, body.faces), body.faces)
    normals = functional.normalize(normals, dim=-1)
    height_above = fragments.interpolate(posed.vertices[..., 2:], body.faces)[..., 0]
    lamp = functional.normalize(torch.tensor(light.direction), dim=0).to(normals)
    # Half-Lambert: a large lamp also lights surfaces that are turned slightly away from it.
    facing = (normals @ lamp * 0.6 + 0.4).clamp(min=0)
    around = light.ambient * (0.65 + 0.35 * normals[..., 2]) * (0.75 + 0.25 * (height_above / 0.8).clamp(0, 1))
    person = paint(body, fragments, look) * (light.strength * facing + around)[..., None]
    room = background.colour * (1 - floor_shadow(posed.vertices, background.floor, light))[..., None]
    return torch.where((fragments.face >= 0)[..., None], person, room)


def floor_shadow(vertices: Tensor, floor: Tensor, light: Light) -> Tensor:
    """Shadow (B, H, W), 0..1, of bodies (B, V, 3) on the floor."""
    lamp = functional.normalize(torch.tensor(light.direction), dim=0).to(vertices)
    cast = vertices[..., :2] - vertices[..., 2:] * (lamp[:2] / lamp[2])
    low = (1 - vertices[..., 2] / 0.14).clamp(0, 1)
    middle = vertices[..., :2].mean(dim=1, keepdim=True)
    middle = (middle / _GRID).round() * _GRID
    far, near = _splat(cast - middle, None), _splat(vertices[..., :2] - middle, low)
    dark = 0.40 * _blur(far, 3.5) + 0.65 * _blur(near, 1.4) + 0.30 * _blur(near, 5.0)
    span = _CELLS * _GRID / 2
    seen = torch.nan_to_num(floor, nan=1e3)
    shade = functional.grid_sample(
        dark[:, None], (seen - middle[:, None]) / span, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return shade[:, 0].clamp(0, 0.85)


def _splat(places: Tensor, values: Tensor | None) -> Tensor:
    """A map (B, cells, cells), rows along y: the largest value (B, V) of the points (B, V, 2) in a cell; values of 1 if None."""
    index = (places / _GRID + _CELLS / 2).floor().long().clamp(0, _CELLS - 1)
    filled = torch.zeros(len(places), _CELLS * _CELLS, device=places.device)
    values = torch.ones(places.shape[:2], device=places.device) if values is None else values
    filled.scatter_reduce_(1, index[..., 1] * _CELLS + index[..., 0], values, "amax")
    return filled.view(-1, _CELLS, _CELLS)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, H, W), sigma in cells."""
    reach = int(3 * sigma) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=picture.device) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    across = functional.conv2d(picture[:, None], kernel.view(1, 1, 1, -1), padding=(0, reach))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1), padding=(reach, 0))[:, 0]


def develop(linear: Tensor, factor: int = 1) -> Tensor:
    """Linear pictures (B, H, W, 3) -> sRGB bytes, each `factor` x `factor` pixels averaged into one."""
    if factor > 1:
        linear = functional.avg_pool2d(linear.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)
    linear = linear.clamp(0, 1)
    # The transfer curve of IEC 61966-2-1.
    curved = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
    return (curved * 255 + 0.5).to(torch.uint8)
