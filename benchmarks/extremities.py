"""How well head, hands, fingers and feet of a capture point where those of rendered people do.

    python benchmarks/extremity_films.py --kit CACHE/kit.npz --mocap MOCAP -o FILMS
    python benchmarks/extremities.py --films FILMS [--detector mediapipe] [--hands]
    python benchmarks/extremities.py --clips VIDEO... [--detector mediapipe]   # only "neck"

Angles in degrees, means over the frames in which the part is in the picture: between the true and the captured direction in which
the face looks, from the wrist to the knuckle of the middle finger, out of the back of the hand, from the heel to the toes. "bend":
error of the bend of the 14 joints of the fingers, in frames in which the hand was found, where both bones are visible. "neck": the
largest angle between the segments of neck and head.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import stpose_core as sp
from stpose_core.animate.kinematics import world_frames
from stpose_core.animate.motion import world_from_camera
from stpose_core.data import Array, Capture, Motion

SIDES = ("Left", "Right")
FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
Floats = NDArray[np.floating]


def angle(first: Floats, second: Floats) -> Array:
    """Degrees between vectors (..., 3)."""
    cosine = (first * second).sum(-1) / (np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def bends(hand: Floats) -> Array:
    """(..., 14) degrees of the joints of HAND21 (..., 21, 3): two of the thumb, three of each finger."""
    chains = [[1, 2, 3, 4]] + [[0, *range(1 + 4 * finger, 5 + 4 * finger)] for finger in range(1, 5)]
    found = []
    for chain in chains:
        bones = np.diff(hand[..., chain, :], axis=-2)
        found.append(angle(bones[..., :-1, :], bones[..., 1:, :]))
    return np.concatenate(found, axis=-1)


def bent_joints() -> list[tuple[int, int, int]]:
    """The joints of HAND21 that the 14 bends lie between."""
    chains = [[1, 2, 3, 4]] + [[0, *range(1 + 4 * finger, 5 + 4 * finger)] for finger in range(1, 5)]
    return [triple for chain in chains for triple in zip(chain, chain[1:], chain[2:])]


def neck_angles(motion: Motion) -> Array:
    """(T,) degrees between the segment from neck to head and that from head to crown."""
    places = world_frames(motion)[1]
    neck, head, crown = (places[:, motion.names.index(name)] for name in ("Neck", "Head", "HeadEnd"))
    return angle(head - neck, crown - head)


def hand_joints(motion: Motion, places: Array, side: str) -> Array:
    """(T, 21, 3) of HAND21."""
    names = [f"{side}Hand"]
    for finger in FINGERS:
        names += [f"{side}Hand{finger}{number}" for number in (1, 2, 3)] + [f"{side}Hand{finger}3End"]
    return places[:, [motion.names.index(name) for name in names]]


def errors(capture: Capture, film: dict[str, Floats]) -> dict[str, Array]:
    """Degrees by kind, over the frames in which they are known."""
    motion, count = capture.motion, min(len(capture), len(film["head"]))
    frames, places = world_frames(motion)
    to_camera = world_from_camera(capture.pose3d)[:count].transpose(0, 2, 1)
    found: dict[str, list[Array]] = {name: [] for name in ("head", "hand", "back", "foot", "bend")}

    def seen_from_camera(vectors: Array) -> Array:
        return np.asarray((to_camera @ vectors[:count, ..., None])[..., 0])

    forward = np.array([0.0, 0.0, 1.0])
    look = frames[:, motion.names.index("Head")] @ forward
    found["head"].append(angle(seen_from_camera(look), film["head"][:count] @ forward))
    for number, side in enumerate(SIDES):
        hand, visible = film["hands"][:count, number], film["seen"][:count, number]
        there = visible.mean(axis=1) > 0.3
        turned = frames[:, motion.names.index(f"{side}Hand")]
        along = turned @ np.array([1.0 if side == "Left" else -1.0, 0.0, 0.0])
        found["hand"].append(angle(seen_from_camera(along), hand[:, 9] - hand[:, 0])[there])
        found["back"].append(angle(seen_from_camera(turned[..., 1]), film["backs"][:count, number])[there])
        feet = film["feet"][:count, number]
        toes = frames[:, motion.names.index(f"{side}Foot")] @ forward
        found["foot"].append(angle(seen_from_camera(toes), feet[:, 1:].mean(axis=1) - feet[:, 0])[_inside(feet, film)])
        part = capture.pose3d.parts.get(f"{side[0].lower()}_hand")
        if part is not None and part.skeleton == "hand21":
            off = np.abs(bends(hand_joints(motion, places, side))[:count] - bends(hand))
            shown = np.stack([visible[:, list(triple)].all(axis=1) for triple in bent_joints()], axis=1)
            found["bend"].append(off[shown & ~part.hidden[:count].all(axis=1)[:, None]])
    return {name: np.concatenate(values) for name, values in found.items() if values}


def _inside(points: Floats, film: dict[str, Floats]) -> NDArray[np.bool_]:
    pixels = points[..., :2] / points[..., 2:] * film["focal"] + film["centre"]
    return np.asarray(((pixels > 0) & (pixels < 2 * film["centre"])).all(axis=(1, 2)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--hands", action="store_true")
    options = parser.parse_args()
    detector = sp.load_detector(options.detector)
    total: dict[str, list[Array]] = {}
    for path in options.clips:
        motion = sp.capture(path, detector=detector).motion
        print(f"{path.name}: neck {neck_angles(motion).max():.0f} degrees", flush=True)
    if options.films is None:
        return
    print("| film | head | hand | back of the hand | foot | bend | neck |\n|---|---|---|---|---|---|---|")
    for path in sorted(options.films.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            film = {name: data[name] for name in data.files}
        capture = sp.capture(path.with_suffix(".mp4"), detector=detector, camera="static", hands=options.hands)
        found = errors(capture, film)
        found["neck"] = neck_angles(capture.motion)
        for name, values in found.items():
            total.setdefault(name, []).append(values)
        _print(path.stem, found)
    _print("all", {name: np.concatenate(values) for name, values in total.items()})


def _print(name: str, found: dict[str, Array]) -> None:
    cells = [f"{found[kind].mean():.1f}" if len(found.get(kind, ())) else "" for kind in ("head", "hand", "back", "foot", "bend")]
    print(f"| {name} | {' | '.join(cells)} | {found['neck'].max():.0f} |", flush=True)


if __name__ == "__main__":
    main()
