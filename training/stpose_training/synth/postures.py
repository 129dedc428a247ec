"""New poses from recorded ones, for single pictures: limbs of different moments combined, bent further, seated, turned anywhere.

People in mocap are upright and mostly stand or walk, unlike in photographs. All shares below are this project's decisions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpose_training.data.bodies import Random
from stpose_training.synth.body import Body
from stpose_training.synth.kit import POSED
from stpose_training.synth.poses import axis_turn, quat_to_matrix

_ARMS = [POSED.index(f"{bone}.{side}") for side in "LR" for bone in ("clavicle", "upperarm01", "lowerarm01", "lowerarm02", "wrist")]
_LEGS = [POSED.index(f"{bone}.{side}") for side in "LR" for bone in ("upperleg01", "lowerleg01", "foot", "toe1-1")]
# Standard deviation, radians, of the change of a bone's rotation at full strength.
_BEND = {
    "root": 0.0, "spine": 0.10, "neck": 0.16, "head": 0.18, "clavicle": 0.06, "upperarm01": 0.40, "lowerarm01": 0.25,
    "lowerarm02": 0.10, "wrist": 0.35, "upperleg01": 0.28, "lowerleg01": 0.12, "foot": 0.18, "toe": 0.15,
}  # fmt: skip
_RIGHT_SIDE = torch.tensor([1.0, -1.0, -1.0])  # mirrors the axis of a rotation across the body's middle


def draw_poses(poses: Tensor, count: int, random: Random) -> Tensor:
    """(count, 25, 3, 3) rotations of the bones POSED against their parents, from recorded ones (T, 25, 4)."""

    def moments() -> Tensor:
        return (torch.rand(count, generator=random.generator) * len(poses)).long()

    def exchanged(quats: Tensor, bones: list[int], share: float) -> Tensor:
        taken = random.chance(share, count)[:, None, None]
        out = quats.clone()
        out[:, bones] = torch.where(taken, poses[moments()][:, bones], quats[:, bones])
        return out

    quats = exchanged(exchanged(poses[moments()], _ARMS, 0.35), _LEGS, 0.25)
    turns = quat_to_matrix(quats)
    _sit(turns, random)
    _wave(turns, random)
    spread = torch.tensor([next(value for name, value in _BEND.items() if bone.startswith(name)) for bone in POSED])
    strength = random.normal(count).abs().clamp(max=2) * 0.6
    bend = random.normal(count, len(POSED), 3) * (strength[:, None] * spread)[..., None]
    turns = turns @ axis_turn(bend + 1e-6, bend.norm(dim=-1))
    turns[:, 0] = orient(turns[:, 0], random)
    return turns


def orient(root: Tensor, random: Random) -> Tensor:
    """Any heading; a fifth leans far, one in seven lies, hangs or is upside down."""
    count = len(root)
    kind = torch.rand(count, generator=random.generator)
    axis = random.normal(count, 3) * torch.tensor([1.0, 1.0, 0.0])
    lean = axis_turn(axis + 1e-6, random.uniform(0.2, 1.7, count))
    anyhow = quat_to_matrix(random.normal(count, 4))
    heading = axis_turn(torch.tensor([0.0, 0.0, 1.0]).expand(count, 3), random.uniform(-3.1416, 3.1416, count))
    root = torch.where((kind < 0.20)[:, None, None], lean @ root, root)
    root = torch.where((kind > 0.86)[:, None, None], anyhow @ root, root)
    return heading @ root


def turn_bones(body: Body, heads: Tensor, local: Tensor, random: Random) -> Tensor:
    """World rotations (P, K, 3, 3) of all bones from those of POSED against their parents; fingers curl. heads: at rest."""
    count = len(local)
    curl = random.uniform(0.0, 1.0, count, 2) ** 1.5
    bends = {}
    for side, (suffix, sign) in enumerate(((".L", 1.0), (".R", -1.0))):
        across = heads[:, body.bone("finger2-1" + suffix)] - heads[:, body.bone("finger5-1" + suffix)]
        bends[suffix] = axis_turn(across, -sign * curl[:, side].to(heads))
    where = {name: number for number, name in enumerate(POSED)}
    turns: list[Tensor] = []
    for name, parent in zip(body.bones, body.parents):
        if name in where:
            own = local[:, where[name]]
        elif name.startswith("toe") and name[4:6] == "-1":
            own = local[:, where["toe1-1" + name[-2:]]]
        elif name.startswith("finger") and name[6] != "1":
            own = bends[name[-2:]]
        else:
            turns.append(turns[parent])
            continue
        turns.append(own if parent < 0 else turns[parent] @ own)
    return torch.stack(turns, 1)


def _sit(turns: Tensor, random: Random) -> None:
    """In place: an eighth of the poses sits, squats or kneels, which is rare in the mocap. Body axes: x left, facing -y."""
    count = len(turns)
    chosen = random.chance(0.125, count)
    hip, knee = random.uniform(0.7, 2.1, count), random.uniform(0.3, 2.3, count)
    together = random.chance(0.7, count)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        own_hip = torch.where(together, hip, random.uniform(0.0, 2.0, count))
        own_knee = torch.where(together, knee, random.uniform(0.0, 2.3, count))
        x = torch.tensor([1.0, 0.0, 0.0]).expand(count, 3)
        aside = axis_turn(torch.tensor([0.0, -1.0, 0.0]).expand(count, 3), sign * random.uniform(-0.1, 0.6, count))
        for name, turn in (("upperleg01", aside @ axis_turn(x, -own_hip)), ("lowerleg01", axis_turn(x, own_knee))):
            bone = POSED.index(f"{name}.{side}")
            turns[:, bone] = torch.where(chosen[:, None, None], turn, turns[:, bone])


def _wave(turns: Tensor, random: Random) -> None:
    """In place: a sixth of the arms points in any direction, with the elbow bent by any angle."""
    count = len(turns)
    for side in "LR":
        chosen = random.chance(1 / 6, count)[:, None, None]
        mirror = _RIGHT_SIDE if side == "R" else torch.ones(3)
        swing = random.normal(count, 3) * mirror
        angle = random.uniform(0.0, 1.9, count)
        flex = torch.tensor([-0.7, 0.0, -0.7]) * mirror
        bent = axis_turn(flex.expand(count, 3), random.uniform(0.0, 2.4, count))
        for name, turn in (("upperarm01", axis_turn(swing + 1e-6, angle)), ("lowerarm01", bent)):
            bone = POSED.index(f"{name}.{side}")
            turns[:, bone] = torch.where(chosen, turn, turns[:, bone])
