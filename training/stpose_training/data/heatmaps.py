"""Simulated heat maps of samples without pictures: displaced, widened and attenuated Gaussians, as from a spatial network.

The highest peak of a joint's map lies at the detected position, is as high as the score, and is wider for lower scores; a
hidden joint has no peak. Maps hold more than these peaks: if the detected position is wrong (displaced, exchanged with the
other side, far off), the map mostly has a second, lower peak near the true position; and sometimes it has one on the other side
of the body although the highest is correct. So the order of the peaks alone is not reliable. The background is weak noise.
Rates and heights are decisions of this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stpose_core.data import Camera
from stpose_core.lift.heatmaps import Blobs, HeatMaps, spread_of
from stpose_core.lift.normalise import VISIBLE_SCORE, PersonView, network_inputs
from stpose_core.networks.heads import MAP_CELLS, MAP_REACH
from stpose_core.skeletons import H36M17
from stpose_training.data.bodies import Random

_FAR_OFF = 0.25  # person sizes, about 0.2 m: a detection this far from the joint is wrong
_PICTURE_CELLS = 2 * MAP_CELLS
# Groups of joints whose sides are confused together: legs, and trunk with arms.
_LOWER = [joint in (1, 2, 3, 4, 5, 6) for joint in range(17)]


@dataclass
class Belief:
    """The peaks of maps. rays: (B, T, 17, 2, 2) tangent units of the assumed camera, the detected position first; height:
    (B, T, 17, 2); spread: (B, T, 17, 2) person sizes; ground: (B, T, 1, 2, MAP_CELLS), see Blobs."""

    rays: Tensor
    height: Tensor
    spread: Tensor
    ground: Tensor

    def in_view(self, view: PersonView) -> Blobs:
        """The maps as the network reads them."""
        flat = self.rays.flatten(2, 3)
        joints, _ = network_inputs(flat, torch.ones_like(flat[..., 0]), view)
        known = view.known[..., None, None].to(flat.dtype)
        return Blobs(joints[..., :2].unflatten(2, (-1, 2)), self.height * known, self.spread, self.ground)

    def in_picture(self, view: PersonView, camera: Camera) -> HeatMaps:
        """The maps of one clip (B = 1) as from a spatial network: drawn in a square of the picture around the person."""
        ahead = view.rotation[..., 2, :]
        centre, size = ahead[..., :2] / ahead[..., 2:], view.size
        place = (self.rays - centre[:, :, None, None]) / size[..., None, None, None]
        ground = self.ground.repeat_interleave(_PICTURE_CELLS // MAP_CELLS, -1)
        known = view.known[..., None, None].to(place.dtype)
        maps = Blobs(place, self.height * known, self.spread, ground * known[..., None]).draw(_PICTURE_CELLS)
        half = camera.focal * MAP_REACH * size[0].double().numpy()
        middle = camera.focal * centre[0].double().numpy() + np.asarray(camera.centre)
        return HeatMaps(maps[0].half().numpy(), middle - half[:, None], 2 * half / _PICTURE_CELLS)


def independent(random: Random) -> Random:
    """A generator independent of `random`, whose draws stay the same: samples are equal with and without maps."""
    twin = Random(0, random.device)
    twin.generator.set_state(random.generator.get_state())
    return Random(int(twin.uniform(0, 2**24, 1)), random.device)


def draw_blobs(true: Tensor, seen: Tensor, rays: Tensor, score: Tensor, wrong: Tensor, size: Tensor, random: Random) -> Belief:
    """The peaks of the maps of a sample.

    true: (B, T, 17, 2) positions of the joints; seen: detections before any were displaced; rays: detections after that; all in
    tangent units. score: (B, T, 17), 0 where hidden; wrong: (B, T, 17) hidden or displaced; size: (B, T) that of PersonView.
    """
    batch, frames, joints = score.shape
    score = torch.where(score >= VISIBLE_SCORE, score, torch.zeros_like(score))
    scale = size[..., None, None]
    far_off = ((seen - true) / scale).norm(dim=-1) > _FAR_OFF
    near = true + 0.04 * scale * random.normal(batch, 1, joints, 2)
    other = torch.where(far_off.unsqueeze(-1), near, seen)
    # Only some wrong peaks come with a second one, in some takes more than in others.
    frank = random.chance(0.8, batch, joints)[:, None]
    relative = random.uniform(0.3, 1.0, batch, 1, joints)
    shown = (wrong | far_off) & frank

    sides = random.wave(frames, batch, 2) > 1.5
    lower = torch.tensor(_LOWER, device=score.device)
    unsure = torch.where(lower, sides[:, 0].unsqueeze(-1), sides[:, 1].unsqueeze(-1)) & ~shown
    opposite = rays[:, :, list(H36M17.mirror)]
    unsure = unsure & random.chance(0.4, batch)[:, None, None]
    other = torch.where(unsure.unsqueeze(-1), opposite, other)
    second = score * relative * (shown | unsure)

    wide = torch.exp(random.uniform(-0.3, 0.4, batch))[:, None, None] * torch.exp(0.1 * random.normal(batch, frames, joints))
    spread = (spread_of(score) * wide).clamp_min(0.08)
    level = torch.exp(random.uniform(-6.0, -2.5, batch))[:, None, None, None, None].sqrt()
    ground = level * random.uniform(0, 1, batch, frames, 1, 2, MAP_CELLS)
    places, heights = torch.stack((rays, other), 3), torch.stack((score, second), 3)
    return Belief(places, heights, spread.unsqueeze(-1).expand(-1, -1, -1, 2), ground)
