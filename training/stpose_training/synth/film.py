"""A film of one dressed person who moves as a mocap clip does, in the plain room of `scene.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stpose_training.data.bodies import Random
from stpose_training.synth.body import Body, Rest
from stpose_training.synth.crowd import Crowd, Wardrobe
from stpose_training.synth.kit import Kit
from stpose_training.synth.pictures import OPEN, colours
from stpose_training.synth.poses import Clip, axis_turn, curl_fingers, retarget
from stpose_training.synth.scene import Background, Light, View, floor_shadow
from stpose_training.synth.surfaces import Looks, draw_looks, is_solid
from stpose_training.synth.surroundings import Cameras
from stpose_training.synth.zbuffer import draw


@dataclass(frozen=True)
class Actor:
    """Who is filmed. phenotypes: six values of `body.PHENOTYPES`. garments: their names. seed: colours of skin, hair and cloth."""

    phenotypes: tuple[float, ...]
    garments: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Shot:
    """Where and how it is filmed: a camera, the empty room as this camera sees it, and the light."""

    view: View
    background: Background
    light: Light


@dataclass(frozen=True)
class Take:
    """A performance, ready to be filmed. crowds: the dressed person in each frame. shift: (3,) metres that bring them to the middle
    of the room, onto the floor. looks: of skin, hair and cloth. heads: (T, K, 3) of the body's bones, metres, world axes; turns:
    (T, K, 3, 3) their rotations from rest."""

    crowds: list[Crowd]
    shift: Tensor
    looks: Looks
    heads: Tensor
    turns: Tensor


@dataclass(frozen=True)
class Exposure:
    """One frame of a film. picture: (H, W, 3) linear light. depth: (H, W) metres to the person, infinite beside it."""

    picture: Tensor
    depth: Tensor


Gestures = Callable[[Body, Rest, Tensor], Tensor]
"""Changes the rotations (T, K, 3, 3) of a body's bones at a rest pose."""


def film(kit: Kit, clip: Clip, actor: Actor, heading: float, shot: Shot) -> Iterator[Tensor]:
    """Pictures (H, W, 3) in linear light, one for each frame of the clip, turned by `heading` radians about the vertical.

    The path is centred on the origin, and the lowest point of the body lies on the floor in the median frame.
    Raises ValueError if the kit has no garment of a name.
    """
    for exposure in shoot(kit, perform(kit, clip, actor, heading), shot):
        yield exposure.picture


def perform(kit: Kit, clip: Clip, actor: Actor, heading: float, gestures: Gestures | None = None) -> Take:
    """The actor in the poses of the clip, as `film` places them; gestures: what they do beside that, else the hands are relaxed.

    Raises ValueError if the kit has no garment of a name.
    """
    known = {garment.name: number for number, garment in enumerate(kit.garments)}
    missing = sorted(set(actor.garments) - set(known))
    if missing:
        raise ValueError(f"the kit has no garment {', '.join(missing)}; it has {', '.join(sorted(known))}")
    outfit = [known[name] for name in actor.garments]
    rest = kit.body.rest(torch.tensor([actor.phenotypes]))
    turns, root = retarget(clip, kit.body, rest)
    turns = curl_fingers(kit.body, rest, turns, 0.25) if gestures is None else gestures(kit.body, rest, turns)
    turn = axis_turn(torch.tensor([0.0, 0.0, 1.0]), heading)
    turns, root = turn @ turns, root @ turn.T
    looks = draw_looks(kit, [(0, garment) for garment in outfit], 1, "validation", Random(actor.seed))
    wardrobe = Wardrobe(kit)
    crowds = [_placed(wardrobe, rest, turns[frame, None], root[frame], outfit, actor.seed) for frame in range(len(clip))]
    pelvis = torch.stack([crowd.joints[0, 0] for crowd in crowds])
    lowest = torch.stack([crowd.vertices[:, 2].amin() for crowd in crowds]).median()
    shift = -torch.cat([(pelvis[:, :2].amin(0) + pelvis[:, :2].amax(0)) / 2, lowest[None]])
    frames = len(clip)
    heads, _ = kit.body.carry(Rest(rest.vertices.expand(frames, -1, -1), rest.heads.expand(frames, -1, -1)), turns, root)
    return Take(crowds, shift, looks, heads + shift, turns)


