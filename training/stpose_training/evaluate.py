"""Measures a lifter on held-out marker mocap, through the calls that users make: keypoints in pixels in, poses out.

Tables: accuracy, occlusion (all kinds of conditions.py), distance, tempo, and the calibration of the expected error and of the
hidden flag. Frames without a pose count in `posed` and in no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpose_core import metrics
from stpose_core.data import Pose3D
from stpose_core.lift import Lifter
from stpose_core.lift.normalise import VISIBLE_SCORE
from stpose_core.lift.refine import refine
from stpose_training.conditions import CONFUSED, DISTANCES, MIXED, OCCLUSION, PLAIN, TEMPOS, Condition, Take, takes
from stpose_training.data.anatomy import with_one_skeleton
from stpose_training.data.mocap import Clip, load_mocap

Array = NDArray[np.float64]

SETS = {"CMU validation": ("free", "validation"), "HDM05": ("by-sa", "validation")}
TABLES: dict[str, tuple[Condition, ...]] = {
    "accuracy": (PLAIN,),
    "occlusion": OCCLUSION,
    "distance": DISTANCES,
    "tempo": TEMPOS,
    "confusion": (CONFUSED,),
}
_FAR_OFF = 0.15  # metres: the threshold of PCK on MPI-INF-3DHP


@dataclass(frozen=True)
class Measures:
    """Errors of one condition, root-relative, camera axes. frames: of all clips; posed: share of them with a pose.

    mpjpe, pa_mpjpe, masked (MPJPE of joints that the condition hid, NaN if none): mm. velocity (MPJVE): mm a frame.
    acceleration: mm a frame squared.
    """

    frames: int
    posed: float
    mpjpe: float
    pa_mpjpe: float
    velocity: float
    acceleration: float
    masked: float


@dataclass(frozen=True)
class Group:
    """Joints with similar predictions of the lifter. share: of all joints; sigma, error: means, mm; far_off: share with errors
    above 150 mm; wrong: share whose input was hidden or displaced."""

    name: str
    share: float
    sigma: float
    error: float
    far_off: float
    wrong: float


@dataclass(frozen=True)
class Report:
    """All tables: measures[set][table][condition], and calibration[set]."""

    measures: dict[str, dict[str, dict[str, Measures]]] = field(default_factory=dict)
    calibration: dict[str, list[Group]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = []
        for name, tables in self.measures.items():
            for table, rows in tables.items():
                lines += [
                    f"| {name}: {table} | MPJPE | PA-MPJPE | MPJVE | acceleration | hidden joints | posed |",
                    "|---|---|---|---|---|---|---|",
                ]
                for row, m in rows.items():
                    hidden = "" if np.isnan(m.masked) else f"{m.masked:.1f}"
                    errors = f"{m.mpjpe:.1f} | {m.pa_mpjpe:.1f} | {m.velocity:.2f} | {m.acceleration:.2f}"
                    lines.append(f"| {row} | {errors} | {hidden} | {100 * m.posed:.1f} % |")
                lines.append("")
            if name in self.calibration:
                lines += [
                    f"| {name}: expected errors and flags | share | expected error | error | over 150 mm | input was wrong |",
                    "|---|---|---|---|---|---|",
                ]
                for g in self.calibration[name]:
                    shares = f"{100 * g.far_off:.1f} % | {100 * g.wrong:.1f} %"
                    lines.append(f"| {g.name} | {100 * g.share:.1f} % | {g.sigma:.0f} | {g.error:.0f} | {shares} |")
                lines.append("")
        return "\n".join(lines)


def _pieces(posed: NDArray[np.bool_]) -> Iterator[slice]:
    """The longest runs of frames with a pose."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], posed, [False])).astype(int)))
    for start, stop in zip(edges[::2], edges[1::2]):
        yield slice(int(start), int(stop))


def _mean(values: list[tuple[float, int]]) -> float:
    weight = sum(count for _, count in values)
    return 1000 * sum(value * count for value, count in values) / weight if weight else float("nan")


