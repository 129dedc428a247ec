"""Rendered pictures of people with labels: positions of people and joints, and visibility of joints.

One call makes a batch: people, cameras, light, surroundings, occluders, and the camera's faults. All numbers are drawn from one
seeded generator on the CPU, so a seed gives the same scenes on every device; all work with pixels is on the kit's device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.data.bodies import Random
from stpose_training.synth.crowd import Crowd, Wardrobe, draw_outfit, draw_phenotypes
from stpose_training.synth.kit import Kit
from stpose_training.synth.lens import expose
from stpose_training.synth.poses import axis_turn
from stpose_training.synth.surfaces import Looks, cloth_colour, draw_looks, is_solid, skin_colour
from stpose_training.synth.surroundings import Cameras, draw_clutter, draw_surroundings, floor_shade
from stpose_training.synth.zbuffer import Hits, draw

MOST = 3
"""Greatest number of people in one picture; the first is the subject."""
OUTSIDE, HIDDEN, VISIBLE, UNKNOWN = 0, 1, 2, 3
"""State of a joint: outside of the picture, in it but hidden, visible; UNKNOWN only in labelled photographs, where it has no
label."""
MASK = 2  # pixels of a picture per entry of its mask, each way

# Metres of body in front of each joint (order of h36m17), at a height of 1.67 m: a surface closer to the camera hides the joint.
INSIDE = torch.tensor(
    [0.22, 0.19, 0.13, 0.12, 0.19, 0.13, 0.12, 0.22, 0.18, 0.18, 0.17, 0.16, 0.12, 0.11, 0.16, 0.12, 0.11]
)  # fmt: skip
OPEN = ("hair", "hat", "skirt")  # garments whose inside is visible
_LAMP_CELL, _LAMP_CELLS = 0.05, 128


@dataclass(frozen=True)
class Pictures:
    """B pictures with P = 3 places for people, of whom the first is the subject.

    rgb: (B, 3, H, W) bytes. joints: (B, P, 17, 2) pixels. xyz: (B, P, 17, 3) metres in camera axes, relative to the pelvis.
    state: (B, P, 17) OUTSIDE the picture, HIDDEN or VISIBLE; all OUTSIDE where there is no person. box: (B, P, 4) left, top,
    right, bottom of the person inside the picture, pixels; 0 for a person outside. mask: (B, H / 2, W / 2) bytes: 0, or 1 + the
    index of the person with the nearest surface. pixels: (B,) size of the subject in pixels of the camera. tilt: (B,) its
    degrees from upright.
    """

    rgb: Tensor
    joints: Tensor
    xyz: Tensor
    state: Tensor
    box: Tensor
    mask: Tensor
    pixels: Tensor
    tilt: Tensor


@dataclass(frozen=True)
class Framing:
    """How pictures are taken. size: (width, height) of the pictures; taken: of the camera's picture, which is enlarged to
    `size` after all its faults. whole: whether people are small and anywhere, as in a picture of a place, instead of filling a
    crop. finer: rendered pixels per camera pixel, each way. deserted: share of pictures without people."""

    size: tuple[int, int]
    taken: tuple[int, int]
    whole: bool = False
    finer: int = 2
    deserted: float = 0.0


def take_pictures(kit: Kit, wardrobe: Wardrobe, *, count: int, framing: Framing, part: str, random: Random) -> Pictures:
    """A batch of `count` pictures. part: "train" or "validation" (other poses, surroundings and textures)."""
    device = kit.share.device
    people = 1 + (torch.rand(count, 1, generator=random.generator) > torch.tensor([0.55, 0.87])).sum(1)
    picture = torch.arange(count).repeat_interleave(people)
    number = torch.arange(len(picture)) - (people.cumsum(0) - people)[picture]
    outfits = [draw_outfit(kit.garments, random) for _ in picture]
    crowd = wardrobe.crowd(draw_phenotypes(len(picture), random), outfits, part, random)
    looks = draw_looks(kit, [(p, g) for p, outfit in enumerate(outfits) for g in outfit], len(picture), part, random)
    picture, number = picture.to(device), number.to(device)
    cameras, offset, seen = _stage(crowd, picture, number, framing, random)
    vertices = crowd.vertices + offset[crowd.person]
    joints = crowd.joints + offset[:, None]
    seen_in = picture[crowd.person]

    small = cameras.resized(framing.taken)
    fine = cameras.resized((framing.taken[0] * framing.finer, framing.taken[1] * framing.finer))
    corners = fine.to_pixels(seen.camera, seen_in)[crowd.faces]
    first = crowd.faces[:, 0]
    cut = ~crowd.bare
    cut[cut.clone()] = looks.cutout[crowd.surface[~crowd.bare] - len(picture)]
    uv_of = crowd.uv

    def keeps(triangle: Tensor, weight: Tensor) -> Tensor:
        solid = torch.ones(len(triangle), dtype=torch.bool, device=device)
        rows = cut[triangle].nonzero()[:, 0]
        if len(rows):
            chosen = triangle[rows]
            uv = (uv_of[crowd.faces[chosen]] * weight[rows][..., None]).sum(1)
            solid[rows] = is_solid(kit.textures, looks, crowd.surface[chosen] - len(picture), uv)
        return solid

    shape = (count, fine.size[1], fine.size[0])
    closed = torch.tensor([kit.garments[g].kind not in OPEN for outfit in outfits for g in outfit], dtype=torch.bool).to(device)
    one_sided = crowd.bare.clone()
    one_sided[~crowd.bare] = closed[crowd.surface[~crowd.bare] - len(picture)]
    hits = draw(corners, seen_in[first], shape, one_sided, keeps)
    there = torch.ones(count, dtype=torch.bool, device=device)
    if framing.deserted:
        there = ~random.chance(framing.deserted, count).to(device)
        hits = hits.chosen(there[hits.pixel // (shape[1] * shape[2])])
    place = draw_surroundings(kit, small, part, random)
    lamp, light = _light(crowd, vertices, seen_in, place, random)
    colour = colours(kit, crowd, looks, hits, light)
    layer = torch.zeros(count * shape[1] * shape[2], 4, device=device)
    layer[hits.pixel] = torch.cat([colour, colour.new_ones(len(colour), 1)], 1)
    layer = functional.avg_pool2d(layer.view(count, *shape[1:], 4).permute(0, 3, 1, 2), framing.finer)

    subject = (number == 0).nonzero()[:, 0]
    flat = small.to_pixels(small.to_camera(joints.flatten(0, 1), picture.repeat_interleave(17)), picture.repeat_interleave(17))
    places = flat.view(-1, 17, 3)
    centre = places[subject, :, :2].mean(1)
    extent = (places[subject, :, 1].amax(1) - places[subject, :, 1].amin(1)).clamp(16, 2.0 * framing.taken[1])
    for share in (0.35, 0.2):
        place, _ = draw_clutter(kit, place, centre=centre, extent=extent, share=share, part=part, random=random)
    strength = torch.stack([random.uniform(0.0, 0.7, count), random.uniform(0.2, 0.8, count)], 1).to(device) * there[:, None]
    place = place * (1 - floor_shade(small, vertices, seen_in, lamp, strength))[..., None]
    composed = place.permute(0, 3, 1, 2) * (1 - layer[:, 3:]) + layer[:, :3]
    composed, covered = composed.permute(0, 2, 3, 1), torch.zeros(place.shape[:3], device=device)
    for share in (0.22, 0.12):
        composed, cover = draw_clutter(kit, composed, centre=centre, extent=extent, share=share, part=part, random=random)
        covered = torch.maximum(covered, cover)
    rgb = expose(composed.permute(0, 3, 1, 2), random, min(1.0, framing.taken[0] / framing.size[0]))
    if framing.taken != framing.size:
        rgb = functional.interpolate(rgb, size=(framing.size[1], framing.size[0]), mode="bilinear", align_corners=False)

    owner = torch.full((count * shape[1] * shape[2],), -1, dtype=torch.int64, device=device)
    depth = torch.full((count * shape[1] * shape[2],), torch.inf, device=device)
    owner[hits.pixel] = crowd.person[first[hits.triangle]]
    depth[hits.pixel] = hits.depth
    state = _states(places, picture, owner.view(shape), depth.view(shape), covered, framing, crowd)
    factor = framing.size[0] / framing.taken[0]
    state = torch.where(there[picture, None], state, OUTSIDE)
    boxes = _boxes(cameras, seen, picture) * there[picture, None]

    def filed(values: Tensor) -> Tensor:
        out = values.new_zeros(count, MOST, *values.shape[1:])
        out[picture, number] = values
        return out

    # An occluder counts as no person; the mask has every second pixel of the picture.
    whose = torch.where(owner >= 0, number[owner.clamp(min=0)] + 1, 0).view(shape).float()
    size = (framing.size[1] // MASK, framing.size[0] // MASK)
    near = functional.interpolate(whose[:, None], size=size, mode="nearest-exact")[:, 0]
    open_ = functional.interpolate(covered[:, None], size=size, mode="nearest-exact")[:, 0] < 0.5
    in_camera = cameras.to_camera(joints.flatten(0, 1), picture.repeat_interleave(17)).view(-1, 17, 3)
    height = (places[subject, :, :2].amax(1) - places[subject, :, :2].amin(1)).amax(1)
    up = cameras.rotation[:, 1]  # the image's downward direction in the world
    tilt = torch.rad2deg(torch.arccos((-(crowd.up[subject] * up).sum(1)).clamp(-1, 1)))
    return Pictures(
        rgb=(rgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8),
        joints=filed(places[..., :2] * factor),
        xyz=filed(in_camera - in_camera[:, :1]),
        state=filed(state),
        box=filed(boxes),
        mask=(near * open_).to(torch.uint8),
        pixels=height,
        tilt=tilt,
    )


@dataclass(frozen=True)
class _Seen:
    """camera: (N, 3) all vertices in camera axes. low, high: (P, 2) extent of each person, x and y at depth 1, of the part in
    front."""

    camera: Tensor
    low: Tensor
    high: Tensor


def _stage(crowd: Crowd, picture: Tensor, number: Tensor, framing: Framing, random: Random) -> tuple[Cameras, Tensor, _Seen]:
    """Cameras that look at the subjects, positions of all people (P, 3), and the parts of them in front of the camera."""
    count, persons, device = int(picture.max()) + 1, len(picture), picture.device
    subject = (number == 0).nonzero()[:, 0]
    top = torch.zeros(persons, device=device).scatter_reduce_(0, crowd.person, crowd.vertices[:, 2], "amax")
    middle = crowd.joints.mean(1)
    middle[:, 2] = 0.5 * top
    leap = torch.where(random.chance(0.2, persons), random.uniform(0, 0.7, persons), torch.zeros(persons)).to(device)
    # Mostly level, some from low down, some from a balcony or a ceiling.
    kind = torch.rand(count, generator=random.generator)
    pitch = 0.16 * random.normal(count) + 0.05
    pitch = torch.where(kind > 0.75, random.uniform(-0.35, 0.7, count), pitch)
    pitch = torch.where(kind > 0.94, random.uniform(0.6, 1.45, count), pitch).clamp(-0.6, 1.5)
    roll = 0.07 * random.normal(count)
    away = torch.exp(random.uniform(0.15, 2.2, count)) * (1.6 if framing.whole else 1.0)
    ahead = torch.stack([torch.zeros(count), pitch.cos(), -pitch.sin()], 1)
    right = torch.tensor([1.0, 0.0, 0.0]).expand(count, 3)
    upright = torch.stack([right, torch.linalg.cross(ahead, right), ahead], 1)
    rotation = (axis_turn(torch.tensor([0.0, 0.0, 1.0]).expand(count, 3), roll) @ upright).to(device)
    offset = torch.zeros(persons, 3, device=device)
    farthest = 3.5 if framing.whole else 1.6
    aside = (random.uniform(0.25, farthest, persons) * (1 - 2 * random.chance(0.5, persons).float())).to(device)
    others = number > 0
    offset[others, 0] = aside[others]
    offset[others, 1] = (random.normal(persons) * (2.0 if framing.whole else 0.9)).to(device)[others]
    offset[:, 2] = leap
    aim = middle[subject] + offset[subject]
    # Near cameras stay outside of the body.
    size = (crowd.joints[subject] - middle[subject, None]).norm(dim=-1).amax(1)
    eye = aim - ahead.to(device) * (away.to(device) * size.clamp(min=0.5) + 0.3)[:, None]
    eye[:, 2] = torch.where(pitch.to(device) < 0.3, eye[:, 2].clamp(min=0.08), eye[:, 2])
    unit = Cameras(rotation, eye, torch.ones(count, device=device), torch.zeros(count, 2, device=device), framing.size)
    seen_in = picture[crowd.person]
    camera = unit.to_camera(crowd.vertices + offset[crowd.person], seen_in)
    places = camera[:, :2] / camera[:, 2:].clamp(min=0.05)
    behind = camera[:, 2:] <= 0.05
    index = crowd.person[:, None].expand(-1, 2)
    empty = torch.full((persons, 2), torch.inf, device=device)
    low = empty.scatter_reduce(0, index, torch.where(behind, torch.inf, places), "amin")
    high = (-empty).scatter_reduce(0, index, torch.where(behind, -torch.inf, places), "amax")
    seen = _Seen(camera, low, high)
    return _aimed(unit, low[subject], high[subject], framing, random), offset, seen


def _aimed(unit: Cameras, low: Tensor, high: Tensor, framing: Framing, random: Random) -> Cameras:
    """Focal lengths and centres that frame the subject's extent (B, 2): whole with a margin, or cut off."""
    count, device = len(low), low.device
    width, height = framing.size
    span, middle = (high - low).clamp(min=1e-3), (low + high) / 2
    if framing.whole:
        share = torch.exp(random.uniform(-2.6, -0.1, count)).to(device)
        focal = share * torch.minimum(width / span[:, 0], height / span[:, 1])
        room = (torch.tensor([width, height], device=device) - focal[:, None] * span).clamp(min=0)
        shift = (random.uniform(0, 1, count, 2).to(device) - 0.5) * room
    else:
        share = random.uniform(0.60, 0.86, count).to(device)
        focal = share * torch.minimum(width / span[:, 0], height / span[:, 1])
        shift = 0.03 * random.normal(count, 2).to(device) * width
        # Cut off by the frame: close-ups of some part of the body.
        close = random.chance(0.28, count).to(device)
        nearer = torch.exp(random.uniform(0.15, 1.2, count)).to(device)
        focal = torch.where(close, focal * nearer, focal)
        over = (focal[:, None] * span / 2).clamp(min=1) * random.uniform(-0.75, 0.75, count, 2).to(device)
        shift = torch.where(close[:, None], over, shift)
    centre = torch.tensor([width / 2, height / 2], device=device) - focal[:, None] * middle + shift
    return Cameras(unit.rotation, unit.eye, focal, centre, framing.size)


