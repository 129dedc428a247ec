"""A film of dressed people who move as mocap clips do, in the plain room of `scene.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
class Layer:
    """One person in one picture. colour: (H, W, 3) linear light. depth: (H, W) metres, inf beside the person. shade: (H, W) share
    of the light on the floor that the person takes away."""

    colour: Tensor
    depth: Tensor
    shade: Tensor


@dataclass(frozen=True)
class Acting:
    """A dressed person in every frame of a clip. crowds: one person each. shift: (3,) metres, added to vertices and joints."""

    kit: Kit
    crowds: list[Crowd]
    shift: Tensor
    looks: Looks
    heads: Tensor
    turns: Tensor

    @property
    def joints(self) -> Tensor:
        """(T, 17, 3) Human3.6M joints in the world, metres."""
        return torch.stack([crowd.joints[0] for crowd in self.crowds]) + self.shift

    def layer(self, frame: int, shot: Shot, shadow: bool = True) -> Layer:
        """The person in one frame. shadow: on the floor, which takes half of the time."""
        crowd = self.crowds[frame]
        return _layer(self.kit, crowd, crowd.vertices + self.shift, self.looks, shot, shadow)


Gestures = Callable[[Body, Rest, Tensor], Tensor]
"""Changes the rotations (T, K, 3, 3) of a body's bones at a rest pose."""


def film(kit: Kit, clip: Clip, actor: Actor, heading: float, shot: Shot) -> Iterator[Tensor]:
    """Pictures (H, W, 3) in linear light, one for each frame of the clip, as `act` and `compose` make them."""
    acting = act(kit, clip, actor, heading)
    for frame in range(len(clip)):
        yield compose(shot.background, [acting.layer(frame, shot)])


def act(
    kit: Kit,
    clip: Clip,
    actor: Actor,
    heading: float,
    place: tuple[float, float] = (0.0, 0.0),
    gestures: Gestures | None = None,
) -> Acting:
    """The person in every frame of the clip, turned by `heading` radians about the vertical.

    The middle of the path lies at `place` (x, y) in metres, and the lowest point of the body on the floor in the median frame.
    gestures: of head and hands; hands are relaxed where none are given.
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
    middle = (pelvis[:, :2].amin(0) + pelvis[:, :2].amax(0)) / 2
    shift = torch.cat([torch.tensor(place) - middle, -lowest[None]])
    frames = len(clip)
    heads, _ = kit.body.carry(Rest(rest.vertices.expand(frames, -1, -1), rest.heads.expand(frames, -1, -1)), turns, root)
    return Acting(kit, crowds, shift, looks, heads, turns)


def compose(background: Background, layers: Sequence[Layer]) -> Tensor:
    """The picture (H, W, 3) in linear light of the people in these layers, in front of the background. The nearest one is seen."""
    picture, depth = background.colour, torch.full_like(background.colour[..., 0], torch.inf)
    for layer in layers:
        picture = picture * (1 - layer.shade)[..., None]
    for layer in layers:
        nearer = layer.depth < depth
        picture, depth = torch.where(nearer[..., None], layer.colour, picture), torch.where(nearer, layer.depth, depth)
    return picture


def _placed(wardrobe: Wardrobe, rest: Rest, turns: Tensor, root: Tensor, outfit: list[int], seed: int) -> Crowd:
    """The person in one frame, at its place on the path. The same seed in every frame keeps the folds of the cloth the same."""
    crowd = wardrobe.dressed(rest, turns, [outfit], Random(seed))
    heads, _ = wardrobe.kit.body.carry(rest, turns, root[None])
    hips = [heads[0, wardrobe.kit.body.bone(f"upperleg01.{side}")] for side in "LR"]
    shift = (hips[0] + hips[1]) / 2 - crowd.joints[0, 0]
    fields = {**vars(crowd), "vertices": crowd.vertices + shift, "joints": crowd.joints + shift}
    return Crowd(**fields)


def _layer(kit: Kit, crowd: Crowd, vertices: Tensor, looks: Looks, shot: Shot, shadow: bool) -> Layer:
    view = shot.view
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
    colour, depth = torch.zeros(height * width, 3), torch.full((height * width,), torch.inf)
    colour[hits.pixel] = colours(kit, crowd, looks, hits, lamp_light(crowd.normals, vertices, shot.light))
    depth[hits.pixel] = hits.depth
    shade = floor_shadow(vertices[None], shot.background.floor, shot.light)[0] if shadow else torch.zeros(height, width)
    return Layer(colour.view(height, width, 3), depth.view(height, width), shade)


def lamp_light(normals: Tensor, vertices: Tensor, light: Light) -> Tensor:
    """(N, 3) white light on vertices (N, 3) with unit normals (N, 3): a large lamp, and the light from all around. Nothing is in
    the shadow of anything else: shadow maps as coarse as those of single pictures flicker in a film."""
    lamp = functional.normalize(torch.tensor(light.direction), dim=0)
    facing = (normals @ lamp * 0.6 + 0.4).clamp(min=0)
    around = light.ambient * (0.65 + 0.35 * normals[:, 2]) * (0.75 + 0.25 * (vertices[:, 2] / 0.8).clamp(0, 1))
    return (light.strength * facing + around)[:, None].expand(-1, 3)
