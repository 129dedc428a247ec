"""Losses of the lifter. Positions in metres, (B, T, J, 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.networks.outputs import TemporalOutput
from stpose_core.skeletons import H36M17
from stpose_training.data.samples import Batch

_CHILDREN = list(range(1, 17))
_PARENTS = [H36M17.parents[joint] for joint in _CHILDREN]


def mpjpe(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean per-joint position error (protocol 1 of Human3.6M), in the unit of its inputs."""
    return (predicted - true).norm(dim=-1).mean()


def velocity_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean error of the first differences over time (MPJVE, Pavllo et al. 2019)."""
    return (predicted.diff(dim=1) - true.diff(dim=1)).norm(dim=-1).mean()


def acceleration_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean error of the second differences over time: jitter, which the position error does not measure."""
    return (predicted.diff(n=2, dim=1) - true.diff(n=2, dim=1)).norm(dim=-1).mean()


def bone_length_spread(predicted: Tensor, counted: Tensor | None = None) -> Tensor:
    """Mean standard deviation over time of the bone lengths, metres. counted: (B, T) frames to use; None for all."""
    bones = (predicted[:, :, _CHILDREN] - predicted[:, :, _PARENTS]).norm(dim=-1)
    if counted is None:
        return bones.std(dim=1, correction=0).mean()
    weight = counted.to(bones.dtype).unsqueeze(-1)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1)
    mean = (bones * weight).sum(1, keepdim=True)
    # The square root of 0 has no finite gradient.
    return (((bones - mean).square() * weight).sum(1) + 1e-12).sqrt().mean()


def bone_vector_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean error of the bones as vectors (compositional loss, Sun et al., ICCV 2017): a wrong direction costs the same for
    every bone of a limb."""
    return mpjpe(*(pose[:, :, _CHILDREN] - pose[:, :, _PARENTS] for pose in (predicted, true)))


def flexion(pose: Tensor) -> Tensor:
    """(..., 17, 3) joints -> (..., 4) radians by which knees (right, left) and elbows (left, right) are bent; 0 is straight."""
    upper = pose[..., [2, 5, 12, 15], :] - pose[..., [1, 4, 11, 14], :]
    lower = pose[..., [3, 6, 13, 16], :] - pose[..., [2, 5, 12, 15], :]
    across = torch.linalg.cross(upper, lower)
    # The square root of 0 has no finite gradient.
    return torch.atan2((across.square().sum(-1) + 1e-8).sqrt(), (upper * lower).sum(-1))


BENDS = (0, 10, 30, 60, 100, 180)
"""Edges of the bins of flexion of knees and elbows, degrees."""


def hinge_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Error of the flexion of knees and elbows, radians, as the mean over bins of the true flexion.

    The mean of possible positions is biased towards bent limbs, because no error in depth makes a limb straighter than straight.
    Where the input leaves the flexion open, a plain mean error would favour the most frequent flexion of the data. So straight and
    strongly bent limbs, which are rare, get as much weight as the others (at most four times their frequency).
    """
    bent = flexion(true)
    place = torch.bucketize(torch.rad2deg(bent.detach()), torch.tensor(BENDS[1:-1], device=bent.device))
    share = torch.bincount(place.flatten(), minlength=len(BENDS) - 1) / place.numel()
    weight = (1 / (share.clamp_min(1e-6) * len(share))).clamp(0.25, 4)
    return ((flexion(predicted) - bent).abs() * weight[place]).mean()


def contact_error(logits: Tensor, contacts: Tensor) -> Tensor:
    """Mean cross entropy of (B, T, 4) logits where contacts (0, 1 or NaN) are known; 0 if none is known, or without a contact
    head."""
    known = contacts.isfinite()
    if not logits.shape[-1] or not known.any():
        return torch.zeros((), device=logits.device)
    return F.binary_cross_entropy_with_logits(logits[known], contacts[known])


def lifting_loss(
    output: TemporalOutput,
    batch: Batch,
    *,
    velocity: float = 1.0,
    bones: float = 0.2,
    limbs: float = 0.0,
    acceleration: float = 0.0,
    hinges: float = 0.0,
    contacts: float = 0.0,
) -> tuple[Tensor, dict[str, float]]:
    """The supervised loss and its parts: pose, its first and second differences over time, bone vectors and lengths, flexion of
    knees and elbows, contacts, root, uncertainty, hidden flag, up.

    The uncertainty is a Laplace scale fitted to the current error; its gradient does not reach the pose, which follows MPJPE alone.
    velocity, bones, limbs, acceleration, hinges, contacts: weights of those parts. All weights but that of MPJPE (1)
    are decisions of this project.
    """
    error = (output.pose - batch.pose).norm(dim=-1)
    log_sigma = output.log_sigma.clamp(-7, 1)
    parts = {
        "mpjpe": error.mean(),
        "velocity": velocity_error(output.pose, batch.pose),
        "acceleration": acceleration_error(output.pose, batch.pose),
        "bones": bone_length_spread(output.pose),
        "limbs": bone_vector_error(output.pose, batch.pose),
        "hinges": hinge_error(output.pose, batch.pose),
        "contacts": contact_error(output.contacts, batch.contacts),
        "root": (output.root - batch.root).abs().mean(),
        "sigma": (error.detach() * torch.exp(-log_sigma) + log_sigma).mean(),
        "hidden": F.binary_cross_entropy_with_logits(output.hidden, batch.wrong.float()),
        "up": (1 - F.cosine_similarity(output.up, batch.up, dim=-1)).mean(),
    }
    own = {"velocity": velocity, "bones": bones, "limbs": limbs, "acceleration": acceleration}
    own |= {"hinges": hinges, "contacts": contacts}
    weights = {"mpjpe": 1.0, "root": 0.2, "sigma": 0.01, "hidden": 0.02, "up": 0.1, **own}
    total = sum((weights[name] * value for name, value in parts.items()), torch.zeros(()))
    return total, {name: float(value.detach()) for name, value in parts.items()}
