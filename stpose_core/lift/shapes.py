"""What face, palm and foot look like: points in metres of an adult of 1.70 m, in the axes of the part at rest.

x to the body's left, y up, z forward, in the T-pose with the palms down; of the left side, right ones are mirrored. The points of
face, palm and foot are where MediaPipe's body network sees them (`benchmarks/extremity_shapes.py` prints them); the relaxed hand is
that of the body model of the rendered people.
"""

from __future__ import annotations

import numpy as np

from stpose_core.data import Array, Pose3D

STATURE = 1.70
MIRROR = np.array([-1.0, 1.0, 1.0])
FACE = np.array([[0, -16, 105], [27, 18, 75], [-27, 18, 75], [48, -2, 7], [-48, -2, 7]]) / 1000
# Out of the head at each of these points: what points away from the camera is hidden by the head.
FACE_OUT = np.array([[0.0, 0.0, 1.0], [0.4, 0.0, 0.9], [-0.4, 0.0, 0.9], [0.97, 0.0, -0.2], [-0.97, 0.0, -0.2]])
PALM = np.array([[0.005, -0.006, 0.006], [0.067, -0.015, 0.021], [0.085, -0.014, 0.007], [0.071, -0.014, -0.022]])
FOOT = np.array([[-0.013, 0.063, 0.041], [0.011, -0.019, -0.018], [-0.041, 0.013, 0.256]])
# A relaxed, nearly straight hand ("hand21") of an adult, from the wrist.
HAND = np.array(
    [
        [0, 0, 0], [0.039, -0.005, 0.025], [0.051, -0.026, 0.045], [0.078, -0.044, 0.065], [0.102, -0.059, 0.074],
        [0.107, -0.005, 0.027], [0.132, -0.011, 0.031], [0.154, -0.022, 0.032], [0.177, -0.037, 0.035],
        [0.106, 0.0, 0.0], [0.139, -0.011, -0.005], [0.165, -0.023, -0.006], [0.189, -0.034, -0.009],
        [0.100, 0.001, -0.020], [0.128, -0.007, -0.030], [0.151, -0.019, -0.035], [0.176, -0.030, -0.043],
        [0.091, -0.004, -0.039], [0.109, -0.012, -0.048], [0.122, -0.020, -0.054], [0.139, -0.030, -0.061],
    ]
)  # fmt: skip
# The palm of a hand as MediaPipe's hand network lifts it.
PALM_OF_21 = np.array([[0, 0, 0], [0.077, 0.001, 0.018], [0.076, 0.001, 0.004], [0.072, 0, -0.006], [0.06, -0.004, -0.016]])
RIGID = [0, 5, 9, 13, 17]  # the joints of "hand21" that move with the palm


def shape_of(skeleton: str, right: bool) -> tuple[Array, list[int]]:
    """The rigid points (N, 3) of a part of the body with this skeleton, in its axes at rest, and which of its joints they are."""
    shape = {"face5": FACE, "palm4": PALM, "foot3": FOOT, "hand21": PALM_OF_21}[skeleton]
    used = RIGID if skeleton == "hand21" else list(range(len(shape)))
    return shape * MIRROR if right else shape, used


def shape_turns(part: Pose3D, right: bool) -> Array:
    """(T, 3, 3) how a part is turned against its axes at rest, in camera axes; the identity where it has no pose."""
    shape, used = shape_of(part.skeleton, right)
    return _turns(part.xyz[:, used], shape)


def hand_turns(joints: Array, right: bool) -> Array:
    """(T, 3, 3) how the palms of hands (T, 21, 3) are turned; the identity where a joint is missing."""
    shape, used = shape_of("hand21", right)
    return _turns(joints[:, used], shape)


def _turns(points: Array, shape: Array) -> Array:
    """The rotations (T, 3, 3) that bring a shape (J, 3) nearest to points (T, J, 3) about their middle (Kabsch's solution)."""
    points = np.where(np.isfinite(points).all(axis=(1, 2))[:, None, None], points, shape)
    left, _, other = np.linalg.svd(np.swapaxes(points - points.mean(axis=1, keepdims=True), 1, 2) @ (shape - shape.mean(axis=0)))
    flip = np.ones((len(points), 3))
    flip[:, 2] = np.linalg.det(left @ other)
    return np.asarray((left * flip[:, None]) @ other)
