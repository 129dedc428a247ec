"""Marker mocap as poses of the body: reads rotation clips and transfers them to the body's bones.

A clip holds local rotations of one of three mocap skeletons (ASF, BVH of motion builder, DAZ figure) and the root's path,
in metres with z up. Only rotations and the path of the hips are transferred, so the clip's limb lengths do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpose_training.synth.body import Body, Rest

# Rest axes of the mocap skeletons (x left, y up, z forward) from those of the body (x left, z up, -y forward).
_AXES = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])

# Body bone: (names of the mocap joint that turns it, in order of preference).
_TRUNK = {
    "root": ("root", "Hips", "hip"),
    "spine04": ("lowerback", "LowerBack", "abdomen"),
    "spine02": ("upperback", "Spine", "chest"),
    "spine01": ("thorax", "Spine1", "chest"),
    "neck01": ("lowerneck", "Neck", "neck"),
    "neck03": ("upperneck", "Neck1", "neck"),
    "head": ("head", "Head", "head"),
}
# Body bone, body bone it points to, mocap joints that turn it, mocap joints they point to; {s}/{S}: side l/Left.
_LIMBS = (
    ("upperleg01", "lowerleg01", ("{s}femur", "{S}UpLeg", "{s}Thigh"), ("{s}tibia", "{S}Leg", "{s}Shin")),
    ("lowerleg01", "foot", ("{s}tibia", "{S}Leg", "{s}Shin"), ("{s}foot", "{S}Foot", "{s}Foot")),
    ("upperarm01", "lowerarm01", ("{s}humerus", "{S}Arm", "{s}Shldr"), ("{s}radius", "{S}ForeArm", "{s}ForeArm")),
    ("lowerarm01", "wrist", ("{s}radius", "{S}ForeArm", "{s}ForeArm"), ("{s}wrist", "{S}Hand", "{s}Hand")),
    ("wrist", "finger3-1", ("{s}hand", "{S}FingerBase", "{s}Hand"), ("{s}fingers", "{S}HandIndex1", "{s}Mid1")),
)
_CLAVICLE = ("{s}clavicle", "{S}Shoulder", "{s}Collar")
_FOOT = ("{s}foot", "{S}Foot", "{s}Foot")
_TOES = ("{s}toes", "{S}ToeBase", "{s}Foot_End")


@dataclass(frozen=True)
class Clip:
    """A mocap clip: names and parents of J joints, offsets (J, 3) m, local quats (T, J, 4) wxyz, root (T, 3) m, z up."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Tensor
    quats: Tensor
    root: Tensor
    fps: float = 30.0

    def __len__(self) -> int:
        return len(self.quats)

    def __getitem__(self, frames: slice | Tensor) -> Clip:
        return Clip(self.names, self.parents, self.offsets, self.quats[frames], self.root[frames], self.fps)

    def world(self) -> tuple[Tensor, Tensor]:
        """World rotations (T, J, 3, 3) and positions (T, J, 3) of the joints."""
        local = quat_to_matrix(self.quats)
        turns: list[Tensor] = []
        places: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                turns.append(local[:, joint])
                places.append(self.root)
            else:
                turns.append(turns[parent] @ local[:, joint])
                places.append(places[parent] + turns[parent] @ self.offsets[joint])
        return torch.stack(turns, 1), torch.stack(places, 1)


def list_clips(path: Path) -> list[str]:
    """The names of the clips in a file of rotations."""
    with np.load(path, allow_pickle=False) as data:
        return sorted(key.removesuffix("__quats") for key in data.files if key.endswith("__quats"))


def load_clip(path: Path, name: str) -> Clip:
    """One clip of a file of rotations. Raises KeyError if the file has no such clip."""
    with np.load(path, allow_pickle=False) as data:
        quats, root, offsets = (
            torch.from_numpy(np.asarray(data[f"{name}__{part}"], dtype=np.float32)) for part in ("quats", "root_pos", "offsets")
        )
        parents = tuple(int(parent) for parent in data[f"{name}__parents"])
        return Clip(tuple(str(n) for n in data[f"{name}__names"]), parents, offsets, quats, root)


