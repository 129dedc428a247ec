"""A captured motion as a solid figure: a rounded solid on each bone, carried by the joint's rotation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from stpose_training.synth.film import lamp_light
from stpose_training.synth.raster import vertex_normals
from stpose_training.synth.scene import Background, Light, View, floor_shadow
from stpose_training.synth.zbuffer import draw
from torch import Tensor

import stpose_core as sp

BODY, JOINTS = (0.95, 0.36, 0.08), (0.10, 0.11, 0.13)  # linear RGB

# The solid from a joint to its child: radius at the joint and at the child, and how much wider than deep; metres.
_SOLIDS: dict[tuple[str, str], tuple[float, float, float]] = {
    ("Hips", "Spine"): (0.085, 0.085, 1.55),
    ("Spine", "Chest"): (0.085, 0.095, 1.45),
    ("Chest", "UpperChest"): (0.095, 0.105, 1.45),
    ("UpperChest", "Neck"): (0.105, 0.065, 1.45),
    ("Neck", "Head"): (0.045, 0.045, 1.0),
    ("Head", "HeadEnd"): (0.080, 0.092, 0.92),
    ("UpLeg", "Leg"): (0.080, 0.055, 1.0),
    ("Leg", "Foot"): (0.055, 0.036, 1.0),
    ("Foot", "ToeBase"): (0.038, 0.036, 1.1),
    ("ToeBase", "ToeEnd"): (0.034, 0.024, 1.4),
    ("Shoulder", "Arm"): (0.055, 0.055, 1.0),
    ("Arm", "ForeArm"): (0.052, 0.040, 1.0),
    ("ForeArm", "Hand"): (0.040, 0.028, 1.0),
    ("Hand", "HandEnd"): (0.036, 0.026, 1.4),
}
for _finger in ("Thumb", "Index", "Middle", "Ring", "Pinky"):
    _SOLIDS["Hand", f"Hand{_finger}1"] = (0.013, 0.011, 1.2)
    for _number, _next in ((1, "2"), (2, "3"), (3, "3End")):
        _SOLIDS[f"Hand{_finger}{_number}", f"Hand{_finger}{_next}"] = (0.0095, 0.008, 1.0)
_BALLS = {"UpLeg": 0.084, "Leg": 0.060, "Foot": 0.044, "Arm": 0.060, "ForeArm": 0.046, "Hand": 0.034}
_AROUND, _RINGS = 20, 12

Floats = NDArray[np.float64]


class Mannequin:
    """The figure of one motion. picture() draws a frame. World axes: z up, the camera looks towards +y."""

    def __init__(self, motion: sp.Motion) -> None:
        frames, joints = len(motion), len(motion.names)
        self.turns = np.empty((frames, joints, 3, 3))
        self.places = np.empty((frames, joints, 3))
        for joint, parent in enumerate(motion.parents):
            local = Rotation.from_quat(motion.rotations[:, joint], scalar_first=True).as_matrix()
            if parent < 0:
                self.turns[:, joint], self.places[:, joint] = local, motion.root + motion.offsets[joint]
            else:
                self.turns[:, joint] = self.turns[:, parent] @ local
                self.places[:, joint] = self.places[:, parent] + self.turns[:, parent] @ motion.offsets[joint]
        middle = (self.places[:, 0].min(0) + self.places[:, 0].max(0)) / 2
        self.places -= middle * [1, 0, 1]
        vertices: list[Floats] = []
        faces: list[NDArray[np.int64]] = []
        carriers: list[int] = []
        colours: list[tuple[float, float, float]] = []
        for joint, name in enumerate(motion.names):
            side = next((side for side in ("Left", "Right") if name.startswith(side)), "")
            own = name.removeprefix(side)
            parts = [(_ball(_BALLS[own]), JOINTS)] if own in _BALLS else []
            for child, parent in enumerate(motion.parents):
                solid = _SOLIDS.get((own, motion.names[child].removeprefix(side)))
                if parent == joint and solid:
                    parts.append((_solid(motion.offsets[child], *solid), BODY))
            for (points, triangles), colour in parts:
                faces.append(triangles + len(carriers))
                vertices.append(points)
                carriers += [joint] * len(points)
                colours += [colour] * len(points)
        self.rest, self.carriers = np.concatenate(vertices), np.array(carriers)
        self.faces = torch.from_numpy(np.concatenate(faces))
        self.colours = torch.tensor(colours)

    def vertices(self, frame: int) -> Tensor:
        """(V, 3) metres, z up, of a frame."""
        turns, places = self.turns[frame, self.carriers], self.places[frame, self.carriers]
        posed = (turns @ self.rest[..., None])[..., 0] + places
        return torch.from_numpy(np.column_stack([posed[:, 0], -posed[:, 2], posed[:, 1]]).astype(np.float32))

    def picture(self, frame: int, view: View, background: Background, light: Light) -> Tensor:
        """(H, W, 3) linear light."""
        width, height = view.size
        vertices = self.vertices(frame)
        inside = view.to_camera(vertices)
        pixels = torch.cat([inside[:, :2] / inside[:, 2:] * view.focal + torch.tensor(view.centre), inside[:, 2:]], 1)
        hits = draw(pixels[self.faces], torch.zeros(len(self.faces), dtype=torch.int64), (1, height, width))
        lit = lamp_light(vertex_normals(vertices[None], self.faces)[0], vertices, light) * self.colours
        shade = floor_shadow(vertices[None], background.floor, light)[0]
        flat = (background.colour * (1 - shade)[..., None]).reshape(-1, 3)
        flat[hits.pixel] = (lit[self.faces[hits.triangle]] * hits.weight[..., None]).sum(1)
        return flat.view(height, width, 3)


def _ball(radius: float) -> tuple[Floats, NDArray[np.int64]]:
    return _solid(np.array([0.0, 1e-6, 0.0]), radius, radius, 1.0)


def _solid(along: Floats, first: float, last: float, wide: float) -> tuple[Floats, NDArray[np.int64]]:
    """A rounded solid about the segment from the origin to `along` (3,): vertices (V, 3) and triangles (F, 3)."""
    length = float(np.linalg.norm(along))
    axis = along / length
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.7 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    ahead = np.cross(side, axis)
    angles = np.linspace(-np.pi / 2, np.pi / 2, _RINGS)
    # Half of the rings round off the start, half the end.
    radii = np.where(angles < 0, first, last) * np.cos(angles)
    heights = np.where(angles < 0, first * np.sin(angles), length + last * np.sin(angles))
    around = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    ring = wide * np.cos(around)[:, None] * side + np.sin(around)[:, None] * ahead
    points = (heights[:, None, None] * axis + radii[:, None, None] * ring).reshape(-1, 3)
    rows, columns = np.meshgrid(np.arange(_RINGS - 1), np.arange(_AROUND), indexing="ij")
    a, b = rows * _AROUND + columns, rows * _AROUND + (columns + 1) % _AROUND
    quads = np.stack([a, a + _AROUND, b, b, a + _AROUND, b + _AROUND], -1).reshape(-1, 3)
    return points, quads
