"""Clothes, shoes, hair and eyes of MakeHuman's CC0 assets, bound to the body: reads .mhclo and .obj, and fits them to a body.

An item's vertices are bound to the body's template once (formula of the .mhclo format: barycentric combination of three base
vertices plus a scaled offset), then they follow the body vertices next to them, in any shape and pose.
Suits are divided into top and bottom, which can be combined freely; close-fitting helpers are cut to T-shirts, leggings, skirts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stpose_core.errors import FormatError
from stpose_training.synth.simplify import cluster, components

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NEAR, BONES = 6, 4
"""Number of body vertices that an item's vertex follows, and of bones that move it."""

_CELL = {"top": 0.017, "bottom": 0.017, "suit": 0.017, "shoes": 0.014, "hair": 0.010, "hat": 0.014, "skirt": 0.022}
_LIFT = {"top": 0.006, "bottom": 0.004, "suit": 0.006, "shoes": 0.003, "hair": 0.002, "hat": 0.004, "skirt": 0.012}
_WAIST = 0.10  # metres of template height at which a suit's top meets its bottom, for parts that are clearly neither


@dataclass(frozen=True)
class Figure:
    """The figure that clothes are bound to. base: (19158, 3) MakeHuman's base mesh, metres, z up. full: (W,) base vertex of
    each vertex of the whole body. template (V, 3), skin (V, K): of the coarser body that is drawn. kept: (V,) its vertices in
    the whole body."""

    base: Floats
    full: Ints
    template: Floats
    skin: Floats
    kept: Ints
    bones: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One garment. near, weight: (N, 6) vertices of the drawn body that each vertex follows, and their weights; offset: (N, 3)
    metres from their mean. bones, share: (N, 4). uv: (N, 2), rows downwards. faces: (F, 3). hides: vertices of the drawn body
    under it. texture: its picture file, or "". cutout: whether the texture's alpha cuts holes."""

    kind: str
    name: str
    near: Ints
    weight: Floats
    offset: Floats
    bones: Ints
    share: Floats
    uv: Floats
    faces: Ints
    hides: Ints
    texture: str
    cutout: bool


def read_base(path: Path) -> Floats:
    """MakeHuman's base mesh (V, 3) from its .obj (decimetres, y up), in metres with z up, facing -y."""
    return _axes(_read_obj(path)[0] * 0.1)


def read_wardrobe(assets: Path, figure: Figure) -> list[Item]:
    """All items of an asset folder. Raises FormatError if there are none, or if a file is damaged."""
    items: list[Item] = []
    for folder in sorted([*(assets / "clothes").glob("*"), *(assets / "hair").glob("*")]):
        if (folder / "mesh.mhclo").is_file():
            items.extend(_read_item(folder, figure, folder.parent.name == "hair"))
    if not items:
        raise FormatError(f"{assets}: no clothes/*/mesh.mhclo there")
    return items


def _read_item(folder: Path, figure: Figure, hair: bool) -> Iterator[Item]:
    points, uv, faces, map_of = _read_obj(folder / "mesh.obj")
    bound, gone = _bind(folder / "mesh.mhclo", figure.base)
    if len(bound) != len(points):
        raise FormatError(f"{folder}: mesh.mhclo binds {len(bound)} vertices, mesh.obj has {len(points)}")
    bound = _axes(bound)
    texture = folder / "diffuse.webp"
    skin = str(texture) if texture.is_file() else ""
    name = folder.name
    whole = np.isin(figure.full, gone)  # vertices of the whole body under the item
    hides = np.flatnonzero(whole[figure.kept])
    if hair:
        if name != "hairhelper":
            yield _item("hair", name, bound, uv, faces, map_of, hides, skin, figure, cutout=bool(skin))
    elif "shoes" in name or "socks" in name:
        yield _item("shoes", name, bound, uv, faces, map_of, hides, skin, figure)
    elif "fedora" in name:
        yield _item("hat", name, bound, uv, faces, map_of, hides, skin, figure)
    elif name == "tightshelper":
        yield from _tights(bound, uv, faces, map_of, figure)
    elif name == "skirthelper":
        low, high = bound[:, 2].min(), bound[:, 2].max()
        for label, length in (("mini", 0.36), ("knee", 0.62), ("long", 0.95)):
            chosen = bound[:, 2] > high - length * (high - low)
            yield _item("skirt", f"skirt_{label}", bound, uv, *_cut(faces, map_of, chosen), np.zeros(0, np.int64), "", figure)
    else:
        yield from _suit(name, bound, uv, faces, map_of, hides, skin, figure)