def retarget(clip: Clip, body: Body, rest: Rest) -> tuple[Tensor, Tensor]:
    """The clip's poses for one body shape: turns (T, K, 3, 3) and root (T, 3) for `Body.pose`.

    rest: one person (B = 1), or one person a frame (B = T). The path of the hips is scaled by the length of the legs.
    """
    turns, places = clip.world()
    frames, shapes = len(turns), len(rest.heads)
    heads = rest.heads
    world: dict[str, Tensor] = {}

    def mocap(names: tuple[str, ...], side: str = "") -> int:
        full = {"l": "Left", "r": "Right"}.get(side, "")
        candidates = [name.format(s=side, S=full) for name in names]
        found = next((name for name in candidates if name in clip.names), None)
        if found is None:
            raise ValueError(f"the clip has none of the joints {', '.join(candidates)}")
        return clip.names.index(found)

    for bone, names in _TRUNK.items():
        world[bone] = turns[:, mocap(names)] @ _AXES
    for side, suffix in (("l", ".L"), ("r", ".R")):
        world["clavicle" + suffix] = turns[:, mocap(_CLAVICLE, side)] @ _AXES
        align = _AXES.expand(shapes, 3, 3)
        for bone, end, names, end_names in _LIMBS:
            if bone in ("upperleg01", "upperarm01"):
                align = _AXES.expand(shapes, 3, 3)
            along = heads[:, body.bone(end + suffix)] - heads[:, body.bone(bone + suffix)]
            joint, child = mocap(names, side), mocap(end_names, side)
            # Two joints may coincide (length 0 at the wrist): then the limb keeps its direction.
            if clip.offsets[child].norm() > 1e-4:
                align = _swing((align @ along[..., None])[..., 0], clip.offsets[child]) @ align
            world[bone + suffix] = turns[:, joint] @ align
        # Feet are level at rest in both, so only their heading is matched, not their slope.
        foot, toe = mocap(_FOOT, side), mocap(_TOES, side)
        along = heads[:, body.bone("toe2-1" + suffix)] - heads[:, body.bone("foot" + suffix)]
        level = torch.tensor([1.0, 0.0, 1.0])
        align = _swing((along @ _AXES.T) * level, clip.offsets[toe] * level) @ _AXES
        world["foot" + suffix] = turns[:, foot] @ align
        toe_turn = turns[:, foot if clip.names[toe].endswith("_End") else toe]
        for number in range(1, 6):
            world[f"toe{number}-1{suffix}"] = toe_turn @ align
        # The twist of the forearm is spread along its length, not concentrated at the wrist.
        forearm = heads[:, body.bone("wrist" + suffix)] - heads[:, body.bone("lowerarm01" + suffix)]
        world["lowerarm02" + suffix] = half_twist(world["lowerarm01" + suffix], world["wrist" + suffix], forearm)

    out: list[Tensor] = []
    for name, parent in zip(body.bones, body.parents):
        out.append(world[name].expand(frames, 3, 3) if name in world else out[parent])
    posed = torch.stack(out, dim=1)
    legs = ("upperleg01", "lowerleg01", "foot")
    own = sum((heads[:, body.bone(a + ".L")] - heads[:, body.bone(b + ".L")]).norm(dim=-1) for a, b in zip(legs, legs[1:]))
    theirs = sum(clip.offsets[mocap(names, "l")].norm() for names in (_LIMBS[1][2], _FOOT))
    hips = 0.5 * (places[:, mocap(_LIMBS[0][2], "l")] + places[:, mocap(_LIMBS[0][2], "r")])
    hips = hips * (own / theirs)[:, None]
    middle = 0.5 * (heads[:, body.bone("upperleg01.L")] + heads[:, body.bone("upperleg01.R")]) - heads[:, 0]
    return posed, hips - (posed[:, 0] @ middle[..., None])[..., 0]


def curl_fingers(body: Body, rest: Rest, turns: Tensor, angle: float) -> Tensor:
    """The poses with all fingers (not the thumbs) bent by `angle` radians at each joint, as in a relaxed hand."""
    turns = turns.clone()
    for suffix, sign in ((".L", 1.0), (".R", -1.0)):
        across = rest.heads[:, body.bone("finger2-1" + suffix)] - rest.heads[:, body.bone("finger5-1" + suffix)]
        bend = axis_turn(across, -sign * angle)
        for finger in range(2, 6):
            for part in range(1, 4):
                bone = body.bone(f"finger{finger}-{part}{suffix}")
                turns[:, bone] = turns[:, body.parents[bone]] @ bend
    return turns


def quat_to_matrix(quats: Tensor) -> Tensor:
    """Unit quaternions (..., 4) wxyz -> rotation matrices (..., 3, 3)."""
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def axis_turn(axis: Tensor, angle: float | Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) about axes (..., 3) of any length, by radians."""
    half = torch.as_tensor(angle, dtype=axis.dtype, device=axis.device) / 2
    unit = axis / axis.norm(dim=-1, keepdim=True)
    w = half.cos().expand(unit.shape[:-1])[..., None]
    return quat_to_matrix(torch.cat([w, unit * half.sin()[..., None]], dim=-1))


def half_twist(first: Tensor, second: Tensor, axis: Tensor) -> Tensor:
    """`first` (..., 3, 3) turned about axis (..., 3) (at rest) by half of the twist that leads to `second`."""
    between = first.transpose(-1, -2) @ second
    unit = axis / axis.norm(dim=-1, keepdim=True)
    # The twist of a quaternion (w, v) about n is (w, (v.n) n); 2w = sqrt(1 + trace), and v is the antisymmetric part / 4w.
    w = 0.5 * (1 + between.diagonal(dim1=-2, dim2=-1).sum(-1)).clamp(min=1e-4).sqrt()
    skew = torch.stack([between[..., i, j] - between[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], dim=-1)
    angle = 2 * torch.atan2((skew / (4 * w[..., None]) * unit).sum(-1), w)
    return first @ axis_turn(unit.expand_as(skew), angle / 2)


def _swing(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotations (B, 3, 3) that turn directions start (B, 3) to end (3,) or (B, 3)."""
    a = start / start.norm(dim=-1, keepdim=True)
    b = (end / end.norm(dim=-1, keepdim=True)).expand_as(a)
    quat = torch.cat([1 + (a * b).sum(-1, keepdim=True), torch.linalg.cross(a, b)], dim=-1)
    return quat_to_matrix(quat)
