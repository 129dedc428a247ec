"""Conversion of keypoints in pixels to inputs of the temporal network, and back: the person's own camera.

A person at the edge of a wide picture is viewed from another direction than one in its centre. Therefore the joints of each frame
are converted to rays, and projected by a virtual camera that points at the person and is scaled to the person's size. The joints
are then independent of scale and place in the picture, which the network receives separately (the context channels). This is a
decision of this project; the paper crops the image around the person instead.

All functions use torch, batched over a leading dimension. Training and lifting share them, so that both have the same inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BOX_REACH = 16
"""Frames on each side over which the box of a person is smoothed."""

VISIBLE_SCORE = 0.15
"""A joint with a lower score counts as hidden: its position is set to zero and flagged."""

# Joints of the trunk determine the place of a person better than hands. Order of h36m17.
_CENTRE_WEIGHTS = (4.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0)
_SIZE_FLOOR = 1e-3


@dataclass
class PersonView:
    """The person's own camera in each frame. rotation: (B, T, 3, 3), camera axes -> person's axes (z towards the person);
    size: (B, T) angular size (tangent units); known: (B, T) whether there is a detection near the frame."""

    rotation: Tensor
    size: Tensor
    known: Tensor

    def to_camera(self, points: Tensor) -> Tensor:
        """(B, T, ..., 3) in the person's axes -> camera axes."""
        extra = points.ndim - 3
        rotation = self.rotation.reshape(*self.rotation.shape[:2], *([1] * extra), 3, 3)
        return (rotation.transpose(-1, -2) @ points.unsqueeze(-1)).squeeze(-1)

    def root_to_camera(self, root: Tensor) -> Tensor:
        """The network's root head (B, T, 3) -> pelvis in camera axes, metres."""
        depth = torch.exp(root[..., 2].clamp(-4, 6)) / self.size
        flat = root[..., :2] * self.size.unsqueeze(-1)
        return self.to_camera(torch.cat((flat, torch.ones_like(depth).unsqueeze(-1)), -1) * depth.unsqueeze(-1))

    def camera_to_root(self, position: Tensor) -> Tensor:
        """Inverse of `root_to_camera`: pelvis (B, T, 3) in camera axes -> target of the root head."""
        seen = (self.rotation @ position.unsqueeze(-1)).squeeze(-1)
        depth = seen[..., 2].clamp_min(0.05)
        flat = seen[..., :2] / depth.unsqueeze(-1) / self.size.unsqueeze(-1)
        return torch.cat((flat, torch.log(depth * self.size).unsqueeze(-1)), -1)


def _window(causal: bool, like: Tensor) -> Tensor:
    """(1, 1, 2 * BOX_REACH + 1) Hann weights of neighbouring frames; if causal, 0 for later frames."""
    window = torch.hann_window(2 * BOX_REACH + 3, periodic=False, dtype=like.dtype, device=like.device)[1:-1]
    if causal:
        window[BOX_REACH + 1 :] = 0
    return window.reshape(1, 1, -1)


def _smooth(values: Tensor, weights: Tensor, kernel: Tensor) -> Tensor:
    """Mean of (B, T, C) over the kernel's frames, weighted by it and by the weights (B, T)."""
    total = F.conv1d(weights.unsqueeze(1), kernel, padding=BOX_REACH)
    batch, frames, channels = values.shape
    stacked = (values * weights.unsqueeze(-1)).transpose(1, 2).reshape(batch * channels, 1, frames)
    summed = F.conv1d(stacked, kernel, padding=BOX_REACH).reshape(batch, channels, frames)
    return (summed / total.clamp_min(1e-6)).transpose(1, 2)