def _suit(
    name: str, bound: Floats, uv: Floats, faces: Ints, map_of: Ints, hides: Ints, skin: str, figure: Figure
) -> Iterator[Item]:
    """A suit as top and bottom if these are separate pieces of mesh, otherwise whole."""
    piece = components(len(bound), faces)
    count = int(piece.max()) + 1
    low = np.array([bound[piece == p, 2].min() for p in range(count)])
    high = np.array([bound[piece == p, 2].max() for p in range(count)])
    # Trousers begin below the waist; small pieces (buttons, belts) belong to the half that they lie in.
    below = np.where(high - low > 0.2, high < 0.25, (low + high) / 2 < _WAIST)
    if not below.any() or below.all():
        yield _item("suit", name, bound, uv, faces, map_of, hides, skin, figure)
        return
    heights = figure.template[hides, 2]
    seam = bound[below[piece], 2].max()
    for kind, chosen, own in (("top", ~below[piece], heights > seam - 0.12), ("bottom", below[piece], heights < seam - 0.015)):
        yield _item(kind, f"{name}_{kind}", bound, uv, *_cut(faces, map_of, chosen), hides[own], skin, figure)


def _tights(bound: Floats, uv: Floats, faces: Ints, map_of: Ints, figure: Figure) -> Iterator[Item]:
    """The skin-tight helper cut along trunk and limbs to clothes of several lengths."""
    x, z = np.abs(bound[:, 0]), bound[:, 2]
    hip, collar = 0.02, float(z.max())
    arm = (x > 0.16) & (z > 0.15)
    trunk = ~arm & (z > hip)
    tops = {"tank": trunk & (z < collar - 0.02), "tee": trunk | (arm & (x < 0.27)), "sleeves": trunk | (arm & (x < 0.43))}
    tops["crop"] = (trunk & (z > 0.22)) | (arm & (x < 0.23))
    legs = ~arm & (z <= hip + 0.09)
    bottoms = {
        "briefs": legs & (z > -0.10),
        "shorts": legs & (z > -0.27),
        "knee": legs & (z > -0.42),
        "leggings": legs & (z > -0.76),
    }
    tree = cKDTree(bound)
    away, near = tree.query(figure.template)
    cuts = [("top", label, chosen) for label, chosen in tops.items()]
    cuts += [("bottom", label, chosen) for label, chosen in bottoms.items()]
    cuts += [("suit", "all", tops["sleeves"] | bottoms["leggings"]), ("suit", "swim", tops["tank"] | bottoms["briefs"])]
    for kind, label, chosen in cuts:
        inner = np.ones(len(bound), bool)
        for corner in range(3):  # the rim hides nothing, because skin must extend below it
            np.logical_and.at(inner, faces[:, corner], chosen[faces].all(axis=1))
        hides = np.flatnonzero(inner[near] & (away < 0.03))
        yield _item(kind, f"tight_{label}", bound, uv, *_cut(faces, map_of, chosen), hides, "", figure)


