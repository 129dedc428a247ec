"""The outputs of a lifting network for each frame, and its last layers: in metres, or projective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stpose_core.networks.initial import normal_

MAP_CELLS = 24
"""Rows and columns of a heat map."""

MAP_REACH = 1.4
"""Half the side of a map in person sizes (see stpose_core.lift.heatmaps)."""

LEAST_PEAK = 0.1
"""Minimum height of a peak; a lower maximum of a heat map is background."""


@dataclass
class TemporalOutput:
    """The outputs for each frame, in the axes of the person's own camera (see lift/normalise.py).

    pose: (B, T, J, 3) metres relative to joint 0. root: (B, T, 3): pelvis (u, v) in person-box units, and log of its depth in
    person sizes. log_sigma: (B, T, J) log of the expected error in metres. hidden: (B, T, J) logit that a joint's input was
    missing or wrong. up: (B, T, 3) direction against gravity, not normalised. contacts: (B, T, 4) logit that the left heel, left
    toe, right heel and right toe are on the ground; (B, T, 0) for a network without that head.
    """

    pose: Tensor
    root: Tensor
    log_sigma: Tensor
    hidden: Tensor
    up: Tensor
    contacts: Tensor


class Heads(nn.Conv1d):
    """(B, C, T) features -> TemporalOutput, by one linear map per frame."""

    def __init__(self, channels: int, joints: int, more: int = 0, contacts: int = 0) -> None:
        self.sizes = (joints * 3, 3, joints, joints, 3, more, contacts)
        super().__init__(channels, sum(self.sizes), 1)
        normal_(self.weight, std=0.002)  # outputs start near zero, because values in metres are small

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """-> pose (B, T, J, 3), root (B, T, 3), log_sigma, hidden, up, `more` further channels, and contacts."""
        values = super().forward(features).transpose(1, 2).float()
        pose, *others = values.split(self.sizes, -1)
        return pose.unflatten(-1, (-1, 3)), *others

    def forward(self, features: Tensor) -> TemporalOutput:  # type: ignore[override]  # one map with several meanings
        pose, root, log_sigma, hidden, up, _, contacts = self.split(features)
        return TemporalOutput(pose - pose[..., :1, :], root, log_sigma, hidden, up, contacts)


class ProjectiveHeads(Heads):
    """Heads that correct the input positions and add depths; the pinhole camera model converts them to metres.

    Input positions reach the pose directly, so that postures that are missing in training still agree with the picture, and the
    strong perspective of a person near the camera need not be learned. With joint 0 at depth Z, the person's metric size S = Z *
    size, the joint's position p (person-box units) and its depth d behind joint 0 in sizes: joint = S * (p * (1 + d * size), d).
    """

    def __init__(self, channels: int, joints: int, contacts: int = 0) -> None:
        super().__init__(channels, joints, more=joints, contacts=contacts)

    def forward(  # type: ignore[override]
        self, features: Tensor, seen: Tensor | None = None, size: Tensor | None = None
    ) -> TemporalOutput:
        """seen: (B, T, J, 2) positions of the joints, arbitrary for hidden ones; size: (B, T) angular size of the person."""
        if seen is None or size is None:
            raise ValueError("a projective output needs the positions of the joints and the person's angular size")
        raw, root, log_sigma, hidden, up, trust, contacts = self.split(features)
        # Trust in the positions starts high (0.95), because most of them are right.
        place = torch.sigmoid(trust + 3).unsqueeze(-1) * seen + raw[..., :2]
        depth = raw[..., 2:] - raw[..., :1, 2:]
        metric = torch.exp(root[..., 2].clamp(-3, 2))[..., None, None]
        ahead = (1 + depth * size[..., None, None]).clamp_min(0.05)
        pose = torch.cat((place * ahead, depth), -1) * metric
        root = torch.cat((place[..., 0, :], root[..., 2:]), -1)
        return TemporalOutput(pose - pose[..., :1, :], root, log_sigma, hidden, up, contacts)


def hann_weights(window: int, like: Tensor) -> Tensor:
    """(2 * window + 1,) weights of the frames up to `window` away, none of them zero."""
    return torch.hann_window(2 * window + 3, periodic=False, dtype=like.dtype, device=like.device)[1:-1]


def averaged(output: TemporalOutput, window: int) -> TemporalOutput:
    """The frames that have `window` frames on each side, with pose and root averaged over them (Hann weights)."""
    if window == 0:
        return output
    taps = hann_weights(window, output.pose)
    taps = taps / taps.sum()

    def mean(values: Tensor) -> Tensor:
        return torch.einsum("bt...k,k->bt...", values.unfold(1, len(taps), 1), taps)

    inner = slice(window, output.pose.shape[1] - window)
    single = (values[:, inner] for values in (output.log_sigma, output.hidden, output.up, output.contacts))
    return TemporalOutput(mean(output.pose), mean(output.root), *single)


def places(joints: Tensor, window: int) -> Tensor:
    """(B, T, J, 4) inputs -> (B, T, J, 2): mean position (Hann weights) over the frames up to `window` away in which the joint is
    visible; zero if there are none."""
    place, visible = joints[..., :2], joints[..., 3:]
    taps = hann_weights(window, joints)
    both = torch.cat((place * visible, visible), -1)
    batch, frames, count, channels = both.shape
    total = F.conv1d(both.permute(0, 2, 3, 1).reshape(-1, 1, frames), taps.reshape(1, 1, -1), padding=window)
    total = total.reshape(batch, count, channels, frames).permute(0, 3, 1, 2)
    return total[..., :2] / total[..., 2:].clamp_min(1e-3)


def cell_centres(cells: int, device: torch.device) -> Tensor:
    """(cells,) centres of a heat map's cells along x or y, in person sizes."""
    return MAP_REACH * ((torch.arange(cells, device=device) + 0.5) * (2 / cells) - 1)


def peaks(maps: Tensor) -> Tensor:
    """(B, T, J, cells, cells) heat maps -> (B, T, J, 4) joints in the form of keypoint inputs: position, height, visible.

    The position is the mean of the cells near the highest one, weighted by their values, because an argmax has no gradient.
    """
    height, best = maps.flatten(3).max(-1)
    cells = maps.shape[-1]
    index = torch.arange(cells, device=maps.device)
    row, column = best // cells, best % cells
    around = ((index - row.unsqueeze(-1)).abs() <= 2).unsqueeze(-1) & ((index - column.unsqueeze(-1)).abs() <= 2).unsqueeze(-2)
    weight = maps * around
    weight = weight / weight.sum((-1, -2), keepdim=True).clamp_min(1e-6)
    axis = cell_centres(cells, maps.device)
    place = torch.stack(((weight.sum(-2) * axis).sum(-1), (weight.sum(-1) * axis).sum(-1)), -1)
    visible = (height > LEAST_PEAK).to(maps.dtype).unsqueeze(-1)
    return torch.cat((place, height.unsqueeze(-1), torch.ones_like(visible)), -1) * visible
