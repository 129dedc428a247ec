"""Draws feet of a retargeted motion without and with the foot lock, from the side, with the floor as a line.

    python benchmarks/blender_feet.py walk.bvh --bodies Mixamo --modes NEVER AUTO --save skins    (in an environment with bpy)
    python tools/draw_feet.py skins/walk-Mixamo-never.npz skins/walk-Mixamo-auto.npz docs/images/blender-feet.png

Shown are the frames in which the first motion goes deepest into the floor, each at least a third of a second from the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE, _SCALE, _FLOOR = 300, 330.0, 270  # px of a picture; px a metre; px from the top to the floor
_APART = 10  # frames
_TOP = 0.45  # m above the floor, from which on nothing is drawn


def faces_of(flat: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Faces from the number of corners of each and these, one after another."""
    found, at = [], 0
    while at < len(flat):
        found.append(flat[at + 1 : at + 1 + flat[at]])
        at += 1 + int(flat[at])
    return found


def picture(
    points: NDArray[np.float64], faces: list[NDArray[np.int64]], middle: NDArray[np.float64], along: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """One frame from the side. middle: (3,) what is in the middle. along: (2,) the direction over the ground to the right."""
    image = np.full((_SIZE, _SIZE, 3), 255, dtype=np.uint8)
    right = (points[:, :2] - middle[:2]) @ along
    depth = (points[:, :2] - middle[:2]) @ np.array([along[1], -along[0]])
    pixels = np.stack([_SIZE / 2 + _SCALE * right, _FLOOR - _SCALE * points[:, 2]], axis=1)
    for face in sorted(faces, key=lambda one: -float(depth[one].mean())):
        if points[face, 2].min() < _TOP:
            near = depth[face].mean() < 0
            corners = np.round(pixels[face]).astype(np.int32)
            cv2.fillPoly(image, [corners], (205, 160, 110) if near else (225, 205, 180), cv2.LINE_AA)
            cv2.polylines(image, [corners], True, (120, 80, 40) if near else (175, 145, 115), 1, cv2.LINE_AA)
    below = image[_FLOOR + 2 :]
    ink = (below != 255).any(axis=2)
    below[ink] = (70, 70, 230)
    cv2.line(image, (0, _FLOOR), (_SIZE, _FLOOR), (60, 60, 60), 1)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    motions = []
    for path in (options.before, options.after):
        with np.load(path) as data:
            motions.append((data["vertices"].astype(float), faces_of(data["faces"])))
    lowest = motions[0][0][..., 2].min(axis=1)
    frames: list[int] = []
    for frame in np.argsort(lowest):
        if all(abs(int(frame) - other) >= _APART for other in frames):
            frames.append(int(frame))
        if len(frames) == 4:
            break
    rows = []
    for (vertices, faces), text in zip(motions, ("foot lock off", "foot lock Auto")):
        cells = []
        for frame in sorted(frames):
            feet = motions[0][0][frame][motions[0][0][frame][:, 2] < 0.1]
            spread = feet[:, :2] - feet[:, :2].mean(axis=0)
            along = np.linalg.svd(spread, full_matrices=False)[2][0]
            cells.append(picture(vertices[frame], faces, feet.mean(axis=0), along))
        row = np.concatenate(cells, axis=1)
        cv2.putText(row, text, (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
        rows.append(row)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out), np.concatenate(rows, axis=0))


if __name__ == "__main__":
    main()
