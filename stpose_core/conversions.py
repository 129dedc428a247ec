"""Weights that turn the joints of one skeleton into those of Human3.6M-17.

Each target joint has one or more recipes, best first: (trust, {source joint: weight}). The first one whose sources
were all detected is used; trust scales the score of the result. Weights sum to 1, so a conversion commutes with
translation, rotation, scale and weak perspective, in 2D and in 3D. Right-hand targets are the mirror of the left ones.

Written by `python -m stpose_training.synth.fit_conversions`; change the plan there, not the numbers here.
"""

from __future__ import annotations

Recipe = tuple[float, dict[str, float]]

RECIPES: dict[str, dict[str, tuple[Recipe, ...]]] = {
    "coco17": {
        "pelvis": (
            (1.0, {"l_hip": 0.487, "r_hip": 0.487, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.96, "r_hip": 0.014, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.973, "r_hip": 0.027}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.2595, "r_hip": 0.2595, "l_shoulder": 0.2405, "r_shoulder": 0.2405}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4545, "r_shoulder": 0.4545, "l_hip": 0.039, "r_hip": 0.039, "l_ear": 0.121,
                "r_ear": 0.121, "nose": -0.229}),
            (0.95, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.585, "r_shoulder": 0.585, "l_ear": -0.085, "r_ear": -0.085}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.5905, "r_ear": 0.5905, "nose": -0.356, "l_shoulder": 0.0875,
                "r_shoulder": 0.0875}),
            (0.9, {"l_ear": 0.4175, "r_ear": 0.4175, "l_shoulder": 0.0825, "r_shoulder": 0.0825}),
            (0.8, {"nose": -0.767, "l_eye": 0.64, "r_eye": 0.64, "l_shoulder": 0.2435, "r_shoulder": 0.2435}),
            (0.8, {"l_ear": 0.6715, "r_ear": 0.6715, "nose": -0.343}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.669, "r_shoulder": 0.669, "l_hip": -0.169, "r_hip": -0.169}),
        ),
        "l_ankle": (
            (1.0, {"l_ankle": 1.046, "l_knee": -0.046}),
            (1.0, {"l_ankle": 1.0}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.7995, "r_ear": 0.7995, "nose": -0.295, "l_shoulder": -0.152,
                "r_shoulder": -0.152}),
            (0.9, {"l_ear": 0.656, "r_ear": 0.656, "l_shoulder": -0.156, "r_shoulder": -0.156}),
            (0.7, {"nose": -1.011, "l_eye": 0.9465, "r_eye": 0.9465, "l_shoulder": 0.059, "r_shoulder": 0.059}),
            (0.7, {"l_ear": 0.659, "r_ear": 0.659, "nose": -0.318}),
            (0.4, {"l_shoulder": 0.7615, "r_shoulder": 0.7615, "l_hip": -0.2615, "r_hip": -0.2615}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
    },
    "blazepose33": {
        "pelvis": (
            (1.0, {"l_hip": 0.487, "r_hip": 0.487, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.96, "r_hip": 0.014, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.973, "r_hip": 0.027}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.2595, "r_hip": 0.2595, "l_shoulder": 0.2405, "r_shoulder": 0.2405}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4545, "r_shoulder": 0.4545, "l_hip": 0.039, "r_hip": 0.039, "l_ear": 0.121,
                "r_ear": 0.121, "nose": -0.229}),
            (0.95, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.585, "r_shoulder": 0.585, "l_ear": -0.085, "r_ear": -0.085}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.5905, "r_ear": 0.5905, "nose": -0.356, "l_shoulder": 0.0875,
                "r_shoulder": 0.0875}),
            (0.9, {"l_ear": 0.4175, "r_ear": 0.4175, "l_shoulder": 0.0825, "r_shoulder": 0.0825}),
            (0.8, {"nose": -0.767, "l_eye": 0.64, "r_eye": 0.64, "l_shoulder": 0.2435, "r_shoulder": 0.2435}),
            (0.8, {"l_ear": 0.6715, "r_ear": 0.6715, "nose": -0.343}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.669, "r_shoulder": 0.669, "l_hip": -0.169, "r_hip": -0.169}),
        ),
        "l_ankle": (
            (1.0, {"l_ankle": 1.046, "l_knee": -0.046}),
            (1.0, {"l_ankle": 1.0}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.7995, "r_ear": 0.7995, "nose": -0.295, "l_shoulder": -0.152,
                "r_shoulder": -0.152}),
            (0.9, {"l_ear": 0.656, "r_ear": 0.656, "l_shoulder": -0.156, "r_shoulder": -0.156}),
            (0.7, {"nose": -1.011, "l_eye": 0.9465, "r_eye": 0.9465, "l_shoulder": 0.059, "r_shoulder": 0.059}),
            (0.7, {"l_ear": 0.659, "r_ear": 0.659, "nose": -0.318}),
            (0.4, {"l_shoulder": 0.7615, "r_shoulder": 0.7615, "l_hip": -0.2615, "r_hip": -0.2615}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
    },
    "halpe26": {
        "pelvis": (
            (1.0, {"l_hip": 0.487, "r_hip": 0.487, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.96, "r_hip": 0.014, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.973, "r_hip": 0.027}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.2595, "r_hip": 0.2595, "l_shoulder": 0.2405, "r_shoulder": 0.2405}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4545, "r_shoulder": 0.4545, "l_hip": 0.039, "r_hip": 0.039, "l_ear": 0.121,
                "r_ear": 0.121, "nose": -0.229}),
            (0.95, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.585, "r_shoulder": 0.585, "l_ear": -0.085, "r_ear": -0.085}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.494, "r_ear": 0.494, "head_top": 0.12, "nose": -0.352, "l_shoulder": 0.122,
                "r_shoulder": 0.122}),
            (1.0, {"l_ear": 0.5905, "r_ear": 0.5905, "nose": -0.356, "l_shoulder": 0.0875,
                "r_shoulder": 0.0875}),
            (0.9, {"l_ear": 0.4175, "r_ear": 0.4175, "l_shoulder": 0.0825, "r_shoulder": 0.0825}),
            (0.8, {"nose": -0.767, "l_eye": 0.64, "r_eye": 0.64, "l_shoulder": 0.2435, "r_shoulder": 0.2435}),
            (0.8, {"l_ear": 0.6715, "r_ear": 0.6715, "nose": -0.343}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.669, "r_shoulder": 0.669, "l_hip": -0.169, "r_hip": -0.169}),
        ),
        "l_ankle": (
            (1.0, {"l_ankle": 1.046, "l_knee": -0.046}),
            (1.0, {"l_ankle": 1.0}),
        ),
        "head_top": (
            (1.0, {"head_top": 0.563, "l_ear": 0.345, "r_ear": 0.345, "nose": -0.276, "l_shoulder": 0.0115,
                "r_shoulder": 0.0115}),
            (0.9, {"head_top": 0.821, "l_shoulder": 0.0895, "r_shoulder": 0.0895}),
            (1.0, {"l_ear": 0.7995, "r_ear": 0.7995, "nose": -0.295, "l_shoulder": -0.152,
                "r_shoulder": -0.152}),
            (0.9, {"l_ear": 0.656, "r_ear": 0.656, "l_shoulder": -0.156, "r_shoulder": -0.156}),
            (0.7, {"nose": -1.011, "l_eye": 0.9465, "r_eye": 0.9465, "l_shoulder": 0.059, "r_shoulder": 0.059}),
            (0.7, {"l_ear": 0.659, "r_ear": 0.659, "nose": -0.318}),
            (0.4, {"l_shoulder": 0.7615, "r_shoulder": 0.7615, "l_hip": -0.2615, "r_hip": -0.2615}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
    },
    "openpose25": {
        "pelvis": (
            (1.0, {"l_hip": 0.487, "r_hip": 0.487, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.5, "r_hip": 0.5}),
        ),
        "l_hip": (
            (1.0, {"l_hip": 0.96, "r_hip": 0.014, "l_shoulder": 0.013, "r_shoulder": 0.013}),
            (1.0, {"l_hip": 0.973, "r_hip": 0.027}),
            (0.9, {"l_hip": 1.0}),
        ),
        "spine": (
            (1.0, {"l_hip": 0.2595, "r_hip": 0.2595, "l_shoulder": 0.2405, "r_shoulder": 0.2405}),
        ),
        "neck": (
            (1.0, {"l_shoulder": 0.4545, "r_shoulder": 0.4545, "l_hip": 0.039, "r_hip": 0.039, "l_ear": 0.121,
                "r_ear": 0.121, "nose": -0.229}),
            (0.95, {"l_shoulder": 0.4675, "r_shoulder": 0.4675, "l_hip": 0.0325, "r_hip": 0.0325}),
            (0.9, {"l_shoulder": 0.585, "r_shoulder": 0.585, "l_ear": -0.085, "r_ear": -0.085}),
            (0.8, {"l_shoulder": 0.5, "r_shoulder": 0.5}),
        ),
        "head": (
            (1.0, {"l_ear": 0.5905, "r_ear": 0.5905, "nose": -0.356, "l_shoulder": 0.0875,
                "r_shoulder": 0.0875}),
            (0.9, {"l_ear": 0.4175, "r_ear": 0.4175, "l_shoulder": 0.0825, "r_shoulder": 0.0825}),
            (0.8, {"nose": -0.767, "l_eye": 0.64, "r_eye": 0.64, "l_shoulder": 0.2435, "r_shoulder": 0.2435}),
            (0.8, {"l_ear": 0.6715, "r_ear": 0.6715, "nose": -0.343}),
            (0.7, {"l_ear": 0.5, "r_ear": 0.5}),
            (0.5, {"l_shoulder": 0.669, "r_shoulder": 0.669, "l_hip": -0.169, "r_hip": -0.169}),
        ),
        "l_ankle": (
            (1.0, {"l_ankle": 1.046, "l_knee": -0.046}),
            (1.0, {"l_ankle": 1.0}),
        ),
        "head_top": (
            (1.0, {"l_ear": 0.7995, "r_ear": 0.7995, "nose": -0.295, "l_shoulder": -0.152,
                "r_shoulder": -0.152}),
            (0.9, {"l_ear": 0.656, "r_ear": 0.656, "l_shoulder": -0.156, "r_shoulder": -0.156}),
            (0.7, {"nose": -1.011, "l_eye": 0.9465, "r_eye": 0.9465, "l_shoulder": 0.059, "r_shoulder": 0.059}),
            (0.7, {"l_ear": 0.659, "r_ear": 0.659, "nose": -0.318}),
            (0.4, {"l_shoulder": 0.7615, "r_shoulder": 0.7615, "l_hip": -0.2615, "r_hip": -0.2615}),
        ),
        "l_shoulder": ((1.0, {"l_shoulder": 1.0}),),
        "l_elbow": ((1.0, {"l_elbow": 1.0}),),
        "l_wrist": ((1.0, {"l_wrist": 1.0}),),
        "l_knee": ((1.0, {"l_knee": 1.0}),),
    },
}  # fmt: skip
