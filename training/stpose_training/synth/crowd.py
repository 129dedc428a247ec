"""Dressed, posed people as one flat mesh: bodies and garments of all persons of a batch, in world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.data.bodies import Random
from stpose_training.synth.body import Rest
from stpose_training.synth.kit import Garment, Kit
from stpose_training.synth.postures import draw_poses, turn_bones

_STATURE = 1.666  # metres, height of the template: offsets of clothes are those of a body of this size


@dataclass(frozen=True)
class Crowd:
    """P persons. vertices, normals: (N, 3) metres, each person with its lowest point at z = 0 and its pelvis above the origin.
    person: (N,) index of the person. uv: (N, 2). place: (N, 3) position on the template, of vertices of skin. faces: (F, 3).
    surface: (F,) p for the skin of person p, P + g for the g-th worn garment. bare: (F,) whether it is skin. worn: (W, 2) person
    and garment of each worn garment. joints: (P, 17, 3). up: (P, 3) from the pelvis to the head."""

    vertices: Tensor
    normals: Tensor
    person: Tensor
    uv: Tensor
    place: Tensor
    faces: Tensor
    surface: Tensor
    bare: Tensor
    worn: Tensor
    joints: Tensor
    up: Tensor


class Wardrobe:
    """The garments of a kit, concatenated, so that those of a whole batch are gathered at once."""

    def __init__(self, kit: Kit) -> None:
        self.kit, garments = kit, kit.garments
        for name in ("near", "weight", "offset", "bones", "share", "uv", "faces", "hides"):
            setattr(self, name, torch.cat([getattr(garment, name) for garment in garments]))
        self.vertices = _rows([len(g.near) for g in garments], kit.share.device)
        self.triangles = _rows([len(g.faces) for g in garments], kit.share.device)
        self.hidden = _rows([len(g.hides) for g in garments], kit.share.device)

    near: Tensor
    weight: Tensor
    offset: Tensor
    bones: Tensor
    share: Tensor
    uv: Tensor
    faces: Tensor
    hides: Tensor

    def crowd(self, phenotypes: Tensor, outfits: list[list[int]], part: str, random: Random) -> Crowd:
        """Persons of the given phenotypes (P, 6) in the garments of those numbers, in new poses from a part of the kit."""
        rest = self.kit.body.rest(phenotypes.to(self.kit.share.device))
        local = draw_poses(self.kit.poses[part], len(phenotypes), random).to(rest.heads)
        return self.dressed(rest, turn_bones(self.kit.body, rest.heads, local, random), outfits, random)

    def dressed(self, rest: Rest, turns: Tensor, outfits: list[list[int]], random: Random) -> Crowd:
        """Persons of the given shapes in the given poses, world rotations (P, K, 3, 3), who wear the garments of those numbers."""
        kit, device, count = self.kit, self.kit.share.device, len(turns)
        body = kit.body
        heads, moves = body.carry(rest, turns, rest.heads.new_zeros(count, 3))
        worn = torch.tensor([(p, g) for p, outfit in enumerate(outfits) for g in outfit], dtype=torch.int64)
        worn = worn.to(device).view(-1, 2)
        wearer, item = worn.unbind(1)
        size = body.template.shape[0]
        # Garment vertices follow the body's rest shape, then its bones.
        rows, thing = _ranges(self.vertices[item])
        owner = wearer[thing]
        stature = (rest.vertices[..., 2].amax(1) - rest.vertices[..., 2].amin(1)) / _STATURE
        flat = rest.vertices.reshape(-1, 3)
        near = self.near[rows] + (owner * size)[:, None]
        dressed = (flat[near] * self.weight[rows][..., None]).sum(1) + self.offset[rows] * stature[owner, None]
        person = torch.cat([torch.arange(count, device=device).repeat_interleave(size), owner])
        bones = torch.cat([kit.bones.repeat(count, 1), self.bones[rows]])
        share = torch.cat([kit.share.repeat(count, 1), self.share[rows]])
        vertices = _skinned(torch.cat([flat, dressed]), moves, person, bones, share)
        surfaces = vertices[: count * size].view(count, size, 3)

        shown, bare_owner = self._shown(worn, count)
        triangles, which = _ranges(self.triangles[item])
        starts = torch.cat([self.vertices.new_zeros(1), self.vertices[item][:, 1].cumsum(0)])[:-1] + count * size
        faces = torch.cat([shown, self.faces[triangles] + starts[which][:, None]])
        surface = torch.cat([bare_owner, count + which])
        bare = torch.arange(len(faces), device=device) < len(shown)

        points = surfaces[:, size - kit.points :]
        joints = kit.marks @ torch.cat([heads, points], 1)
        # Lowest point of garments and body; the body's last vertices are inside it and do not count.
        lowest = torch.full((count,), torch.inf, device=device).scatter_reduce_(0, person, vertices[:, 2], "amin")
        shift = torch.stack([-joints[:, 0, 0], -joints[:, 0, 1], -lowest], 1)
        vertices = vertices + shift[person]
        loose = random.uniform(0.0, 1.0, len(worn)).pow(3).to(device) * 0.012
        normals = _normals(vertices, faces)
        vertices[count * size :] += normals[count * size :] * (loose[thing] * stature[owner])[:, None]
        normals = functional.normalize(normals + self._folds(dressed, thing, len(worn), count * size, random), dim=-1)
        uv = torch.cat([vertices.new_zeros(count * size, 2), self.uv[rows]])
        place = torch.cat([body.template.repeat(count, 1), vertices.new_zeros(len(rows), 3)])
        up = functional.normalize(joints[:, 8] - joints[:, 0], dim=-1)
        return Crowd(vertices, normals, person, uv, place, faces, surface, bare, worn, joints + shift[:, None], up)

    def _shown(self, worn: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Faces of the bodies that no garment hides, and the persons that they belong to."""
        body = self.kit.body
        size = body.template.shape[0]
        hidden = torch.zeros(count * size, dtype=torch.bool, device=worn.device)
        rows, thing = _ranges(self.hidden[worn[:, 1]])
        hidden[self.hides[rows] + worn[thing, 0] * size] = True
        faces = body.faces[None] + (torch.arange(count, device=worn.device) * size)[:, None, None]
        seen = ~hidden[faces].any(-1)
        return faces[seen], seen.nonzero()[:, 0]

    def _folds(self, rest: Tensor, thing: Tensor, worn: int, before: int, random: Random) -> Tensor:
        """Waves of the normals, which look like folds of cloth; none on skin."""
        device = rest.device
        depth = (random.uniform(0.0, 0.6, worn) * random.chance(0.7, worn)).to(device)
        waves = (random.normal(worn, 3, 3) * 40).to(device)
        phase = (rest[:, None] * waves[thing]).sum(-1)
        lines = torch.sin(phase + 1.7 * torch.sin(0.6 * phase.roll(1, 1))) * depth[thing, None]
        return torch.cat([lines.new_zeros(before, 3), lines])


