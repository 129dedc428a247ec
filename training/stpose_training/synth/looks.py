"""The look of a synthetic person: skin, eyes, hair and clothes, painted on the body by regions of the template.

A region is a test on the template position of a pixel (metres, x left, y back, z up), so its edges are sharp at any distance.
Clothes and hair are also a few millimetres to centimetres thick. Colours are linear RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpose_training.synth.body import Body, Rest
from stpose_training.synth.raster import Fragments, vertex_normals

Colour = tuple[float, float, float]

# The hairline: height above the eyes (m) at which hair begins, as a function of y behind the eyes.
_HAIRLINE = ((-0.02, 0.064), (0.03, 0.060), (0.052, 0.014), (0.09, 0.012), (0.10, -0.045), (0.14, -0.050))


@dataclass(frozen=True)
class Look:
    """Colours, and lengths of sleeves and trousers as shares of the arm and of the leg."""

    skin: Colour = (0.55, 0.30, 0.20)
    hair: Colour = (0.035, 0.02, 0.012)
    eyes: Colour = (0.08, 0.04, 0.02)
    shirt: Colour = (0.05, 0.19, 0.36)
    trousers: Colour = (0.10, 0.09, 0.085)
    shoes: Colour = (0.55, 0.55, 0.53)
    sleeve: float = 0.42
    trouser: float = 0.97


def sample_look(generator: torch.Generator) -> Look:
    """A random look: natural skin and hair, any colours of clothes."""
    r = torch.rand(16, generator=generator).tolist()
    tone = r[0] ** 0.8
    light, dark = (0.78, 0.50, 0.38), (0.065, 0.03, 0.018)
    # Skin tones lie on a curve from dark to light: interpolation in exponents keeps the hue natural.
    red, green, blue = (low ** (1 - tone) * high**tone for low, high in zip(dark, light))
    grey = 0.4 * r[1] ** 4
    hair = (0.015 + 0.2 * r[2] ** 3 + grey, 0.010 + 0.10 * r[2] ** 3 + grey, 0.008 + 0.03 * r[2] ** 3 + grey)
    shirt, trousers, shoes = ((0.02 + 0.75 * a**2, 0.02 + 0.75 * b**2, 0.02 + 0.75 * c**2) for a, b, c in (r[3:6], r[6:9], r[9:12]))
    return Look(
        skin=(red, green, blue),
        hair=hair,
        eyes=(0.08, 0.04 + 0.06 * r[12], 0.02 + 0.15 * r[12]),
        shirt=shirt,
        trousers=trousers,
        shoes=shoes,
        sleeve=0.2 + 0.75 * r[13],
        trouser=0.3 + 0.67 * r[14],
    )


def hairline(behind: Tensor) -> Tensor:
    """Height above the eyes (m) at which hair begins, at distances `behind` the eyes (m)."""
    line = torch.full_like(behind, _HAIRLINE[0][1])
    for (y0, z0), (y1, z1) in zip(_HAIRLINE, _HAIRLINE[1:]):
        line = torch.where(behind > y0, z0 + (z1 - z0) * ((behind - y0) / (y1 - y0)).clamp(max=1), line)
    return line


def dress(body: Body, rest: Rest, look: Look) -> Rest:
    """The bodies with the thickness of clothes, shoes and hair."""
    places = _places(body)
    regions = _regions(body, places, look)
    thick = torch.zeros(len(places), device=places.device)
    for name, thickness in (("trousers", 0.008), ("shirt", 0.012), ("shoes", 0.010), ("hair", 0.014)):
        thick = torch.where(regions[name], thickness, thick)
    vertices = _smoothed(rest.vertices, body.faces, regions["shoes"], rounds=12)
    return Rest(vertices + vertex_normals(vertices, body.faces) * thick[:, None], rest.heads)


def _smoothed(vertices: Tensor, faces: Tensor, where: Tensor, rounds: int) -> Tensor:
    """Vertices (B, V, 3), with those marked by where (V,) moved to the mean of their neighbours: a shoe has no toes."""
    near = where[faces].any(dim=1)
    start = torch.cat([faces[near][:, corner] for corner in (0, 1, 2, 1, 2, 0)])
    end = torch.cat([faces[near][:, corner] for corner in (1, 2, 0, 0, 1, 2)])
    count = torch.zeros(len(where), device=vertices.device).index_add_(0, start, torch.ones(len(start), device=vertices.device))
    for _ in range(rounds):
        total = torch.zeros_like(vertices).index_add_(1, start, vertices[:, end])
        vertices = torch.where(where[:, None], total / count.clamp(min=1)[:, None], vertices)
    return vertices


def paint(body: Body, fragments: Fragments, look: Look) -> Tensor:
    """The colour of the surface (B, H, W, 3) at each pixel that shows a body, black elsewhere."""
    places = fragments.interpolate(_places(body), body.faces)
    regions = _regions(body, places, look)
    colour = places.new_tensor(look.skin).expand(*places.shape[:-1], 3).clone()
    # Cheeks, lips and ears are redder than the rest of the skin.
    eye = body.template_heads[body.bone("eye.L")]
    x, y, z = places[..., 0].abs(), places[..., 1] - eye[1], places[..., 2] - eye[2]
    face = (y < 0.05) & (z.abs() < 0.12)
    blush = torch.where(face, torch.exp(-(((x - 0.04) / 0.018) ** 2 + ((z + 0.035) / 0.018) ** 2)), 0.0)
    colour = colour * (1 - blush[..., None] * places.new_tensor([0.0, 0.22, 0.20]))

    def tint(where: Tensor, value: Tensor | Colour) -> None:
        colour[where] = torch.as_tensor(value).to(colour)

    skin, eyes = places.new_tensor(look.skin), regions["eyes"]
    lips = face & (((z + 0.067) / 0.008) ** 2 + (x / 0.025) ** 2 < 1)
    tint(lips, skin * places.new_tensor([0.75, 0.45, 0.45]))
    tint(face & (x < 0.021) & ((z + 0.066).abs() < 0.0012), skin * 0.25)
    # Inside of the lips, seen where the mouth is open.
    tint(face & (x < 0.024) & ((z + 0.067).abs() < 0.02) & (y > 22 * x**2 - 0.024), skin * places.new_tensor([0.14, 0.05, 0.05]))
    brow = 0.0165 + 0.10 * (x - 0.011) * (x < 0.035)
    tint(face & (x > 0.011) & (x < 0.047) & ((z - brow).abs() < 0.0036), look.hair)
    # A darker rim, like lashes, so that eyes are visible from a distance.
    tint(face & ~eyes & (((x - eye[0]) / 0.0150) ** 2 + ((z - 0.001) / 0.0080) ** 2 < 1), skin * 0.35)
    iris = ((x - eye[0]) ** 2 + z**2).sqrt()
    tint(eyes, (0.75, 0.73, 0.70))
    tint(eyes & (iris < 0.0062), look.eyes)
    tint(eyes & (iris < 0.0028), (0.004, 0.004, 0.004))
    for name in ("hair", "trousers", "shirt", "shoes"):
        tint(regions[name], getattr(look, name))
    # Hair and cloth vary in tone: strands over the head, seams and a belt line on the cloth.
    strands = 0.75 + 0.35 * torch.sin(places[..., 0] * 900 + torch.sin(places[..., 1] * 160) * 2)
    colour = torch.where(regions["hair"][..., None], colour * strands[..., None], colour)
    colour = torch.where(regions["sole"][..., None], places.new_tensor([0.6, 0.6, 0.58]), colour)
    hem = regions["belt"] | regions["hem"]
    colour = torch.where(hem[..., None], colour * 0.55, colour)
    return colour * (fragments.face >= 0)[..., None]


def _places(body: Body) -> Tensor:
    """Per vertex (V, 5): position on the template, bone weight of the arms, and of the eyes."""
    arm = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    on_arm = [index for index, bone in enumerate(body.bones) if bone.startswith(arm)]
    eyes = [body.bone("eye.L"), body.bone("eye.R")]
    return torch.cat([body.template, body.skin[:, on_arm].sum(1, True), body.skin[:, eyes].sum(1, True)], dim=1)


def _regions(body: Body, places: Tensor, look: Look) -> dict[str, Tensor]:
    """Masks of the points (..., 5) in each region."""
    named = ("eye.L", "upperarm01.L", "wrist.L", "upperleg01.L", "foot.L", "neck01")
    heads = {name: body.template_heads[body.bone(name)] for name in named}
    x, y, z = places[..., 0].abs(), places[..., 1], places[..., 2]
    arm, eyes = places[..., 3] > 0.5, places[..., 4] > 0.5
    shoulder, wrist = heads["upperarm01.L"], heads["wrist.L"]
    reach = wrist - shoulder
    side = torch.stack([x, y, z], dim=-1)
    along = ((side - shoulder) @ reach) / (reach @ reach)
    leg = (heads["upperleg01.L"][2] - z) / (heads["upperleg01.L"][2] - heads["foot.L"][2])
    waist = heads["upperleg01.L"][2] + 0.085
    neck = heads["neck01"]
    depth = (0.09 - 0.5 * (y - neck[1])).clamp(0.06, 0.115)
    collar = (x / 0.085) ** 2 + ((z - neck[2] - 0.03).clamp(max=0) / depth) ** 2 > 1
    ankle = heads["foot.L"][2] + 0.015 - 0.25 * (y - heads["foot.L"][1]).clamp(max=0)
    torso = ~arm & (z < neck[2]) & (z > waist - 0.06)
    behind, above = y - heads["eye.L"][1], z - heads["eye.L"][2]
    line = hairline(behind)
    return {
        "eyes": eyes,
        "hair": ~eyes & (above > line),
        "shirt": collar & (torso | (arm & (along < look.sleeve))),
        "trousers": ~arm & (z < waist) & (leg < look.trouser),
        "shoes": ~arm & (z < ankle),
        "sole": ~arm & (z < heads["foot.L"][2] - 0.058),
        "belt": ~arm & ((z - waist + 0.06).abs() < 0.004),
        "hem": arm & ((along - look.sleeve + 0.012).abs() < 0.005),
    }