def view_rotation(centre: Tensor) -> Tensor:
    """(..., 2) ray to the person (x/z, y/z) -> (..., 3, 3) the smallest rotation of that ray to the z axis."""
    ray = F.normalize(torch.cat((centre, torch.ones_like(centre[..., :1])), -1), dim=-1)
    x, y, z = ray.unbind(-1)
    common = 1 / (1 + z)  # z > 0, because rays point forward
    rows = (
        torch.stack((1 - x * x * common, -x * y * common, -x), -1),
        torch.stack((-x * y * common, 1 - y * y * common, -y), -1),
        torch.stack((x, y, z), -1),
    )
    return torch.stack(rows, -2)


def person_view(rays: Tensor, score: Tensor, causal: bool = False) -> PersonView:
    """rays: (B, T, J, 2) = (x/z, y/z) of each joint; score: (B, T, J), 0 if not detected. causal: do not use later frames.

    Centre and size are a weighted mean and spread of the visible joints (smoother than a bounding box, which jumps when a limb is
    hidden), smoothed over +-16 frames. Frames further from any detection are not known; their view points straight ahead.
    """
    visible = (score >= VISIBLE_SCORE).to(rays.dtype)
    rays = torch.where(visible.unsqueeze(-1) > 0, rays, torch.zeros_like(rays))
    joint_weight = visible * torch.tensor(_CENTRE_WEIGHTS, dtype=rays.dtype, device=rays.device)
    mass = joint_weight.sum(-1)
    # One or two joints have a centre but no size, so they are ignored.
    weight = mass * (visible.sum(-1) >= 3)
    kernel = _window(causal, rays)
    near = F.conv1d((weight > 0).to(rays.dtype).unsqueeze(1), kernel, padding=BOX_REACH).squeeze(1) > 0
    centre = (rays * joint_weight.unsqueeze(-1)).sum(-2) / mass.clamp_min(1e-6).unsqueeze(-1)
    centre = torch.where(near.unsqueeze(-1), _smooth(centre, weight, kernel), torch.zeros_like(centre))
    rotation = view_rotation(centre)
    flat = _turned(rays, rotation)
    middle = (flat * visible.unsqueeze(-1)).sum(-2) / visible.sum(-1).clamp_min(1).unsqueeze(-1)
    spread = (((flat - middle.unsqueeze(-2)) ** 2).sum(-1) * visible).sum(-1) / visible.sum(-1).clamp_min(1)
    log_size = _smooth(0.5 * torch.log(spread.clamp_min(_SIZE_FLOOR**2)).unsqueeze(-1), weight, kernel)[..., 0]
    size = torch.where(near, 2 * torch.exp(log_size), torch.ones_like(log_size))
    return PersonView(rotation, size.clamp_min(_SIZE_FLOOR), near)


def _turned(rays: Tensor, rotation: Tensor) -> Tensor:
    """(B, T, J, 2) rays in a camera that is rotated by (B, T, 3, 3)."""
    direction = torch.cat((rays, torch.ones_like(rays[..., :1])), -1) @ rotation.transpose(-1, -2)
    return direction[..., :2] / direction[..., 2:].clamp_min(0.05)


def network_inputs(rays: Tensor, score: Tensor, view: PersonView) -> tuple[Tensor, Tensor]:
    """-> joints (B, T, J, 4) and context (B, T, 4) for TemporalNetwork. Hidden joints are set to zero and flagged."""
    visible = (score >= VISIBLE_SCORE) & view.known.unsqueeze(-1)
    rays = torch.where(visible.unsqueeze(-1), rays, torch.zeros_like(rays))
    flat = _turned(rays, view.rotation) / view.size[..., None, None]
    joints = torch.cat((flat.clamp(-8, 8), score.unsqueeze(-1), torch.ones_like(score).unsqueeze(-1)), -1)
    joints = joints * visible.unsqueeze(-1)
    # The third row of the rotation is the viewing direction.
    context = torch.cat((view.rotation[..., 2, :2], torch.log(view.size).unsqueeze(-1)), -1)
    known = view.known.unsqueeze(-1).to(rays.dtype)
    return joints, torch.cat((context * known, known), -1)
