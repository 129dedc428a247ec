"""What face, palm and foot look like: points in metres of an adult of 1.70 m, in the axes of the part at rest.

x to the body's left, y up, z forward, in the T-pose with the palms down; of the left side, right ones are mirrored. The points of
face, palm and foot are where MediaPipe's body network sees them (`benchmarks/extremity_shapes.py` prints them); the relaxed hand is
that of the body model of the rendered people.
"""

from __future__ import annotations

import numpy as np

from stpose_core.data import Array

STATURE = 1.70
FACE = np.array([[0, -0.022, 0.107], [0.0255, 0.011, 0.0765], [-0.0255, 0.011, 0.0765], [0.051, -0.008, 0.023], [-0.051, -0.008, 0.023]])
PALM = np.array([[0.007, 0.005, 0.0], [0.06, -0.016, 0.02], [0.082, -0.016, 0.011], [0.074, -0.012, -0.013]])
FOOT = np.array([[0.0, 0.06, 0.04], [0.0, 0.0, 0.0], [0.0, 0.0, 0.23]])
PALM_OF_21 = np.zeros((5, 3))
_RIGID = [0, 5, 9, 13, 17]  # the joints of "hand21" that move with the palm


def shape_of(skeleton: str, right: bool) -> tuple[Array, list[int]]:
    """The rigid points (N, 3) of a part of the body with this skeleton, in its axes at rest, and which of its joints they are."""
    shape = {"face5": FACE, "palm4": PALM, "foot3": FOOT, "hand21": PALM_OF_21}[skeleton]
    used = _RIGID if skeleton == "hand21" else list(range(len(shape)))
    return shape * np.array([-1.0, 1.0, 1.0]) if right else shape, used
