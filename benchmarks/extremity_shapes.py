"""The shapes of face, palm and foot as MediaPipe's body network shows them: `stpose_core.lift.shapes` holds what this prints.

    python benchmarks/extremity_films.py --kit CACHE/kit.npz --mocap MOCAP --set calibration -o FILMS
    python benchmarks/extremity_shapes.py --films FILMS

In films whose heads, hands and feet are known, each place in the picture gives two linear equations for the place of the joint in
the axes of head, hand or foot. Prints the solution in metres, right sides mirrored to the left, and the error that remains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import stpose_core as sp
from stpose_core.animate.frames import frame as frame_of
from stpose_core.data import Array
from stpose_core.lift.shapes import FACE_OUT
from stpose_core.skeletons import BLAZEPOSE33, FACE5, FOOT3, PALM4

_TRUSTED = 0.5  # score from which on a joint counts
_MIRROR = np.array([-1.0, 1.0, 1.0])
Floats = NDArray[np.floating]


def hand_frames(hands: Floats, backs: Floats, right: bool) -> Array:
    """(T, 3, 3) of hands (T, 21, 3): x along the fingers of a left hand and against those of a right one, y out of the back."""
    along = np.asarray(hands[:, 9] - hands[:, 0], float)
    return frame_of(-along if right else along, np.asarray(backs, float), keep="x")


def foot_frames(feet: Floats, right: bool) -> Array:
    """(T, 3, 3) of heel, big and small toe (T, 3, 3): z from the heel to the toes, y out of the top."""
    ahead = feet[:, 1:].mean(axis=1) - feet[:, 0]
    left = (feet[:, 2] - feet[:, 1]) * (-1.0 if right else 1.0)
    up = np.cross(ahead, left)
    return frame_of(np.cross(up, ahead), up, keep="y")


def solve(rays: Array, trust: Array, turns: Array, origin: Array, mirror: Array) -> tuple[Array, Array]:
    """The points (J, 3) of a shape seen at rays (N, J, 2) and the RMS error of each, in metres at the shape."""
    shape, left_over = np.full((rays.shape[1], 3), np.nan), np.full(rays.shape[1], np.nan)
    for joint in range(rays.shape[1]):
        rows = trust[:, joint] > _TRUSTED
        axes = turns[rows] * mirror[rows, None]
        ray, place = rays[rows, joint], origin[rows]
        matrix = (axes[:, :2] - ray[..., None] * axes[:, 2:]).reshape(-1, 3)
        right = (ray * place[:, 2:] - place[:, :2]).reshape(-1)
        for _ in range(3):
            off = np.abs(right - matrix @ np.nan_to_num(shape[joint]))
            weight = 1 / np.maximum(1, off / 0.02) if np.isfinite(shape[joint]).all() else np.ones(len(right))
            shape[joint] = np.linalg.lstsq(matrix * weight[:, None], right * weight, rcond=None)[0]
        left_over[joint] = np.sqrt(np.median((right - matrix @ shape[joint]) ** 2))
    return shape, left_over


def main() -> None:
    """Print the shapes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, required=True)
    options = parser.parse_args()
    detector = sp.load_detector("mediapipe")
    rows: dict[str, list[tuple[Array, Array, Array, Array, Array]]] = {"face": [], "palm": [], "foot": []}
    for path in sorted(options.films.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            film = {name: data[name].astype(float) for name in data.files}
        points = sp.capture(path.with_suffix(".mp4"), detector=detector, camera="static").keypoints
        count = min(len(points), len(film["head"]))
        rays, score = (points.xy[:count] - film["centre"]) / film["focal"], points.score[:count]
        plain = np.ones((count, 3))
        ears = film["face"][:count, 3:].mean(axis=1)
        chosen = BLAZEPOSE33.index(*FACE5.joints)
        # What is on the far side of the head is a guess.
        facing = -np.einsum("tij,kj,ti->tk", film["head"][:count], FACE_OUT, ears / np.linalg.norm(ears, axis=1, keepdims=True))
        rows["face"].append((rays[:, chosen], score[:, chosen] * (facing > 0), film["head"][:count], ears, plain))
        for number, side in enumerate("lr"):
            mirror = plain if side == "l" else plain * _MIRROR
            hands, feet = film["hands"][:count, number], film["feet"][:count, number]
            chosen = BLAZEPOSE33.index(*(f"{side}_{name}" for name in PALM4.joints))
            there = score[:, chosen] * (film["seen"][:count, number].mean(axis=1) > 0.5)[:, None]
            turns = hand_frames(hands, film["backs"][:count, number], side == "r")
            rows["palm"].append((rays[:, chosen], there, turns, hands[:, 0], mirror))
            chosen = BLAZEPOSE33.index(*(f"{side}_{name}" for name in FOOT3.joints))
            rows["foot"].append((rays[:, chosen], score[:, chosen], foot_frames(feet, side == "r"), feet[:, 0], mirror))
    for name, skeleton in (("face", FACE5), ("palm", PALM4), ("foot", FOOT3)):
        shape, left_over = solve(*(np.concatenate(values) for values in zip(*rows[name])))
        print(name)
        for joint, place, off in zip(skeleton.joints, shape, left_over):
            print(f"  {joint}: {np.round(place, 3).tolist()}, {1000 * off:.0f} mm")


if __name__ == "__main__":
    main()
