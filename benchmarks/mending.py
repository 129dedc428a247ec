"""Benefit and cost of the correction of tracks if the truth is known: on held-out mocap under simulated detectors.

    python benchmarks/mending.py --data MOCAP [--clips 6]

MPJPE / PA-MPJPE of the lifted joints, mm: as seen, with exchanged sides put right (stpose_core/track/sides.py), and with joints
that leap put back as well (jumps.py), as in the program; and the share of changed detections. Under the noise of
a detector, with the sides of joints confused (where it should gain), and twice as fast as recorded, where movements are quickest
(where it must not lose). Not fitted to the 2D joints afterwards.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from stpose_training.conditions import CONFUSED, PLAIN, Condition, Take, takes
from stpose_training.data.mocap import load_mocap
from stpose_training.evaluate import SETS, measure, some

from stpose_core.lift import Lifter, load_lifter
from stpose_core.track.jumps import correct_jumps
from stpose_core.track.resample import track_to_keypoints
from stpose_core.track.sides import correct_sides
from stpose_core.track.track import Track

CONDITIONS = (PLAIN, CONFUSED, Condition("twice as fast", tempo=2.0))


def corrected(take: Take, *ways: Callable[[Track], Track]) -> tuple[Take, float]:
    """The take after tracking, corrected in these ways in turn, and the share of changed detections."""
    points = take.keypoints
    frames = np.flatnonzero((points.score > 0).any(1))
    times = np.arange(len(points)) / points.fps
    track = Track.of(1, points.skeleton, times[frames], frames, points.xy[frames], points.score[frames])
    before, seen = track.xy, track.score > 0
    for mend in ways:
        track = mend(track)
    changed = (track.xy != before).any(-1) & seen
    keypoints = track_to_keypoints(track, times, points.fps, points.image_size)
    return replace(take, keypoints=keypoints), float(changed.sum() / max(1, seen.sum()))


def row(lifter: Lifter, cases: Sequence[Take]) -> str:
    """Columns of one condition."""
    columns = []
    for ways in ((), (correct_sides,), (correct_sides, correct_jumps)):
        pairs = [corrected(take, *ways) for take in cases]
        m = measure([(take, lifter(take.keypoints)) for take, _ in pairs])
        columns.append(f"{m.mpjpe:.1f} / {m.pa_mpjpe:.1f}")
    return " | ".join([*columns, f"{np.mean([share for _, share in pairs]):.4f}"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6)
    options = parser.parse_args()
    lifter = load_lifter(device="cpu")
    print("| set | condition | as seen | sides | sides and leaps | share of detections |\n|---|---|---|---|---|---|")
    for name, which in SETS.items():
        clips = some(load_mocap(options.data, *which), options.clips)
        for condition in CONDITIONS:
            print(f"| {name} | {condition.name} | {row(lifter, list(takes(clips, condition)))} |", flush=True)


if __name__ == "__main__":
    main()
