"""A dressed figure around the bones of a Motion: a mesh of tubes, skinned to the joints, in the colours of clothes.

Every bone gets a tube with rounded ends and an elliptical cross-section. Its width is a table for the parts of the body, scaled by
the figure's height; bones that are not in the table, such as fingers, get a thin tube. Near a joint, vertices follow both bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpose_core.data import Array, Motion
from stpose_core.rigs import recognised

#: Linear RGB of each material; clothes change from person to person.
SKIN, HAIR, SHOES = (0.55, 0.30, 0.20), (0.05, 0.03, 0.02), (0.04, 0.04, 0.05)
SHIRTS = ((0.10, 0.28, 0.52), (0.55, 0.12, 0.10), (0.12, 0.42, 0.20), (0.60, 0.42, 0.08), (0.35, 0.15, 0.45))
TROUSERS = ((0.06, 0.08, 0.14), (0.20, 0.16, 0.11), (0.12, 0.12, 0.13), (0.05, 0.12, 0.18), (0.16, 0.06, 0.06))

_AROUND = 12  # vertices of a ring
_BLEND = 0.25  # of a bone's length, in which vertices follow the neighbouring bone too
_CHIN = 0.7  # of the length from the joint of the head, which lies at the height of the nose, to its top
_STATURE = 1.75  # metres, of the body that the table is for

# (joint, child) -> material, then half widths in metres (to the side, to the front) at even steps from the joint to the child.
# A side's name is left out.
_Table = dict[tuple[str, str], tuple[str, list[tuple[float, float]]]]
_TUBES: _Table = {
    ("Hips", "Spine"): ("trousers", [(0.160, 0.110), (0.150, 0.105)]),
    ("Spine", "Chest"): ("shirt", [(0.150, 0.105), (0.150, 0.110)]),
    ("Chest", "UpperChest"): ("shirt", [(0.150, 0.110), (0.165, 0.112)]),
    ("UpperChest", "Neck"): ("shirt", [(0.168, 0.110), (0.150, 0.090), (0.070, 0.060)]),
    ("Neck", "Head"): ("skin", [(0.055, 0.058), (0.055, 0.058)]),
    ("Head", "HeadEnd"): ("skin", [(0.046, 0.060), (0.064, 0.084), (0.074, 0.094), (0.076, 0.094), (0.060, 0.075)]),
    ("Shoulder", "Arm"): ("shirt", [(0.046, 0.050), (0.056, 0.056)]),
    ("Arm", "ForeArm"): ("shirt", [(0.056, 0.056), (0.046, 0.046)]),
    ("ForeArm", "Hand"): ("skin", [(0.040, 0.040), (0.026, 0.030)]),
    ("Hand", "HandEnd"): ("skin", [(0.017, 0.034), (0.016, 0.042), (0.010, 0.030)]),
    ("Hips", "UpLeg"): ("trousers", [(0.095, 0.105), (0.090, 0.098)]),
    ("UpLeg", "Leg"): ("trousers", [(0.088, 0.095), (0.062, 0.066)]),
    ("Leg", "Foot"): ("trousers", [(0.062, 0.066), (0.058, 0.064), (0.044, 0.048)]),
    ("Foot", "ToeBase"): ("shoes", [(0.038, 0.042), (0.046, 0.032)]),
    ("ToeBase", "ToeEnd"): ("shoes", [(0.046, 0.028), (0.034, 0.018)]),
}


@dataclass(frozen=True)
class Part:
    """Triangles of one material, at rest, with the root's joint at the origin.

    positions, normals: (N, 3) metres, y up. joints: (N, 2) indices into Motion.names, and weights: (N, 2), which add up to 1.
    triangles: (M, 3) indices of vertices, counter-clockwise from outside. colour: linear RGB.
    """

    material: str
    colour: tuple[float, float, float]
    positions: Array
    normals: Array
    joints: NDArray[np.int64]
    weights: Array
    triangles: NDArray[np.int64]


def rest_positions(motion: Motion) -> Array:
    """(J, 3) joints in metres at rest, with the root at the origin."""
    places = np.zeros((len(motion.names), 3))
    for joint in range(1, len(places)):
        places[joint] = places[motion.parents[joint]] + motion.offsets[joint]
    return places


def dress(motion: Motion, person: int = 0) -> list[Part]:
    """The figure of a motion: one part a material. person: from 0, chooses the colours of the clothes."""
    motion = recognised(motion)
    places = rest_positions(motion)
    scale = float(np.ptp(places[:, 1])) / _STATURE if len(places) > 1 else 1.0
    tubes: dict[str, list[tuple[Array, Array, NDArray[np.int64], Array, NDArray[np.int64]]]] = {}
    for child in range(1, len(places)):
        joint = int(motion.parents[child])
        length = float(np.linalg.norm(motion.offsets[child]))
        if length < 1e-6:
            continue
        material, radii = _tube_of(motion.names[joint], motion.names[child], length, scale)
        head = (_part(motion.names[joint]), _part(motion.names[child])) == ("Head", "HeadEnd")
        start = places[joint] - _CHIN * motion.offsets[child] if head else places[joint]
        along, rings, normals = _tube(start, places[child], radii)
        joints, weights = _weights(motion, joint, child, along)
        tubes.setdefault(material, []).append((rings, normals, joints, weights, _triangles(len(along))))
        if head:
            tubes.setdefault("hair", []).append(_hair(start, places[child], radii, joint))
    colours = {
        "skin": SKIN, "hair": HAIR, "shoes": SHOES,
        "shirt": SHIRTS[person % len(SHIRTS)], "trousers": TROUSERS[person % len(TROUSERS)],
    }  # fmt: skip
    return [_joined(material, colours[material], found) for material, found in tubes.items()]


def _part(name: str) -> str:
    return name.removeprefix("Left").removeprefix("Right")


def _tube_of(joint: str, child: str, length: float, scale: float) -> tuple[str, Array]:
    """Material and half widths (K, 2) in metres of a bone."""
    found = _TUBES.get((_part(joint), _part(child)))
    if found is not None:
        return found[0], np.array(found[1]) * scale
    width = float(np.clip(0.2 * length, 0.006 * scale, 0.05 * scale))
    return "skin", np.full((2, 2), width)


def _tube(start: Array, end: Array, radii: Array) -> tuple[Array, Array, Array]:
    """(R,) place of each ring along the bone, 0 to 1, and (R * _AROUND, 3) vertices and their normals. radii: (K, 2)."""
    direction, length = end - start, float(np.linalg.norm(end - start))
    direction = direction / length
    ahead = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.7 else np.array([0.0, 1.0, 0.0])
    side = np.cross(ahead, direction)
    side /= np.linalg.norm(side)
    front = np.cross(direction, side)
    steps = np.linspace(0, 1, max(6, 2 * len(radii)))
    widths = np.stack([np.interp(steps, np.linspace(0, 1, len(radii)), radii[:, axis]) for axis in (0, 1)], axis=-1)
    # Round ends: rings that shrink beyond the joints.
    bulge = np.sin(np.radians([85.0, 60.0, 30.0]))
    shrink = np.cos(np.radians([85.0, 60.0, 30.0]))
    first, last = radii[0].min() / length, radii[-1].min() / length
    along = np.concatenate([-first * bulge, steps, 1 + last * bulge[::-1]])
    widths = np.concatenate([shrink[:, None] * widths[:1], widths, shrink[::-1, None] * widths[-1:]])
    angles = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    ring = widths[:, None] * circle
    vertices = start + along[:, None, None] * length * direction + ring[..., :1] * side + ring[..., 1:] * front
    outward = (circle * widths[:, None, ::-1])[..., :1] * side + (circle * widths[:, None, ::-1])[..., 1:] * front
    outward = outward / np.linalg.norm(outward, axis=-1, keepdims=True)
    tilt = np.clip(np.gradient(widths.mean(axis=1), along * length), -20.0, 20.0)[:, None, None]
    normals = outward - tilt * direction
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return along, vertices.reshape(-1, 3), normals.reshape(-1, 3)


def _triangles(rings: int) -> NDArray[np.int64]:
    """The sides of a tube, and a lid on each end."""
    at = np.arange(_AROUND)
    after = (at + 1) % _AROUND
    sides = []
    for ring in range(rings - 1):
        low, high = ring * _AROUND, (ring + 1) * _AROUND
        sides += [np.stack([low + at, low + after, high + at], -1), np.stack([low + after, high + after, high + at], -1)]
    fan = np.arange(1, _AROUND - 1)
    top = (rings - 1) * _AROUND
    lids = [np.stack([0 * fan, fan + 1, fan], -1), np.stack([0 * fan + top, fan + top, fan + 1 + top], -1)]
    return np.concatenate([*sides, *lids])


def _weights(motion: Motion, joint: int, child: int, along: Array) -> tuple[NDArray[np.int64], Array]:
    """Joints (N, 2) and weights (N, 2) of a bone's vertices: its joint, and near its ends the parent or the child."""
    parent = int(motion.parents[joint])
    inner = bool((motion.parents == child).any())
    to_parent = np.clip(0.5 - 0.5 * along / _BLEND, 0.0, 0.5) if parent >= 0 else np.zeros(len(along))
    to_child = np.clip(0.5 - 0.5 * (1 - along) / _BLEND, 0.0, 0.5) if inner else np.zeros(len(along))
    other = np.where(to_parent > 0, parent, np.where(to_child > 0, child, joint))
    share = np.maximum(to_parent, to_child)
    joints = np.stack([np.full(len(along), joint), other], axis=-1)
    return np.repeat(joints, _AROUND, axis=0), np.repeat(np.stack([1 - share, share], axis=-1), _AROUND, axis=0)


