"""Random pinhole cameras around a motion: height, pitch, distance, field of view, roll, off-centre framing, movement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_training.data.bodies import Random, rotation_matrix

# Half of the longer image side in tangent units, for the camera that lifting assumes (stpose_core.data.Camera.assumed).
ASSUMED_REACH = 0.5206


@dataclass
class Views:
    """points: (B, T, 17, 3) in camera axes (x right, y down, z forward), metres. up: (B, T, 3) against gravity, in camera axes.
    reach: (B, 2) half width and half height of the image in tangent units. zoom: (B,) true focal length / assumed one."""

    points: Tensor
    up: Tensor
    reach: Tensor
    zoom: Tensor


@dataclass
class Stands:
    """How cameras stand relative to the person, one per sample, each (B,). above: radians by which they look down on the person.
    roll: radians by which up leans to the right in the picture. log_distance: natural logarithm of metres."""

    above: Tensor
    roll: Tensor
    log_distance: Tensor


def film(
    positions: Tensor, random: Random, log_distance: tuple[float, float] = (0.18, 2.48), stands: Stands | None = None
) -> Views:
    """Films (B, T, 17, 3) motions, z up, with one random camera each.

    Cameras are 1.2-12 m away (log-uniform), 40 degrees above to 20 below, with 33-92 degrees over the longer side in portrait or
    landscape, a roll of about 4 degrees, and the person anywhere in the frame; two in five are hand-held or follow the person.
    log_distance: natural logarithms of the least and the greatest distance in metres, at the nearest point of the path.
    stands: given positions of the cameras; field of view, framing and movement are still drawn.
    """
    batch, frames = positions.shape[:2]
    device = positions.device
    pelvis = positions[:, :, 0]
    target = pelvis.mean(1)
    distance = torch.exp(random.uniform(*log_distance, batch))
    above = torch.where(random.chance(0.7, batch), 0.12 * random.normal(batch) + 0.05, random.uniform(-0.35, 0.7, batch))
    if stands is not None:
        distance, above = torch.exp(stands.log_distance), stands.above
    around = random.uniform(-3.1416, 3.1416, batch)
    away = torch.stack((above.cos() * around.cos(), above.cos() * around.sin(), above.sin()), -1)
    # A walking person must not pass through the camera, so it stands back by the distance that they approach.
    nearest = ((pelvis - target[:, None]) * away[:, None]).sum(-1).amax(1)
    place = target + away * (distance + nearest.clamp_min(0))[:, None]
    field = torch.where(random.chance(0.6, batch), 55 + 10 * random.normal(batch), random.uniform(35, 90, batch)).clamp(33, 92)
    reach = torch.tan(torch.deg2rad(field) / 2)

    following = random.chance(0.2, batch)[:, None, None]
    kernel = torch.ones(1, 1, 31, device=device) / 31
    padded = F.pad(pelvis.transpose(1, 2).reshape(-1, 1, frames), (15, 15), mode="replicate")
    path = F.conv1d(padded, kernel).reshape(batch, 3, frames).transpose(1, 2)
    aim = torch.where(following, path, target[:, None].expand(-1, frames, -1))
    forward = F.normalize(aim - place[:, None], dim=-1)
    vertical = torch.tensor([0.0, 0.0, 1.0], device=device).expand_as(forward)
    right = F.normalize(torch.linalg.cross(forward, vertical), dim=-1)
    down = torch.linalg.cross(forward, right)
    rotation = torch.stack((right, down, forward), -2)
    # Off-centre framing, roll, and hand shake, as a small rotation in camera axes.
    turned = torch.zeros(batch, frames, 3, device=device)
    turned[..., 0] = (0.25 * reach * random.normal(batch).clamp(-2, 2))[:, None]
    turned[..., 1] = (0.4 * reach * random.normal(batch).clamp(-2, 2))[:, None]
    roll = 0.07 * random.normal(batch)
    turned[..., 2] = (roll if stands is None else stands.roll)[:, None]
    shaking = random.chance(0.3, batch)[:, None, None] * torch.exp(random.uniform(-5, -2.7, batch))[:, None, None]
    turned = turned + shaking * random.wave(frames, batch, 3, slowest=0.1, fastest=1.5).transpose(1, 2)
    rotation = rotation_matrix(turned) @ rotation
    points = (positions - place[:, None, None]) @ rotation.transpose(-1, -2)
    up = rotation[..., 2]
    portrait = random.chance(0.4, batch)
    short = reach * random.uniform(0.5, 1.0, batch)
    size = torch.stack((torch.where(portrait, short, reach), torch.where(portrait, reach, short)), -1)
    return Views(points, up, size, ASSUMED_REACH / reach)
