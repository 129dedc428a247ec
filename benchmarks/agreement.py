"""How far one detector agrees with another on clips without a reference: the same joints, the same sides, the same person.

    python benchmarks/agreement.py CLIP ... [--detector builtin] [--against mediapipe]

Of the largest person that each follows, over the frames in which both detect a person. Agreement: share of the 12 limb joints
within 0.2 torso of the other's (the torso as long as in all but a tenth of the frames). Swapped: arms or legs of a frame that agree
better with sides exchanged, by half the distance or more, where that distance is above 0.2 torso. Elsewhere: most joints further
away than a torso.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from people_footage import follow
from stpose_training.spatial.measure import LIMBS

from stpose_core.detect import KeypointFile, load_detector
from stpose_core.errors import NoPersonError
from stpose_core.skeletons import get_skeleton
from stpose_core.track.choice import choose_people
from stpose_core.track.track import Track

Floats = NDArray[np.float64]
NEAR = 0.2
_HALF = len(LIMBS) // 2  # left joints come first: shoulder, elbow, wrist, hip, knee, ankle; then the right ones
_PARTS = {"arms": (0, 1, 2), "legs": (3, 4, 5)}


@dataclass(frozen=True)
class Agreement:
    """common: frames in which both detect a person. near: share of joints. swapped, elsewhere: the longest runs, in frames."""

    common: int
    near: float
    swapped: int
    elsewhere: int


def agreement(track: Track, other: Track) -> Agreement:
    """Of two tracks of one clip. Raises NoPersonError if they have no frame in common."""
    frames, own, theirs = np.intersect1d(track.frames, other.frames, return_indices=True)
    if not len(frames):
        raise NoPersonError("the two detectors never detect a person in the same frame")
    mine, truth = _limbs(track)[own], _limbs(other)[theirs]
    straight = np.linalg.norm(mine - truth, axis=-1) / torso_length(truth)
    longest = max(longest_run(part, frames) for part in exchanged_sides(mine, truth))
    return Agreement(len(frames), float((straight < NEAR).mean()), longest, longest_run((straight > 1).mean(1) > 0.5, frames))


def torso_length(truth: Floats) -> float:
    """Pixels that the torso of limb joints (N, 12, 2) has in all but a tenth of the frames."""
    middle = truth[:, [0, _HALF]].mean(1) - truth[:, [3, 3 + _HALF]].mean(1)
    return float(np.nanquantile(np.linalg.norm(middle, axis=1), 0.9))


def exchanged_sides(mine: Floats, truth: Floats) -> NDArray[np.bool_]:
    """(2, N) whether the arms, and the legs, of a frame are exchanged; limb joints (N, 12, 2) of LIMBS, pixels."""
    torso = torso_length(truth)
    straight = np.linalg.norm(mine - truth, axis=-1) / torso
    crossed = np.linalg.norm(np.roll(mine, _HALF, axis=1) - truth, axis=-1) / torso
    found = []
    for joints in _PARTS.values():
        both = [*joints, *(joint + _HALF for joint in joints)]
        apart, exchanged = straight[:, both].mean(1), crossed[:, both].mean(1)
        found.append((apart > NEAR) & (exchanged < 0.5 * apart))
    return np.array(found)


def longest_run(chosen: NDArray[np.bool_], frames: NDArray[np.int64]) -> int:
    """Most chosen frames on end; a gap in the frames ends a run."""
    longest = run = 0
    for row, is_chosen in enumerate(chosen):
        follows = row > 0 and frames[row] == frames[row - 1] + 1
        run = (run if follows else 0) + 1 if is_chosen else 0
        longest = max(longest, run)
    return longest


def _limbs(track: Track) -> Floats:
    return np.asarray(track.xy[:, get_skeleton(track.skeleton).index(*LIMBS)], np.float64)


def main() -> None:
    """Print a line a clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--against", default="mediapipe")
    options = parser.parse_args()
    detectors = [load_detector(name) for name in (options.detector, options.against)]
    if any(isinstance(detector, KeypointFile) for detector in detectors):
        parser.error("needs detectors, not a file of keypoints")
    print(
        "| clip | frames with both | joints that agree | swapped, frames on end | elsewhere, frames on end |\n|---|---|---|---|---|"
    )
    for clip in options.clips:
        chosen = []
        for detector in detectors:
            tracks, count, size = follow(clip, detector)
            chosen.append(choose_people(tracks, "largest", size, count)[0])
        found = agreement(*chosen)
        print(f"| {clip.name} | {found.common} | {found.near:.3f} | {found.swapped} | {found.elsewhere} |", flush=True)


if __name__ == "__main__":
    main()
