"""How well a detector finds the joints of held-out rendered people, as the program uses it, by groups of people.

    python benchmarks/rendered.py --cache CACHE [--detector builtin]

PCK at 0.2 torso of the 12 limb joints of the pictures that `stpose evaluate spatial` measures on. "once": in the person's own
box, as it stands in the picture, as there. "again": in the box that the first look gives, turned as the trunk was found. "turned":
the same, also with the view turned by quarters while the pose is uncertain, as for people in pictures. "searched": the
detector looks for people by itself, the pose nearest to the subject counts, and a person who is not found is missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stpose_training.spatial.measure import LIMBS, NEAR, HeldOut, called, held_out

from stpose_core.data import Keypoints
from stpose_core.detect import load_detector
from stpose_core.detect.types import Box
from stpose_core.skeletons import H36M17, convert
from stpose_core.stills import people_in
from stpose_core.track.person import HELD, verified

SIZE = (192, 256)
Floats = NDArray[np.float64]


def looks(detector: Any, person: HeldOut) -> dict[str, Floats]:
    """Places (12, 2) of LIMBS by how they were looked for."""
    left, top, right, bottom = (float(value) for value in person.box)
    box = Box(left, top, right, bottom)
    first = detector.pose(person.picture, box)
    again = detector.pose(person.picture, first.box)
    turned = verified(detector, person.picture, box, first=first, sure=HELD, turning=True)
    poses = {"once": first, "again": again, "turned": turned or again}
    return {name: _limbs(pose.xy, detector.skeleton, person.picture) for name, pose in poses.items()}


def _limbs(xy: Floats, skeleton: str, picture: NDArray[np.uint8]) -> Floats:
    size = (picture.shape[1], picture.shape[0])
    joints = convert(Keypoints(xy[None], np.ones((1, len(xy))), 1.0, size, skeleton), H36M17.name)
    return np.asarray(joints.xy[0, H36M17.index(*LIMBS)], np.float64)


def searched(detector: Any, person: HeldOut) -> Floats:
    """Places (12, 2) of LIMBS of the person found nearest to the subject; NaN if none is found."""
    found = [other.xy[H36M17.index(*LIMBS)] for other in people_in(person.picture, detector)]
    if not found:
        return np.full((len(LIMBS), 2), np.nan)
    apart = [np.median(np.nan_to_num(np.linalg.norm(xy - person.joints, axis=-1), nan=np.inf)) for xy in found]
    return found[int(np.argmin(apart))]


def measure(detector: Any, people: list[HeldOut], groups: dict[str, NDArray[np.bool_]]) -> dict[str, dict[str, float]]:
    """PCK of each group, by how was looked."""
    columns: dict[str, list[NDArray[np.bool_]]] = {}
    for person in people:
        for way, xy in {**looks(detector, person), "searched": searched(detector, person)}.items():
            # Joints that were not found are NaN, and not near.
            columns.setdefault(way, []).append(np.linalg.norm(xy - person.joints, axis=-1) < NEAR * person.torso)
    near = {way: np.stack(rows) for way, rows in columns.items()}
    return {name: {way: float(rows[group].mean()) for way, rows in near.items()} for name, group in groups.items() if group.any()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--most", type=int, default=1000)
    options = parser.parse_args()
    people, groups = held_out(options.cache, SIZE, options.most)
    measured = measure(load_detector(options.detector), people, groups)
    ways = list(next(iter(measured.values())))
    print(f"| joints | of | {' | '.join(ways)} |\n|{'---|' * (2 + len(ways))}")
    for name, values in measured.items():
        print(f"| {called(name)} | {groups[name].sum()} | {' | '.join(f'{values[way]:.3f}' for way in ways)} |")


if __name__ == "__main__":
    main()
