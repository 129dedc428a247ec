"""Losses of clips without 3D: reprojection of the 2D joints, and constant bone lengths.

The idea is the paper's (semi-supervision with 2D-only video); form and weights are decisions of this project.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from stpose_core.errors import TrainingError
from stpose_core.networks.lifting_configs import LiftingConfig, reads_maps
from stpose_core.networks.outputs import TemporalOutput
from stpose_training.data.footage import Seen
from stpose_training.data.samples import Batch
from stpose_training.losses import bone_length_spread

ROBUST = 0.05
"""Person sizes (about 0.9 m each) at which the reprojection loss changes from quadratic to linear: about a detector's error."""


def project(pose: Tensor, root: Tensor, size: Tensor) -> Tensor:
    """The projected pose in the person's own camera, like network inputs: (B, T, J, 2) in person sizes.

    pose: (B, T, J, 3) metres and root: (B, T, 3) as the network's heads give them; size: (B, T) angular size of the person.
    """
    # The root's depth is exp(root z) / size. Everything is multiplied by size, which remains only as a factor of the pose's depth.
    depth = torch.exp(root[..., None, 2:].clamp(-4, 6))
    flat = root[..., None, :2] * depth + pose[..., :2]
    return flat / (depth + size[..., None, None] * pose[..., 2:]).clamp_min(0.05)


def reprojection_loss(pose: Tensor, root: Tensor, seen: Seen) -> Tensor:
    """Mean distance of projected from detected joints, weighted by score, in person sizes; Huber's loss (Huber 1964)."""
    distance = ((project(pose, root, seen.size) - seen.flat).square().sum(-1) + 1e-12).sqrt()
    robust = torch.where(distance < ROBUST, 0.5 * distance.square() / ROBUST, distance - 0.5 * ROBUST)
    return (robust * seen.score).sum() / seen.score.sum().clamp_min(1)


def unlabelled_loss(output: TemporalOutput, seen: Seen, reprojection: float, bones: float) -> tuple[Tensor, dict[str, float]]:
    """The loss of 2D-only samples, and its parts. reprojection, bones: their weights."""
    parts = {
        "reprojection": reprojection_loss(output.pose, output.root, seen),
        "footage bones": bone_length_spread(output.pose, (seen.score > 0).any(-1)),
    }
    total = reprojection * parts["reprojection"] + bones * parts["footage bones"]
    return total, {name: float(value.detach()) for name, value in parts.items()}


def check_inputs(config: LiftingConfig) -> None:
    """Raises TrainingError for a network that does not read keypoints, which is what footage holds."""
    if reads_maps(config):
        raise TrainingError("footage holds keypoints; this network reads heat maps")


def both(batch: Batch, config: LiftingConfig) -> tuple[Tensor, ...]:
    """What the network is called with, for the samples with 3D followed by those without, in one pass."""
    if batch.seen is None:
        return batch.shown_to(config)
    return torch.cat((batch.joints, batch.seen.joints)), torch.cat((batch.context, batch.seen.context))


def parted(output: TemporalOutput, first: int) -> tuple[TemporalOutput, TemporalOutput]:
    """The outputs of the first samples of a batch, and of the rest."""
    parts = [getattr(output, entry.name) for entry in fields(TemporalOutput)]
    return TemporalOutput(*(part[:first] for part in parts)), TemporalOutput(*(part[first:] for part in parts))