def _boxes(cameras: Cameras, seen: _Seen, picture: Tensor) -> Tensor:
    """(P, 4) left, top, right, bottom of people inside their pictures, pixels; 0 for people outside."""
    focal, centre = cameras.focal[picture, None], cameras.centre[picture]
    size = torch.tensor(cameras.size, device=focal.device, dtype=focal.dtype)
    low, high = (seen.low * focal + centre).clamp(min=0), torch.minimum(seen.high * focal + centre, size)
    box = torch.cat([low, high], 1)
    return torch.where((high > low).all(1, keepdim=True) & torch.isfinite(box).all(1, keepdim=True), box, 0.0)


def _light(crowd: Crowd, vertices: Tensor, seen_in: Tensor, place: Tensor, random: Random) -> tuple[Tensor, Tensor]:
    """-> lamps (B, 3) and the light on each vertex (N, 3), with the brightness and colour of the surroundings."""
    count, device = len(place), place.device
    heading, rise = random.uniform(-3.1416, 3.1416, count), random.uniform(0.25, 1.45, count)
    lamp = torch.stack([heading.sin() * rise.cos(), heading.cos() * rise.cos(), rise.sin()], 1).to(device)
    mean = place.mean((1, 2))
    level = mean.mean(1, keepdim=True).clamp(min=1e-3)
    bright = (level / 0.22).clamp(0.25, 1.8) * torch.exp(0.3 * random.normal(count, 1)).to(device)
    tint = (mean / level).clamp(0.6, 1.6) ** random.uniform(0, 0.9, count, 1).to(device)
    warm = torch.exp(0.12 * random.normal(count, 3)).to(device)
    share = random.uniform(0.15, 0.8, count).to(device)
    facing = (crowd.normals * lamp[seen_in]).sum(1)
    soft = random.uniform(0.0, 0.4, count).to(device)[seen_in]
    facing = (facing * (1 - soft) + soft).clamp(min=0) * _lit(vertices, seen_in, lamp)
    around = 0.62 + 0.38 * crowd.normals[:, 2]
    around = around * (0.75 + 0.25 * (vertices[:, 2] / 0.6).clamp(0, 1))
    sun = (share[:, None] * bright * warm)[seen_in] * 1.5
    sky = ((1 - share)[:, None] * bright * tint)[seen_in]
    return lamp, sun * facing[:, None] + sky * around[:, None]


