"""The solid figure of the demo follows the motion; the list of fields in the API reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moving_body import body, still

from stpose_core.animate import forward_kinematics

torch.set_num_threads(1)


def test_each_solid_lies_around_its_bone_in_every_frame() -> None:
    from mannequin import Mannequin

    bend = np.linspace(0, 1.5, 4)[:, None]
    turns = {"LeftArm": bend * [0.0, -1.0, 0.0], "LeftForeArm": bend * [0.0, -1.0, 0.0], "RightUpLeg": bend * [-1.0, 0.0, 0.0]}
    motion = body(turns, np.tile([0.3, 0.9, 0.0], (4, 1)), 30.0)
    figure = Mannequin(motion)
    joints = forward_kinematics(motion) - [0.3, 0.0, 0.0]
    for frame in (0, 3):
        vertices = figure.vertices(frame).numpy()
        for name, end in (("LeftForeArm", "LeftHand"), ("RightLeg", "RightFoot"), ("Head", "HeadEnd")):
            own = vertices[figure.carriers == motion.names.index(name)]
            middle = (joints[frame, motion.names.index(name)] + joints[frame, motion.names.index(end)]) / 2
            # World axes of the renderer: z up, the camera looks towards +y.
            assert np.abs((own.min(0) + own.max(0)) / 2 - [middle[0], -middle[2], middle[1]]).max() < 0.08


def test_surfaces_face_outwards() -> None:
    from mannequin import Mannequin
    from stpose_training.synth.raster import vertex_normals

    figure = Mannequin(still(2))
    vertices = figure.vertices(0)
    normals = vertex_normals(vertices[None], figure.faces)[0]
    for joint in np.unique(figure.carriers):
        own = torch.from_numpy(figure.carriers == joint)
        assert float(((vertices[own] - vertices[own].mean(0)) * normals[own]).sum(-1).mean()) > 0


def test_fields_of_a_docstring_become_a_list() -> None:
    pytest.importorskip("griffe", reason="the extra docs")
    from api_docstrings import as_list

    text = "Capture.\n\nsmooth: 0 to 1. fps: frame rate;\nof the video.\nstart, end: seconds.\nRaises StposeError: always."
    fields = "- `smooth`: 0 to 1.\n- `fps`: frame rate;\nof the video.\n- `start, end`: seconds."
    assert as_list(text) == f"Capture.\n\n{fields}\n\nRaises StposeError: always."
    assert as_list("One line: nothing.") == "One line: nothing."
