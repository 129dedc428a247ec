"""How well the curves of a capture follow the expressions of rendered heads, through the whole of `stpose mocap --face`.

    python benchmarks/face_films.py -o FILMS
    python benchmarks/faces.py --films FILMS [--detector mediapipe] [--smooth 0.4]

For each action: the correlation of its curve with its strength while the head is still; the curve where the action is at full
strength alone; and the largest other curve there ("other"), means over people. Then, for a resting face whose head turns: the mean
of all curves, the 95th percentile of the largest curve of a frame, and the largest of all, with its name; and for an open mouth on
a turning head, the mean and the spread of jawOpen.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from face_films import EXPRESSIONS, RAMP

import stpose_core as sp
from stpose_core.data import Array
from stpose_core.retarget.curves import ARKIT


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--smooth", type=float, default=0.4)
    options = parser.parse_args()
    detector = sp.load_detector(options.detector)
    found: dict[str, list[tuple[float, float, float, str]]] = defaultdict(list)
    turned = []
    for path in sorted(options.films.glob("person*.npz")):
        with np.load(path, allow_pickle=False) as data:
            names, strengths, turns = [str(name) for name in data["names"]], data["strengths"], data["turns"]
        motion = sp.capture(path.with_suffix(".mp4"), detector=detector, camera="static", smooth=options.smooth, face=True).motion
        curves = np.stack([motion.curves[name] for name in ARKIT], axis=1)[: len(strengths)]
        truth = np.stack([strengths[: len(curves), names.index(name)] for name in ARKIT], axis=1)
        print(f"{path.stem}: a face in {100 * np.isfinite(curves[:, 0]).mean():.0f} % of {len(curves)} frames", flush=True)
        for name, row in _followed(curves, truth).items():
            found[name].append(row)
        turned.append((curves, truth, turns[: len(curves)]))
    print("| action | correlation | at full strength | other |\n|---|---|---|---|")
    for name, rows in found.items():
        correlation, strength, other = np.mean([row[:3] for row in rows], axis=0)
        print(f"| {name} | {correlation:.2f} | {strength:.2f} | {other:.2f} ({max(rows, key=lambda row: row[2])[3]}) |")
    _print_turned(turned)


def _followed(curves: Array, truth: Array) -> dict[str, tuple[float, float, float, str]]:
    """For each action: correlation, strength where it is full, and the largest other curve there with its name."""
    still = np.arange(len(truth)) < len(EXPRESSIONS) * len(RAMP)
    alone = np.arange(len(truth)) < (len(EXPRESSIONS) - 1) * len(RAMP)  # the last is a mixture
    rows = {}
    for number, name in enumerate(ARKIT):
        asked, curve = truth[still, number], curves[still, number]
        seen = np.isfinite(curve)
        full = alone & (truth[:, number] == 1.0) & np.isfinite(curves[:, number])
        if not full.any():
            continue
        correlation = float(np.corrcoef(asked[seen], curve[seen])[0, 1]) if curve[seen].any() else 0.0
        others = np.where(truth[full] > 0, 0.0, curves[full]).mean(axis=0)
        rows[name] = (correlation, float(curves[full, number].mean()), float(others.max()), ARKIT[int(others.argmax())])
    return rows


def _print_turned(films: list[tuple[Array, Array, Array]]) -> None:
    curves = np.concatenate([curves for curves, _, _ in films])
    truth = np.concatenate([truth for _, truth, _ in films])
    away = np.abs(np.concatenate([turns for _, _, turns in films])).max(axis=1) > 1
    seen = np.isfinite(curves[:, 0])
    rest, talking = (seen & away & kind for kind in (~truth.any(axis=1), truth[:, ARKIT.index("jawOpen")] > 0))
    largest = curves[rest].max(axis=1)
    name = ARKIT[int(curves[rest].max(axis=0).argmax())]
    print(f"resting face, head turned: mean {curves[rest].mean():.3f}, 95 % {np.percentile(largest, 95):.2f}, "
          f"largest {largest.max():.2f} ({name}) of {rest.sum()} frames")  # fmt: skip
    jaw = curves[talking, ARKIT.index("jawOpen")]
    print(f"jawOpen of 0.7, head turned: {jaw.mean():.2f} +- {jaw.std():.2f} in {talking.sum()} frames")


if __name__ == "__main__":
    main()
