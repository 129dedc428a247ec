"""Postures that are rare in the recorded takes: crouching, sitting, bowing, kicking, arms anywhere within their range.

Most takes are walking and gestures, and a network trained only on those bends a squatting person's knees too little. Limb
postures are drawn within the range of the joints and put into the recorded motion; they move slowly and smoothly. A decision of
this project.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stpose_training.data.bodies import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, Posture, Random, rotation_matrix

# Axes of the trunk's parts (see Posture): left, forward, down.
_LEFT, _FORWARD, _DOWN = torch.eye(3).unbind()
_LEGS, _ARMS = (LEFT_LEG, RIGHT_LEG), (LEFT_ARM, RIGHT_ARM)


def _pitch(angle: Tensor) -> Tensor:
    """(...,) radians -> (..., 3, 3): about the left axis; leans the trunk forward."""
    return rotation_matrix(angle.unsqueeze(-1) * _LEFT.to(angle))


def _between(random: Random, frames: int, low: float, high: float, batch: int) -> Tensor:
    """(B, T) slow curves from 0 to 1, times a maximum for each sample."""
    curve = (0.5 + 0.6 * random.wave(frames, batch)).clamp(0, 1)
    return curve * random.uniform(low, high, batch, 1)


def _pair(random: Random, frames: int, low: float, high: float, batch: int, alike: Tensor) -> Tensor:
    """(B, T, 2) curves of the left and the right limb; equal for both where `alike`."""
    both = torch.stack([_between(random, frames, low, high, batch) for _ in range(2)], -1)
    return torch.where(alike[:, None, None], both[..., :1], both)


def _hinge(upper: Tensor, towards: Tensor, twist: Tensor, bend: Tensor) -> Tensor:
    """The lower bone of a limb: bent by `bend` (B, T) away from `upper` (B, T, 3), to the side of `towards`, turned by `twist`."""
    across = F.normalize(towards - (towards * upper).sum(-1, keepdim=True) * upper, dim=-1)
    side = (rotation_matrix(upper * twist.unsqueeze(-1)) @ across.unsqueeze(-1)).squeeze(-1)
    return upper * bend.cos().unsqueeze(-1) + side * bend.sin().unsqueeze(-1)


def _legs(bones: Tensor, random: Random, chosen: Tensor) -> None:
    """In place: flexes both legs of the chosen samples at hip and knee, equally in two thirds of them."""
    batch, frames = bones.shape[:2]
    alike = random.chance(0.65, batch)
    hip = _pair(random, frames, 0.2, 2.3, batch, alike) - 0.2
    # The shin is nearly vertical in a squat and swings freely in a kick, so the knee follows the hip to a random degree.
    follow = random.uniform(0.2, 2.0, batch, 1, 1)
    knee = (hip * follow + _pair(random, frames, -0.3, 0.8, batch, alike)).clamp(0.03, 2.6)
    apart = _pair(random, frames, -0.15, 0.7, batch, alike)
    twist = 0.35 * random.wave(frames, batch, 2).transpose(1, 2)
    twist = torch.where(alike[:, None, None], twist[..., :1], twist)
    left, forward, down = _LEFT.to(bones), _FORWARD.to(bones), _DOWN.to(bones)
    for side, (_, upper, lower) in enumerate(_LEGS):
        sign = 1 - 2 * side
        flexed, spread = hip[..., side, None], apart[..., side, None]
        thigh = spread.cos() * (flexed.cos() * down + flexed.sin() * forward) + sign * spread.sin() * left
        back = torch.linalg.cross(left.expand_as(thigh), thigh)
        shin = _hinge(thigh, back, sign * twist[..., side], knee[..., side])
        for joint, drawn in ((upper, thigh), (lower, shin)):
            bones[:, :, joint] = torch.where(chosen[:, None, None], drawn, bones[:, :, joint])


def _arms(bones: Tensor, random: Random, chosen: Tensor) -> None:
    """In place: moves the arms of the chosen samples anywhere within their range; elbows bend to their own side."""
    batch, frames = bones.shape[:2]
    left, forward, down = _LEFT.to(bones), _FORWARD.to(bones), _DOWN.to(bones)
    alike = random.chance(0.5, batch)
    raised = _pair(random, frames, 0.1, 2.9, batch, alike)
    # 0: raised in front; pi / 2: raised to the side.
    sideways = 0.8 + 0.7 * random.wave(frames, batch, 2).transpose(1, 2)
    sideways = torch.where(alike[:, None, None], sideways[..., :1], sideways).clamp(-0.7, 2.1)
    bend = _pair(random, frames, 0.05, 2.5, batch, alike)
    twist = 0.6 * random.wave(frames, batch, 2).transpose(1, 2)
    twist = torch.where(alike[:, None, None], twist[..., :1], twist)
    for side, (_, upper, lower) in enumerate(_ARMS):
        sign = 1 - 2 * side
        angle = sideways[..., side, None]
        out = angle.cos() * forward + sign * angle.sin() * left
        lift = raised[..., side, None]
        arm = lift.cos() * down + lift.sin() * out
        # The side that the elbow bends to turns with the arm: forward if it hangs, up if it is raised in front.
        axis = torch.linalg.cross(down.expand_as(out), out)
        front = (rotation_matrix(axis * lift) @ forward.expand_as(out).unsqueeze(-1)).squeeze(-1)
        fore = _hinge(arm, front + 1e-4, sign * twist[..., side], bend[..., side])
        for joint, drawn in ((upper, arm), (lower, fore)):
            bones[:, :, joint] = torch.where(chosen[:, None, None], drawn, bones[:, :, joint])


def flex(posture: Posture, random: Random, share: float = 0.15) -> Posture:
    """Draws new legs for a `share` of the samples, new arms for another, and bends the trunk of a third forward or backward."""
    batch, frames = posture.root.shape[:2]
    bones = posture.bones.clone()
    _legs(bones, random, random.chance(share, batch))
    _arms(bones, random, random.chance(share, batch))
    bowing = random.chance(share, batch)[:, None]
    # Bending at the hips: the pelvis pitches, the legs stay in place.
    bow = _pitch(torch.where(bowing, _between(random, frames, -0.3, 1.5, batch), torch.zeros((), device=bones.device)))
    legs = [joint for leg in _LEGS for joint in leg[1:]]
    bones[:, :, legs] = (bow.transpose(-1, -2).unsqueeze(2) @ bones[:, :, legs].unsqueeze(-1)).squeeze(-1)
    curl = _pitch(torch.where(bowing, _between(random, frames, -0.4, 0.9, batch), torch.zeros((), device=bones.device)))
    return Posture(posture.root, posture.pelvis @ bow, curl @ posture.turn, bones, posture.lengths)


def grounded(positions: Tensor, before: Tensor) -> Tensor:
    """Raises or lowers (B, T, 17, 3) bodies, z up, so that the lowest joint of each frame is where it was `before`."""
    shift = before[..., 2].amin(-1) - positions[..., 2].amin(-1)
    return positions + F.pad(shift[..., None, None], (2, 0))
