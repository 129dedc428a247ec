"""Weights that turn the joints of one skeleton into those of Human3.6M-17.

Each target joint has one or more recipes, best first: (trust, {source joint: weight}). The first one whose sources
were all seen is used; trust scales the score of what comes out. Weights sum to 1, so a conversion commutes with
translation, rotation, scale and weak perspective, in 2D and in 3D. Right-hand targets are the mirror of the left ones.

Written by `python -m stpose_training.synth.fit_conversions`; change the plan there, not the numbers here.
"""

from __future__ import annotations

Recipe = tuple[float, dict[str, float]]

RECIPES: dict[str, dict[str, tuple[Recipe, ...]]] = {
    "coco17": {
        "pelvis": (
            (1.0, {"l_hip": 0.489, "r_hip": 0.489, "l_shoulder": 0.011, "r_shoulder": 0.011}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.961, "r_hip": 0.016, "l_shoulder": 0.0115, "r_shoulder": 0.0115}),
            (1.0, {"l_hip": 0.972, "r_hip": 0.028}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.257, "r_hip": 0.257, "l_shoulder": 0.243, "r_shoulder": 0.243}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.586, "r_shoulder": 0.586, "l_ear": -0.086, "r_ear": -0.086}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.632, "r_ear": 0.632, "nose": -0.437, "l_shoulder": 0.0865, "r_shoulder": 0.0865}),
            (0.9, {"l_ear": 0.4185, "r_ear": 0.4185, "l_shoulder": 0.0815, "r_shoulder": 0.0815}),
            (0.8, {"nose": -1.8, "l_eye": 1.115, "r_eye": 1.115, "l_shoulder": 0.285, "r_shoulder": 0.285}),
            (0.8, {"l_ear": 0.712, "r_ear": 0.712, "nose": -0.424}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.671, "r_shoulder": 0.671, "l_hip": -0.171, "r_hip": -0.171}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.8365, "r_ear": 0.8365, "nose": -0.363, "l_shoulder": -0.155, "r_shoulder": -0.155}),
            (0.9, {"l_ear": 0.6595, "r_ear": 0.6595, "l_shoulder": -0.1595, "r_shoulder": -0.1595}),
            (0.7, {"nose": -2.373, "l_eye": 1.574, "r_eye": 1.574, "l_shoulder": 0.1125, "r_shoulder": 0.1125}),
            (0.7, {"l_ear": 0.693, "r_ear": 0.693, "nose": -0.386}),
            (0.4, {"l_shoulder": 0.765, "r_shoulder": 0.765, "l_hip": -0.265, "r_hip": -0.265}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
        "l_ankle": ((1.0, {"l_ankle": 1.0}),),
    },
    "blazepose33": {
        "pelvis": (
            (1.0, {"l_hip": 0.489, "r_hip": 0.489, "l_shoulder": 0.011, "r_shoulder": 0.011}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.961, "r_hip": 0.016, "l_shoulder": 0.0115, "r_shoulder": 0.0115}),
            (1.0, {"l_hip": 0.972, "r_hip": 0.028}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.257, "r_hip": 0.257, "l_shoulder": 0.243, "r_shoulder": 0.243}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.586, "r_shoulder": 0.586, "l_ear": -0.086, "r_ear": -0.086}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.632, "r_ear": 0.632, "nose": -0.437, "l_shoulder": 0.0865, "r_shoulder": 0.0865}),
            (0.9, {"l_ear": 0.4185, "r_ear": 0.4185, "l_shoulder": 0.0815, "r_shoulder": 0.0815}),
            (0.8, {"nose": -1.8, "l_eye": 1.115, "r_eye": 1.115, "l_shoulder": 0.285, "r_shoulder": 0.285}),
            (0.8, {"l_ear": 0.712, "r_ear": 0.712, "nose": -0.424}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.671, "r_shoulder": 0.671, "l_hip": -0.171, "r_hip": -0.171}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.8365, "r_ear": 0.8365, "nose": -0.363, "l_shoulder": -0.155, "r_shoulder": -0.155}),
            (0.9, {"l_ear": 0.6595, "r_ear": 0.6595, "l_shoulder": -0.1595, "r_shoulder": -0.1595}),
            (0.7, {"nose": -2.373, "l_eye": 1.574, "r_eye": 1.574, "l_shoulder": 0.1125, "r_shoulder": 0.1125}),
            (0.7, {"l_ear": 0.693, "r_ear": 0.693, "nose": -0.386}),
            (0.4, {"l_shoulder": 0.765, "r_shoulder": 0.765, "l_hip": -0.265, "r_hip": -0.265}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
        "l_ankle": ((1.0, {"l_ankle": 1.0}),),
    },
    "halpe26": {
        "pelvis": (
            (1.0, {"l_hip": 0.489, "r_hip": 0.489, "l_shoulder": 0.011, "r_shoulder": 0.011}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.961, "r_hip": 0.016, "l_shoulder": 0.0115, "r_shoulder": 0.0115}),
            (1.0, {"l_hip": 0.972, "r_hip": 0.028}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.257, "r_hip": 0.257, "l_shoulder": 0.243, "r_shoulder": 0.243}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.586, "r_shoulder": 0.586, "l_ear": -0.086, "r_ear": -0.086}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.294, "r_ear": 0.294, "head_top": 0.156, "l_shoulder": 0.128, "r_shoulder": 0.128}),
            (1.0, {"l_ear": 0.632, "r_ear": 0.632, "nose": -0.437, "l_shoulder": 0.0865, "r_shoulder": 0.0865}),
            (0.9, {"l_ear": 0.4185, "r_ear": 0.4185, "l_shoulder": 0.0815, "r_shoulder": 0.0815}),
            (0.8, {"nose": -1.8, "l_eye": 1.115, "r_eye": 1.115, "l_shoulder": 0.285, "r_shoulder": 0.285}),
            (0.8, {"l_ear": 0.712, "r_ear": 0.712, "nose": -0.424}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.671, "r_shoulder": 0.671, "l_hip": -0.171, "r_hip": -0.171}),
        ),
        "head_top": (
            (1.0, {"head_top": 0.628, "l_ear": 0.1595, "r_ear": 0.1595, "l_shoulder": 0.0265, "r_shoulder": 0.0265}),
            (0.9, {"head_top": 0.822, "l_shoulder": 0.089, "r_shoulder": 0.089}),
            (1.0, {"l_ear": 0.8365, "r_ear": 0.8365, "nose": -0.363, "l_shoulder": -0.155, "r_shoulder": -0.155}),
            (0.9, {"l_ear": 0.6595, "r_ear": 0.6595, "l_shoulder": -0.1595, "r_shoulder": -0.1595}),
            (0.7, {"nose": -2.373, "l_eye": 1.574, "r_eye": 1.574, "l_shoulder": 0.1125, "r_shoulder": 0.1125}),
            (0.7, {"l_ear": 0.693, "r_ear": 0.693, "nose": -0.386}),
            (0.4, {"l_shoulder": 0.765, "r_shoulder": 0.765, "l_hip": -0.265, "r_hip": -0.265}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
        "l_ankle": ((1.0, {"l_ankle": 1.0}),),
    },
    "openpose25": {
        "pelvis": (
            (1.0, {"l_hip": 0.489, "r_hip": 0.489, "l_shoulder": 0.011, "r_shoulder": 0.011}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.961, "r_hip": 0.016, "l_shoulder": 0.0115, "r_shoulder": 0.0115}),
            (1.0, {"l_hip": 0.972, "r_hip": 0.028}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.257, "r_hip": 0.257, "l_shoulder": 0.243, "r_shoulder": 0.243}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.586, "r_shoulder": 0.586, "l_ear": -0.086, "r_ear": -0.086}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.632, "r_ear": 0.632, "nose": -0.437, "l_shoulder": 0.0865, "r_shoulder": 0.0865}),
            (0.9, {"l_ear": 0.4185, "r_ear": 0.4185, "l_shoulder": 0.0815, "r_shoulder": 0.0815}),
            (0.8, {"nose": -1.8, "l_eye": 1.115, "r_eye": 1.115, "l_shoulder": 0.285, "r_shoulder": 0.285}),
            (0.8, {"l_ear": 0.712, "r_ear": 0.712, "nose": -0.424}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.671, "r_shoulder": 0.671, "l_hip": -0.171, "r_hip": -0.171}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.8365, "r_ear": 0.8365, "nose": -0.363, "l_shoulder": -0.155, "r_shoulder": -0.155}),
            (0.9, {"l_ear": 0.6595, "r_ear": 0.6595, "l_shoulder": -0.1595, "r_shoulder": -0.1595}),
            (0.7, {"nose": -2.373, "l_eye": 1.574, "r_eye": 1.574, "l_shoulder": 0.1125, "r_shoulder": 0.1125}),
            (0.7, {"l_ear": 0.693, "r_ear": 0.693, "nose": -0.386}),
            (0.4, {"l_shoulder": 0.765, "r_shoulder": 0.765, "l_hip": -0.265, "r_hip": -0.265}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
        "l_ankle": ((1.0, {"l_ankle": 1.0}),),
    },
}  # fmt: skip
