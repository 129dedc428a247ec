"""What putting leaping joints back is worth, and costs, where the truth is known: on held-out mocap under simulated detectors.

    python benchmarks/jumps.py --data MOCAP [--clips 6]

MPJPE / PA-MPJPE of the lifted joints, mm, without and with `stpose_core.detect.jumps`, and the share of sights that it replaced:
under the noise of a detector, with the sides of joints confused (where it should gain), and twice as fast as recorded, where
movements are quickest (where it must not lose). Not fitted to the 2D joints afterwards.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from stpose_training.conditions import CONFUSED, PLAIN, Condition, Take, takes
from stpose_training.data.mocap import load_mocap
from stpose_training.evaluate import SETS, measure, some

from stpose_core.detect.jumps import mend_jumps
from stpose_core.detect.tracks import Track, track_to_keypoints
from stpose_core.lift import Lifter, load_lifter

CONDITIONS = (PLAIN, CONFUSED, Condition("twice as fast", tempo=2.0))


def mended(take: Take) -> tuple[Take, float]:
    """The take as it comes out of following people, and the share of sights that were replaced."""
    points = take.keypoints
    frames = np.flatnonzero((points.score > 0).any(1))
    times = np.arange(len(points)) / points.fps
    track = Track.of(1, points.skeleton, times[frames], frames, points.xy[frames], points.score[frames])
    before = track.score.copy()
    mend_jumps(track)
    put_back = float((track.score != before).sum() / max(1, (before > 0).sum()))
    return replace(take, keypoints=track_to_keypoints(track, times, points.fps, points.image_size)), put_back


def row(lifter: Lifter, cases: Sequence[Take]) -> str:
    """Columns of one condition."""
    pairs = [mended(take) for take in cases]
    errors = []
    for chosen in (cases, [take for take, _ in pairs]):
        m = measure([(take, lifter(take.keypoints)) for take in chosen])
        errors.append(f"{m.mpjpe:.1f} / {m.pa_mpjpe:.1f}")
    return f"{errors[0]} | {errors[1]} | {np.mean([share for _, share in pairs]):.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6)
    options = parser.parse_args()
    lifter = load_lifter(device="cpu")
    print("| set | condition | as seen | leaps put back | share of sights |\n|---|---|---|---|---|")
    for name, which in SETS.items():
        clips = some(load_mocap(options.data, *which), options.clips)
        for condition in CONDITIONS:
            print(f"| {name} | {condition.name} | {row(lifter, list(takes(clips, condition)))} |", flush=True)


if __name__ == "__main__":
    main()