def draw_phenotypes(count: int, random: Random) -> Tensor:
    """(count, 6) in the order of body.PHENOTYPES: mostly adults, a sixth children, all builds."""
    gender = torch.where(random.chance(0.8, count), random.chance(0.5, count).float(), random.uniform(0, 1, count))
    kind = torch.rand(count, generator=random.generator)
    age = torch.where(kind < 0.80, random.uniform(0.55, 1.0, count), random.uniform(0.25, 0.55, count))
    age = torch.where(kind > 0.97, random.uniform(0.08, 0.25, count), age)
    rest = [random.uniform(0.15, 0.85, count), random.uniform(0.1, 0.95, count), random.uniform(0.2, 0.8, count)]
    return torch.stack([gender, age, *rest, random.uniform(0.2, 0.9, count)], 1)


def draw_outfit(garments: tuple[Garment, ...], random: Random) -> list[int]:
    """Garments of one person: a suit, or a top with trousers or skirt; shoes or none; hair, a hat or neither."""

    def one(*kinds: str) -> list[int]:
        fitting = [number for number, garment in enumerate(garments) if garment.kind in kinds]
        return [fitting[int(torch.rand(1, generator=random.generator) * len(fitting))]] if fitting else []

    def now(share: float) -> bool:
        return bool(random.chance(share, 1))

    if now(0.15):
        outfit = one("suit")
    else:
        outfit = one("top") if now(0.88) else []
        outfit += one("skirt") if now(0.10) else one("bottom")
    outfit += one("shoes") if now(0.85) else []
    return outfit + (one("hair") if now(0.85) else []) + (one("hat") if now(0.12) else [])


def _rows(counts: list[int], device: torch.device) -> Tensor:
    """(G, 2): first row and count of each part of a concatenation."""
    count = torch.tensor(counts, device=device)
    return torch.stack([count.cumsum(0) - count, count], 1)


def _ranges(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The concatenated row numbers of several ranges (R, 2: first, count), and the range of each."""
    first, count = rows.unbind(1)
    which = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), count)
    ends = count.cumsum(0)
    return torch.arange(len(which), device=rows.device) - (ends - count)[which] + first[which], which


def _skinned(rest: Tensor, moves: Tensor, person: Tensor, bones: Tensor, share: Tensor) -> Tensor:
    """Vertices (N, 3) moved by the weighted mean of the transforms (P, K, 12) of their bones."""
    flat = moves.reshape(-1, 12)
    rows = bones + (person * moves.shape[1])[:, None]
    blended = flat[rows[:, 0]] * share[:, :1]
    for bone in range(1, bones.shape[1]):
        blended += flat[rows[:, bone]] * share[:, bone, None]
    return (blended[:, :9].view(-1, 3, 3) * rest[:, None]).sum(-1) + blended[:, 9:]


def _normals(vertices: Tensor, faces: Tensor) -> Tensor:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], normals)
    return functional.normalize(total, dim=-1)
