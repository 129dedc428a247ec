"""Curves of a face by name: ARKit's 52 blend shapes, and which of a character's shapes follow which curve.

Source of the names: Apple, ARKit, ARFaceAnchor.BlendShapeLocation. Left and right are the person's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from .rotation import Array

ARKIT = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft",
    "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip
FADE = 0.2
"""Seconds in which a face that is no longer seen goes to rest, in what cannot hold unknown values."""


def matched(shapes: Iterable[str], curves: Iterable[str]) -> dict[str, str]:
    """For each shape of a mesh that follows a curve, the name of the curve.

    Case, dots, spaces and underscores do not count, "L" and "R" at the end stand for Left and Right, and what stands before the
    last dot or colon may be left out: eyeBlink_L, EYE_BLINK_LEFT and blendShape1.eyeBlinkLeft follow eyeBlinkLeft.
    """
    known = {}
    for curve in curves:
        plain = _plain(curve)
        known[plain] = curve
        for side in ("left", "right"):
            if plain.endswith(side):
                known[plain.removesuffix(side) + side[0]] = curve
    found = {}
    for shape in shapes:
        for name in (_plain(shape), _plain(re.split(r"[.:]", shape)[-1])):
            if name in known:
                found[shape] = known[name]
                break
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def without_gaps(curves: Mapping[str, Array], fps: float) -> dict[str, Array]:
    """The curves (T,) with numbers in all frames: where the face is not seen they go to rest, 0, and come back from it."""
    filled = {}
    for name, values in curves.items():
        seen = np.flatnonzero(np.isfinite(values))
        if not len(seen):
            filled[name] = np.zeros(len(values))
            continue
        at = np.arange(len(values))
        after = np.minimum(np.searchsorted(seen, at), len(seen) - 1)
        before = np.maximum(after - (seen[after] > at), 0)
        nearest = np.where(np.abs(seen[before] - at) <= np.abs(seen[after] - at), seen[before], seen[after])
        filled[name] = values[nearest] * np.clip(1 - np.abs(nearest - at) / (FADE * fps), 0.0, 1.0)
    return filled