def _cut(faces: Ints, map_of: Ints, chosen: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    stay = chosen[faces].all(axis=1)
    return faces[stay], map_of[stay]


def _item(
    kind: str,
    name: str,
    bound: Floats,
    uv: Floats,
    faces: Ints,
    map_of: Ints,
    hides: Ints,
    texture: str,
    figure: Figure,
    cutout: bool = False,
) -> Item:
    normals = np.zeros_like(bound)
    a, b, c = (bound[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    raised = bound + _LIFT[kind] * normals
    # A vertex on a seam of the texture becomes one vertex per side.
    pairs, corner_of = np.unique(np.column_stack([faces.ravel(), map_of.ravel()]), axis=0, return_inverse=True)
    corners = corner_of.reshape(-1, 3).astype(np.int64)
    where, coordinates = raised[pairs[:, 0]], uv[pairs[:, 1]]
    kept, corners = cluster(where, corners, _CELL[kind], components(len(pairs), corners))
    where, coordinates = where[kept].astype(np.float32), coordinates[kept].astype(np.float32)

    distance, near = cKDTree(figure.template).query(where, NEAR)
    weight = 1 / (distance + 1e-3) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    offset = where - (weight[..., None] * figure.template[near]).sum(axis=1)
    if kind in ("hair", "hat"):
        skin = np.zeros((len(where), figure.skin.shape[1]), np.float32)
        skin[:, figure.bones.index("head")] = 1
    else:
        skin = (weight[..., None] * figure.skin[near]).sum(axis=1)
        if kind == "skirt":
            skin = _hanging(where, skin, figure)
    bones = np.argsort(-skin, axis=1)[:, :BONES]
    share = np.take_along_axis(skin, bones, axis=1)
    share /= share.sum(axis=1, keepdims=True)
    # Picture rows go downwards.
    coordinates = np.column_stack([coordinates[:, 0], 1 - coordinates[:, 1]])
    return Item(
        kind, name, near.astype(np.int64), weight.astype(np.float32), offset.astype(np.float32), bones.astype(np.int64),
        share.astype(np.float32), coordinates.astype(np.float32), corners, hides.astype(np.int64), texture, cutout,
    )  # fmt: skip


def _hanging(where: Floats, skin: Floats, figure: Figure) -> Floats:
    """A skirt follows both thighs by its position across them, and the pelvis at the waist, so it does not tear between the
    knees."""
    out = np.zeros_like(skin)
    z = where[:, 2]
    down = np.clip((0.10 - z) / 0.20, 0, 1)
    left = np.clip(0.5 + where[:, 0] / 0.16, 0, 1)
    out[:, figure.bones.index("root")] = 1 - down
    out[:, figure.bones.index("upperleg01.L")] = down * left
    out[:, figure.bones.index("upperleg01.R")] = down * (1 - left)
    return out


def _bind(path: Path, base: Floats) -> tuple[Floats, Ints]:
    """-> the item's vertices (N, 3) in the base mesh's decimetres with y up, and the base vertices that it hides."""
    raw = np.column_stack([base[:, 0], base[:, 2], -base[:, 1]]) * 10  # back to the axes of the file
    scale = np.ones(3)
    rows: list[list[float]] = []
    gone: list[int] = []
    section = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            axis = "xyz".index(words[0][0])
            scale[axis] = abs(raw[int(words[1]), axis] - raw[int(words[2]), axis]) / float(words[3])
        elif words[0] in ("verts", "delete_verts", "weights"):
            section = words[0]
        elif words[0].lstrip("-").isdigit() and section == "verts":
            rows.append([float(word) for word in words] if len(words) == 9 else [float(words[0])] * 3 + [1.0, 0, 0, 0, 0, 0])
        elif words[0].isdigit() and section == "delete_verts":
            gone.extend(_ranges(words))
    if not rows:
        raise FormatError(f"{path}: no vertices")
    table = np.array(rows)
    index = table[:, :3].astype(np.int64)
    places = (table[:, 3:6, None] * raw[index]).sum(axis=1) + table[:, 6:] * scale
    return places * 0.1, np.array(gone, np.int64)


def _ranges(words: list[str]) -> Iterator[int]:
    """Vertex numbers of "1 5 - 8 12": single ones and ranges, ends included."""
    at = 0
    while at < len(words):
        first = int(words[at])
        if at + 2 < len(words) and words[at + 1] == "-":
            yield from range(first, int(words[at + 2]) + 1)
            at += 3
        else:
            yield first
            at += 1


def _read_obj(path: Path) -> tuple[Floats, Floats, Ints, Ints]:
    """-> points (V, 3), texture places (U, 2), faces (F, 3) and their texture corners (F, 3); quads are cut in two."""
    points, uv, faces, map_of = [], [], [], []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            points.append([float(word) for word in words[1:4]])
        elif words[0] == "vt":
            uv.append([float(word) for word in words[1:3]])
        elif words[0] == "f":
            corners = [word.split("/") for word in words[1:]]
            for second in range(1, len(corners) - 1):
                fan = [corners[0], corners[second], corners[second + 1]]
                faces.append([int(corner[0]) - 1 for corner in fan])
                map_of.append([int(corner[1]) - 1 if len(corner) > 1 and corner[1] else 0 for corner in fan])
    if not points or not faces:
        raise FormatError(f"{path}: no mesh")
    return (
        np.array(points, np.float32),
        np.array(uv or [[0.0, 0.0]], np.float32),
        np.array(faces, np.int64),
        np.array(map_of, np.int64),
    )


def _axes(points: Floats) -> Floats:
    """MakeHuman's axes (x left, y up, z forward) as the body's (x left, z up, facing -y)."""
    return np.column_stack([points[:, 0], -points[:, 2], points[:, 1]]).astype(np.float32)
