"""The colour of skin, hair and cloth at drawn pixels. Colours are linear light (the square of screen values)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpose_training.data.bodies import Random
from stpose_training.synth.body import Body
from stpose_training.synth.kit import Kit, Textures
from stpose_training.synth.looks import hairline

_LUMINANCE = torch.tensor([0.30, 0.59, 0.11])
_DYED = 0.04  # share of hair with a random colour


@dataclass(frozen=True)
class Looks:
    """Colours of P persons and W worn things. skin, hair, eyes: (P, 3). scalp, beard: (P,) whether hair is painted there;
    beards go with hairy chests. texture: (W,) number, -1 for none. scale, shift: (W, 2) of its coordinates. mixing: (W, 3, 4)
    colour -> colour. cutout: (W,)."""

    skin: Tensor
    hair: Tensor
    eyes: Tensor
    scalp: Tensor
    beard: Tensor
    texture: Tensor
    scale: Tensor
    shift: Tensor
    mixing: Tensor
    cutout: Tensor


def draw_looks(kit: Kit, worn: list[tuple[int, int]], persons: int, part: str, random: Random) -> Looks:
    """Natural skin and hair; cloth in its own colours, in other colours, or with another texture."""

    def pick(choices: list[int]) -> int:
        return choices[int(torch.rand(1, generator=random.generator) * len(choices))]

    tone = random.uniform(0, 1, persons, 1) ** 0.8
    dark, light = torch.tensor([0.065, 0.03, 0.018]), torch.tensor([0.80, 0.52, 0.40])
    # Skin tones lie on a curve from dark to light: interpolation in exponents keeps the hue natural.
    skin = dark ** (1 - tone) * light**tone * (1 + 0.08 * random.normal(persons, 3)).clamp(0.8, 1.2)
    fair, grey = random.uniform(0, 1, persons, 1) ** 3, 0.5 * random.uniform(0, 1, persons, 1) ** 6
    hair = torch.tensor([0.012, 0.008, 0.006]) + fair * torch.tensor([0.40, 0.24, 0.09]) + grey
    hair = torch.where(random.chance(_DYED, persons, 1), random.uniform(0.02, 0.6, persons, 3), hair)
    eyes = torch.tensor([0.06, 0.04, 0.02]) + random.uniform(0, 1, persons, 1) * torch.tensor([0.05, 0.10, 0.18])
    has_hair = torch.zeros(persons, dtype=torch.bool)
    texture, scale, mixing, cutout = [], [], [], []
    fabrics = kit.textures.chosen(part, "fabric", "pattern", "carpet", "leather")
    anything = kit.textures.chosen(part)
    for person, number in worn:
        garment = kit.garments[number]
        own, matrix = garment.texture, torch.zeros(3, 4)
        repeat = torch.ones(2)
        if garment.kind == "hair":
            has_hair[person] = True
            # Strands keep their brightness; the person's hair colour replaces the hue.
            matrix[:, :3] = hair[person][:, None] * _LUMINANCE * float(random.uniform(2.0, 5.0, 1))
            matrix[:, 3] = hair[person] * 0.4
        else:
            kind = float(torch.rand(1, generator=random.generator))
            if own < 0 or kind < 0.40:
                own = pick(fabrics) if kind < 0.9 else pick(anything)
                repeat = random.uniform(1.0, 7.0, 1).expand(2)
            matrix[:, :3] = _mixing(random)
            if own < 0 or random.chance(0.3, 1):
                own, matrix = -1, torch.cat([torch.zeros(3, 3), random.uniform(0, 1, 3, 1) ** 2], 1)
        texture.append(own)
        scale.append(repeat)
        mixing.append(matrix)
        cutout.append(garment.cutout)
    bald = random.chance(0.5, persons) & ~has_hair
    device = kit.share.device
    looks = Looks(
        skin=skin.clamp(0.01, 0.9),
        hair=hair,
        eyes=eyes,
        scalp=~bald,
        beard=random.chance(0.18, persons),
        texture=torch.tensor(texture, dtype=torch.int64),
        scale=torch.stack(scale) if scale else torch.zeros(0, 2),
        shift=random.uniform(0, 1, len(worn), 2),
        mixing=torch.stack(mixing) if mixing else torch.zeros(0, 3, 4),
        cutout=torch.tensor(cutout, dtype=torch.bool),
    )
    return Looks(**{name: value.to(device) for name, value in vars(looks).items()})


def _mixing(random: Random) -> Tensor:
    """(3, 3) colour matrix: unchanged, with exchanged channels, or the lightness in any colour; brighter or darker."""
    kind = float(torch.rand(1, generator=random.generator))
    gain = float(torch.exp(0.5 * random.normal(1)))
    if kind < 0.3:
        return torch.eye(3) * gain
    if kind < 0.5:
        return torch.eye(3)[random.order(3)] * gain
    colour = random.uniform(0, 1, 3) ** 1.5
    # Most cloth is darker than paint.
    colour = colour.mean() + (colour - colour.mean()) * random.uniform(0.1, 1.0, 1)
    return colour[:, None] * _LUMINANCE * 2 * gain


def sample(textures: Textures, number: Tensor, uv: Tensor, smooth: bool = False) -> Tensor:
    """sRGB with alpha (Q, 4), 0..1, of pictures (Q,) at repeating coordinates uv (Q, 2); the nearest texel, or bilinear."""
    size = textures.size[number]
    place = (uv - uv.floor()) * size[:, None] - (0.5 if smooth else 0.0)
    corner = place.floor()
    part = place - corner

    def texel(dx: int, dy: int) -> Tensor:
        x, y = corner[:, 0].long() + dx, corner[:, 1].long() + dy
        row = textures.start[number] + torch.remainder(y, size) * size + torch.remainder(x, size)
        return textures.texels[row].float() / 255

    if not smooth:
        return texel(0, 0)
    u, v = part[:, :1], part[:, 1:]
    return (texel(0, 0) * (1 - u) + texel(1, 0) * u) * (1 - v) + (texel(0, 1) * (1 - u) + texel(1, 1) * u) * v


def cloth_colour(textures: Textures, looks: Looks, thing: Tensor, uv: Tensor) -> Tensor:
    """(Q, 3) colour of garments (Q,) at coordinates uv (Q, 2)."""
    number = looks.texture[thing]
    plain = sample(textures, number.clamp(min=0), uv * looks.scale[thing] + looks.shift[thing])[:, :3] ** 2
    mixing = looks.mixing[thing]
    return ((mixing[..., :3] * plain[:, None]).sum(-1) + mixing[..., 3]).clamp(0.003, 0.95)


def is_solid(textures: Textures, looks: Looks, thing: Tensor, uv: Tensor) -> Tensor:
    """(Q,) whether the garment is solid there: the alpha of hair."""
    return sample(textures, looks.texture[thing].clamp(min=0), uv)[:, 3] > 0.4


def skin_colour(body: Body, looks: Looks, person: Tensor, place: Tensor) -> Tensor:
    """(Q, 3) colour of the bodies of persons (Q,) at template positions (Q, 3): faces, painted hair, chests and backs."""
    eye = body.template_heads[body.bone("eye.L")]
    x, y, z = place[:, 0].abs(), place[:, 1] - eye[1], place[:, 2] - eye[2]
    skin = looks.skin[person]
    # Slow blotches over the whole body, redder hands and feet.
    blotch = torch.sin(place[:, 0] * 31 + 2 * torch.sin(place[:, 2] * 17)) * torch.sin(place[:, 1] * 27 + place[:, 2] * 23)
    colour = skin * (1 + 0.07 * blotch)[:, None]
    ends = ((x > 0.42) | (place[:, 2] < -0.74)).float()[:, None]
    colour = colour * (1 - ends * place.new_tensor([0.0, 0.12, 0.12]))
    trunk = (place[:, 2] > 0.02) & (place[:, 2] < 0.52) & (x < 0.17)
    rows = trunk.nonzero()[:, 0]
    if len(rows):
        colour[rows] = _trunk_colour(looks, person[rows], colour[rows], place[rows])
    face = (y < 0.05) & (z.abs() < 0.12) & (x < 0.09)
    rows = (face | (z > -0.06)).nonzero()[:, 0]
    if len(rows):
        colour[rows] = _head_colour(looks, person[rows], colour[rows], x[rows], y[rows], z[rows], float(eye[0]))
    return colour


def _trunk_colour(looks: Looks, person: Tensor, colour: Tensor, place: Tensor) -> Tensor:
    """Colours (Q, 3) of trunks at template positions (Q, 3), metres, x left, y back, z up: what distinguishes a chest from a
    back."""
    x, y, z = place[:, 0].abs(), place[:, 1], place[:, 2]
    front, back = y < -0.04, y > 0.0

    def around(x0: float, z0: float, wide: float, high: float) -> Tensor:
        return ((x - x0) / wide) ** 2 + ((z - z0) / high) ** 2

    def bump(distance: Tensor) -> Tensor:
        return torch.exp(-distance)

    # Shading of muscles: along the middle, below the chest, beside the spine, around the shoulder blades.
    below = bump(((z - 0.352 - 2.5 * (x - 0.08) ** 2) / 0.012) ** 2) * (x < 0.15)
    middle = bump((x / 0.008) ** 2) * (z > 0.1) * (z < 0.45)
    blades = bump(((around(0.08, 0.42, 0.055, 0.075) - 1) / 0.35) ** 2)
    spine = bump((x / 0.011) ** 2)
    shade = torch.where(front, 0.22 * below + 0.14 * middle, torch.where(back, 0.16 * blades + 0.24 * spine, 0.0))
    colour = colour * (1 - shade[:, None])
    curls = 0.5 + 0.5 * torch.sin(place[:, 0] * 900 + 3 * torch.sin(z * 310)) * torch.sin(z * 700)
    hairy = 0.75 * curls * bump(around(0.0, 0.40, 0.09, 0.06) ** 2) * (front & looks.beard[person])
    colour = colour + (looks.hair[person] - colour) * hairy[:, None]
    nipple = front & (around(0.092, 0.395, 0.017, 0.015) < 1)
    colour = torch.where(nipple[:, None], colour * colour.new_tensor([0.62, 0.42, 0.42]), colour)
    navel = front & (around(0.0, 0.155, 0.009, 0.008) < 1)
    return torch.where(navel[:, None], colour * 0.35, colour)


def _head_colour(looks: Looks, person: Tensor, colour: Tensor, x: Tensor, y: Tensor, z: Tensor, eye_x: float) -> Tensor:
    """Colours (Q, 3) of heads: x off the middle, y behind and z above the eyes."""
    skin, hair = looks.skin[person], looks.hair[person]
    face = y < 0.05

    def tinted(now: Tensor, where: Tensor, colour: Tensor) -> Tensor:
        return torch.where(where[:, None], colour, now)

    cheek = torch.where(face, torch.exp(-(((x - 0.04) / 0.018) ** 2 + ((z + 0.035) / 0.018) ** 2)), 0.0)
    colour = colour * (1 - cheek[:, None] * colour.new_tensor([0.0, 0.22, 0.20]))
    beard = looks.beard[person] & face & (z < -0.045) & (z > -0.12) & (x < 0.07)
    colour = tinted(colour, beard, 0.5 * hair + 0.25 * skin)
    lips = face & (((z + 0.067) / 0.008) ** 2 + (x / 0.025) ** 2 < 1)
    colour = tinted(colour, lips, skin * skin.new_tensor([0.75, 0.45, 0.45]))
    brow = 0.0165 + 0.10 * (x - 0.011) * (x < 0.035)
    colour = tinted(colour, face & (x > 0.011) & (x < 0.047) & ((z - brow).abs() < 0.0040), hair)
    rim = ((x - eye_x) / 0.0160) ** 2 + ((z - 0.001) / 0.0085) ** 2
    colour = tinted(colour, face & (rim < 1), skin * 0.35)
    colour = tinted(colour, face & (rim < 0.6), skin.new_tensor([0.6, 0.58, 0.55]).expand_as(skin))
    iris = (x - eye_x) ** 2 + z**2
    colour = tinted(colour, face & (iris < 0.0066**2), looks.eyes[person])
    return tinted(colour, looks.scalp[person] & (z > hairline(y)), hair * 0.9)