def shoot(kit: Kit, take: Take, shot: Shot) -> Iterator[Exposure]:
    """The frames of a film of a performance."""
    for crowd in take.crowds:
        yield _exposed(kit, crowd, crowd.vertices + take.shift, take.looks, shot)


def _placed(wardrobe: Wardrobe, rest: Rest, turns: Tensor, root: Tensor, outfit: list[int], seed: int) -> Crowd:
    """The person in one frame, at its place on the path. The same seed in every frame keeps the folds of the cloth the same."""
    crowd = wardrobe.dressed(rest, turns, [outfit], Random(seed))
    heads, _ = wardrobe.kit.body.carry(rest, turns, root[None])
    hips = [heads[0, wardrobe.kit.body.bone(f"upperleg01.{side}")] for side in "LR"]
    shift = (hips[0] + hips[1]) / 2 - crowd.joints[0, 0]
    fields = {**vars(crowd), "vertices": crowd.vertices + shift, "joints": crowd.joints + shift}
    return Crowd(**fields)


def _exposed(kit: Kit, crowd: Crowd, vertices: Tensor, looks: Looks, shot: Shot) -> Exposure:
    view, background = shot.view, shot.background
    width, height = view.size
    cameras = Cameras(
        view.rotation[None], torch.tensor([view.eye]), torch.tensor([view.focal]), torch.tensor([view.centre]), view.size
    )
    alone = torch.zeros(len(vertices), dtype=torch.int64)
    corners = cameras.to_pixels(cameras.to_camera(vertices, alone), alone)[crowd.faces]
    thing = crowd.surface - 1
    cut = ~crowd.bare & looks.cutout[thing.clamp(min=0)]
    closed = torch.tensor([kit.garments[int(g)].kind not in OPEN for g in crowd.worn[:, 1]])
    one_sided = crowd.bare | closed[thing.clamp(min=0)]

    def keeps(triangle: Tensor, weight: Tensor) -> Tensor:
        solid = torch.ones(len(triangle), dtype=torch.bool)
        rows = cut[triangle].nonzero()[:, 0]
        uv = (crowd.uv[crowd.faces[triangle[rows]]] * weight[rows][..., None]).sum(1)
        solid[rows] = is_solid(kit.textures, looks, thing[triangle[rows]], uv)
        return solid

    hits = draw(corners, torch.zeros(len(crowd.faces), dtype=torch.int64), (1, height, width), one_sided, keeps)
    picture = background.colour * (1 - floor_shadow(vertices[None], background.floor, shot.light)[0])[..., None]
    flat = picture.reshape(-1, 3)
    flat[hits.pixel] = colours(kit, crowd, looks, hits, lamp_light(crowd.normals, vertices, shot.light))
    depth = torch.full((height * width,), torch.inf)
    depth[hits.pixel] = hits.depth
    return Exposure(flat.view(height, width, 3), depth.view(height, width))


def lamp_light(normals: Tensor, vertices: Tensor, light: Light) -> Tensor:
    """(N, 3) white light on vertices (N, 3) with unit normals (N, 3): a large lamp, and the light from all around. Nothing is in
    the shadow of anything else: shadow maps as coarse as those of single pictures flicker in a film."""
    lamp = functional.normalize(torch.tensor(light.direction), dim=0)
    facing = (normals @ lamp * 0.6 + 0.4).clamp(min=0)
    around = light.ambient * (0.65 + 0.35 * normals[:, 2]) * (0.75 + 0.25 * (vertices[:, 2] / 0.8).clamp(0, 1))
    return (light.strength * facing + around)[:, None].expand(-1, 3)
