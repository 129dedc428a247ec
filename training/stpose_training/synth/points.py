"""Joints of the body: Human3.6M-17 as the marker mocap places them, and the keypoints of 2D detectors.

Mocap joints differ from those of the body's rig: the hips are closer together, the joint "head top" lies below the crown.
The numbers below place them at the mocap's mean positions, in units of leg length (hip to ankle, 0.834 m there):
hips 0.214 apart, pelvis to neck 0.532, spine halfway and 0.02 to 0.04 behind that line, neck to head 0.233, head to head top 0.120,
shoulders 0.08 above the neck: closer to annotated shoulders than to the rig's joint, 0.014 above.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpose_core.skeletons import H36M17, get_skeleton
from stpose_training.synth.body import Body, Posed

# Human3.6M joint: the rig's bones, points of the surface, and landmarks that it is computed from.
_H36M: dict[str, dict[str, float]] = {
    "pelvis": {"upperleg01.L": 0.5, "upperleg01.R": 0.5},
    "l_hip": {"upperleg01.L": 0.92, "upperleg01.R": 0.08},
    "l_knee": {"lowerleg01.L": 1.0},
    "l_ankle": {"foot.L": 1.0},
    "spine": {"spine03": 0.17, "spine02": 0.50, "back": 0.33},
    "neck": {"spine01": 0.59, "neck01": 0.41},
    "head": {"neck03": 0.55, "nape": 0.45},
    "head_top": {"nape": 0.43, "crown": 0.57},
    "l_shoulder": {"left_shoulder": 1.0},
    "l_elbow": {"lowerarm01.L": 1.0},
    "l_wrist": {"wrist.L": 1.0},
}

# Points of the surface, and the bone at whose height they lie.
_SURFACE = {"crown": "head", "back": "spine02", "nape": "head"}

# Keypoints that are the same in all detectors' skeletons: the body's regressors of COCO's keypoints where it has them, except that
# elbows, wrists and knees are the rig's joints, where BlazePose detects them on rendered bodies, within 1 to 2 cm.
_MARKS = ("eye", "ear", "shoulder", "hip", "ankle", "big_toe", "small_toe", "heel")
_JOINTS = {"elbow": "lowerarm01", "wrist": "wrist", "knee": "lowerleg01"}
_MIDDLES = {"neck": "shoulder", "pelvis": "hip"}


def h36m17_points(body: Body, posed: Posed) -> Tensor:
    """The Human3.6M-17 joints (B, 17, 3) of posed bodies, metres, in the axes of the bodies."""
    surface = [posed.vertices[:, _surface(body, name)].mean(1, keepdim=True) for name in _SURFACE]
    return _h36m_weights(body).to(posed.heads) @ torch.cat([posed.heads, *surface, body.landmarks @ posed.vertices], dim=1)


def h36m17_sources(body: Body) -> tuple[Tensor, Tensor]:
    """`h36m17_points` as matrices, for bodies with fewer vertices: rows (P, V) that give points of the surface from the
    vertices, and weights (17, K + P) that give the joints from the heads of the bones and those points."""
    rows = torch.zeros(len(_SURFACE), body.template.shape[0])
    for row, name in zip(rows, _SURFACE):
        vertices = _surface(body, name)
        row[vertices] = 1 / len(vertices)
    return torch.cat([rows, body.landmarks.cpu()]), _h36m_weights(body)


def detector_points(body: Body, posed: Posed, skeleton: str) -> Tensor:
    """The joints (B, J, 3) of a detector's skeleton; NaN for joints without a landmark on the body."""
    marks = body.landmarks @ posed.vertices
    out = marks.new_full((len(marks), len(get_skeleton(skeleton).joints), 3), torch.nan)
    for index, name in enumerate(get_skeleton(skeleton).joints):
        side, _, part = name.partition("_")
        full = {"l": "left_", "r": "right_"}.get(side, "")
        if name == "nose":
            out[:, index] = marks[:, body.marks.index("nose")]
        elif name in _MIDDLES:
            pair = [body.marks.index(f"{s}_{_MIDDLES[name]}") for s in ("left", "right")]
            out[:, index] = marks[:, pair].mean(1)
        elif name == "head_top":
            out[:, index] = posed.vertices[:, _surface(body, "crown")].mean(1)
        elif full and part in _JOINTS:
            out[:, index] = posed.heads[:, body.bone(f"{_JOINTS[part]}.{side.upper()}")]
        elif full and part in _MARKS:
            out[:, index] = marks[:, body.marks.index(full + part)]
    return out


def _h36m_weights(body: Body) -> Tensor:
    sources = [*body.bones, *_SURFACE, *body.marks]
    rows = torch.zeros(len(H36M17.joints), len(sources))
    for index, joint in enumerate(H36M17.joints):
        right = joint.startswith("r_")
        for name, weight in _H36M["l_" + joint[2:] if right else joint].items():
            if right:
                name = name.replace("left_", "right_")
                name = name[:-2] + {".L": ".R", ".R": ".L"}.get(name[-2:], name[-2:])
            rows[index, sources.index(name)] = weight
    return rows


def _surface(body: Body, name: str) -> Tensor:
    """Indices of the template's vertices at the crown, or at the back (the nape) at the height of a bone."""
    if name == "crown":
        return body.template[:, 2].topk(20).indices
    height = body.template_heads[body.bone(_SURFACE[name]), 2]
    near = (body.template[:, 0].abs() < 0.02) & ((body.template[:, 2] - height).abs() < 0.02)
    rows = torch.where(near)[0]
    return rows[body.template[rows, 1].topk(6).indices]