def measure(cases: Sequence[tuple[Take, Pose3D]]) -> Measures:
    """The errors of lifted takes, each frame (or pair, or triple of frames) with the same weight."""
    sums: dict[str, list[tuple[float, int]]] = {"mpjpe": [], "pa": [], "velocity": [], "acceleration": [], "masked": []}
    posed = frames = 0
    for take, pose in cases:
        frames += len(take.truth)
        for piece in _pieces(pose.posed):
            p, t, masked = pose.xyz[piece], take.truth[piece], take.masked[piece]
            count = len(p)
            posed += count
            sums["mpjpe"].append((metrics.mpjpe(p, t), count))
            sums["pa"].append((metrics.pa_mpjpe(p, t), count))
            if count > 1:
                sums["velocity"].append((metrics.velocity_error(p, t), count - 1))
            if count > 2:
                sums["acceleration"].append((metrics.acceleration_error(p, t), count - 2))
            if masked.any():
                sums["masked"].append((metrics.mpjpe(p[masked], t[masked]), int(masked.sum())))
    means = {name: _mean(values) for name, values in sums.items()}
    return Measures(
        frames, posed / max(1, frames), means["mpjpe"], means["pa"], means["velocity"], means["acceleration"], means["masked"]
    )


def calibration(cases: Sequence[tuple[Take, Pose3D]], bins: int = 8) -> list[Group]:
    """Joints in equal groups by the expected error, then by the hidden flag.

    The pelvis is left out, because its error is 0.
    """
    rows: list[Array] = []
    for take, pose in cases:
        keep = pose.posed
        error = np.linalg.norm(pose.xyz - take.truth, axis=-1)
        missing = take.keypoints.score < VISIBLE_SCORE
        wrong = take.masked | missing
        rows.append(np.stack([part[keep, 1:].ravel() for part in (pose.sigma, error, pose.hidden, missing, wrong)], -1))
    table = np.concatenate(rows)
    sigma, error = table[:, 0], table[:, 1]
    flagged, missing, wrong = (table[:, column] > 0 for column in (2, 3, 4))
    groups: list[Group] = []

    def add(name: str, chosen: NDArray[np.bool_]) -> None:
        if chosen.any():
            far = float((error[chosen] > _FAR_OFF).mean())
            means = 1000 * float(sigma[chosen].mean()), 1000 * float(error[chosen].mean())
            groups.append(Group(name, float(chosen.mean()), *means, far, float(wrong[chosen].mean())))

    place = np.searchsorted(np.quantile(sigma, np.arange(1, bins) / bins), sigma, side="right")
    for number in range(bins):
        add(f"expected error, part {number + 1} of {bins}", place == number)
    add("seen, not flagged", ~missing & ~flagged)
    add("seen, flagged as hidden", ~missing & flagged)
    add("not seen", missing)
    return groups


def lift(
    lifter: Lifter, clips: Sequence[Clip], condition: Condition, maps: bool = False, refined: bool = False
) -> list[tuple[Take, Pose3D]]:
    """The takes of clips under a condition, and their lifted poses. maps: with heat maps as input. refined: fitted to the 2D
    joints, as in `stpose mocap`."""
    cases = ((take, lifter(take.keypoints, maps=take.maps)) for take in takes(clips, condition, maps))
    cases = ((take, refine(pose, take.keypoints) if refined else pose) for take, pose in cases)
    return [(replace(take, maps=None), pose) for take, pose in cases]


def some(clips: list[Clip], most: int | None) -> list[Clip]:
    """At most `most` clips, evenly spread over all; None for all."""
    if most is None or most >= len(clips):
        return clips
    return [clips[int(index)] for index in np.linspace(0, len(clips) - 1, most).round()]


def evaluate(
    lifter: Lifter,
    data: Path,
    *,
    most: int | None = None,
    tables: dict[str, tuple[Condition, ...]] | None = None,
    say: Callable[[str], None] | None = None,
    refined: bool = False,
    one_skeleton: bool = False,
) -> Report:
    """All tables of one lifter. most: clips of each set, None for all. tables: TABLES or some of them. say: receives a line for
    each row. refined: measure poses after the fit to the 2D joints. one_skeleton: on clips whose trunks are defined alike.
    """
    report = Report()
    for name, which in SETS.items():
        clips = load_mocap(data, *which)
        clips = some(with_one_skeleton(clips) if one_skeleton else clips, most)
        report.measures[name] = {}
        for table, conditions in (TABLES if tables is None else tables).items():
            rows = report.measures[name][table] = {}
            for condition in conditions:
                rows[condition.name] = measure(lift(lifter, clips, condition, refined=refined))
                if say:
                    say(f"{name}, {condition.name}: MPJPE {rows[condition.name].mpjpe:.1f} mm")
        if tables is None:
            report.calibration[name] = calibration(lift(lifter, clips, MIXED, refined=refined))
    return report