def _lit(vertices: Tensor, seen_in: Tensor, lamp: Tensor) -> Tensor:
    """(N,) 1 for vertices in direct light, less in shadow (a shadow map of the surfaces nearest to the lamp)."""
    side = functional.normalize(torch.linalg.cross(lamp, lamp.new_tensor([0.0, 0.0, 1.0]).expand_as(lamp)), dim=1)
    other = torch.linalg.cross(lamp, side)
    axes = torch.stack([side, other, lamp], 1)[seen_in]
    at = (axes @ vertices[..., None])[..., 0]
    cell = (at[:, :2] / _LAMP_CELL + _LAMP_CELLS / 2).floor().long().clamp(0, _LAMP_CELLS - 1)
    index = (seen_in * _LAMP_CELLS + cell[:, 1]) * _LAMP_CELLS + cell[:, 0]
    size = len(lamp) * _LAMP_CELLS * _LAMP_CELLS
    nearest = torch.full((size,), -torch.inf, device=lamp.device).scatter_reduce_(0, index, at[:, 2], "amax")
    return 1 - 0.8 * ((nearest[index] - at[:, 2] - 0.08) / 0.06).clamp(0, 1)


def colours(kit: Kit, crowd: Crowd, looks: Looks, hits: Hits, light: Tensor) -> Tensor:
    """(Q, 3) linear colour of the drawn pixels."""
    faces = crowd.faces[hits.triangle]
    weight = hits.weight[..., None]
    lit = (light[faces] * weight).sum(1)
    colour = torch.empty_like(lit)
    bare = crowd.bare[hits.triangle]
    surface = crowd.surface[hits.triangle]
    rows = bare.nonzero()[:, 0]
    colour[rows] = skin_colour(kit.body, looks, surface[rows], (crowd.place[faces[rows]] * weight[rows]).sum(1))
    rows = (~bare).nonzero()[:, 0]
    persons = len(looks.skin)
    colour[rows] = cloth_colour(kit.textures, looks, surface[rows] - persons, (crowd.uv[faces[rows]] * weight[rows]).sum(1))
    return (colour * lit).clamp(0, 1.5)