def _hair(start: Array, end: Array, radii: Array, joint: int) -> tuple[Array, Array, NDArray[np.int64], Array, NDArray[np.int64]]:
    """A cap on the upper back of the head."""
    length = float(np.linalg.norm(end - start))
    back = -np.array([0.0, 0.0, 1.0]) * 0.16 * radii[:, 1].max()
    along, rings, normals = _tube(start + 0.55 * (end - start) + back, end + back, radii[len(radii) // 2 :] * 1.05)
    joints = np.full((len(rings), 2), joint)
    weights = np.tile([1.0, 0.0], (len(rings), 1))
    # A little higher than the head, so that it covers it.
    return rings + (end - start) / length * 0.004, normals, joints, weights, _triangles(len(along))


def _joined(
    material: str,
    colour: tuple[float, float, float],
    tubes: list[tuple[Array, Array, NDArray[np.int64], Array, NDArray[np.int64]]],
) -> Part:
    starts = np.cumsum([0, *(len(tube[0]) for tube in tubes)])
    positions, normals, joints, weights = (np.concatenate([tube[index] for tube in tubes]) for index in range(4))
    triangles = np.concatenate([tube[4] + start for tube, start in zip(tubes, starts)])
    # Where two bones are the same joint, one entry counts.
    joints = np.where(weights == 0, 0, joints)
    return Part(material, colour, positions, normals, joints, weights, triangles)
