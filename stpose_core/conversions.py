"""Weights that turn the joints of one skeleton into those of Human3.6M-17.

Each target joint has one or more recipes, best first: (trust, {source joint: weight}). The first one whose sources
were all seen is used; trust scales the score of what comes out. Weights sum to 1, so a conversion commutes with
translation, rotation, scale and weak perspective, in 2D and in 3D. Right-hand targets are the mirror of the left ones.
"""

from __future__ import annotations

Recipe = tuple[float, dict[str, float]]

_LIMBS: dict[str, tuple[Recipe, ...]] = {
    name: ((1.0, {name: 1.0}),) for name in ("l_shoulder", "l_elbow", "l_wrist", "l_knee", "l_ankle")
}

_COCO: dict[str, tuple[Recipe, ...]] = {
    **_LIMBS,
    "pelvis": ((1.0, {"l_hip": 0.5, "r_hip": 0.5}),),
    "l_hip": ((1.0, {"l_hip": 0.85, "r_hip": 0.15}), (0.9, {"l_hip": 1.0})),
    "spine": ((1.0, {"l_hip": 0.25, "r_hip": 0.25, "l_shoulder": 0.25, "r_shoulder": 0.25}),),
    "neck": ((1.0, {"l_shoulder": 0.5, "r_shoulder": 0.5}),),
    "head": (
        (1.0, {"l_ear": 0.5, "r_ear": 0.5}),
        (0.8, {"l_shoulder": 0.65, "r_shoulder": 0.65, "l_hip": -0.15, "r_hip": -0.15}),
    ),
    "head_top": (
        (1.0, {"l_ear": 0.75, "r_ear": 0.75, "l_shoulder": -0.25, "r_shoulder": -0.25}),
        (0.6, {"l_shoulder": 0.75, "r_shoulder": 0.75, "l_hip": -0.25, "r_hip": -0.25}),
    ),
}

RECIPES: dict[str, dict[str, tuple[Recipe, ...]]] = {
    "coco17": _COCO,
    "blazepose33": _COCO,
    "halpe26": _COCO,
    "openpose25": _COCO,
}
