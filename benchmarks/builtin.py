"""Whether the built-in detector is good enough to be what `--detector auto` takes, on real footage that it never learned from.

    python benchmarks/builtin.py --videos FOLDER --weights FOLDER [--mark]

Prints a table of measures with what each must reach. With --mark the answer and the figures are written into the header of
spatial.safetensors ("passed"), which is what `auto` goes by; weights that are trained anew have to pass anew.

The clips are those of benchmarks/people_footage.py. PCK: share of the 12 limb joints within 0.2 torso of the reprojected reference
of the two calibrated clips, found and followed by the detector itself; a frame without a pose counts as all joints missed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from people_footage import EMPTY, VISITS, follow
from stpose_training.spatial.measure import LIMBS, reference_in

from stpose_core.detect.builtin import BuiltinDetector
from stpose_core.errors import NoPersonError
from stpose_core.skeletons import H36M17
from stpose_core.track.choice import choose_people
from stpose_core.track.track import Track
from stpose_core.weights import SPATIAL_FILE, read_weights, write_weights

NEAR = 0.2
LEAST_PCK, MOST_EMPTY, WITHIN = 0.95, 0.02, 5  # the last in frames


@dataclass(frozen=True)
class Measure:
    """what: of which clip. value, goal: the measure and the bound; upwards: whether more is better."""

    what: str
    value: float
    goal: float
    upwards: bool

    @property
    def reached(self) -> bool:
        return self.value >= self.goal if self.upwards else self.value <= self.goal


def pck(videos: Path, detector: Any, clip: str) -> float:
    """Of the largest person that the detector follows through a clip with a reference."""
    places, valid, torso = reference_in(videos, clip)
    tracks, count, size = follow(videos / clip, detector)
    try:
        (track,) = choose_people(tracks, "largest", size, count)
    except NoPersonError:
        return 0.0
    found = np.full((len(places), len(LIMBS), 2), np.nan)
    rows = track.frames < len(places)
    found[track.frames[rows]] = track.xy[rows][:, H36M17.index(*LIMBS)]
    near = np.linalg.norm(found - places, axis=-1) < NEAR * torso[:, None]
    return float(near[valid].mean())


def visits(path: Path, detector: Any) -> tuple[float, int]:
    """The share of empty frames with a pose, and the most frames that a person was in the picture before being tracked."""
    tracks, count, _ = follow(path, detector)
    return empty_share(tracks, count), slowest_start(tracks, count)


def empty_share(tracks: list[Track], count: int) -> float:
    empty, posed = _frames(EMPTY, count), _posed(tracks, count)
    return float((posed & empty).sum() / empty.sum())


def slowest_start(tracks: list[Track], count: int) -> int:
    posed, latest = _posed(tracks, count), 0
    for (_, before), (after, _) in zip(EMPTY, EMPTY[1:]):
        seen = np.flatnonzero(posed[before + 1 : after])
        latest = max(latest, int(seen[0]) if len(seen) else after - before - 1)
    return latest


def _frames(stretches: tuple[tuple[int, int], ...], count: int) -> NDArray[np.bool_]:
    chosen = np.zeros(count, bool)
    for first, last in stretches:
        chosen[first : last + 1] = True
    return chosen


def _posed(tracks: list[Track], count: int) -> NDArray[np.bool_]:
    posed = np.zeros(count, bool)
    for track in tracks:
        posed[track.frames] = True
    return posed


def main() -> None:
    """Print the table; exit with 1 if a measure was not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--mark", action="store_true", help="note the answer in spatial.safetensors")
    options = parser.parse_args()
    detector = BuiltinDetector(options.weights)
    clips = ("balance/cam01.mp4", "balance/cam03.mp4")
    measures = [Measure(f"PCK, {clip}", pck(options.videos, detector, clip), LEAST_PCK, True) for clip in clips]
    share, latest = visits(options.videos / VISITS, detector)
    measures.append(Measure("empty frames with a pose", share, MOST_EMPTY, False))
    measures.append(Measure("frames until a person is tracked", latest, WITHIN, False))
    print("| measure | value | goal | reached |\n|---|---|---|---|")
    for measure in measures:
        sign = "at least" if measure.upwards else "at most"
        print(f"| {measure.what} | {measure.value:.3f} | {sign} {measure.goal:g} | {'yes' if measure.reached else 'no'} |")
    passed = all(measure.reached for measure in measures)
    if options.mark:
        path = options.weights / SPATIAL_FILE
        tensors, header = read_weights(path, "spatial")
        footage = {measure.what: round(measure.value, 4) for measure in measures}
        write_weights(path, tensors, "spatial", {**header, "passed": passed, "footage": footage})
        print(f"\n{path}: {'passed' if passed else 'not passed'}")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
