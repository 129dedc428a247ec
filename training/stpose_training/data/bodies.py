"""New bodies and new poses from recorded ones: limbs of different takes are combined, bent further, and get other proportions.

A pose is decomposed into trunk orientations and bone directions in the trunk's axes, and recomposed with other bone lengths.
Forty-nine minutes of takes hold few poses; combinations of their limbs give many more. All of this is a decision of this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_core.skeletons import H36M17

# Bones (child joints) in the pelvis' axes, and in the chest's axes. Order of h36m17.
PELVIS_BONES = (1, 2, 3, 4, 5, 6, 7)
CHEST_BONES = (8, 9, 10, 11, 12, 13, 14, 15, 16)
LEFT_ARM, RIGHT_ARM, HEAD = (11, 12, 13), (14, 15, 16), (9, 10)
LEFT_LEG, RIGHT_LEG = (4, 5, 6), (1, 2, 3)
_PARENTS = H36M17.parents
_OTHER_SIDE = H36M17.mirror


Proportions = dict[int, tuple[float, float]]
"""Lengths of bones as shares of the leg (hip to ankle), and their spread as standard deviations of the logarithm, by child joint;
of bones on both sides, the right one or the left one alone, as PROPORTIONS has them."""


@dataclass
class Posture:
    """A batch of decomposed motions. root: (B, T, 3) pelvis, metres, z up. pelvis: (B, T, 3, 3) columns left, forward, down.
    turn: (B, T, 3, 3) chest in the pelvis' axes. bones: (B, T, 17, 3) unit directions, each in the axes of its part of the trunk.
    lengths: (B, 17) metres; joint 0 has none."""

    root: Tensor
    pelvis: Tensor
    turn: Tensor
    bones: Tensor
    lengths: Tensor


def _axes(left: Tensor, up: Tensor) -> Tensor:
    """Right-handed axes (columns left, forward, down) with `left` kept exactly."""
    left = F.normalize(left, dim=-1)
    forward = F.normalize(torch.linalg.cross(left, up), dim=-1)
    return torch.stack((left, forward, torch.linalg.cross(left, forward)), -1)


def take_apart(positions: Tensor) -> Posture:
    """positions: (B, T, 17, 3) metres."""
    pelvis = _axes(positions[..., 4, :] - positions[..., 1, :], positions[..., 7, :] - positions[..., 0, :])
    chest = _axes(positions[..., 11, :] - positions[..., 14, :], positions[..., 8, :] - positions[..., 7, :])
    bones = positions - positions[..., [max(parent, 0) for parent in _PARENTS], :]
    lengths = bones.norm(dim=-1).mean(1)
    bones = F.normalize(bones, dim=-1)
    local = torch.zeros_like(bones)
    local[..., PELVIS_BONES, :] = bones[..., PELVIS_BONES, :] @ pelvis
    local[..., CHEST_BONES, :] = bones[..., CHEST_BONES, :] @ chest
    return Posture(positions[..., 0, :], pelvis, pelvis.transpose(-1, -2) @ chest, local, lengths)


def put_together(posture: Posture) -> Tensor:
    """Inverse of `take_apart` -> (B, T, 17, 3), up to bone lengths that changed over time."""
    chest = posture.pelvis @ posture.turn
    bones = torch.zeros_like(posture.bones)
    bones[..., PELVIS_BONES, :] = posture.bones[..., PELVIS_BONES, :] @ posture.pelvis.transpose(-1, -2)
    bones[..., CHEST_BONES, :] = posture.bones[..., CHEST_BONES, :] @ chest.transpose(-1, -2)
    bones = bones * posture.lengths[:, None, :, None]
    joints = [posture.root]
    for joint in range(1, 17):
        joints.append(joints[_PARENTS[joint]] + bones[..., joint, :])
    return torch.stack(joints, -2)


def rotation_matrix(vector: Tensor) -> Tensor:
    """Rotation vectors (..., 3) -> matrices (..., 3, 3), Rodrigues' formula."""
    angle = vector.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    x, y, z = (vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
    sine, cosine = angle.sin().unsqueeze(-1), angle.cos().unsqueeze(-1)
    return torch.eye(3, dtype=x.dtype, device=x.device) + sine * cross + (1 - cosine) * (cross @ cross)


class Random:
    """Draws on one device from one seeded generator."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device) < probability

    def order(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self.generator, device=self.device)

    def wave(self, frames: int, *shape: int, slowest: float = 0.05, fastest: float = 0.6, fps: float = 30.0) -> Tensor:
        """(*shape, T): a constant and two slow waves of random frequency (Hz) and phase; variance about 1."""
        time = torch.arange(frames, device=self.device) / fps
        total = 0.8 * self.normal(*shape).unsqueeze(-1).expand(*shape, frames)
        for _ in range(2):
            frequency = self.uniform(slowest, fastest, *shape).unsqueeze(-1)
            phase = self.uniform(0, 6.2832, *shape).unsqueeze(-1)
            total = total + 0.6 * self.normal(*shape).unsqueeze(-1) * torch.sin(6.2832 * frequency * time + phase)
        return total


def _exchange(bones: Tensor, joints: tuple[int, ...], source: Tensor, chosen: Tensor) -> None:
    """In place: the chosen samples get these bones from the samples that `source` gives."""
    index = list(joints)
    bones[:, :, index] = torch.where(chosen[:, None, None, None], bones[source][:, :, index], bones[:, :, index])


def recombine(posture: Posture, random: Random, share: float = 0.6) -> Posture:
    """Combines trunks, arms, legs and heads of different samples of the batch, in a `share` of the samples."""
    batch = len(posture.root)
    taking = random.chance(share, batch)
    bones, turn = posture.bones.clone(), posture.turn
    other = random.order(batch)
    chosen = taking & random.chance(0.5, batch)
    turn = torch.where(chosen[:, None, None, None], turn[other], turn)
    _exchange(bones, (7, 8), other, chosen)
    both = random.order(batch)
    alone = random.order(batch)
    _exchange(bones, LEFT_ARM + RIGHT_ARM, both, taking & random.chance(0.5, batch))
    _exchange(bones, LEFT_ARM, alone, taking & random.chance(0.4, batch))
    _exchange(bones, RIGHT_ARM, random.order(batch), taking & random.chance(0.4, batch))
    _exchange(bones, HEAD, random.order(batch), taking & random.chance(0.5, batch))
    _exchange(bones, LEFT_LEG, random.order(batch), taking & random.chance(0.25, batch))
    _exchange(bones, RIGHT_LEG, random.order(batch), taking & random.chance(0.25, batch))
    return Posture(posture.root, posture.pelvis, turn, bones, posture.lengths)


def _bend_limb(bones: Tensor, upper: int, lower: int, random: Random, chosen: Tensor, swing: float, twist: float) -> None:
    """In place: turns a whole limb at its root joint, turns its bend plane, and bends its hinge more or less.

    The hinge (elbow, knee) keeps bending to its own side, from straight to 150 degrees.
    """
    batch, frames = bones.shape[:2]
    high, low = bones[:, :, upper], bones[:, :, lower]
    axis = torch.linalg.cross(high, low)
    straight = axis.norm(dim=-1, keepdim=True)
    # The bend plane of a nearly straight limb is noise, so the mean axis over the window is used.
    mean_axis = F.normalize(axis.mean(1, keepdim=True) + 1e-4, dim=-1)
    axis = F.normalize(axis + mean_axis * (0.1 - straight).clamp_min(0), dim=-1)
    axis = F.normalize(axis - (axis * high).sum(-1, keepdim=True) * high, dim=-1)
    angle = torch.atan2(straight.squeeze(-1), (high * low).sum(-1))
    spin = rotation_matrix(high * (twist * random.wave(frames, batch)).unsqueeze(-1))
    axis = (spin @ axis.unsqueeze(-1)).squeeze(-1)
    # Some limbs are straightened, some keep about their own bend, and the others bend freely.
    pick = random.uniform(0, 1, batch, 1)
    stretched = angle * random.uniform(0, 0.5, batch, 1)
    own = angle * torch.exp(0.2 * random.normal(batch, 1))
    free = angle * torch.exp(0.4 * random.normal(batch, 1)) + 0.4 * random.wave(frames, batch)
    bend = torch.where(pick < 0.35, stretched, torch.where(pick < 0.7, own, free)).clamp(0.02, 2.6)
    across = torch.linalg.cross(axis, high)
    bent = high * bend.cos().unsqueeze(-1) + across * bend.sin().unsqueeze(-1)
    turn = rotation_matrix(swing * random.wave(frames, batch, 3).transpose(1, 2))
    use = chosen[:, None, None]
    bones[:, :, upper] = torch.where(use, (turn @ high.unsqueeze(-1)).squeeze(-1), high)
    bones[:, :, lower] = torch.where(use, (turn @ bent.unsqueeze(-1)).squeeze(-1), low)


def perturb(posture: Posture, random: Random, share: float = 0.6) -> Posture:
    """Bends limbs, trunk and head further, smoothly over time; each limb of a sample with half the chance of `share`."""
    batch, frames = posture.root.shape[:2]
    bones = posture.bones.clone()
    for upper, lower, swing, twist in ((12, 13, 0.7, 0.5), (15, 16, 0.7, 0.5), (2, 3, 0.3, 0.2), (5, 6, 0.3, 0.2)):
        _bend_limb(bones, upper, lower, random, random.chance(share, batch), swing, twist)
    for joints, amount in ((HEAD, 0.25), ((11,), 0.12), ((14,), 0.12), ((7,), 0.08)):
        turn = rotation_matrix(amount * random.wave(frames, batch, 3).transpose(1, 2)).unsqueeze(2)
        turned = (turn @ bones[:, :, list(joints)].unsqueeze(-1)).squeeze(-1)
        use = random.chance(share, batch)[:, None, None, None]
        bones[:, :, list(joints)] = torch.where(use, turned, bones[:, :, list(joints)])
    lean = rotation_matrix(0.2 * random.wave(frames, batch, 3).transpose(1, 2))
    turn = torch.where(random.chance(share, batch)[:, None, None, None], lean @ posture.turn, posture.turn)
    return Posture(posture.root, posture.pelvis, turn, bones, posture.lengths)


# Bone lengths in units of the leg (hip to ankle), by child joint, and their spread between people and between data sets, which
# differ most in the definition of hip, shoulder, neck and wrist. Means of the subjects' own skeletons in CMU. Forearms measure
# 0.23 there, because that skeleton's wrist lies above the hand's, and 0.31 on people (de Leva, J. Biomechanics 1996): the
# middle is used.
PROPORTIONS: Proportions = {
    1: (0.108, 0.12), 2: (0.485, 0.03), 3: (0.515, 0.03), 7: (0.28, 0.09), 8: (0.28, 0.09), 9: (0.215, 0.13),
    10: (0.12, 0.15), 11: (0.235, 0.16), 12: (0.335, 0.08), 13: (0.272, 0.14),
}  # fmt: skip


def reshape(posture: Posture, random: Random, proportions: Proportions = PROPORTIONS) -> Posture:
    """Other proportions and another height; the root's path is scaled with the legs."""
    batch = len(posture.root)
    lengths = torch.zeros_like(posture.lengths)
    build = 0.04 * random.normal(batch)  # long trunk and short legs, or the reverse
    for joint, (mean, spread) in proportions.items():
        trunk = build if joint in (7, 8, 9, 10, 11) else torch.zeros_like(build)
        drawn = mean * torch.exp(spread * random.normal(batch) + trunk)
        lengths[:, joint], lengths[:, _OTHER_SIDE[joint]] = drawn, drawn
    lengths = lengths * torch.exp(0.01 * random.normal(batch, 17))
    stature = lengths[:, [2, 3, 7, 8, 9, 10]].sum(1)
    grown = 1.60 + 0.09 * random.normal(batch)
    anyone = random.uniform(0.95, 1.95, batch)
    goal = torch.where(random.chance(0.15, batch), anyone, grown).clamp(0.9, 2.0)
    lengths = lengths * (goal / stature)[:, None]
    legs = lengths[:, [2, 3, 5, 6]].sum(1) / posture.lengths[:, [2, 3, 5, 6]].sum(1).clamp_min(0.1)
    return Posture(posture.root * legs[:, None, None], posture.pelvis, posture.turn, posture.bones, lengths)


def reorient(positions: Tensor, random: Random) -> Tensor:
    """Turns whole motions: to any heading, a quarter also by a tilt of about 15 degrees, one in ten to any orientation."""
    batch = len(positions)
    heading = torch.zeros(batch, 3, device=positions.device)
    heading[:, 2] = random.uniform(-3.1416, 3.1416, batch)
    tilt = 0.25 * random.normal(batch, 3) * random.chance(0.25, batch)[:, None]
    tilt = torch.where(random.chance(0.1, batch)[:, None], 1.5 * random.normal(batch, 3), tilt)
    turn = rotation_matrix(tilt) @ rotation_matrix(heading)
    centre = positions[:, :, 0].mean(1)[:, None, None]
    return (positions - centre) @ turn.transpose(-1, -2).unsqueeze(1)


def mirror(positions: Tensor, chosen: Tensor) -> Tensor:
    """Mirrors the chosen samples (B,) and exchanges left and right in them."""
    flipped = positions[:, :, list(H36M17.mirror)] * torch.tensor([-1.0, 1.0, 1.0], device=positions.device)
    return torch.where(chosen[:, None, None, None], flipped, positions)