def _states(
    places: Tensor, picture: Tensor, owner: Tensor, depth: Tensor, covered: Tensor, framing: Framing, crowd: Crowd
) -> Tensor:
    """(P, 17) OUTSIDE, HIDDEN or VISIBLE, of joints at positions (P, 17, 3) in the camera's picture."""
    width, height = framing.taken
    inside = (places[..., 0] >= 0) & (places[..., 0] < width) & (places[..., 1] >= 0) & (places[..., 1] < height)
    inside &= places[..., 2] > 0.05
    x = places[..., 0].clamp(0, width - 1e-3)
    y = places[..., 1].clamp(0, height - 1e-3)
    page = picture[:, None].expand_as(x)
    fx, fy = (x * framing.finer).long(), (y * framing.finer).long()
    at, whose = depth[page, fy, fx], owner[page, fy, fx]
    own = whose == torch.arange(len(places), device=places.device)[:, None]
    stature = (crowd.joints[:, 10] - crowd.joints[:, 0]).norm(dim=-1) / 0.75
    room = INSIDE.to(places) * stature.clamp(0.4, 1.2)[:, None]
    behind = places[..., 2] - at
    hidden = torch.where(own, behind > room, (whose >= 0) & (behind > 0))
    hidden |= covered[page, y.long(), x.long()] > 0.5
    return torch.where(inside, torch.where(hidden, HIDDEN, VISIBLE), OUTSIDE)
